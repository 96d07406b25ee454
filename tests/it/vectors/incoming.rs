//! What the vectors to the broker mean, as frames.
//!
//! It reads no file and compares nothing.

use bytes::Bytes;
use longwire::wire::filter::FilterLine;
use longwire::wire::message::{
    Authorize, ClientFrame, Conflict, Hello, Match, Open, Reply, Request, Resume, Send, Subscribe, USUAL_LANE,
};
use longwire::wire::options::{Options, Overflow, Protocol, QueueOptions, Window};
use longwire::wire::payload::Payload;
use longwire::wire::servers::{Cursor, CursorFrom, CursorTo, Poll, Post};
use serde_json::json;

use super::options::{every_option, pointers, rule};
use super::{binary, json_payload, name, some};

/// What a frame to the broker must be read as; `None` for one that is to be passed over.
pub(super) fn expected(vector: &str) -> Option<ClientFrame> {
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
                queue: QueueOptions {
                    overflow: Overflow::DropNewest,
                    ..QueueOptions::default()
                },
                ..Options::default()
            },
        ),
        "open that would rather hang up" => local(
            "o8",
            Options {
                queue: QueueOptions {
                    overflow: Overflow::Close,
                    ..QueueOptions::default()
                },
                ..Options::default()
            },
        ),
        "open that waits longer to be closed" => local(
            "o9",
            Options {
                close_timeout: 60_000,
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
                FilterLine::from_json(r#"{"when":{"/type":"tick"},"do":"conflate","key":"/symbol"}"#)
                    .unwrap(),
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
            auth: Some(r#"{"token":"t"}"#.to_owned()),
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
            discard: false,
        },
        "close that waits for nothing" => ClientFrame::Close {
            session,
            id: None,
            code: None,
            reason: None,
            discard: true,
        },
        "close with everything" => ClientFrame::Close {
            session,
            id: some("x1"),
            code: Some(4001),
            reason: Some("done".to_owned()),
            discard: false,
        },
        "status" => ClientFrame::Status { id: name("q1") },
        "ping" => ClientFrame::Ping { id: name("p1") },
        "unknown but optional" => return None,
        other => panic!("`{other}` is in the file and not here"),
    })
}
