//! Every message of the protocol once, as the files in `tests/vectors` have it: what is read must be what is meant,
//! and what is written must be these very bytes. The SDK's tests read the same files.
//!
//! It does not ask what the broker does about a frame.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use longwire::wire::batch::{Packer, Shape};
use longwire::wire::code::{Code, GapReason};
use longwire::wire::filter::Line;
use longwire::wire::frame::HEADER;
use longwire::wire::message::{
    Authorize, BrokerFrame, ClientFrame, Conflict, ErrorFrame, Hello, Match, Open, Opened, OutboxItem, Reply,
    Request, Resume, Resumed, Rtt, Send, SessionReport, SessionSummary, StatusReport, Subscribe,
    SubscriptionState, Totals, USUAL_LANE, Welcome,
};
use longwire::wire::options::{
    CloseClass, Durability, Heartbeat, Options, OutboxBounds, Overflow, Protocol, Queue, Reconnect, Window,
};
use longwire::wire::part::{self, Joiner};
use longwire::wire::payload::Payload;
use longwire::wire::record::{
    Body, Continuity, ErrorInfo, Gap, Name, Outcome, OutcomeReport, Record, ResponseReport, State,
    StateChange,
};
use longwire::wire::rule::{Correlation, Rule};
use longwire::wire::servers::{Cursor, CursorFrom, CursorTo, Poll, Post};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// One line of a file.
#[derive(Deserialize)]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) direction: String,
    /// Fields that may not be missing.
    #[serde(default)]
    pub(crate) required: Vec<String>,
    /// The error code it is answered with.
    #[serde(default)]
    pub(crate) refused: Option<String>,
    pub(crate) frame: Box<RawValue>,
}

pub(crate) fn to_broker() -> Vec<Vector> {
    read(include_str!("../vectors/to-broker.json"), "to-broker")
}

pub(crate) fn to_extension() -> Vec<Vector> {
    read(include_str!("../vectors/to-extension.json"), "to-extension")
}

fn read(text: &str, direction: &str) -> Vec<Vector> {
    let vectors: Vec<Vector> = serde_json::from_str(text).unwrap();
    let names: BTreeSet<_> = vectors.iter().map(|vector| &vector.name).collect();
    assert_eq!(names.len(), vectors.len(), "two vectors of one name");
    assert!(vectors.iter().all(|vector| vector.direction == direction));
    vectors
}

fn kind(vector: &Vector) -> String {
    let frame: Value = serde_json::from_str(vector.frame.get()).unwrap();
    frame["type"].as_str().unwrap().to_owned()
}

#[test]
fn every_type_of_both_directions_is_there() {
    let kinds = |vectors: Vec<Vector>| vectors.iter().map(kind).collect::<BTreeSet<_>>();
    let expected = |words: &str| words.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(
        kinds(to_broker()),
        expected(
            "hello open ack send request cancel subscribe unsubscribe authorize window reconnect detach close status \
             reply ping hint batch part"
        )
    );
    assert_eq!(
        kinds(to_extension()),
        expected(
            "welcome opened message messages gap state outcome response live accepted subscription auth-needed stalled \
             detached status pong ok error goaway host batch part"
        )
    );
}

#[test]
fn what_the_extension_says_is_read_as_meant() {
    for vector in to_broker() {
        let bytes = vector.frame.get().as_bytes();
        if ["batch", "part"].contains(&kind(&vector).as_str()) {
            continue;
        }
        let parsed = ClientFrame::parse(bytes);
        match (&vector.refused, parsed) {
            (Some(code), Err(refusal)) => assert_eq!(refusal.error.code.as_str(), code, "{}", vector.name),
            (None, Ok(frame)) => assert_eq!(frame, meant(&vector.name), "{}", vector.name),
            (_, parsed) => panic!("{}: {parsed:?}", vector.name),
        }
    }
}

#[test]
fn what_is_missing_is_named_and_never_defaulted() {
    for vector in to_broker() {
        for field in &vector.required {
            let mut frame: Value = serde_json::from_str(vector.frame.get()).unwrap();
            frame.as_object_mut().unwrap().remove(field).unwrap();
            let bytes = serde_json::to_vec(&frame).unwrap();
            let error = if kind(&vector) == "part" {
                Shape::of(&bytes).unwrap_err()
            } else {
                ClientFrame::parse(&bytes).unwrap_err().error
            };
            let name = &vector.name;
            assert_eq!(error.code, Code::BadFrame, "{name} without `{field}`");
            let named = format!("`{field}`");
            assert!(error.message.contains(&named), "{name}: {}", error.message);
        }
    }
}

#[test]
fn every_field_may_have_the_wrong_type_without_harm() {
    for vector in to_broker() {
        let frame: Value = serde_json::from_str(vector.frame.get()).unwrap();
        for field in frame.as_object().unwrap().keys() {
            for wrong in [
                json!(null),
                json!([[]]),
                json!({"x": -1}),
                json!(-1.5),
                json!("\u{0}"),
                json!(true),
            ] {
                let mut bent = frame.clone();
                bent[field] = wrong;
                let bytes = serde_json::to_vec(&bent).unwrap();
                if let Err(refusal) = ClientFrame::parse(&bytes) {
                    assert!(!refusal.error.message.is_empty());
                }
            }
        }
    }
}

#[test]
fn unknown_fields_are_ignored() {
    for vector in to_broker().iter().filter(|vector| vector.refused.is_none()) {
        let text = vector.frame.get();
        let more = format!(r#"{},"future":{{"x":[1,2]}}}}"#, &text[..text.len() - 1]);
        assert_eq!(
            ClientFrame::parse(more.as_bytes()),
            ClientFrame::parse(text.as_bytes()),
            "{}",
            vector.name
        );
    }
}

#[test]
fn batches_and_parts_are_unpacked() {
    let vectors = to_broker();
    let find = |name: &str| {
        let found = vectors.iter().find(|vector| vector.name == name);
        found.unwrap().frame.get().as_bytes()
    };
    let Shape::Batch(frames) = Shape::of(find("batch")).unwrap() else {
        panic!("no batch")
    };
    let texts: Vec<_> = frames.iter().map(|frame| frame.get()).collect();
    assert_eq!(
        texts,
        [
            r#"{"type":"ack","session":"prices","seq":1}"#,
            r#"{"type":"ping","id":"p2"}"#
        ]
    );
    let mut joiner = Joiner::default();
    let mut join = |name| match Shape::of(find(name)).unwrap() {
        Shape::Part(part) => joiner.join(&part).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(join("part"), None);
    assert_eq!(join("last part").unwrap(), r#"{"type":"ping","id":"p3"}"#);
}

#[test]
fn what_is_written_is_these_bytes() {
    for vector in to_extension() {
        let expected = vector.frame.get();
        let mut written = Vec::new();
        match kind(&vector).as_str() {
            // Written by the host, which has its own test.
            "host" => continue,
            "batch" => {
                let mut packer = Packer::default();
                for name in ["live", "pong"] {
                    packer.add(&said(name), &mut Vec::new());
                }
                written.extend_from_slice(&packer.take()[HEADER..]);
            }
            "messages" => {
                let mut packer = Packer::default();
                packer.take_runs(true);
                for frame in in_a_row(&vector.name) {
                    packer.add(&frame, &mut Vec::new());
                }
                written.extend_from_slice(&packer.take()[HEADER..]);
            }
            "part" => {
                let mut native = Vec::new();
                part::split(r#"{"type":"pong","id":"p3"}"#, 0, &mut native);
                written.extend_from_slice(&native[HEADER..]);
            }
            _ => said(&vector.name).encode(&mut written),
        }
        assert_eq!(String::from_utf8(written).unwrap(), expected, "{}", vector.name);
    }
}

#[test]
fn the_page_has_every_type_code_and_reason() {
    let page = include_str!("../../docs/PROTOCOL.md");
    let kinds = to_broker()
        .iter()
        .chain(&to_extension())
        .map(kind)
        .collect::<BTreeSet<_>>();
    let codes = Code::ALL.iter().map(|code| code.as_str().to_owned());
    let reasons = GapReason::ALL.iter().map(|reason| reason.as_str().to_owned());
    for word in kinds
        .into_iter()
        .filter(|kind| kind != "hint")
        .chain(codes)
        .chain(reasons)
    {
        let told = page.contains(&format!("`{word}`")) || page.contains(&format!(r#""type":"{word}""#));
        assert!(told, "`{word}` is not in docs/PROTOCOL.md");
    }
}

#[test]
fn the_page_has_every_option_and_capability_and_no_other_option() {
    let page = include_str!("../../docs/PROTOCOL.md");
    for capability in longwire::core::hub::CAPABILITIES {
        assert!(page.contains(&format!("`{capability}`")), "`{capability}`");
    }
    let (_, section) = page.split_once("\n## 7. ").unwrap();
    let (table, _) = section.split_once("\n\nWhat may be dialled").unwrap();
    let told: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .flat_map(|names| names.split('`').skip(1).step_by(2))
        .collect();
    // Known is what is not ignored, though nothing of the kind has a number for its value.
    for name in &told {
        let options = RawValue::from_string(format!(r#"{{"{name}":-1}}"#)).unwrap();
        let ignored = Options::from_json(&options).is_ok_and(|(_, ignored)| !ignored.is_empty());
        assert!(!ignored, "`{name}` is in docs/PROTOCOL.md and is no option");
    }
    let arms = include_str!("../../src/wire/options.rs");
    let known = arms
        .lines()
        .filter_map(|line| line.strip_prefix("            \"")?.split_once("\" => "));
    for (name, _) in known {
        assert!(told.contains(name), "`{name}` is not in docs/PROTOCOL.md");
    }
}

/// The one whose retry verdict differs would tell extensions to do the wrong thing.
#[test]
fn every_error_in_the_vectors_has_the_verdict_of_its_code() {
    fn walk(value: &Value) {
        if let (Some(code), Some(retry)) = (value["code"].as_str(), value["retry"].as_str()) {
            let known = Code::ALL.iter().find(|known| known.as_str() == code);
            assert_eq!(known.unwrap().retry().as_str(), retry, "{code}");
        }
        match value {
            Value::Object(map) => map.values().for_each(walk),
            Value::Array(list) => list.iter().for_each(walk),
            _ => {}
        }
    }
    for vector in to_extension() {
        walk(&serde_json::from_str(vector.frame.get()).unwrap());
    }
}

fn name(text: &str) -> Name {
    Arc::from(text)
}

fn some(text: &str) -> Option<Name> {
    Some(name(text))
}

fn json_payload(text: &'static str) -> Payload {
    Payload::Json(Bytes::from_static(text.as_bytes()))
}

fn binary(bytes: &'static [u8]) -> Payload {
    Payload::Binary(Bytes::from_static(bytes))
}

fn rule(value: Value) -> Rule {
    Rule::from_value(value).unwrap()
}

fn pointers(out: &str, incoming: &str) -> Correlation {
    Correlation {
        out: out.to_owned(),
        incoming: incoming.to_owned(),
    }
}

/// What a frame to the broker must be read as; `None` for one that is to be passed over.
fn meant(vector: &str) -> Option<ClientFrame> {
    let session = name("prices");
    let open = |id: &str| Open {
        id: name(id),
        session: name("prices"),
        url: Some("wss://example.com/feed".to_owned()),
        options: None,
        ignored: Vec::new(),
        resume: None,
        conflict: Conflict::Update,
    };
    let local = |id: &str, options: Options| {
        ClientFrame::Open(Box::new(Open {
            url: Some("ws://localhost:8080".to_owned()),
            options: Some(options),
            ..open(id)
        }))
    };
    let send = |payload: Payload| Send {
        session: name("prices"),
        id: None,
        payload,
        confirm: None,
        ack: false,
        lane: USUAL_LANE,
        ttl: None,
        volatile: false,
        resend: false,
        receipt: false,
    };
    Some(match vector {
        "hello" => ClientFrame::Hello(Hello {
            protocol: 1,
            profile: name("default"),
            client: name("main"),
            instance: None,
            needs: Vec::new(),
            accepts: Vec::new(),
        }),
        "hello with everything" => ClientFrame::Hello(Hello {
            protocol: 1,
            profile: name("8f3a"),
            client: name("popup"),
            instance: Some("w-17".to_owned()),
            needs: vec!["websocket".to_owned(), "disk".to_owned()],
            accepts: vec!["messages".to_owned(), "telepathy".to_owned()],
        }),
        "open again" => ClientFrame::Open(Box::new(Open {
            url: None,
            ..open("o1")
        })),
        "open" => ClientFrame::Open(Box::new(Open {
            url: Some("wss://example.com/feed?v=1".to_owned()),
            ..open("o2")
        })),
        "open to resume" => ClientFrame::Open(Box::new(Open {
            resume: Some(Resume {
                epoch: "e-1".to_owned(),
                seq: 41,
            }),
            conflict: Conflict::Keep,
            ..open("o3")
        })),
        "open that refuses a conflict" => ClientFrame::Open(Box::new(Open {
            conflict: Conflict::Error,
            ..open("o4")
        })),
        "open that updates" => ClientFrame::Open(Box::new(open("o5"))),
        "open with every option" => ClientFrame::Open(Box::new(Open {
            options: Some(every_option()),
            ignored: vec!["future".to_owned()],
            ..open("o6")
        })),
        "open with things switched off" => local(
            "o7",
            Options {
                reconnect: None,
                heartbeat: None,
                proxy: "none".to_owned(),
                queue: Queue {
                    overflow: Overflow::DropNewest,
                    ..Queue::default()
                },
                ..Options::default()
            },
        ),
        "open that would rather hang up" => local(
            "o8",
            Options {
                queue: Queue {
                    overflow: Overflow::Close,
                    ..Queue::default()
                },
                ..Options::default()
            },
        ),
        "open of an event stream" => ClientFrame::Open(Box::new(Open {
            session: name("events"),
            url: Some("https://example.com/events".to_owned()),
            options: Some(Options {
                protocol: Protocol::EventStream,
                heartbeat: None,
                post: Some(Post {
                    url: "https://example.com/in".to_owned(),
                    headers: vec![("X-Key".to_owned(), "k".to_owned())],
                }),
                ..Options::default()
            }),
            ..open("o11")
        })),
        "open of Socket.IO" => ClientFrame::Open(Box::new(Open {
            session: name("chat"),
            url: Some("https://example.com".to_owned()),
            options: Some(Options {
                protocol: Protocol::SocketIo,
                heartbeat: None,
                ..Options::default()
            }),
            ..open("o10")
        })),
        "open to poll" => ClientFrame::Open(Box::new(Open {
            session: name("tasks"),
            url: Some("https://example.com/tasks".to_owned()),
            options: Some(Options {
                protocol: Protocol::Poll,
                heartbeat: None,
                poll: Poll {
                    interval: 1000,
                    long: true,
                    timeout: 30_000,
                    items: Some("/tasks".to_owned()),
                    cursor: Some(Cursor {
                        from: CursorFrom::Item("/id".to_owned()),
                        to: CursorTo::Query("after".to_owned()),
                        start: Some("0".to_owned()),
                    }),
                },
                ..Options::default()
            }),
            ..open("o12")
        })),
        "open that drops the oldest" => local("o9", Options::default()),
        "ack" => ClientFrame::Ack { session, seq: 42 },
        "send text" => ClientFrame::Send(send(Payload::text("héllo 😀"))),
        "send json" => ClientFrame::Send(send(json_payload(r#"{"b": 1.0, "a":[true,null,"x"]}"#))),
        "send bytes" => ClientFrame::Send(send(binary(&[0, 1, 2, 3, 4, 255]))),
        "send with everything" => ClientFrame::Send(Send {
            id: some("s1"),
            confirm: Some(pointers("/ref", "/data/ref")),
            ttl: Some(5000),
            resend: true,
            receipt: true,
            ..send(json_payload(r#"{"type":"order","ref":"r1"}"#))
        }),
        "send volatile" => ClientFrame::Send(Send {
            id: some("s2"),
            volatile: true,
            ..send(Payload::text("cursor"))
        }),
        "send an event" => ClientFrame::Send(Send {
            session: name("chat"),
            ..send(Payload::args(Some("say"), Some("/room"), r#"["hi"]"#))
        }),
        "send confirmed by acknowledgement" => ClientFrame::Send(Send {
            session: name("chat"),
            id: some("m8"),
            ack: true,
            lane: 0,
            ..send(Payload::text("x"))
        }),
        "request by acknowledgement" => ClientFrame::Request(Request {
            id: name("r3"),
            send: Send {
                session: name("chat"),
                id: some("r3"),
                ..send(Payload::text("x"))
            },
            matching: Match::Ack,
            timeout: 30_000,
        }),
        "reply" => ClientFrame::Reply(Reply {
            session: name("chat"),
            seq: 9,
            args: Bytes::from_static(br#"["ok"]"#),
            id: None,
        }),
        "request" => ClientFrame::Request(Request {
            id: name("r1"),
            send: Send {
                id: some("r1"),
                ..send(json_payload(r#"{"id":7,"op":"get"}"#))
            },
            matching: Match::Pointers(pointers("/id", "/id")),
            timeout: 30_000,
        }),
        "request with everything" => ClientFrame::Request(Request {
            id: name("r2"),
            send: Send {
                id: some("r2"),
                ttl: Some(900),
                volatile: true,
                resend: true,
                receipt: true,
                ..send(Payload::text(r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#))
            },
            matching: Match::JsonRpc,
            timeout: 1500,
        }),
        "cancel" => ClientFrame::Cancel {
            session,
            id: name("r1"),
        },
        "subscribe" => ClientFrame::Subscribe(Box::new(Subscribe {
            session,
            id: name("u1"),
            key: name("eur"),
            send: Vec::new(),
            undo: Vec::new(),
            confirm: None,
            filter: Vec::new(),
        })),
        "subscribe with a filter" => ClientFrame::Subscribe(Box::new(Subscribe {
            session,
            id: name("u3"),
            key: name("usd"),
            send: Vec::new(),
            undo: Vec::new(),
            confirm: None,
            filter: vec![
                Line::from_json(r#"{"when":{"/type":"tick"},"do":"conflate","key":"/symbol"}"#).unwrap(),
            ],
        })),
        "subscribe with everything" => ClientFrame::Subscribe(Box::new(Subscribe {
            session,
            id: name("u2"),
            key: name("usd"),
            send: vec![json_payload(r#"{"type":"sub","id":7}"#), Payload::text("go")],
            undo: vec![json_payload(r#"{"type":"unsub","id":7}"#)],
            confirm: Some(rule(json!({"/type": "subscribed", "/id": 7}))),
            filter: Vec::new(),
        })),
        "unsubscribe" => ClientFrame::Unsubscribe {
            session,
            id: name("u4"),
            key: name("usd"),
        },
        "authorize" => ClientFrame::Authorize(Box::new(Authorize {
            session: Some(session),
            ..Authorize::default()
        })),
        "authorize with everything" => ClientFrame::Authorize(Box::new(Authorize {
            session: Some(session),
            id: some("a1"),
            nonce: Some("n1".to_owned()),
            headers: Some(vec![("Authorization".to_owned(), "Bearer t".to_owned())]),
            url: Some("wss://example.com/feed?token=t".to_owned()),
            subprotocols: Some(vec!["bearer.t".to_owned()]),
            auth: Some(json!({"token": "t"})),
            failed: None,
        })),
        "authorize in vain" => ClientFrame::Authorize(Box::new(Authorize {
            session: Some(session),
            id: some("a2"),
            nonce: Some("n1".to_owned()),
            failed: Some("signed out".to_owned()),
            ..Authorize::default()
        })),
        "window" => ClientFrame::Window {
            session,
            window: Window {
                messages: 16,
                bytes: 65_536,
            },
            id: None,
        },
        "window that pauses" => ClientFrame::Window {
            session,
            window: Window {
                messages: 0,
                bytes: 0,
            },
            id: some("w1"),
        },
        "reconnect" => ClientFrame::Reconnect { session, id: None },
        "reconnect with an id" => ClientFrame::Reconnect {
            session,
            id: some("c1"),
        },
        "detach" => ClientFrame::Detach { session, id: None },
        "detach with an id" => ClientFrame::Detach {
            session,
            id: some("d1"),
        },
        "close" => ClientFrame::Close {
            session,
            id: None,
            code: None,
            reason: None,
        },
        "close with everything" => ClientFrame::Close {
            session,
            id: some("x1"),
            code: Some(4001),
            reason: Some("done".to_owned()),
        },
        "status" => ClientFrame::Status { id: name("q1") },
        "ping" => ClientFrame::Ping { id: name("p1") },
        "unknown but optional" => return None,
        other => panic!("`{other}` is in the file and not here"),
    })
}

fn every_option() -> Options {
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
            max_attempts: Some(7),
            stable_after: 10_000,
        }),
        heartbeat: Some(Heartbeat {
            interval: 15_000,
            timeout: 5000,
            message: Some(Payload::text("ping")),
            expect: Some(rule(json!({"/type": "pong"}))),
            ..Heartbeat::default()
        }),
        greeting: vec![
            json_payload(r#"{"type":"hi"}"#),
            Payload::text("hi"),
            binary(&[0, 1, 2]),
        ],
        ready: Some(rule(json!({"/type": ["ready", "welcome"], "/id": 7}))),
        queue: Queue {
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

/// The frame that a vector to the extension is written from.
/// The messages that stand in one frame.
fn in_a_row(vector: &str) -> Vec<BrokerFrame> {
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

fn said(vector: &str) -> BrokerFrame {
    let session = name("prices");
    let record = |seq, body, redelivered| BrokerFrame::Record {
        session: name("prices"),
        record: Record { seq, body },
        redelivered,
    };
    let message = |seq, payload, redelivered| {
        let time = 1_700_000_000_000 + seq - 41;
        record(seq, Body::Message { payload, time }, redelivered)
    };
    let gap = |seq: u64, reason, exact, redelivered| {
        let gap = Gap {
            from: 45,
            to: seq,
            count: 56 - seq,
            reason,
            exact,
        };
        record(seq, Body::Gap(gap), redelivered)
    };
    let state = |seq, change: StateChange| record(seq, Body::State(Arc::new(change)), false);
    let outcome = |seq, outcome, error| {
        let report = OutcomeReport {
            id: name("s1"),
            outcome,
            error,
        };
        record(seq, Body::Outcome(Arc::new(report)), false)
    };
    let response = |seq, answer, error, redelivered| {
        let report = ResponseReport {
            id: name("r1"),
            answer,
            error,
        };
        record(seq, Body::Response(Arc::new(report)), redelivered)
    };
    let opened = |id: &str, resume, seq, state| Opened {
        id: name(id),
        session: name("prices"),
        created: false,
        epoch: name("e-1"),
        resume,
        seq,
        last: 57,
        state,
        subprotocol: None,
        outbox: Vec::new(),
        subscriptions: Vec::new(),
        ignored: Vec::new(),
    };
    let accepted = |durability, duplicate, outcome| BrokerFrame::Accepted {
        session: name("prices"),
        id: name("s1"),
        durability,
        duplicate,
        outcome,
    };
    let subscription = |state| BrokerFrame::Subscription {
        session: name("prices"),
        key: name("eur"),
        state,
    };
    let origin = "chrome-extension://abcdefghijklmnopabcdefghijklmnop/";
    match vector {
        "welcome" => BrokerFrame::Welcome(Box::new(Welcome {
            version: "0.1.0",
            broker: name("boot-1"),
            origin: name(origin),
            capabilities: &["websocket", "disk"],
            limits: vec![("frame", 1_048_576), ("name", 128)],
            sessions: vec![
                SessionSummary {
                    session,
                    state: State::Open,
                    pending: 3,
                },
                SessionSummary {
                    session: name("chat"),
                    state: State::Waiting,
                    pending: 0,
                },
            ],
            takes_messages: true,
        })),
        "welcome to nothing" => BrokerFrame::Welcome(Box::new(Welcome {
            version: "0.1.0",
            broker: name("boot-1"),
            origin: name("a@example.org"),
            capabilities: &[],
            limits: Vec::new(),
            sessions: Vec::new(),
            takes_messages: false,
        })),
        "opened fresh" => BrokerFrame::Opened(Box::new(Opened {
            created: true,
            last: 0,
            ..opened("o1", Resumed::Fresh, 0, State::Connecting)
        })),
        "opened with everything" => BrokerFrame::Opened(Box::new(Opened {
            subprotocol: Some("v2.feed".to_owned()),
            outbox: vec![
                OutboxItem {
                    id: name("s1"),
                    state: "queued",
                },
                OutboxItem {
                    id: name("s2"),
                    state: "written",
                },
            ],
            subscriptions: vec![
                (name("eur"), SubscriptionState::Active),
                (name("usd"), SubscriptionState::Pending),
            ],
            ignored: vec!["future".to_owned()],
            ..opened("o2", Resumed::Exact, 41, State::Open)
        })),
        "opened with a gap" => BrokerFrame::Opened(Box::new(opened("o3", Resumed::Gap, 41, State::Paused))),
        "opened anew" => BrokerFrame::Opened(Box::new(Opened {
            epoch: name("e-2"),
            ..opened("o4", Resumed::Reset, 0, State::Failed)
        })),
        "message with text" => message(42, Payload::text("héllo 😀 \"quoted\"\n"), false),
        "message with json" => message(43, json_payload(r#"{"b": 1.0, "a":[true,null,"x"]}"#), false),
        "message with bytes" => message(44, binary(&[0, 1, 2, 3, 4, 255]), false),
        "message again" => message(42, Payload::text("x"), true),
        "gap overflow" => gap(50, GapReason::Overflow, true, false),
        "gap age" => gap(51, GapReason::Age, true, false),
        "gap too-large" => gap(52, GapReason::TooLarge, true, false),
        "gap crash" => gap(53, GapReason::Crash, false, false),
        "gap journal" => gap(54, GapReason::Journal, false, false),
        "gap acknowledged" => gap(55, GapReason::Acknowledged, false, false),
        "gap again" => gap(50, GapReason::Overflow, true, true),
        "state connecting" => state(
            60,
            StateChange {
                dial: Some(3),
                attempt: Some(2),
                ..StateChange::new(State::Connecting)
            },
        ),
        "state open" => state(
            61,
            StateChange {
                dial: Some(3),
                continuity: Some(Continuity::Unknown),
                subprotocol: Some("v2.feed".to_owned()),
                extensions: Some("permessage-deflate".to_owned()),
                ..StateChange::new(State::Open)
            },
        ),
        "state open, resumed by the server" => state(
            62,
            StateChange {
                dial: Some(4),
                continuity: Some(Continuity::Server),
                ..StateChange::new(State::Open)
            },
        ),
        "state open, begun anew by the server" => state(
            63,
            StateChange {
                dial: Some(5),
                continuity: Some(Continuity::None),
                ..StateChange::new(State::Open)
            },
        ),
        "state waiting" => state(
            64,
            StateChange {
                dial: Some(5),
                attempt: Some(1),
                retry_in: Some(431),
                code: Some(1006),
                reason: Some("going away".to_owned()),
                error: Some(ErrorInfo::new(
                    Code::ClosedByServer,
                    "the server closed the connection",
                )),
                ..StateChange::new(State::Waiting)
            },
        ),
        "state unauthorized" => state(
            65,
            StateChange {
                dial: Some(6),
                status: Some(401),
                error: Some(ErrorInfo::new(Code::HttpStatus, "the server answered 401")),
                ..StateChange::new(State::Unauthorized)
            },
        ),
        "state failed with data" => state(
            68,
            StateChange {
                reason: Some("not you".to_owned()),
                data: Some(r#"{"retry": true}"#.to_owned()),
                ..StateChange::new(State::Failed)
            },
        ),
        "state paused" => state(66, StateChange::new(State::Paused)),
        "state failed" => state(
            67,
            StateChange {
                status: Some(404),
                ..StateChange::new(State::Failed)
            },
        ),
        "state closed" => state(
            68,
            StateChange {
                code: Some(1000),
                reason: Some("done".to_owned()),
                ..StateChange::new(State::Closed)
            },
        ),
        "state again" => record(66, Body::State(Arc::new(StateChange::new(State::Paused))), true),
        "outcome sent" => outcome(70, Outcome::Sent, None),
        "outcome confirmed" => outcome(71, Outcome::Confirmed, None),
        "outcome unknown" => outcome(
            72,
            Outcome::Unknown,
            Some(ErrorInfo::new(
                Code::LinkLost,
                "the link was lost after the message was written",
            )),
        ),
        "outcome failed" => outcome(
            73,
            Outcome::Failed,
            Some(ErrorInfo::new(Code::SessionClosed, "the session was closed")),
        ),
        "outcome expired" => outcome(74, Outcome::Expired, None),
        "outcome dropped" => outcome(75, Outcome::Dropped, None),
        "outcome cancelled" => outcome(76, Outcome::Cancelled, None),
        "outcome again" => {
            let report = OutcomeReport {
                id: name("s1"),
                outcome: Outcome::Sent,
                error: None,
            };
            record(70, Body::Outcome(Arc::new(report)), true)
        }
        "response with json" => response(80, Some(json_payload(r#"{"id":7,"ok":true}"#)), None, false),
        "response with text" => response(81, Some(Payload::text(r#"{"id":7}"#)), None, false),
        "response with bytes" => response(82, Some(binary(&[0, 1])), None, false),
        "response timeout" => {
            let error = ErrorInfo::new(Code::Timeout, "no answer within 30000 ms");
            response(83, None, Some(error), false)
        }
        "response link-lost" => {
            let error = ErrorInfo::new(Code::LinkLost, "the link was lost; it may have been processed");
            response(84, None, Some(error), false)
        }
        "response not-sent" => {
            let error = ErrorInfo::new(Code::NotSent, "it was never written");
            response(85, None, Some(error), true)
        }
        "live" => BrokerFrame::Live { session, seq: 57 },
        "accepted" => accepted("memory", false, None),
        "accepted a second time" => accepted("disk", true, Some(Outcome::Sent)),
        "accepted while still open" => accepted("disk", true, None),
        "subscription pending" => subscription(SubscriptionState::Pending),
        "subscription active" => subscription(SubscriptionState::Active),
        "subscription failed" => subscription(SubscriptionState::Failed),
        "auth-needed" => BrokerFrame::AuthNeeded {
            session,
            nonce: "n1".to_owned(),
            why: "first",
            attempt: 1,
            deadline: 60_000,
            status: None,
        },
        "auth-needed after a refusal" => BrokerFrame::AuthNeeded {
            session,
            nonce: "n2".to_owned(),
            why: "refused",
            attempt: 2,
            deadline: 60_000,
            status: Some(401),
        },
        "stalled" => BrokerFrame::Stalled {
            session,
            messages: 4096,
            bytes: 819_200,
        },
        "detached superseded" => BrokerFrame::Detached {
            session,
            reason: "superseded",
        },
        "detached closed" => BrokerFrame::Detached {
            session,
            reason: "closed",
        },
        "detached expired" => BrokerFrame::Detached {
            session,
            reason: "expired",
        },
        "status" => BrokerFrame::Status(Box::new(status_report(origin))),
        "pong" => BrokerFrame::Pong { id: name("p1") },
        "ok" => BrokerFrame::Ok { id: name("w1") },
        "error" => BrokerFrame::error(Code::BadJson, "a frame must be one JSON object"),
        "error with everything" => BrokerFrame::Error(Box::new(ErrorFrame {
            error: ErrorInfo::new(Code::OutboxFull, "the outbox holds 1000 messages"),
            id: some("s1"),
            session: Some(session),
            detail: Some("1000".to_owned()),
        })),
        "error that asks for credentials or a person" => BrokerFrame::Error(Box::new(ErrorFrame {
            error: ErrorInfo::new(Code::UrlDenied, "the settings do not allow this URL"),
            id: some("o1"),
            session: Some(session),
            detail: None,
        })),
        "goaway" => BrokerFrame::Goaway {
            reason: "upgrade",
            after: 1000,
        },
        other => panic!("`{other}` is in the file and not here"),
    }
}

fn status_report(origin: &str) -> StatusReport {
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
    StatusReport {
        id: name("q1"),
        version: "0.1.0",
        uptime: 123_456,
        pid: 4711,
        rss: 8_388_608,
        ports: 2,
        insecure: Vec::new(),
        total,
        sessions: vec![session],
    }
}
