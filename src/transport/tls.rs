//! TLS by rustls: the operating system's trust, plus what the settings file adds.
//!
//! Nothing here can be changed by a frame; `insecure` is per host and comes from the settings only.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::error::{DialError, Place};
use super::stream::Stream;

/// Whom to trust, and who we are, beyond what the operating system says.
#[derive(Debug, Default)]
pub struct TlsSettings {
    /// Certificate authorities trusted in addition to the system's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Hosts (lower case, without port) whose certificate is not checked at all.
    pub insecure_hosts: Vec<String>,
    /// Our certificate chain and its key, for servers that ask.
    pub client_cert: Option<ClientCert>,
    /// Hosts (lower case, without port) that are shown it; nobody else is.
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

/// A configuration made at its first use, or why it cannot be made.
type Made = OnceLock<Result<Arc<ClientConfig>, String>>;

/// The client side of TLS. The system's trust store is read at the first use, not before.
#[derive(Debug)]
pub(crate) struct Tls {
    settings: TlsSettings,
    /// By whether the certificate is checked, and whether ours is shown.
    configs: [[Made; 2]; 2],
}

impl Tls {
    pub(crate) const fn new(settings: TlsSettings) -> Self {
        Self {
            settings,
            configs: [const { [const { OnceLock::new() }; 2] }; 2],
        }
    }

    /// Whether the settings switch the certificate check off for this host.
    pub(crate) fn is_insecure(&self, host: &str) -> bool {
        is_among(&self.settings.insecure_hosts, host)
    }

    /// Makes a connection secret, and the server prove its name.
    pub(crate) async fn wrap(&self, stream: TcpStream, place: &Place) -> Result<Stream, DialError> {
        let fail = |why: String| DialError::Tls {
            place: place.clone(),
            why,
        };
        let host = place.bare_host();
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| fail("its name cannot stand in a certificate".to_owned()))?;
        let check = !self.is_insecure(host);
        let show = is_among(&self.settings.client_hosts, host);
        let config =
            self.configs[usize::from(check)][usize::from(show)].get_or_init(|| self.config(check, show));
        let config = config.as_ref().map_err(|why| fail(why.clone()))?;
        let stream = TlsConnector::from(config.clone())
            .connect(name, stream)
            .await
            .map_err(|error| fail(with_advice(error.to_string())))?;
        Ok(Stream::Tls(Box::new(stream)))
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
            Arc::new(AnyCertificate(provider.clone()))
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
                .map_err(|error| format!("our own certificate cannot be used: {error}"))?,
        };
        // A ticket would prove to whoever is behind a name now that we were there before, also in another's session.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// What rustls said, and for the two faults that every developer meets, what to do.
fn with_advice(said: String) -> String {
    let advice = if said.contains("UnknownIssuer") {
        "nobody whom this machine trusts has issued it; `ca-files` in the settings adds authorities"
    } else if said.contains("CaUsedAsEndEntity") {
        "it is an authority's own, as self-signed ones mostly are; let that issue one for the server, and name it in \
         `ca-files` in the settings"
    } else {
        return said;
    };
    format!("{said}: {advice}")
}

fn is_among(hosts: &[String], host: &str) -> bool {
    hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
}

/// Believes any certificate, but still wants the server to hold its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

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
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
