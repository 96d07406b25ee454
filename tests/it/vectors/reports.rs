//! The frames with many fields that vectors to the extension are written from: `messages` and `status`.

use longwire::wire::code::Code;
use longwire::wire::message::{BrokerFrame, MemoryReport, Rtt, SessionReport, StatusReport, Totals};
use longwire::wire::payload::Payload;
use longwire::wire::record::{Body, ErrorInfo, Record};

use super::{json_payload, name};

/// The messages that stand in one frame.
pub(super) fn messages_in_sequence(vector: &str) -> Vec<BrokerFrame> {
    let (payloads, redelivered) = match vector {
        "messages with text" => ([Payload::text("héllo 😀 \"quoted\"\n"), Payload::text("")], false),
        "messages with json, again" => ([json_payload(r#"{"b": 1.0}"#), json_payload("null")], true),
        other => panic!("no frames for `{other}`"),
    };
    let record = |(seq, payload)| BrokerFrame::Record {
        session: name("prices"),
        record: Record {
            seq,
            body: Body::Message {
                payload,
                time: 1_700_000_000_001,
            },
        },
        redelivered,
    };
    (42..).zip(payloads).map(record).collect()
}

pub(super) fn status_report(origin: &str) -> StatusReport {
    let total = SessionReport {
        dials: 3,
        reconnects: 2,
        received: Totals {
            messages: 10,
            bytes: 1000,
        },
        sent: Totals {
            messages: 2,
            bytes: 20,
        },
        queued: 4,
        unacknowledged: 5,
        dropped: 6,
        outbox: 7,
        clients: 1,
        ..SessionReport::default()
    };
    let session = SessionReport {
        session: Some("prices".to_owned()),
        origin: Some(origin.to_owned()),
        profile: Some("default".to_owned()),
        url: Some("wss://example.com/feed".to_owned()),
        state: Some("open"),
        durability: Some("disk"),
        connected_since: Some(1_700_000_000_000),
        rtt: Some(Rtt {
            p50: 900,
            p99: 2500,
            max: 9000,
        }),
        ..total.clone()
    };
    let down = SessionReport {
        session: Some("orders".to_owned()),
        origin: Some(origin.to_owned()),
        profile: Some("default".to_owned()),
        state: Some("waiting"),
        durability: Some("memory"),
        error: Some(ErrorInfo::new(Code::Refused, "nobody listens at 127.0.0.1:9")),
        retry_in: Some(1500),
        oldest: Some(250),
        ..total.clone()
    };
    StatusReport {
        id: name("q1"),
        version: "0.1.0",
        uptime: 123_456,
        pid: 4711,
        rss: 8_388_608,
        ports: 2,
        memory: MemoryReport {
            held: 5120,
            limit: 268_435_456,
            extensions: Vec::new(),
        },
        unmet: Vec::new(),
        insecure: Vec::new(),
        total,
        sessions: vec![session, down],
    }
}
