//! Credentials that the extension provides: requested in time, refreshed once, given up after two, never dialled without.

use std::time::Duration;

use longwire::core::io::{Input, Output};
use serde_json::{Value, json};

use super::harness::{Harness, closed, refused};

const HOUR: Duration = Duration::from_secs(3600);

/// Answers the pending request for credentials with a token.
fn authorize(harness: &mut Harness, auth_needed: &Value, token: &str) {
    harness.send(json!({
        "type": "authorize", "id": "a", "session": "s", "nonce": auth_needed["nonce"],
        "headers": {"Authorization": token},
    }));
    assert_eq!(harness.receive("ok")["id"], "a");
}

fn token(target: &longwire::core::io::Target) -> Option<&str> {
    let mut headers = target.headers.iter();
    headers
        .find(|(name, _)| name == "Authorization")
        .map(|(_, value)| value.as_str())
}

/// A session with a credentials provider, and the first request for credentials.
fn awaiting_credentials() -> (Harness, Value) {
    let mut harness = Harness::new(1);
    harness.opens(
        "s",
        "wss://one.example/",
        json!({"auth": "provider", "heartbeat": false}),
    );
    let auth_needed = harness.receive("auth-needed");
    assert_eq!(
        (&auth_needed["why"], &auth_needed["attempt"]),
        (&json!("first"), &json!(1))
    );
    (harness, auth_needed)
}

#[test]
fn nothing_is_dialled_before_credentials_arrive() {
    let (mut harness, auth_needed) = awaiting_credentials();
    harness.pass(HOUR);
    harness.give(Input::Resumed);
    assert!(harness.dials.is_empty());
    authorize(&mut harness, &auth_needed, "t1");
    assert_eq!(token(&harness.dial().1), Some("t1"));
}

#[test]
fn credentials_for_an_earlier_request_are_refused() {
    let (mut harness, auth_needed) = awaiting_credentials();
    authorize(&mut harness, &auth_needed, "t1");
    let (dial, _) = harness.dial();
    harness.link_ends(dial, refused(401));
    let again = harness.receive("auth-needed");
    assert_ne!(again["nonce"], auth_needed["nonce"]);
    harness.send(
        json!({"type": "authorize", "id": "x", "session": "s", "nonce": auth_needed["nonce"], "headers": {}}),
    );
    assert_eq!(harness.receive("error")["code"], "bad-frame");
    assert!(harness.dials.is_empty());
}

#[test]
fn a_refusal_requests_credentials_once_and_two_refusals_of_fresh_ones_are_final() {
    let (mut harness, mut auth_needed) = awaiting_credentials();
    for attempt in 1..=2 {
        authorize(&mut harness, &auth_needed, &format!("t{attempt}"));
        let (dial, target) = harness.dial();
        assert_eq!(token(&target), Some(format!("t{attempt}").as_str()));
        harness.link_ends(dial, refused(401));
        harness.pass(HOUR);
        assert!(
            harness.dials.is_empty(),
            "refused credentials are not tried again"
        );
        let received = harness.receive_all();
        let auth_requests: Vec<&Value> = received
            .iter()
            .filter(|frame| frame["type"] == "auth-needed")
            .collect();
        if attempt == 1 {
            assert_eq!(auth_requests.len(), 1, "{auth_requests:?}");
            assert_eq!(
                (&auth_requests[0]["why"], &auth_requests[0]["status"]),
                (&json!("refused"), &json!(401))
            );
            auth_needed = auth_requests[0].clone();
        } else {
            assert!(auth_requests.is_empty(), "{auth_requests:?}");
            assert!(
                received.iter().any(|frame| frame["state"] == "failed"),
                "{received:?}"
            );
        }
    }
    // An extension with newer credentials may send them.
    harness.send(json!({"type": "authorize", "session": "s", "headers": {"Authorization": "t3"}}));
    let (dial, target) = harness.dial();
    assert_eq!(token(&target), Some("t3"));
    harness.link_opens(dial);
    harness.receive_state("open");
}

#[test]
fn expired_credentials_are_refreshed() {
    let (mut harness, auth_needed) = awaiting_credentials();
    authorize(&mut harness, &auth_needed, "t1");
    let (mut live, _) = harness.dial();
    harness.link_opens(live);
    for n in 2..10 {
        // Each of them worked for a while: there is no reason to give up.
        harness.pass(Duration::from_secs(10));
        harness.link_ends(live, closed(4401));
        let auth_needed = harness.receive("auth-needed");
        assert_eq!(auth_needed["attempt"], 1, "asked anew");
        authorize(&mut harness, &auth_needed, &format!("t{n}"));
        let (dial, target) = harness.dial();
        assert_eq!(token(&target), Some(format!("t{n}").as_str()));
        harness.link_opens(dial);
        live = dial;
    }
}

#[test]
fn a_server_that_refuses_after_opening_is_given_up_as_well() {
    let (mut harness, auth_needed) = awaiting_credentials();
    authorize(&mut harness, &auth_needed, "t1");
    let (dial, _) = harness.dial();
    harness.link_opens(dial);
    harness.link_ends(dial, closed(4401));
    let auth_needed = harness.receive("auth-needed");
    authorize(&mut harness, &auth_needed, "t2");
    let (dial, _) = harness.dial();
    harness.link_opens(dial);
    harness.link_ends(dial, closed(4401));
    harness.receive_state("failed");
    harness.pass(HOUR);
    assert!(harness.dials.is_empty());
}

#[test]
fn credentials_are_not_sent_to_another_server() {
    let (mut harness, auth_needed) = awaiting_credentials();
    authorize(&mut harness, &auth_needed, "t1");
    let (dial, _) = harness.dial();
    harness.link_opens(dial);
    // No client is attached; after the linger the session is paused.
    harness.send(json!({"type": "detach", "session": "s", "id": "d"}));
    harness.pass(HOUR);
    harness.dials.clear();
    harness.opens(
        "s",
        "wss://two.example/",
        json!({"auth": "provider", "heartbeat": false}),
    );
    harness.receive("auth-needed");
    assert!(harness.dials.is_empty(), "the old credentials were used");
}

#[test]
fn unsolicited_credentials_redial_immediately() {
    let (mut harness, auth_needed) = awaiting_credentials();
    authorize(&mut harness, &auth_needed, "t1");
    let (dial, _) = harness.dial();
    harness.link_opens(dial);
    harness.send(json!({"type": "authorize", "session": "s", "headers": {"Authorization": "t2"}}));
    assert!(matches!(harness.outputs.pop_back(), Some(Output::HangUp { .. })));
    let (next, target) = harness.dial();
    assert_eq!(token(&target), Some("t2"));
    harness.link_ends(dial, closed(4401));
    assert!(
        harness
            .receive_all()
            .iter()
            .all(|frame| frame["type"] != "auth-needed"),
        "word of the old link"
    );
    harness.link_opens(next);
    harness.receive_state("open");
}

#[test]
fn a_failed_provider_is_reported_and_nothing_is_dialled() {
    let (mut harness, auth_needed) = awaiting_credentials();
    harness.send(
        json!({"type": "authorize", "session": "s", "nonce": auth_needed["nonce"], "failed": "signed out"}),
    );
    assert_eq!(harness.receive_state("failed")["reason"], "signed out");
    harness.pass(HOUR);
    assert!(harness.dials.is_empty());
}

#[test]
fn without_a_provider_a_refusal_is_final() {
    let mut harness = Harness::new(1);
    harness.opens("s", "wss://one.example/", json!({}));
    let (dial, _) = harness.dial();
    harness.link_ends(dial, refused(403));
    let failed = harness.receive_state("failed");
    assert_eq!(failed["status"], 403);
    harness.pass(HOUR);
    assert!(harness.dials.is_empty());
}

#[test]
fn a_url_with_a_fresh_token_replaces_the_first_only_for_the_same_host() {
    let (mut harness, auth_needed) = awaiting_credentials();
    harness
        .send(json!({"type": "authorize", "id": "b", "session": "s", "url": "wss://two.example/?token=1"}));
    assert_eq!(harness.receive("error")["code"], "bad-url");
    harness.send(json!({
        "type": "authorize", "session": "s", "nonce": auth_needed["nonce"], "url": "wss://one.example/?token=1",
        "subprotocols": ["token.1"],
    }));
    let (_, target) = harness.dial();
    assert_eq!(target.url.query(), Some("token=1"));
    assert_eq!(target.subprotocols, ["token.1"]);
    harness.send(json!({"type": "status", "id": "q"}));
    assert!(!harness.receive("status").to_string().contains("token=1"));
}
