//! TLS by rustls: the operating system's trust, plus what the settings file adds.
//!
//! Nothing here can be changed by a frame; `insecure` is per host and comes from the settings only.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::error::{DialError, Place};
use super::stream::ServerStream;

/// Trusted certificates and the client certificate, in addition to the operating system's.
#[derive(Debug, Default)]
pub struct TlsSettings {
    /// Certificate authorities trusted in addition to the system's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Hosts (lower case, without port) whose certificate is not checked at all.
    pub insecure_hosts: Vec<String>,
    /// Our certificate chain and its key, for servers that ask.
    pub client_cert: Option<ClientCert>,
    /// Hosts (lower case, without port) that receive it; no other does.
    pub client_hosts: Vec<String>,
}

/// A certificate chain, leaf first, and the leaf's private key.
pub struct ClientCert {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl fmt::Debug for ClientCert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCert({} certificates)", self.chain.len())
    }
}

/// A configuration, made at its first use. Forgotten when a certificate is not trusted: the system's trust store may be
/// another by the next dial.
type LazyConfig = Mutex<Option<Arc<ClientConfig>>>;

/// The client side of TLS. The system's trust store is read at the first use, not before.
#[derive(Debug)]
pub(crate) struct Tls {
    settings: TlsSettings,
    /// By whether the certificate is checked, and whether ours is shown.
    configs: [[LazyConfig; 2]; 2],
}

impl Tls {
    pub(crate) const fn new(settings: TlsSettings) -> Self {
        Self {
            settings,
            configs: [const { [const { Mutex::new(None) }; 2] }; 2],
        }
    }

    /// Whether the settings switch the certificate check off for this host.
    pub(crate) fn is_insecure(&self, host: &str) -> bool {
        is_among(&self.settings.insecure_hosts, host)
    }

    /// Makes a connection secret, and the server prove its name.
    pub(crate) async fn wrap(&self, stream: TcpStream, place: &Place) -> Result<ServerStream, DialError> {
        let fail = |why: String| DialError::Tls {
            place: place.clone(),
            why,
        };
        let host = place.bare_host();
        let name = ServerName::try_from(host.trim_end_matches('.').to_owned())
            .map_err(|_| fail("its name is not valid in a certificate".to_owned()))?;
        let check = !self.is_insecure(host);
        let show = is_among(&self.settings.client_hosts, host);
        let made = &self.configs[usize::from(check)][usize::from(show)];
        let known = lock(made).clone();
        let config = match known {
            Some(config) => config,
            None => {
                let config = self.config(check, show).map_err(&fail)?;
                *lock(made) = Some(config.clone());
                config
            }
        };
        let stream = TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(|error| {
                *lock(made) = None;
                fail(explained(&error.to_string()))
            })?;
        Ok(ServerStream::Tls(Box::new(stream)))
    }

    fn config(&self, check: bool, show: bool) -> Result<Arc<ClientConfig>, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = if check {
            let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(
                self.settings.extra_roots.iter().cloned(),
                provider.clone(),
            )
            .map_err(|error| format!("the system's trusted certificates cannot be read: {error}"))?;
            Arc::new(verifier)
        } else {
            Arc::new(AnyCertificate)
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match self.settings.client_cert.as_ref().filter(|_| show) {
            None => builder.with_no_client_auth(),
            Some(cert) => builder
                .with_client_auth_cert(cert.chain.clone(), cert.key.clone_key())
                .map_err(|error| format!("the client certificate cannot be used: {error}"))?,
        };
        // A ticket would prove to whoever is behind a name now that we were there before, also in another's session.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn lock(made: &LazyConfig) -> MutexGuard<'_, Option<Arc<ClientConfig>>> {
    made.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Common faults, by a part of rustls's message, and what to do about them.
const ADVICE: &[(&str, &str)] = &[
    (
        "UnknownIssuer",
        "the issuer of its certificate is not trusted on this machine; add the authority to `ca-files` in the settings (`--ca \
         FILE` on the command line), or the host to `insecure-hosts` (`--insecure`) to skip the check",
    ),
    (
        "CaUsedAsEndEntity",
        "its certificate is self-signed, as an authority's own is; name it in `ca-files` in the settings (`--ca FILE` on the \
         command line) once it has issued one for the server, or the host in `insecure-hosts` (`--insecure`), which \
         disables the check",
    ),
    (
        "NoApplicationProtocol",
        "the server does not support HTTP/1.1 on this port, perhaps HTTP/2 only; Longwire requires HTTP/1.1",
    ),
    (
        "InvalidContentType",
        "the server does not use TLS on this port; URLs without TLS begin with `ws:` or `http:`",
    ),
];

/// What went wrong, for people.
pub(super) fn explained(said: &str) -> String {
    let known = ADVICE.iter().find(|(inside, _)| said.contains(inside));
    known.map_or_else(|| in_plain_words(said), |(_, advice)| (*advice).to_owned())
}

/// Without names of the library's own: `BadSignature` becomes `bad signature`.
fn in_plain_words(said: &str) -> String {
    let mut plain = String::with_capacity(said.len() + 8);
    let (mut in_word, mut is_quoted) = (false, false);
    for letter in said.chars() {
        is_quoted ^= letter == '"';
        if in_word && letter.is_ascii_uppercase() && !is_quoted {
            plain.push(' ');
            plain.push(letter.to_ascii_lowercase());
        } else {
            plain.push(letter);
        }
        in_word = letter.is_ascii_lowercase();
    }
    plain
}

fn is_among(hosts: &[String], host: &str) -> bool {
    hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
}

/// Believes any certificate, also those that rustls cannot read: X.509 version 1, short keys, unknown extensions. So it
/// cannot ask for a proof of the key either, which would be worth nothing: whoever is in between may show a certificate
/// of their own.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        use SignatureScheme as Scheme;
        vec![
            Scheme::ECDSA_NISTP256_SHA256,
            Scheme::ECDSA_NISTP384_SHA384,
            Scheme::ECDSA_NISTP521_SHA512,
            Scheme::ED25519,
            Scheme::RSA_PSS_SHA256,
            Scheme::RSA_PSS_SHA384,
            Scheme::RSA_PSS_SHA512,
            Scheme::RSA_PKCS1_SHA256,
            Scheme::RSA_PKCS1_SHA384,
            Scheme::RSA_PKCS1_SHA512,
            Scheme::RSA_PKCS1_SHA1,
            Scheme::ECDSA_SHA1_Legacy,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rustls_error_names_become_readable_text() {
        for (library_text, plain) in [
            (
                "received fatal alert: HandshakeFailure",
                "received fatal alert: Handshake failure",
            ),
            (
                "invalid peer certificate: BadSignature",
                "invalid peer certificate: Bad signature",
            ),
            (
                "for name \"anExample.test\"; HTTP/1.1",
                "for name \"anExample.test\"; HTTP/1.1",
            ),
        ] {
            assert_eq!(explained(library_text), plain);
        }
        let own = explained("invalid peer certificate: Other(CaUsedAsEndEntity)");
        assert!(
            ["self-signed", "`--ca FILE`", "`--insecure`", "`insecure-hosts`"]
                .iter()
                .all(|word| own.contains(word))
        );
    }
}
