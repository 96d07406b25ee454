//! The frames that the vectors to the extension are written from.
//!
//! It writes nothing itself.

use std::sync::Arc;

use longwire::wire::code::{Code, GapReason};
use longwire::wire::message::{
    BrokerFrame, CloseReport, ErrorFrame, Opened, OutboxItem, Question, Resumed, SessionSummary,
    SubscriptionState, Welcome,
};
use longwire::wire::payload::Payload;
use longwire::wire::record::{
    Body, Continuity, ErrorInfo, Gap, Outcome, OutcomeReport, Record, ResponseReport, State, StateChange,
};

use super::reports::status_report;
use super::{binary, json_payload, name, some};

/// The frame that a vector to the extension is written from.
pub(super) fn frame_of(vector: &str) -> BrokerFrame {
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
            question: Box::new(Question {
                nonce: "n1".to_owned(),
                why: "first",
                attempt: 1,
                deadline: 60_000,
                status: None,
                values: None,
            }),
        },
        "auth-needed in a login" => BrokerFrame::AuthNeeded {
            session,
            question: Box::new(Question {
                nonce: "n3".to_owned(),
                why: "login",
                attempt: 1,
                deadline: 10_000,
                status: None,
                values: Some(r#"{"socket_id":"1.2"}"#.to_owned()),
            }),
        },
        "auth-needed after a refusal" => BrokerFrame::AuthNeeded {
            session,
            question: Box::new(Question {
                nonce: "n2".to_owned(),
                why: "refused",
                attempt: 2,
                deadline: 60_000,
                status: Some(401),
                values: None,
            }),
        },
        "stalled" => BrokerFrame::Stalled {
            session,
            messages: 4096,
            bytes: 819_200,
            oldest: None,
        },
        "stalled for long" => BrokerFrame::Stalled {
            session,
            messages: 4096,
            bytes: 819_200,
            oldest: Some(32_000),
        },
        "detached superseded" => BrokerFrame::Detached {
            session,
            reason: "superseded",
            close_report: None,
        },
        "detached closed, the server has answered" => BrokerFrame::Detached {
            session,
            reason: "closed",
            close_report: Some(Box::new(CloseReport {
                code: Some(1000),
                reason: Some("bye".to_owned()),
                clean: true,
            })),
        },
        "detached closed, nobody has answered" => BrokerFrame::Detached {
            session,
            reason: "closed",
            close_report: Some(Box::new(CloseReport::default())),
        },
        "detached closed" => BrokerFrame::Detached {
            session,
            reason: "closed",
            close_report: None,
        },
        "detached expired" => BrokerFrame::Detached {
            session,
            reason: "expired",
            close_report: None,
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
