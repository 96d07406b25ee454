//! Hosts whose certificate the settings do not check.

use super::*;

#[tokio::test]
async fn insecure_applies_to_the_named_host_only() {
    let authority = Authority::new();
    let Some(server) = authority.server(&["elsewhere.example"], false, |_| {}).await else {
        return;
    };
    let insecure = || TlsSettings {
        extra_roots: vec![authority.root.clone()],
        insecure_hosts: vec!["LOCALHOST".to_owned()],
        ..TlsSettings::default()
    };
    let mut named = link(insecure(), at("localhost", &server, "/echo"));
    named.opened().await;
    named.transmit(Payload::text("still secret"));
    assert_eq!(named.message().await, Payload::text("still secret"));
    failed(link(insecure(), at("127.0.0.1", &server, "/echo"))).await;
}

#[tokio::test]
async fn insecure_accepts_unknown_critical_extensions() {
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
    let mut named = link(insecure, at("localhost", &server, "/echo"));
    named.opened().await;
    failed(link(authority.trusted(), at("localhost", &server, "/echo"))).await;
}

/// What no library of today takes: X.509 of version 1, signed with a short key.
#[tokio::test]
async fn insecure_accepts_obsolete_certificates() {
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
    let (listener, port) = crate::transport::servers::listen().await;
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
        let mut link = link(settings, target.clone());
        let fetch = Fetch {
            url: url.clone(),
            headers: Vec::new(),
            timeout: crate::transport::TEST_TIMEOUT,
            streaming: false,
        };
        link.dials.fetch(DIAL, Box::new(fetch));
        link
    };
    match asks(vec!["localhost".to_owned()]).next().await {
        LinkEvent::Answered(answer) => assert_eq!(answer.status, 200),
        other => panic!("{other:?}"),
    }
    failed(asks(Vec::new())).await;
}
