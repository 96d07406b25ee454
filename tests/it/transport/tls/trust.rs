//! Which certificates are trusted: those of the settings, of the system, and no others.

use super::*;

#[tokio::test]
async fn a_trusted_authority_is_accepted_and_alpn_is_http_1_1() {
    let authority = Authority::new();
    let Some(server) = authority.server(&["localhost", "127.0.0.1"], false, |_| {}).await else {
        return;
    };
    for host in ["localhost", "127.0.0.1"] {
        let mut link = link(authority.trusted(), at(host, &server, "/headers"));
        link.opened().await;
        let sent = link.message().await;
        let sent: serde_json::Value = serde_json::from_str(sent.as_str().unwrap()).unwrap();
        assert_eq!(sent["alpn"], "http/1.1", "{host}");
    }
}

#[tokio::test]
async fn an_untrusted_certificate_fails_the_dial() {
    let authority = Authority::new();
    let Some(server) = authority.server(&["localhost"], false, |_| {}).await else {
        return;
    };
    // Nobody vouches for it.
    let untrusted = Authority::new();
    let end = failed(link(untrusted.trusted(), at("localhost", &server, "/echo"))).await;
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
    let end = failed(link(authority.trusted(), at("localhost", &own, "/echo"))).await;
    let message = end.error.unwrap().message;
    assert!(
        !cfg!(target_os = "linux") || message.contains("self-signed"),
        "{message}"
    );
    // It is another server.
    failed(link(authority.trusted(), at("127.0.0.1", &server, "/echo"))).await;
    // Its time is over.
    let expired = authority
        .server(&["localhost"], false, |params| {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        })
        .await
        .unwrap();
    failed(link(authority.trusted(), at("localhost", &expired, "/echo"))).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_root_added_to_the_system_is_trusted_by_the_next_dial() {
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

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_settings_name_trusted_roots_and_the_client_certificate() {
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
async fn system_trust_subprotocols_headers_and_origin_work_through_host_and_broker() {
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
    // Where the system's store does not contain the authority, the error states that.
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
