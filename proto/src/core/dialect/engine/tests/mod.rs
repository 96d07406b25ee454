//! Units of the transport of Engine.IO's packets, step by step.

mod interleavings;
mod server_model;

use super::payload::MAX_REPORTED_PACKETS;
use super::*;
use crate::core::io::Answer;
use crate::core::io::RequestOptions;

const GREETING: &str =
    r#"0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":20}"#;

fn engine(polling: bool, websocket: bool) -> Engine {
    let transports = EngineTransports {
        polling,
        websocket,
        ..EngineTransports::default()
    };
    start(transports)
}

fn start(transports: EngineTransports) -> Engine {
    let url = Url::parse("http://localhost/?a=1").unwrap();
    Engine::new(url, transports, 1000, EngineStart::default())
}

fn actions(engine: &mut Engine) -> Vec<String> {
    std::iter::from_fn(|| engine.poll())
        .map(|act| match act {
            Action::Get(url) => format!("get {}", url.query().unwrap()),
            Action::Post(_, body) => format!("post {}", String::from_utf8_lossy(&body)),
            Action::OpenSocket(url) => format!("open {}", url.query().unwrap()),
            Action::Send(packet) => format!("send {}", packet.as_str().unwrap_or("bytes")),
            Action::Packets(packets) => format!("packets {}", packets.len()),
            Action::End(end) => format!("end {:?} {}", end.status, end.taken),
            Action::Written(count) => format!("written {count}"),
            Action::Opened => "opened".to_owned(),
            Action::DropSocket => "drop".to_owned(),
        })
        .collect()
}

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status,
        body: Bytes::from(body.to_owned()),
        ..Answer::default()
    }
}

fn text(text: &str) -> Vec<Incoming> {
    vec![Incoming::Message(Payload::text(text))]
}

#[test]
fn polling_posts_as_many_packets_as_fit() {
    let mut engine = engine(true, false);
    assert_eq!(actions(&mut engine), ["get a=1&EIO=4&transport=polling"]);
    engine.transmit(Payload::text("40"));
    assert!(
        actions(&mut engine).is_empty(),
        "nothing is sent before the handshake"
    );
    engine.get_answered(&answer(200, GREETING));
    assert_eq!(
        actions(&mut engine),
        [
            "opened",
            "packets 1",
            "post 40",
            "get a=1&EIO=4&transport=polling&sid=abc"
        ]
    );
    for packet in ["4aaaaaaaa", "4bbbbbbbb", "4cccc"] {
        engine.transmit(Payload::text(packet));
    }
    engine.post_answered(&answer(200, "ok"));
    assert_eq!(
        actions(&mut engine),
        ["written 1", "post 4aaaaaaaa\u{1e}4bbbbbbbb"]
    );
    engine.transmit(Payload::Binary(Bytes::from_static(&[1, 2])));
    engine.post_answered(&answer(200, "ok"));
    assert_eq!(actions(&mut engine), ["written 3", "post 4cccc\u{1e}bAQI="]);
    engine.get_answered(&answer(200, "4x\u{1e}bAQI=\u{1e}2"));
    assert_eq!(actions(&mut engine)[0], "packets 3");
}

#[test]
fn an_upgrade_drains_polling_before_sending_the_upgrade_packet() {
    let mut engine = engine(true, true);
    engine.get_answered(&answer(200, GREETING));
    assert!(actions(&mut engine).contains(&"open a=1&EIO=4&transport=websocket&sid=abc".to_owned()));
    engine.transmit(Payload::text("40"));
    assert_eq!(actions(&mut engine), ["post 40"], "polling goes on meanwhile");
    engine.socket_opened();
    assert_eq!(actions(&mut engine), ["send 2probe"]);
    engine.socket_messages(text("3probe"));
    engine.transmit(Payload::text("4later"));
    assert!(actions(&mut engine).is_empty());
    engine.post_answered(&answer(200, "ok"));
    assert_eq!(actions(&mut engine), ["written 1"]);
    engine.get_answered(&answer(200, "6"));
    assert_eq!(actions(&mut engine), ["packets 1", "send 5", "send 4later"]);
    engine.socket_wrote(3);
    assert_eq!(actions(&mut engine), ["written 2"]);
    engine.socket_ended(LinkEnd {
        taken: 3,
        ..LinkEnd::default()
    });
    assert_eq!(actions(&mut engine), ["end None 2"]);
}

#[test]
fn a_failed_upgrade_probe_leaves_polling_unchanged() {
    let mut engine = engine(true, true);
    engine.get_answered(&answer(200, GREETING));
    actions(&mut engine);
    engine.socket_ended(LinkEnd {
        status: Some(502),
        ..LinkEnd::default()
    });
    assert_eq!(actions(&mut engine), ["drop"]);
    engine.transmit(Payload::text("4x"));
    engine.get_answered(&answer(200, "4y"));
    assert_eq!(
        actions(&mut engine),
        ["post 4x", "packets 1", "get a=1&EIO=4&transport=polling&sid=abc"]
    );
}

#[test]
fn websocket_only_sends_nothing_before_the_engine_io_handshake() {
    let mut engine = engine(false, true);
    assert_eq!(actions(&mut engine), ["open a=1&EIO=4&transport=websocket"]);
    engine.transmit(Payload::text("40"));
    engine.socket_opened();
    assert!(actions(&mut engine).is_empty());
    engine.socket_messages(text(GREETING));
    assert_eq!(actions(&mut engine), ["opened", "packets 1", "send 40"]);
}

#[test]
fn a_bom_and_unpadded_base64_are_accepted_as_in_browsers() {
    let mut engine = engine(true, false);
    actions(&mut engine);
    engine.get_answered(&answer(200, &format!("\u{feff}{GREETING}")));
    assert_eq!(
        actions(&mut engine),
        ["opened", "packets 1", "get a=1&EIO=4&transport=polling&sid=abc"]
    );
    engine.get_answered(&answer(200, "bAQI\u{1e}bAQ\u{1e}bAR=="));
    assert_eq!(actions(&mut engine)[0], "packets 3");
    engine.get_answered(&answer(200, "b!"));
    assert!(actions(&mut engine)[0].starts_with("end "));
}

#[test]
fn a_body_of_many_packets_is_reported_in_pieces_before_the_next_poll() {
    let mut engine = engine(true, false);
    engine.get_answered(&answer(200, GREETING));
    actions(&mut engine);
    let body = vec!["4x"; 3 * MAX_REPORTED_PACKETS - 1].join("\u{1e}");
    engine.get_answered(&answer(200, &body));
    let Some(Action::Packets(first)) = engine.poll() else {
        panic!("packets come first")
    };
    assert_eq!(first.len(), MAX_REPORTED_PACKETS);
    engine.pause();
    assert!(engine.poll().is_none(), "the rest waits while reading rests");
    engine.resume();
    assert_eq!(
        actions(&mut engine),
        [
            format!("packets {MAX_REPORTED_PACKETS}"),
            format!("packets {}", MAX_REPORTED_PACKETS - 1),
            "get a=1&EIO=4&transport=polling&sid=abc".to_owned()
        ]
    );
}

#[test]
fn a_paused_engine_does_not_poll() {
    let mut engine = engine(true, false);
    engine.get_answered(&answer(200, GREETING));
    actions(&mut engine);
    engine.pause();
    engine.get_answered(&answer(200, "4x"));
    assert_eq!(actions(&mut engine), ["packets 1"]);
    engine.transmit(Payload::text("4y"));
    assert_eq!(actions(&mut engine), ["post 4y"], "saying goes on");
    engine.resume();
    assert_eq!(actions(&mut engine), ["get a=1&EIO=4&transport=polling&sid=abc"]);
}

#[test]
fn polling_is_tried_after_a_failed_websocket_unless_credentials_were_refused() {
    for (status, tried) in [
        (None, true),
        (Some(400), true),
        (Some(502), true),
        (Some(401), false),
    ] {
        let mut engine = engine(false, true);
        engine.transports.polling = true;
        engine.transports.websocket_first = true;
        actions(&mut engine);
        engine.socket_ended(LinkEnd {
            status,
            ..LinkEnd::default()
        });
        let now = actions(&mut engine);
        assert_eq!(now[0].starts_with("get"), tried, "{status:?}: {now:?}");
    }
}

#[test]
fn try_all_transports_tries_the_other_transport_once() {
    for (try_all, tried) in [(Some(true), true), (Some(false), false), (None, false)] {
        let mut engine = start(EngineTransports {
            try_all,
            ..EngineTransports::default()
        });
        actions(&mut engine);
        engine.get_answered(&answer(404, "no"));
        let now = actions(&mut engine);
        assert_eq!(now[0].starts_with("open"), tried, "{try_all:?}: {now:?}");
        engine.socket_ended(LinkEnd::default());
        assert_eq!(actions(&mut engine).len(), usize::from(tried), "it is over");
    }
    let mut engine = start(EngineTransports {
        try_all: Some(false),
        websocket_first: true,
        ..EngineTransports::default()
    });
    actions(&mut engine);
    engine.socket_ended(LinkEnd::default());
    assert_eq!(actions(&mut engine), ["end None 0"]);
}

#[test]
fn remember_upgrade_starts_with_websocket_after_an_upgrade() {
    for (remember_upgrade, was_on_socket, direct) in
        [(true, true, true), (true, false, false), (false, true, false)]
    {
        let transports = EngineTransports {
            remember_upgrade,
            ..EngineTransports::default()
        };
        let known = EngineStart {
            was_on_socket,
            ..EngineStart::default()
        };
        let url = Url::parse("http://localhost/").unwrap();
        let mut engine = Engine::new(url, transports, 1000, known);
        assert_eq!(actions(&mut engine)[0].starts_with("open"), direct);
        engine.socket_ended(LinkEnd::default());
        assert!(
            !direct || actions(&mut engine)[0].starts_with("get"),
            "it is polled again"
        );
    }
}

#[test]
fn urls_follow_the_request_options() {
    let request_options = |param: &str| RequestOptions {
        timestamp_param: Some(param.to_owned()),
        base64: true,
        ..RequestOptions::default()
    };
    let mut engine = start(EngineTransports {
        query: vec![("room".to_owned(), "7".to_owned())],
        polling_requests: request_options("t"),
        websocket_requests: request_options("ts"),
        ..EngineTransports::default()
    });
    let first = "get a=1&room=7&EIO=4&transport=polling";
    assert_eq!(actions(&mut engine), [format!("{first}&t=1&b64=1")]);
    engine.get_answered(&answer(200, GREETING));
    let now = actions(&mut engine);
    let socket = "open a=1&room=7&EIO=4&transport=websocket&sid=abc&ts=2&b64=1";
    assert!(now.contains(&socket.to_owned()), "{now:?}");
    assert!(now.contains(&format!("{first}&sid=abc&t=3&b64=1")), "{now:?}");
    engine.socket_opened();
    engine.socket_messages(text("3probe"));
    engine.get_answered(&answer(200, "6"));
    actions(&mut engine);
    engine.transmit(Payload::Binary(Bytes::from_static(&[1, 2])));
    assert_eq!(actions(&mut engine), ["send bAQI="]);
    engine.socket_messages(text("bAQI="));
    assert_eq!(
        engine.poll(),
        Some(Action::Packets(vec![Incoming::Message(Payload::Binary(
            Bytes::from_static(&[1, 2])
        ))]))
    );
}

#[test]
fn an_http_status_is_reported_only_before_the_session_opens() {
    let mut refused = engine(true, false);
    actions(&mut refused);
    refused.get_answered(&answer(403, "no"));
    assert_eq!(actions(&mut refused), ["end Some(403) 0"]);
    let mut forgotten = engine(true, false);
    forgotten.get_answered(&answer(200, GREETING));
    forgotten.transmit(Payload::text("4x"));
    actions(&mut forgotten);
    forgotten.get_answered(&answer(400, r#"{"code":1,"message":"Session ID unknown"}"#));
    assert_eq!(
        actions(&mut forgotten),
        ["end None 1"],
        "what was being posted is in doubt"
    );
}
