//! When a session may dial: what the settings allow, whose turn it is, how long it waits.

use std::time::Duration;

use longwire::core::io::{Input, LinkEnd, LinkEvent, Output};
use longwire::core::rules::{Pattern, Rule, Rules};
use longwire::wire::code::Code;
use longwire::wire::record::ErrorInfo;
use serde_json::{Value, json};

use super::stage::{Stage, closed, refused};

fn rules(change: impl FnOnce(&mut Rule)) -> Rules {
    let mut rules = Rules::default();
    change(&mut rules.default);
    rules
}

fn only(pattern: &str) -> Rules {
    rules(|rule| rule.allow = vec![Pattern::parse(pattern).unwrap()])
}

#[test]
fn only_what_the_settings_allow_is_dialled() {
    let mut stage = Stage::new(1);
    stage.rules(only("wss://good.example/feed/*"));
    stage.opens("s", "wss://good.example.evil.net/feed/1", json!({}));
    let error = stage.hears("error");
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
    assert!(stage.dials.is_empty());
    stage.opens("s", "wss://good.example/feed/1", json!({}));
    stage.dial();
}

#[test]
fn an_extension_that_is_switched_off_gets_no_further_than_hello() {
    let mut stage = Stage::new(1);
    let mut rules = Rules::default();
    let off = Rule {
        enabled: false,
        ..Rule::default()
    };
    rules.extensions.insert("chrome-extension://a".to_owned(), off);
    stage.rules(rules);
    stage.says(json!({"type": "hello", "protocol": 1}));
    assert_eq!(stage.hears("error")["code"], "origin-denied");
    stage.opens("s", "wss://good.example/", json!({}));
    assert_eq!(stage.hears("error")["code"], "origin-denied");
}

#[test]
fn new_rules_end_a_link_but_not_its_session() {
    let mut stage = Stage::new(1);
    stage.opens("s", "wss://good.example/", json!({}));
    let (dial, _) = stage.dial();
    stage.link_opens(dial);
    stage.rules(only("wss://other.example"));
    assert_eq!(stage.hears_state("failed")["error"]["code"], "url-denied");
    assert!(matches!(stage.asked.pop_back(), Some(Output::HangUp { .. })));
    stage.says(json!({"type": "reconnect", "session": "s"}));
    assert_eq!(stage.hears_state("failed")["error"]["code"], "url-denied");
    assert!(stage.dials.is_empty());
    stage.rules(Rules::default());
    stage.says(json!({"type": "reconnect", "session": "s"}));
    stage.dial();
}

#[test]
fn rules_that_do_not_touch_a_session_leave_it_alone() {
    let mut stage = Stage::new(1);
    stage.opens("s", "wss://good.example/", json!({}));
    let (dial, _) = stage.dial();
    stage.link_opens(dial);
    stage.hears_all();
    stage.rules(only("wss://good.example"));
    assert_eq!(stage.hears_all(), Vec::<Value>::new());
    assert!(stage.asked.is_empty());
}

#[test]
fn credentials_cannot_lead_around_the_rules() {
    let mut stage = Stage::new(1);
    stage.rules(only("wss://good.example/feed/*"));
    stage.opens("s", "wss://good.example/feed/1", json!({"auth": "provider"}));
    for authorize in [
        json!({"type": "authorize", "id": "1", "session": "s", "url": "wss://good.example/admin"}),
        json!({"type": "authorize", "id": "2", "session": "s", "headers": {"Origin": "https://bank.example"}}),
    ] {
        stage.says(authorize);
        let error = stage.hears("error");
        assert!(
            ["url-denied", "header-denied"].contains(&error["code"].as_str().unwrap()),
            "{error}"
        );
    }
    assert!(stage.dials.is_empty());
}

#[test]
fn what_all_sessions_of_an_extension_hold_is_bounded() {
    let mut stage = Stage::new(1);
    stage.rules(rules(|rule| rule.bytes = 1 << 20));
    let large = "x".repeat(600_000);
    for session in ["s", "t"] {
        stage.opens(session, &format!("wss://{session}.example/"), json!({}));
        stage.says(json!({"type": "send", "session": session, "id": "1", "text": large}));
    }
    assert_eq!(stage.hears("accepted")["session"], "s");
    let error = stage.hears("error");
    assert_eq!(
        (&error["code"], &error["session"]),
        (&json!("outbox-full"), &json!("t"))
    );
    stage.says(json!({"type": "close", "session": "s", "discard": true}));
    stage.says(json!({"type": "send", "session": "t", "id": "2", "text": large}));
    assert_eq!(stage.hears("accepted")["id"], "2");
}

#[test]
fn whatever_an_extension_has_kept_counts_for_its_budget() {
    let mut stage = Stage::new(1);
    stage.rules(rules(|rule| rule.bytes = 1 << 20));
    stage.opens("s", "wss://s.example/", json!({}));
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
        stage.says(frame);
        if fits {
            assert_eq!(stage.hears("ok")["id"], "1", "{shown}");
        } else {
            assert_eq!(stage.hears("error")["code"], "overflow", "{shown}");
        }
    }
}

#[test]
fn sessions_and_profiles_are_counted() {
    let mut stage = Stage::new(1);
    stage.rules(rules(|rule| (rule.profiles, rule.sessions) = (2, 1)));
    for (profile, fits) in [("a", true), ("b", true), ("c", false)] {
        stage.says(json!({"type": "hello", "protocol": 1, "profile": profile}));
        stage.says(json!({"type": "open", "id": "1", "session": "s", "url": "wss://s.example/"}));
        if fits {
            stage.hears("opened");
        } else {
            assert_eq!(stage.hears("error")["code"], "too-many-sessions");
        }
    }
}

#[test]
fn one_handshake_at_a_time_for_a_host() {
    let mut stage = Stage::new(1);
    for session in ["a", "b", "c"] {
        stage.opens(session, "wss://one.example/", json!({}));
    }
    stage.opens("other", "wss://two.example/", json!({}));
    let (first, _) = stage.dial();
    let (_, other) = stage.dial();
    assert_eq!(other.url.host_str(), Some("two.example"));
    assert!(stage.dials.is_empty(), "the others wait for the first handshake");
    stage.link_opens(first);
    let (second, _) = stage.dial();
    assert!(stage.dials.is_empty());
    stage.link_ends(second, refused(500));
    stage.dial();
}

#[test]
fn nobody_waits_for_a_long_poll() {
    let mut stage = Stage::new(1);
    for session in ["a", "b"] {
        let options = json!({"protocol": "poll", "poll": {"long": true}});
        stage.opens(session, "https://one.example/", options);
        stage.dial();
    }
}

#[test]
fn a_session_that_is_closed_gives_its_turn_to_the_next() {
    let mut stage = Stage::new(1);
    for session in ["a", "b", "c"] {
        stage.opens(session, "wss://one.example/", json!({}));
    }
    stage.dial();
    stage.says(json!({"type": "close", "session": "b"}));
    stage.says(json!({"type": "close", "session": "a"}));
    stage.dial();
    assert!(stage.dials.is_empty());
}

#[test]
fn this_machine_is_dialled_without_turns() {
    let mut stage = Stage::new(1);
    for n in 0..100 {
        stage.opens(&format!("s{n}"), "ws://127.0.0.1:9/", json!({}));
    }
    assert_eq!(stage.dials.len(), 100);
}

#[test]
fn a_broker_redials_four_times_a_second_at_most() {
    let mut stage = Stage::new(1);
    for n in 0..40 {
        stage.opens(
            &format!("s{n}"),
            &format!("wss://h{n}.example/"),
            json!({"heartbeat": false}),
        );
    }
    let mut open = Vec::new();
    while open.len() < 40 {
        while let Some((dial, _)) = stage.dials.pop_front() {
            stage.link_opens(dial);
            open.push(dial);
        }
        stage.pass(Duration::from_millis(50));
    }
    stage.pass(Duration::from_secs(60));
    for dial in open {
        stage.link_ends(dial, closed(1006));
    }
    let begun = stage.now();
    let mut times = Vec::new();
    while times.len() < 40 {
        stage.pass(Duration::from_millis(10));
        while let Some((dial, _)) = stage.dials.pop_front() {
            stage.link_opens(dial);
            times.push(stage.now() - begun);
        }
        assert!(
            stage.now() - begun < Duration::from_secs(30),
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
            let mut stage = Stage::new(seed);
            stage.opens("s", "wss://one.example/", json!({}));
            let (dial, _) = stage.dial();
            stage.link_opens(dial);
            stage.link_ends(dial, end.clone());
            stage.hears_state("waiting")["retryIn"].as_u64().unwrap()
        })
        .collect();
    (*waits.iter().min().unwrap(), *waits.iter().max().unwrap())
}

#[test]
fn a_server_that_sends_everybody_away_gets_them_back_spread_out() {
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
fn waking_up_or_another_network_ends_the_wait() {
    let mut stage = Stage::new(1);
    stage.opens("s", "wss://one.example/", json!({}));
    let (dial, _) = stage.dial();
    let end = LinkEnd {
        retry_after: Some(Duration::from_secs(600)),
        ..refused(503)
    };
    stage.link_ends(dial, end);
    stage.pass(Duration::from_secs(5));
    assert!(stage.dials.is_empty());
    stage.give(Input::Resumed);
    stage.dial();
}

#[test]
fn an_address_that_is_never_dialled_is_not_tried_again() {
    let mut stage = Stage::new(1);
    stage.opens("s", "wss://one.example/", json!({}));
    let (dial, _) = stage.dial();
    let end = LinkEnd {
        error: Some(ErrorInfo::new(Code::UrlDenied, "a link-local address")),
        ..LinkEnd::default()
    };
    stage.link_ends(dial, end);
    assert_eq!(stage.hears_state("failed")["error"]["code"], "url-denied");
}

#[test]
fn a_link_that_was_stable_begins_with_the_first_delay_again() {
    let mut stage = Stage::new(3);
    stage.opens(
        "s",
        "wss://one.example/",
        json!({"reconnect": {"minDelay": 100, "stableAfter": 10_000}}),
    );
    let (mut dial, _) = stage.dial();
    for _ in 0..6 {
        stage.link_ends(dial, refused(500));
        stage.pass(Duration::from_secs(30));
        dial = stage.dial().0;
    }
    stage.link_opens(dial);
    stage.pass(Duration::from_secs(9));
    stage.link_ends(dial, closed(1006));
    let attempt = stage.hears_all().pop().unwrap()["attempt"].clone();
    assert_eq!(attempt, 7, "nine seconds prove nothing");
    stage.pass(Duration::from_secs(30));
    let (dial, _) = stage.dial();
    stage.link_opens(dial);
    stage.link(dial, LinkEvent::Alive);
    stage.pass(Duration::from_secs(11));
    stage.link_ends(dial, closed(1006));
    let last = stage.hears_all().pop().unwrap();
    assert_eq!(last["attempt"], 1);
    assert!(last["retryIn"].as_u64().unwrap() <= 100);
}
