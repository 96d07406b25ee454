//! When a session may dial: settings, rate limits, delays.

use std::time::Duration;

use longwire::core::io::{Input, LinkEnd, LinkEvent, Output};
use longwire::core::rules::{ExtensionRule, Pattern, Rules};
use longwire::wire::code::Code;
use longwire::wire::record::ErrorInfo;
use serde_json::{Value, json};

use super::harness::{Harness, closed, refused};

fn rules(change: impl FnOnce(&mut ExtensionRule)) -> Rules {
    let mut rules = Rules::default();
    change(&mut rules.default);
    rules
}

fn only(pattern: &str) -> Rules {
    rules(|rule| rule.allow = vec![Pattern::parse(pattern).unwrap()])
}

#[test]
fn only_what_the_settings_allow_is_dialled() {
    let mut harness = Harness::new(1);
    harness.rules(only("wss://good.example/feed/*"));
    harness.opens("s", "wss://good.example.evil.net/feed/1", json!({}));
    let error = harness.receive("error");
    assert_eq!(
        (&error["code"], &error["retry"]),
        (&json!("url-denied"), &json!("action"))
    );
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("`wss://good.example/feed/*`"),
        "{error}"
    );
    assert!(harness.dials.is_empty());
    harness.opens("s", "wss://good.example/feed/1", json!({}));
    harness.dial();
}

#[test]
fn a_disabled_extension_is_refused_at_hello() {
    let mut harness = Harness::new(1);
    let mut rules = Rules::default();
    let off = ExtensionRule {
        enabled: false,
        ..ExtensionRule::default()
    };
    rules.extensions.insert("chrome-extension://a".to_owned(), off);
    harness.rules(rules);
    harness.send(json!({"type": "hello", "protocol": 1}));
    assert_eq!(harness.receive("error")["code"], "origin-denied");
    harness.opens("s", "wss://good.example/", json!({}));
    assert_eq!(harness.receive("error")["code"], "origin-denied");
}

#[test]
fn new_rules_close_a_link_but_not_its_session() {
    let mut harness = Harness::new(1);
    harness.opens("s", "wss://good.example/", json!({}));
    let (dial, _) = harness.dial();
    harness.link_opens(dial);
    harness.rules(only("wss://other.example"));
    assert_eq!(harness.receive_state("failed")["error"]["code"], "url-denied");
    assert!(matches!(harness.outputs.pop_back(), Some(Output::HangUp { .. })));
    harness.send(json!({"type": "reconnect", "session": "s"}));
    assert_eq!(harness.receive_state("failed")["error"]["code"], "url-denied");
    assert!(harness.dials.is_empty());
    harness.rules(Rules::default());
    harness.send(json!({"type": "reconnect", "session": "s"}));
    harness.dial();
}

#[test]
fn rules_that_do_not_concern_a_session_do_not_affect_it() {
    let mut harness = Harness::new(1);
    harness.opens("s", "wss://good.example/", json!({}));
    let (dial, _) = harness.dial();
    harness.link_opens(dial);
    harness.receive_all();
    harness.rules(only("wss://good.example"));
    assert_eq!(harness.receive_all(), Vec::<Value>::new());
    assert!(harness.outputs.is_empty());
}

#[test]
fn credentials_cannot_bypass_the_rules() {
    let mut harness = Harness::new(1);
    harness.rules(only("wss://good.example/feed/*"));
    harness.opens("s", "wss://good.example/feed/1", json!({"auth": "provider"}));
    for authorize in [
        json!({"type": "authorize", "id": "1", "session": "s", "url": "wss://good.example/admin"}),
        json!({"type": "authorize", "id": "2", "session": "s", "headers": {"Origin": "https://bank.example"}}),
    ] {
        harness.send(authorize);
        let error = harness.receive("error");
        assert!(
            ["url-denied", "header-denied"].contains(&error["code"].as_str().unwrap()),
            "{error}"
        );
    }
    assert!(harness.dials.is_empty());
}

#[test]
fn the_memory_of_all_sessions_of_an_extension_is_bounded() {
    let mut harness = Harness::new(1);
    harness.rules(rules(|rule| rule.bytes = 1 << 20));
    let large = "x".repeat(600_000);
    for session in ["s", "t"] {
        harness.opens(session, &format!("wss://{session}.example/"), json!({}));
        harness.send(json!({"type": "send", "session": session, "id": "1", "text": large}));
    }
    assert_eq!(harness.receive("accepted")["session"], "s");
    let error = harness.receive("error");
    assert_eq!(
        (&error["code"], &error["session"]),
        (&json!("outbox-full"), &json!("t"))
    );
    harness.send(json!({"type": "close", "session": "s", "discard": true}));
    harness.send(json!({"type": "send", "session": "t", "id": "2", "text": large}));
    assert_eq!(harness.receive("accepted")["id"], "2");
}

#[test]
fn all_stored_data_counts_towards_the_budget() {
    let mut harness = Harness::new(1);
    harness.rules(rules(|rule| rule.bytes = 1 << 20));
    harness.opens("s", "wss://s.example/", json!({}));
    let large = "x".repeat(600_000);
    for (frame, fits) in [
        (
            json!({"type": "subscribe", "key": "a", "undo": [{"text": large}]}),
            true,
        ),
        (
            json!({"type": "subscribe", "key": "b", "send": [{"text": large}]}),
            false,
        ),
        (
            json!({"type": "open", "url": "wss://s.example/", "options": {"greeting": [{"text": large}]}}),
            false,
        ),
        (
            json!({"type": "open", "session": "t", "url": "wss://s.example/", "options": {"greeting": [{"text": large}]}}),
            false,
        ),
        (json!({"type": "unsubscribe", "key": "a"}), true),
        (
            json!({"type": "subscribe", "key": "b", "send": [{"text": large}]}),
            true,
        ),
    ] {
        let mut frame = frame;
        frame["id"] = json!("1");
        if frame["session"].is_null() {
            frame["session"] = json!("s");
        }
        let shown: String = frame.to_string().chars().filter(|one| *one != 'x').collect();
        harness.send(frame);
        if fits {
            assert_eq!(harness.receive("ok")["id"], "1", "{shown}");
        } else {
            assert_eq!(harness.receive("error")["code"], "overflow", "{shown}");
        }
    }
}

#[test]
fn sessions_and_profiles_are_limited() {
    let mut harness = Harness::new(1);
    harness.rules(rules(|rule| (rule.profiles, rule.sessions) = (2, 1)));
    for (profile, fits) in [("a", true), ("b", true), ("c", false)] {
        harness.send(json!({"type": "hello", "protocol": 1, "profile": profile}));
        harness.send(json!({"type": "open", "id": "1", "session": "s", "url": "wss://s.example/"}));
        if fits {
            harness.receive("opened");
        } else {
            assert_eq!(harness.receive("error")["code"], "too-many-sessions");
        }
    }
}

#[test]
fn each_host_has_one_handshake_at_a_time() {
    let mut harness = Harness::new(1);
    for session in ["a", "b", "c"] {
        harness.opens(session, "wss://one.example/", json!({}));
    }
    harness.opens("other", "wss://two.example/", json!({}));
    let (first, _) = harness.dial();
    let (_, other) = harness.dial();
    assert_eq!(other.url.host_str(), Some("two.example"));
    assert!(
        harness.dials.is_empty(),
        "the others wait for the first handshake"
    );
    harness.link_opens(first);
    let (second, _) = harness.dial();
    assert!(harness.dials.is_empty());
    harness.link_ends(second, refused(500));
    harness.dial();
}

#[test]
fn a_long_poll_does_not_block_other_dials() {
    let mut harness = Harness::new(1);
    for session in ["a", "b"] {
        let options = json!({"protocol": "poll", "poll": {"long": true}});
        harness.opens(session, "https://one.example/", options);
        harness.dial();
    }
}

#[test]
fn a_closed_session_frees_its_dial_slot() {
    let mut harness = Harness::new(1);
    for session in ["a", "b", "c"] {
        harness.opens(session, "wss://one.example/", json!({}));
    }
    harness.dial();
    harness.send(json!({"type": "close", "session": "b"}));
    harness.send(json!({"type": "close", "session": "a"}));
    harness.dial();
    assert!(harness.dials.is_empty());
}

#[test]
fn loopback_is_dialled_without_a_dial_slot() {
    let mut harness = Harness::new(1);
    for n in 0..100 {
        harness.opens(&format!("s{n}"), "ws://127.0.0.1:9/", json!({}));
    }
    assert_eq!(harness.dials.len(), 100);
}

#[test]
fn a_broker_redials_at_most_four_times_a_second() {
    let mut harness = Harness::new(1);
    for n in 0..40 {
        harness.opens(
            &format!("s{n}"),
            &format!("wss://h{n}.example/"),
            json!({"heartbeat": false}),
        );
    }
    let mut open = Vec::new();
    while open.len() < 40 {
        while let Some((dial, _)) = harness.dials.pop_front() {
            harness.link_opens(dial);
            open.push(dial);
        }
        harness.pass(Duration::from_millis(50));
    }
    harness.pass(Duration::from_secs(60));
    for dial in open {
        harness.link_ends(dial, closed(1006));
    }
    let begun = harness.now();
    let mut times = Vec::new();
    while times.len() < 40 {
        harness.pass(Duration::from_millis(10));
        while let Some((dial, _)) = harness.dials.pop_front() {
            harness.link_opens(dial);
            times.push(harness.now() - begun);
        }
        assert!(
            harness.now() - begun < Duration::from_secs(30),
            "{} of 40",
            times.len()
        );
    }
    for four in times.windows(5) {
        assert!(four[4] - four[0] >= Duration::from_millis(980), "{times:?}");
    }
}

/// The waits that follow an end, over many seeds, in milliseconds: least and most.
fn waits(end: &LinkEnd) -> (u64, u64) {
    let waits: Vec<u64> = (0..300)
        .map(|seed| {
            let mut harness = Harness::new(seed);
            harness.opens("s", "wss://one.example/", json!({}));
            let (dial, _) = harness.dial();
            harness.link_opens(dial);
            harness.link_ends(dial, end.clone());
            harness.receive_state("waiting")["retryIn"].as_u64().unwrap()
        })
        .collect();
    (*waits.iter().min().unwrap(), *waits.iter().max().unwrap())
}

#[test]
fn reconnects_after_a_server_closes_all_clients_are_spread_out() {
    let (_, most) = waits(&closed(1006));
    assert!(most <= 500, "{most}");
    for code in [1001, 1012, 1013] {
        let (least, most) = waits(&closed(code));
        assert!(
            least < 500 && (4500..=5500).contains(&most),
            "{code}: {least} to {most}"
        );
    }
    let end = LinkEnd {
        retry_after: Some(Duration::from_secs(30)),
        ..refused(503)
    };
    let (least, most) = waits(&end);
    assert!(
        least >= 30_000 && (34_500..=35_500).contains(&most),
        "{least} to {most}"
    );
}

#[test]
fn resume_or_a_network_change_ends_the_wait() {
    let mut harness = Harness::new(1);
    harness.opens("s", "wss://one.example/", json!({}));
    let (dial, _) = harness.dial();
    let end = LinkEnd {
        retry_after: Some(Duration::from_secs(600)),
        ..refused(503)
    };
    harness.link_ends(dial, end);
    harness.pass(Duration::from_secs(5));
    assert!(harness.dials.is_empty());
    harness.give(Input::Resumed);
    harness.dial();
}

#[test]
fn a_denied_address_is_not_retried() {
    let mut harness = Harness::new(1);
    harness.opens("s", "wss://one.example/", json!({}));
    let (dial, _) = harness.dial();
    let end = LinkEnd {
        error: Some(ErrorInfo::new(Code::UrlDenied, "a link-local address")),
        ..LinkEnd::default()
    };
    harness.link_ends(dial, end);
    assert_eq!(harness.receive_state("failed")["error"]["code"], "url-denied");
}

#[test]
fn a_stable_link_resets_the_backoff() {
    let mut harness = Harness::new(3);
    harness.opens(
        "s",
        "wss://one.example/",
        json!({"reconnect": {"minDelay": 100, "stableAfter": 10_000}}),
    );
    let (mut dial, _) = harness.dial();
    for _ in 0..6 {
        harness.link_ends(dial, refused(500));
        harness.pass(Duration::from_secs(30));
        dial = harness.dial().0;
    }
    harness.link_opens(dial);
    harness.pass(Duration::from_secs(9));
    harness.link_ends(dial, closed(1006));
    let attempt = harness.receive_all().pop().unwrap()["attempt"].clone();
    assert_eq!(attempt, 7, "nine seconds prove nothing");
    harness.pass(Duration::from_secs(30));
    let (dial, _) = harness.dial();
    harness.link_opens(dial);
    harness.link(dial, LinkEvent::Alive);
    harness.pass(Duration::from_secs(11));
    harness.link_ends(dial, closed(1006));
    let last = harness.receive_all().pop().unwrap();
    assert_eq!(last["attempt"], 1);
    assert!(last["retryIn"].as_u64().unwrap() <= 100);
}
