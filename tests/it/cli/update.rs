//! `longwire update --check` against a real HTTP server.
//!
//! The signatures in `tests/fixtures/update` were made with minisign; see docs/RELEASING.md.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Output;

use serde_json::{Value, json};

use super::{run, stderr, stdout};
use crate::support::scratch::Scratch;

const INDEX: &str = include_str!("../../fixtures/update/index.json");
const SIGNATURE: &str = include_str!("../../fixtures/update/index.json.minisig");
const OTHER_KEY: &str = include_str!("../../fixtures/update/other-key.minisig");
const MALFORMED: &str = include_str!("../../fixtures/update/malformed.json");
const MALFORMED_SIGNATURE: &str = include_str!("../../fixtures/update/malformed.json.minisig");

/// The key that signed all but `OTHER_KEY`.
fn key() -> &'static str {
    let file = include_str!("../../fixtures/update/index.pub");
    file.lines().nth(1).unwrap()
}

/// A server that has these files, by path; gives its address.
fn serve(files: Vec<(&'static str, String)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            while lines
                .next()
                .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
            {}
            let path = first.split(' ').nth(1).unwrap();
            let found = files.iter().find(|(name, _)| *name == path);
            let (status, body) = found.map_or(("404 Not Found", ""), |(_, body)| ("200 OK", body));
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    address
}

fn home(address: &str, key: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.settings(&format!(
        "[update]\nindex = \"http://{address}/index.json\"\nkey = \"{key}\"\n\n[proxy]\nurl = \"none\"\n"
    ));
    scratch
}

/// Checks, as a program of this version.
fn check(scratch: Scratch, version: &str, more: &[&str]) -> Output {
    let scratch = scratch.with("LONGWIRE_VERSION", version);
    run(&scratch, &[&["update", "--check"], more].concat(), "")
}

fn index(signature: &str) -> String {
    serve(vec![
        ("/index.json", INDEX.to_owned()),
        ("/index.json.minisig", signature.to_owned()),
    ])
}

#[test]
fn a_newer_version_is_reported_and_not_installed() {
    let address = index(SIGNATURE);
    let output = check(home(&address, key()), "1.1.9", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(
        text.starts_with("longwire 1.2.0 is available; 1.1.9 is installed\n"),
        "{text}"
    );
    assert!(text.contains("released: 2026-11-29"), "{text}");
    let output = check(home(&address, key()), "1.2.0-rc.1", &["--json"]);
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(
        document["isNewer"], true,
        "a release candidate is older: {document}"
    );
    assert_eq!(
        (&document["installed"], &document["newest"]),
        (&json!("1.2.0-rc.1"), &json!("1.2.0"))
    );
}

#[test]
fn the_newest_or_a_newer_version_needs_no_update() {
    let address = index(SIGNATURE);
    for (version, text) in [
        ("1.2.0", "longwire 1.2.0 is the newest version\n"),
        (
            "1.10.0",
            "longwire 1.10.0 is newer than the newest release, 1.2.0\n",
        ),
    ] {
        let output = check(home(&address, key()), version, &[]);
        assert_eq!(stdout(&output), text, "{}", stderr(&output));
        assert_eq!(output.status.code(), Some(0));
    }
}

/// Fails with this error, without reporting a version.
fn refused(address: &str, key: &str, why: &str) {
    let output = check(home(address, key), "1.0.0", &[]);
    assert_eq!(output.status.code(), Some(1), "{why}: {}", stdout(&output));
    assert!(stderr(&output).contains(why), "{why}: {}", stderr(&output));
    assert_eq!(stdout(&output), "");
}

#[test]
fn an_index_not_signed_with_the_key_is_refused() {
    refused(&index(OTHER_KEY), key(), "is not trusted");
    refused(&index("no signature"), key(), "the signature cannot be read");
    refused(&index(SIGNATURE), "no key", "the key cannot be read");
    let changed = serve(vec![
        ("/index.json", INDEX.replace("1.2.0", "1.3.0")),
        ("/index.json.minisig", SIGNATURE.to_owned()),
    ]);
    refused(&changed, key(), "the signature does not fit");
    let unsigned = serve(vec![("/index.json", INDEX.to_owned())]);
    refused(&unsigned, key(), "the status is 404");
}

#[test]
fn a_signed_but_malformed_index_is_an_error() {
    let malformed = serve(vec![
        ("/index.json", MALFORMED.to_owned()),
        ("/index.json.minisig", MALFORMED_SIGNATURE.to_owned()),
    ]);
    refused(&malformed, key(), "cannot be read");
    let large = serve(vec![("/index.json", "x".repeat(100_000))]);
    refused(&large, key(), "more than 65536 bytes");
}

#[test]
fn without_an_index_no_request_is_made() {
    let scratch = Scratch::new();
    let output = run(&scratch, &["update", "--check"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no index of versions is set"));
    assert_eq!(run(&scratch, &["update"], "").status.code(), Some(2));
    // An index in clear text, from another machine, is no index.
    scratch.settings("[update]\nindex = \"http://192.0.2.1/index.json\"\n");
    let output = run(&scratch, &["update", "--check"], "");
    assert!(stderr(&output).contains("https"), "{}", stderr(&output));
}
