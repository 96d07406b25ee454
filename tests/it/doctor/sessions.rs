//! Sessions that cannot connect: each cause is seen in `status`, in `doctor` and, once, in the log.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};

use super::DoctorHome;
use crate::support::host::HostProcess;
use crate::support::{SOON, eventually};

/// A server that does this with every connection; its address.
fn serving(act: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let act = Arc::new(act);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let act = act.clone();
            std::thread::spawn(move || act(stream));
        }
    });
    place
}

/// A server that answers every request so.
fn answering_always(status: &'static str) -> String {
    serving(move |mut stream| {
        let mut request = Vec::new();
        let mut chunk = [0; 1024];
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read(&mut chunk) {
                Ok(count @ 1..) => request.extend_from_slice(&chunk[..count]),
                _ => return,
            }
        }
        let answer = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno");
        let _ = stream.write_all(answer.as_bytes());
    })
}

/// A TLS server with a certificate of its own making, in PEM: where it is.
fn self_signed() -> (String, String) {
    let signed = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key.into())
        .unwrap();
    let config = Arc::new(config);
    let place = serving(move |mut stream| {
        let mut tls = rustls::ServerConnection::new(config.clone()).unwrap();
        while tls.is_handshaking() {
            if tls.complete_io(&mut stream).is_err() {
                // The TLS alert for a request in clear text.
                let _ = tls.write_tls(&mut stream);
                return;
            }
        }
        if let Ok(mut socket) = upgraded(rustls::StreamOwned::new(tls, stream)) {
            let _ = socket.read(&mut [0; 64]);
        }
    });
    (place, signed.cert.pem())
}

/// A TLS server whose certificate no authority has signed.
fn untrusted() -> String {
    self_signed().0
}

/// An address without a listener.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// A session `s` that has failed to connect, as `status` reports it; the ward and the extension stay.
struct Failing {
    machine: DoctorHome,
    host: HostProcess,
    session: Value,
}

fn failing(machine: DoctorHome, url: &str) -> Failing {
    let mut host = HostProcess::chromium(&machine.0);
    host.hello();
    host.send(&json!({"type": "open", "id": "o", "session": "s", "url": url}));
    host.find("a failed attempt", |frame| {
        frame["type"] == "state" && frame["state"] != "connecting" && frame["error"].is_object()
    });
    let session = eventually(SOON, "status shows it", || {
        let output = machine.run(&["status", "--json"]);
        let report: Value = serde_json::from_slice(&output.stdout).ok()?;
        let session = report["sessions"][0].clone();
        session["error"].is_object().then_some(session)
    });
    Failing {
        machine,
        host,
        session,
    }
}

/// What `status` and `doctor` must report about it.
fn assert_seen(machine: DoctorHome, url: &str, codes: &[&str], words: &str, remedy: &str) {
    let Failing {
        machine,
        mut host,
        session,
    } = failing(machine, url);
    let code = session["error"]["code"].as_str().unwrap();
    assert!(codes.contains(&code), "{session:#}");
    assert!(
        session["error"]["retry"].is_string() && session["origin"].is_string(),
        "{session:#}"
    );
    let table = String::from_utf8(machine.run(&["status"]).stdout).unwrap();
    assert!(table.contains(&format!("{code}: ")), "{table}");
    let finding = machine.expect("session.s", "fail", code, &[]);
    let title = finding["title"].as_str().unwrap();
    assert!(title.contains("`s`") && title.ends_with("is not open"), "{title}");
    let detail = finding["detail"].as_str().unwrap().to_lowercase();
    assert!(detail.contains(words), "{words}: {detail}");
    let fix = finding["fix"].as_str().unwrap();
    assert!(fix.contains(remedy), "{remedy}: {fix}");
    let printed = String::from_utf8(machine.run(&["doctor"]).stdout).unwrap();
    assert!(!printed.contains("No problems found"), "{printed}");
    host.close();
}

#[test]
fn a_server_that_is_down_is_diagnosed() {
    let url = format!("ws://{}/", nowhere());
    assert_seen(
        DoctorHome::installed(),
        &url,
        &["refused"],
        "127.0.0.1",
        "start the server",
    );
}

#[test]
fn an_untrusted_certificate_is_diagnosed() {
    let url = format!("wss://{}/", untrusted());
    assert_seen(
        DoctorHome::installed(),
        &url,
        &["tls"],
        "certificate",
        "longwire doctor --url wss://",
    );
}

#[test]
fn plain_text_to_a_tls_port_is_diagnosed() {
    let url = format!("ws://{}/", untrusted());
    let codes = ["handshake", "server-protocol", "link-lost", "tls"];
    assert_seen(
        DoctorHome::installed(),
        &url,
        &codes,
        "127.0.0.1",
        "wss://127.0.0.1",
    );
}

#[test]
fn an_unresolvable_name_is_diagnosed() {
    let url = "wss://nowhere.invalid/";
    assert_seen(
        DoctorHome::installed(),
        url,
        &["dns"],
        "nowhere.invalid",
        "getent hosts nowhere.invalid",
    );
}

#[test]
fn a_proxy_that_is_down_is_diagnosed() {
    let mut machine = DoctorHome::installed();
    machine.0 = machine.0.with("https_proxy", format!("http://{}", nowhere()));
    assert_seen(machine, "wss://server.invalid/", &["proxy"], "proxy", "_proxy");
}

#[test]
fn refused_credentials_are_diagnosed() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let url = format!("ws://{}/", answering_always(status));
        let number = &status[..3];
        assert_seen(
            DoctorHome::installed(),
            &url,
            &["http-status"],
            number,
            "credentials",
        );
    }
}

#[test]
fn a_wrong_path_is_diagnosed() {
    let url = format!("ws://{}/chat", answering_always("404 Not Found"));
    assert_seen(
        DoctorHome::installed(),
        &url,
        &["http-status"],
        "404",
        "path of the URL",
    );
}

#[test]
fn a_server_without_websocket_is_diagnosed() {
    let url = format!("ws://{}/", answering_always("200 OK"));
    let codes = ["http-status", "handshake"];
    assert_seen(DoctorHome::installed(), &url, &codes, "200", "accepts WebSockets");
}

#[test]
fn the_log_records_when_a_link_is_lost_and_restored() {
    let place = nowhere();
    let url = format!("ws://{place}/");
    let Failing {
        machine, mut host, ..
    } = failing(DoctorHome::installed(), &url);
    let lines = |words: &str| {
        let log = machine.0.log();
        log.lines().filter(|line| line.contains(words)).count()
    };
    eventually(SOON, "it is logged", || (lines("link lost") == 1).then_some(()));
    // Another attempt fails as well: nothing new.
    host.send(&json!({"type": "reconnect", "session": "s"}));
    for state in ["connecting", "waiting"] {
        host.find(state, |frame| frame["type"] == "state" && frame["state"] == state);
    }
    assert_eq!(lines("link lost"), 1);
    let listener = TcpListener::bind(&place).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Ok(mut socket) = upgraded(stream) {
                let _ = socket.read(&mut [0; 64]);
            }
        }
    });
    host.send(&json!({"type": "reconnect", "session": "s"}));
    host.find("open", |frame| {
        frame["type"] == "state" && frame["state"] == "open"
    });
    eventually(SOON, "it is logged", || {
        (lines("link restored") == 1).then_some(())
    });
    let report = String::from_utf8(machine.run(&["doctor", "--report"]).stdout).unwrap();
    assert!(
        report.contains("link lost") && !report.contains("session=\"s\""),
        "{report}"
    );
    assert!(
        !report.contains("session `s`") && !report.contains("session.s:"),
        "{report}"
    );
}

/// Answers an upgrade request.
fn upgraded<S: Read + Write>(mut stream: S) -> std::io::Result<S> {
    let mut request = Vec::new();
    let mut chunk = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        request.extend_from_slice(&chunk[..count]);
    }
    let text = String::from_utf8_lossy(&request);
    let key = text
        .lines()
        .find_map(|line| {
            line.split_once(": ")
                .filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
        })
        .map(|(_, key)| key.trim().to_owned())
        .unwrap_or_default();
    let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes())?;
    Ok(stream)
}

#[test]
fn a_running_browser_with_its_own_user_data_folder_is_found_and_its_fix_works() {
    let machine = DoctorHome::installed();
    let folder = machine.path("wxt-profile");
    std::fs::create_dir_all(&folder).unwrap();
    // Any program with a browser's command line.
    let mut shell = Command::new("/bin/bash");
    machine.0.apply_environment(&mut shell);
    let mut browser = shell
        .arg0("chromium")
        .arg("-c")
        .arg("read line")
        .arg("chromium")
        .arg(format!("--user-data-dir={}", folder.display()))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    machine.expect_fixed("running.chromium", "warn", folder.to_str().unwrap(), &[]);
    browser.kill().unwrap();
    browser.wait().unwrap();
}

#[test]
fn trust_flags_apply_to_one_command() {
    let machine = DoctorHome::installed();
    let (place, pem) = self_signed();
    let (url, ca) = (format!("wss://{place}/"), machine.path("ca.pem"));
    std::fs::write(&ca, pem).unwrap();
    let ca = ca.to_str().unwrap();
    machine.expect("url.tls", "fail", "", &["--url", &url]);
    for trust in [&["--ca", ca][..], &["--insecure"]] {
        machine.expect("url.tls", "pass", "", &[&["--url", &url], trust].concat());
        let arguments = [&["connect", &url, "--once", "--timeout", "30"], trust].concat();
        let mut command = machine.0.command();
        let output = command.args(&arguments).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{trust:?}: {output:?}");
    }
    let mut command = machine.0.command();
    let refused = command
        .args(["connect", &url, "--once"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let none = machine.run(&["doctor", "--url", &url, "--ca", "/no/such/file"]);
    assert_eq!(none.status.code(), Some(2), "{none:?}");
}
