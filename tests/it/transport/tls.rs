//! TLS against npm `ws` on Node's OpenSSL, with a certificate authority of our own.

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
use super::{DIAL, Line, expected_message, target, text};

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

fn line(tls: TlsSettings, target: Target) -> Line {
    let settings = NetworkSettings {
        tls,
        ..NetworkSettings::default()
    };
    Line::dial_by(settings, target, 64)
}

fn at(host: &str, server: &Server, path: &str) -> Target {
    target(format!("wss://{host}:{}{path}", server.port))
}

async fn failed(mut line: Line) -> LinkEnd {
    let (_, end) = line.ended().await;
    assert_eq!(
        end.error.as_ref().map(|error| error.code),
        Some(Code::Tls),
        "{end:?}"
    );
    assert_eq!(end.code, None);
    end
}

#[tokio::test]
async fn an_authority_that_is_trusted_will_do_and_alpn_says_http_1_1() {
    let authority = Authority::new();
    let Some(server) = authority.server(&["localhost", "127.0.0.1"], false, |_| {}).await else {
        return;
    };
    for host in ["localhost", "127.0.0.1"] {
        let mut line = line(authority.trusted(), at(host, &server, "/headers"));
        line.opened().await;
        let sent = line.message().await;
        let sent: serde_json::Value = serde_json::from_str(sent.as_str().unwrap()).unwrap();
        assert_eq!(sent["alpn"], "http/1.1", "{host}");
    }
}

#[tokio::test]
async fn what_tls_does_not_trust_is_not_dialled() {
    let authority = Authority::new();
    let Some(server) = authority.server(&["localhost"], false, |_| {}).await else {
        return;
    };
    // Nobody vouches for it.
    let untrusted = Authority::new();
    let end = failed(line(untrusted.trusted(), at("localhost", &server, "/echo"))).await;
    let message = end.error.unwrap().message;
    assert!(
        message.contains(&format!("localhost:{}", server.port)),
        "{message}"
    );
    #[cfg(target_os = "linux")]
    assert!(message.contains("`ca-files`"), "{message}");
    // It is an authority's own, as those are that `openssl req -x509` makes.
    let own = authority
        .server(&["localhost"], false, |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        })
        .await
        .unwrap();
    let end = failed(line(authority.trusted(), at("localhost", &own, "/echo"))).await;
    let message = end.error.unwrap().message;
    assert!(
        !cfg!(target_os = "linux") || message.contains("self-signed"),
        "{message}"
    );
    // It is another server.
    failed(line(authority.trusted(), at("127.0.0.1", &server, "/echo"))).await;
    // Its time is over.
    let expired = authority
        .server(&["localhost"], false, |params| {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        })
        .await
        .unwrap();
    failed(line(authority.trusted(), at("localhost", &expired, "/echo"))).await;
}

#[tokio::test]
async fn a_plain_server_is_no_tls_server() {
    let Some(server) = Server::ws("{}").await else {
        return;
    };
    failed(line(TlsSettings::default(), at("127.0.0.1", &server, "/echo"))).await;
}

#[tokio::test]
async fn insecure_is_for_the_named_host_only() {
    let authority = Authority::new();
    let Some(server) = authority.server(&["elsewhere.example"], false, |_| {}).await else {
        return;
    };
    let insecure = || TlsSettings {
        extra_roots: vec![authority.root.clone()],
        insecure_hosts: vec!["LOCALHOST".to_owned()],
        ..TlsSettings::default()
    };
    let mut named = line(insecure(), at("localhost", &server, "/echo"));
    named.opened().await;
    named.transmit(Payload::text("still secret"));
    assert_eq!(named.message().await, Payload::text("still secret"));
    failed(line(insecure(), at("127.0.0.1", &server, "/echo"))).await;
}

#[tokio::test]
async fn insecure_takes_certificates_that_cannot_be_judged() {
    let authority = Authority::new();
    let unknown = |params: &mut CertificateParams| {
        let mut extension = rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 1, 1], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
    };
    let Some(server) = authority.server(&["localhost"], false, unknown).await else {
        return;
    };
    let insecure = TlsSettings {
        insecure_hosts: vec!["localhost".to_owned()],
        ..TlsSettings::default()
    };
    let mut named = line(insecure, at("localhost", &server, "/echo"));
    named.opened().await;
    failed(line(authority.trusted(), at("localhost", &server, "/echo"))).await;
}

/// What no library of today takes: X.509 of version 1, signed with a short key.
#[tokio::test]
async fn insecure_takes_certificates_of_another_time() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let openssl = |arguments: &[&str]| {
        let made = std::process::Command::new("openssl").args(arguments).output();
        made.is_ok_and(|output| output.status.success())
    };
    let (key, request, old) = (path("key.pem"), path("old.csr"), path("old.pem"));
    let is_made = openssl(&[
        "req",
        "-new",
        "-newkey",
        "rsa:1024",
        "-nodes",
        "-subj",
        "/CN=localhost",
        "-keyout",
        &key,
        "-out",
        &request,
    ]) && openssl(&[
        "x509", "-req", "-in", &request, "-signkey", &key, "-days", "30", "-out", &old,
    ]);
    if !is_made {
        return crate::skip::skip("it takes openssl to make such a certificate");
    }
    let shown = std::process::Command::new("openssl")
        .args(["x509", "-in", &old, "-noout", "-text"])
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.contains("Version: 1 (0x0)") && shown.contains("1024 bit"),
        "{shown}"
    );
    let (listener, port) = super::servers::listen().await;
    drop(listener);
    let mut server = tokio::process::Command::new("openssl")
        .args([
            "s_server",
            "-www",
            "-accept",
            &format!("127.0.0.1:{port}"),
            "-cert",
            &old,
            "-key",
            &key,
        ])
        .args(["-cipher", "DEFAULT@SECLEVEL=0"])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut sent = tokio::io::BufReader::new(server.stdout.take().unwrap());
    let mut printed_line = String::new();
    while !printed_line.starts_with("ACCEPT") {
        printed_line.clear();
        let read = sent.read_line(&mut printed_line).await.unwrap();
        assert!(read > 0, "openssl has ended");
    }
    let url: url::Url = format!("https://localhost:{port}/").parse().unwrap();
    let mut target = target(&url);
    target.transport = TransportKind::Http { post: None };
    let asks = |insecure_hosts: Vec<String>| {
        let settings = TlsSettings {
            insecure_hosts,
            ..TlsSettings::default()
        };
        let mut line = line(settings, target.clone());
        let fetch = Fetch {
            url: url.clone(),
            headers: Vec::new(),
            timeout: super::TEST_TIMEOUT,
            streaming: false,
        };
        line.dials.fetch(DIAL, Box::new(fetch));
        line
    };
    match asks(vec!["localhost".to_owned()]).next().await {
        LinkEvent::Answered(answer) => assert_eq!(answer.status, 200),
        other => panic!("{other:?}"),
    }
    failed(asks(Vec::new())).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_root_that_is_added_to_the_system_is_trusted_by_the_next_dial() {
    use crate::support::host::HostProcess;
    use crate::support::scratch::Scratch;

    let authority = Authority::new();
    let Some(server) = authority.server(&["localhost"], false, |_| {}).await else {
        return;
    };
    let store = TempDir::new().unwrap();
    let roots = store.path().join("roots.pem");
    let untrusted = Authority::new();
    std::fs::copy(untrusted.folder.path().join("ca.pem"), &roots).unwrap();
    let scratch = Scratch::new().with("SSL_CERT_FILE", roots.display().to_string());
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    let url = format!("wss://localhost:{}/echo", server.port);
    host.send(
        &serde_json::json!({"type": "open", "id": "o", "session": "s", "url": url,
        "options": {"reconnect": {"minDelay": 10, "maxDelay": 50}}}),
    );
    host.find("a refusal", |frame| {
        frame["type"] == "state" && frame["error"]["code"] == "tls"
    });
    std::fs::copy(authority.folder.path().join("ca.pem"), &roots).unwrap();
    host.find("open", |frame| {
        frame["type"] == "state" && frame["state"] == "open"
    });
}

#[tokio::test]
async fn a_server_that_asks_who_we_are() {
    let authority = Authority::new();
    let Some(server) = authority.server(&["localhost"], true, |_| {}).await else {
        return;
    };
    // TLS 1.3 refuses us behind its handshake, and the reset that follows may outrun the alert.
    let (_, end) = line(authority.trusted(), at("localhost", &server, "/echo"))
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
    line(settings, at("localhost", &server, "/echo")).opened().await;
    // Who is not named does not see who we are.
    let elsewhere = TlsSettings {
        client_cert: Some(ClientCert {
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        }),
        client_hosts: vec!["elsewhere.example".to_owned()],
        ..authority.trusted()
    };
    let (_, end) = line(elsewhere, at("localhost", &server, "/echo")).ended().await;
    assert!(matches!(end.error.unwrap().code, Code::Tls | Code::Handshake));
}

#[tokio::test]
async fn everything_flows_over_tls_too() {
    let authority = Authority::new();
    let Some(server) = authority.server(&["localhost"], false, |_| {}).await else {
        return;
    };
    let mut echo = line(authority.trusted(), at("localhost", &server, "/echo"));
    echo.opened().await;
    for size in [0, 1, 125, 126, 16_384, 65_536, 1_048_577, 16 * 1024 * 1024] {
        let payload = payload(size, size % 2 == 0);
        echo.transmit(payload.clone());
        assert!(echo.message().await == payload, "{size} bytes came back changed");
    }
    echo.dials.ping(DIAL, 5);
    assert_eq!(echo.pong().await, 5);
    let mut flood = line(
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
    let (_, end) = line(authority.trusted(), at("localhost", &server, "/terminate"))
        .ended()
        .await;
    assert_eq!(
        (end.code, end.error.map(|error| error.code)),
        (Some(1006), Some(Code::LinkLost))
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_settings_file_says_whom_to_trust_and_who_we_are() {
    use crate::support::host::HostProcess;
    use crate::support::scratch::Scratch;

    let authority = Authority::new();
    let Some(server) = authority.server(&["localhost"], true, |_| {}).await else {
        return;
    };
    let (certificate, key) = authority.certificate(&["me"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let scratch = Scratch::new();
    let folder = scratch.home().join("config");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(authority.folder.path().join("ca.pem"), folder.join("ca.pem")).unwrap();
    std::fs::write(folder.join("me.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("me.key"), key.serialize_pem()).unwrap();
    let settings = "[tls]\nca-files = [\"ca.pem\"]\nclient-certificate = \"me.pem\"\nclient-key = \"me.key\"\n\
                    client-hosts = [\"localhost\"]\n";
    scratch.settings(settings);
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    let url = format!("wss://localhost:{}/echo", server.port);
    host.send(&serde_json::json!({"type": "open", "id": "o", "session": "s", "url": url}));
    host.find("open", |frame| {
        frame["type"] == "state" && frame["state"] == "open"
    });
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_systems_trust_store_subprotocols_headers_and_origin_through_host_and_broker() {
    use crate::support::host::HostProcess;
    use crate::support::scratch::Scratch;
    use serde_json::{Value, json};

    let authority = Authority::new();
    let Some(server) = authority.server(&["localhost"], false, |_| {}).await else {
        return;
    };
    let open = |host: &mut HostProcess| {
        host.hello();
        host.send(&json!({
            "type": "open", "id": "o", "session": "s", "url": format!("wss://localhost:{}/headers", server.port),
            "options": {
                "subprotocols": ["first", "second"], "headers": {"X-Team": "blue"}, "cookies": "sid=1; theme=dark",
                "format": "json", "proxy": "none",
            },
        }));
        host.expect("opened");
    };
    // Where the system's store does not hold the authority, the refusal says so.
    let untrusted = Scratch::new();
    let mut host = HostProcess::chromium(&untrusted);
    open(&mut host);
    let refused = host.find("the refusal", |frame| frame["error"]["code"] == "tls");
    assert_eq!(refused["type"], "state");

    let ca = authority.folder.path().join("ca.pem").display().to_string();
    let scratch = Scratch::new().with("SSL_CERT_FILE", ca);
    let mut host = HostProcess::chromium(&scratch);
    open(&mut host);
    let state = host.find("the link", |frame| {
        frame["state"] == "open" && frame["type"] == "state"
    });
    assert_eq!(state["subprotocol"], "second");
    let message = host.expect("message");
    let headers = &message["json"]["headers"];
    assert_eq!(
        headers["origin"],
        Value::from(crate::support::ORIGIN.trim_end_matches('/'))
    );
    assert_eq!(
        (&headers["x-team"], &headers["cookie"]),
        (&json!("blue"), &json!("sid=1; theme=dark"))
    );
}

/// A ticket would prove to whoever is behind a name now that we were there before.
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
    let mut line = Line::dial_by(settings, target(format!("wss://localhost:{port}/")), 64);
    for number in 0..3 {
        if number > 0 {
            line.dials
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
        line.ended().await;
    }
}
