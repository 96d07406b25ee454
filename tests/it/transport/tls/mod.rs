//! TLS against npm `ws` on Node's OpenSSL, with a certificate authority of our own.

mod insecure;
mod trust;

use longwire::core::io::{Fetch, LinkEnd, LinkEvent, Target, TransportKind};
use longwire::transport::{ClientCert, NetworkSettings, TlsSettings};
use longwire::wire::code::Code;
use longwire::wire::payload::Payload;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::io::AsyncBufReadExt as _;

use super::servers::{Server, payload};
use super::{DIAL, TestLink, expected_message, target, text};

/// An authority, and a folder that holds what servers need.
struct Authority {
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let folder = TempDir::new().unwrap();
        // Authorities differ in their names, as real ones do.
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, folder.path().to_string_lossy());
        params.distinguished_name = name;
        let root = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), root.pem()).unwrap();
        Self {
            root: root.der().clone(),
            issuer: Issuer::new(params, key),
            folder,
        }
    }

    fn certificate(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (rcgen::Certificate, KeyPair) {
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, names[0]);
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        // OpenSSL takes a certificate whose subject is its issuer for a self-signed one.
        params.distinguished_name = name;
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A server with a certificate for these names.
    async fn server(
        &self,
        names: &[&str],
        want_client: bool,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Option<Server> {
        let (certificate, key) = self.certificate(names, change);
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        std::fs::write(path("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(path("key.pem"), key.serialize_pem()).unwrap();
        let mut options = serde_json::json!({ "cert": path("cert.pem"), "key": path("key.pem") });
        if want_client {
            options["ca"] = path("ca.pem").into();
        }
        Server::ws(&options.to_string()).await
    }

    /// Trusts this authority.
    fn trusted(&self) -> TlsSettings {
        TlsSettings {
            extra_roots: vec![self.root.clone()],
            ..TlsSettings::default()
        }
    }
}

fn link(tls: TlsSettings, target: Target) -> TestLink {
    let settings = NetworkSettings {
        tls,
        ..NetworkSettings::default()
    };
    TestLink::dial_by(settings, target, 64)
}

fn at(host: &str, server: &Server, path: &str) -> Target {
    target(format!("wss://{host}:{}{path}", server.port))
}

async fn failed(mut link: TestLink) -> LinkEnd {
    let (_, end) = link.ended().await;
    assert_eq!(
        end.error.as_ref().map(|error| error.code),
        Some(Code::Tls),
        "{end:?}"
    );
    assert_eq!(end.code, None);
    end
}

#[tokio::test]
async fn a_plain_text_server_fails_the_tls_handshake() {
    let Some(server) = Server::ws("{}").await else {
        return;
    };
    failed(link(TlsSettings::default(), at("127.0.0.1", &server, "/echo"))).await;
}

#[tokio::test]
async fn a_client_certificate_is_sent_on_request() {
    let authority = Authority::new();
    let Some(server) = authority.server(&["localhost"], true, |_| {}).await else {
        return;
    };
    // TLS 1.3 refuses us behind its handshake, and the reset that follows may outrun the alert.
    let (_, end) = link(authority.trusted(), at("localhost", &server, "/echo"))
        .ended()
        .await;
    let code = end.error.unwrap().code;
    assert!(matches!(code, Code::Tls | Code::Handshake), "{code}");
    let (certificate, key) = authority.certificate(&["me"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let settings = TlsSettings {
        client_cert: Some(ClientCert {
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        }),
        client_hosts: vec!["localhost".to_owned()],
        ..authority.trusted()
    };
    link(settings, at("localhost", &server, "/echo")).opened().await;
    // Who is not named does not see who we are.
    let elsewhere = TlsSettings {
        client_cert: Some(ClientCert {
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        }),
        client_hosts: vec!["elsewhere.example".to_owned()],
        ..authority.trusted()
    };
    let (_, end) = link(elsewhere, at("localhost", &server, "/echo")).ended().await;
    assert!(matches!(end.error.unwrap().code, Code::Tls | Code::Handshake));
}

#[tokio::test]
async fn messages_are_exchanged_over_tls() {
    let authority = Authority::new();
    let Some(server) = authority.server(&["localhost"], false, |_| {}).await else {
        return;
    };
    let mut echo = link(authority.trusted(), at("localhost", &server, "/echo"));
    echo.opened().await;
    for size in [0, 1, 125, 126, 16_384, 65_536, 1_048_577, 16 * 1024 * 1024] {
        let payload = payload(size, size % 2 == 0);
        echo.transmit(payload.clone());
        assert!(
            echo.message().await == payload,
            "{size} bytes were echoed changed"
        );
    }
    echo.dials.ping(DIAL, 5);
    assert_eq!(echo.pong().await, 5);
    let mut flood = link(
        authority.trusted(),
        at("localhost", &server, "/flood?count=5000&size=100"),
    );
    flood.opened().await;
    let (messages, end) = flood.ended().await;
    let expected: Vec<_> = (0..5000)
        .map(|n| text(expected_message(n, 100 + n % 50)))
        .collect();
    assert!(messages == expected);
    assert_eq!((end.code, end.error), (Some(1000), None));
    let (_, end) = link(authority.trusted(), at("localhost", &server, "/terminate"))
        .ended()
        .await;
    assert_eq!(
        (end.code, end.error.map(|error| error.code)),
        (Some(1006), Some(Code::LinkLost))
    );
}

/// A ticket would reveal an earlier visit to the current server of a name.
#[tokio::test]
async fn no_session_is_resumed_although_the_server_offers_tickets() {
    let authority = Authority::new();
    let (certificate, key) = authority.certificate(&["localhost"], |_| {});
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    assert!(config.send_tls13_tickets > 0, "the server offers tickets");
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let settings = NetworkSettings {
        tls: authority.trusted(),
        ..NetworkSettings::default()
    };
    // One network, as the broker has: a ticket would be kept in it.
    let mut link = TestLink::dial_by(settings, target(format!("wss://localhost:{port}/")), 64);
    for number in 0..3 {
        if number > 0 {
            link.dials
                .dial(DIAL, Box::new(target(format!("wss://localhost:{port}/"))));
        }
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let kind = stream.get_ref().1.handshake_kind();
        assert_eq!(kind, Some(rustls::HandshakeKind::Full), "handshake {number}");
        // The tickets come behind the handshake: they are read before the next one.
        let mut request = [0; 1024];
        assert!(
            tokio::io::AsyncReadExt::read(&mut stream, &mut request)
                .await
                .unwrap()
                > 0
        );
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 403 no\r\nContent-Length: 0\r\n\r\n")
            .await
            .unwrap();
        link.ended().await;
    }
}
