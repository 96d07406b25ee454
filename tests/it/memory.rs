//! What an empty session costs the core, counted byte by byte.
//!
//! What a link costs besides (its task, its buffers) is measured by `scripts/bench idle`.

use longwire::core::io::{Input, LinkEvent, Output};
use serde_json::json;

use crate::counting::held;
use crate::harness::{Harness, PORT};

/// Bytes that a session with an empty log may cost.
const MOST: i64 = 12 * 1024;

/// Opens sessions with open links, acknowledges everything, and discards all outputs.
fn open(harness: &mut Harness, durability: &str, sessions: std::ops::Range<usize>) {
    for number in sessions {
        let session = format!("session-{number}");
        harness.send(
            PORT,
            json!({"type": "open", "id": "o", "session": session, "url": "wss://127.0.0.1:1/prices",
                "options": {"durability": durability}}),
        );
        let dial = harness.asked.iter().find_map(|output| match output {
            Output::Dial(dial, _) => Some(*dial),
            _ => None,
        });
        let opened = LinkEvent::Opened {
            subprotocol: None,
            extensions: None,
        };
        harness.give(Input::Link(dial.expect("it dials"), opened));
        let newest = harness
            .delivered
            .iter()
            .filter_map(|(_, frame)| frame["seq"].as_u64())
            .max();
        harness.send(PORT, json!({"type": "ack", "session": session, "seq": newest}));
        harness.delivered.clear();
        harness.asked.clear();
    }
}

#[test]
fn an_empty_session_costs_less_than_twelve_kilobytes() {
    for durability in ["memory", "disk"] {
        let mut harness = Harness::with_client();
        open(&mut harness, durability, 0..64);
        let before = held();
        open(&mut harness, durability, 64..128);
        let each = (held() - before) / 64;
        assert!(each < MOST, "a session in `{durability}` costs {each} bytes");
        assert!(each > 100, "nothing was counted");
    }
}
