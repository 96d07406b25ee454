//! The options, rules and pointers that vectors to the broker contain.

use longwire::wire::options::{
    CloseClass, Durability, HeartbeatOptions, Options, OutboxBounds, Overflow, QueueOptions, Reconnect,
    Window,
};
use longwire::wire::payload::Payload;
use longwire::wire::rule::{Correlation, Rule};
use serde_json::{Value, json};

use super::{binary, json_payload};

pub(super) fn every_option() -> Options {
    Options {
        subprotocols: vec!["v2.feed".to_owned(), "v1.feed".to_owned()],
        // Sorted: JSON objects have no order.
        headers: vec![
            ("Accept-Language".to_owned(), "de".to_owned()),
            ("X-Key".to_owned(), "k".to_owned()),
        ],
        cookies: Some("a=1; b=2".to_owned()),
        json: true,
        connect_timeout: 5000,
        proxy: "socks5://127.0.0.1:1080".to_owned(),
        compression: false,
        reconnect: Some(Reconnect {
            min_delay: 100,
            max_delay: 2000,
            factor: 1.5,
            randomization: Some(0.25),
            max_attempts: Some(7),
            stable_after: 10_000,
        }),
        heartbeat: Some(HeartbeatOptions {
            interval: 15_000,
            timeout: 5000,
            message: Some(Payload::text("ping")),
            expect: Some(rule(json!({"/type": "pong"}))),
            ..HeartbeatOptions::default()
        }),
        greeting: vec![
            json_payload(r#"{"type":"hi"}"#),
            Payload::text("hi"),
            binary(&[0, 1, 2]),
        ],
        ready: Some(rule(json!({"/type": ["ready", "welcome"], "/id": 7}))),
        queue: QueueOptions {
            messages: 100,
            bytes: 65_536,
            age: 60_000,
            overflow: Overflow::Pause,
        },
        outbox: OutboxBounds {
            messages: 10,
            bytes: 4096,
            ttl: 1000,
        },
        window: Window {
            messages: 64,
            bytes: 32_768,
        },
        linger: 1000,
        expire: 2000,
        durability: Durability::Disk,
        auth_provider: true,
        close_codes: [
            (4000, CloseClass::Stop),
            (4001, CloseClass::Auth),
            (1008, CloseClass::Retry),
        ]
        .into_iter()
        .collect(),
        max_message: 1_048_576,
        ..Options::default()
    }
}

pub(super) fn rule(value: Value) -> Rule {
    Rule::from_json(&value.to_string()).unwrap()
}

pub(super) fn pointers(out: &str, incoming: &str) -> Correlation {
    Correlation {
        out: out.to_owned(),
        incoming: incoming.to_owned(),
    }
}
