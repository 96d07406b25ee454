//! Units of the uplink. Its parts have their own beside them; what comes of it in a whole session is tested in `tests/it`.

use std::time::Duration;

use bytes::Bytes;

use super::transmit::PROOF_INTERVAL;
use super::*;
use crate::core::context::Context;
use crate::core::io::{Incoming, Output};
use crate::core::session::link_view::Load;
use crate::wire::code::Code;
use crate::wire::message::SessionReport;
use crate::wire::options::Protocol;

/// An uplink with all that it works on.
struct Bench {
    uplink: Uplink,
    ctx: Context,
    who: Identity,
    options: Options,
}

impl Bench {
    fn new() -> Self {
        Self {
            uplink: Uplink::new(Url::parse("ws://127.0.0.1:9/").expect("a URL")),
            ctx: Context::for_tests(),
            who: Identity::for_tests(),
            options: Options::default(),
        }
    }

    fn act<R>(&mut self, act: impl FnOnce(&mut Uplink, &mut UplinkContext<'_>) -> R) -> R {
        let mut scope = UplinkContext {
            now: self.ctx.now,
            who: &self.who,
            options: &self.options,
            dialer: &mut self.ctx.dialer,
            out: &mut self.ctx.out,
            outlines: &mut self.ctx.outlines,
        };
        act(&mut self.uplink, &mut scope)
    }

    /// The events that the session would get, states by name.
    fn events(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.act(|uplink, scope| uplink.poll(scope)))
            .map(|event| match event {
                UplinkEvent::State(change) => change.state.as_str().to_owned(),
                UplinkEvent::Opened(_) => "opened".to_owned(),
                UplinkEvent::Message(message) => {
                    format!("message {}", message.payload.as_str().unwrap_or("?"))
                }
                other => format!("{other:?}"),
            })
            .collect()
    }

    fn dial(&mut self) -> DialId {
        self.act(Uplink::dial);
        assert_eq!(self.events(), ["connecting"]);
        self.dialled()
    }

    /// The dial that was started meanwhile.
    fn dialled(&mut self) -> DialId {
        let outputs = self.ctx.take_outputs();
        match outputs.as_slice() {
            [Output::Dial(dial, _)] => *dial,
            other => panic!("{other:?}"),
        }
    }

    fn event(&mut self, dial: DialId, event: LinkEvent) -> Vec<String> {
        self.act(|uplink, scope| uplink.handle_event(scope, dial, event));
        self.events()
    }

    fn open(&mut self) -> DialId {
        let dial = self.dial();
        let events = self.event(
            dial,
            LinkEvent::Opened {
                subprotocol: None,
                extensions: None,
            },
        );
        assert_eq!(events, ["open", "opened"]);
        dial
    }
}

fn message(text: &'static str) -> LinkEvent {
    LinkEvent::Messages(vec![Incoming::Message(Payload::text(text))])
}

#[test]
fn events_of_earlier_dials_are_ignored() {
    let mut bench = Bench::new();
    let first = bench.open();
    assert_eq!(bench.event(first, message("one")), ["message one"]);
    bench.act(Uplink::reconnect);
    assert_eq!(
        bench.events()[..],
        ["Left { taken: 18446744073709551615 }", "connecting"]
    );
    assert_eq!(bench.event(first, message("late")), [""; 0]);
    assert!(bench.uplink.state.is_dialing());
}

#[test]
fn a_lost_link_is_redialled_after_a_delay() {
    let mut bench = Bench::new();
    let first = bench.open();
    let end = LinkEnd {
        code: Some(1006),
        taken: 3,
        ..LinkEnd::default()
    };
    assert_eq!(
        bench.event(first, LinkEvent::Ended(end)),
        ["waiting", "Left { taken: 3 }"]
    );
    let (at, what) = bench.uplink.deadline().expect("a deadline");
    assert_eq!(what, "backoff");
    bench.act(Uplink::timeout);
    assert_eq!(bench.events(), [""; 0], "it is too early");
    bench.ctx.now.boot = at;
    bench.act(Uplink::timeout);
    assert_eq!(bench.events(), ["connecting"]);
    assert_ne!(bench.dialled(), first);
}

#[test]
fn a_stopping_close_code_leaves_the_link_failed_until_reconnect() {
    let mut bench = Bench::new();
    let first = bench.open();
    let end = LinkEnd {
        code: Some(1008),
        ..LinkEnd::default()
    };
    let events = bench.event(first, LinkEvent::Ended(end));
    assert_eq!(events, ["failed", "Left { taken: 0 }"]);
    assert_eq!(bench.uplink.deadline(), None);
    bench.act(Uplink::start_over);
    assert_eq!(bench.events(), ["connecting"]);
}

#[test]
fn a_ping_proves_messages_transmitted_before_it() {
    let mut bench = Bench::new();
    let dial = bench.open();
    let sent = bench.act(|uplink, scope| uplink.transmit(scope, Payload::text("x"), 1, None));
    assert!(sent.is_ok());
    bench.ctx.now.boot = PROOF_INTERVAL;
    bench.act(|uplink, scope| uplink.prove(scope, 1));
    let outputs = bench.ctx.take_outputs();
    let [Output::Transmit(..), Output::Ping(_, token)] = outputs.as_slice() else {
        panic!("{outputs:?}");
    };
    assert_eq!(bench.uplink.proof_due(&bench.options), None, "one is under way");
    assert_eq!(bench.event(dial, LinkEvent::Pong(*token)), ["Proven(1)"]);
}

#[test]
fn a_full_log_pauses_reading() {
    let mut bench = Bench::new();
    bench.open();
    bench.act(Uplink::pause_reading);
    bench.act(Uplink::pause_reading);
    assert!(bench.uplink.state.connection().is_some_and(|up| up.is_paused()));
    bench.act(Uplink::resume_reading);
    let outputs = bench.ctx.take_outputs();
    assert!(
        matches!(outputs.as_slice(), [Output::Pause(_), Output::Resume(_)]),
        "{outputs:?}"
    );
}

#[test]
fn messages_are_read_until_the_server_answers_the_close_frame() {
    let mut bench = Bench::new();
    let dial = bench.open();
    bench.act(|uplink, scope| uplink.send_close(scope, 1000, String::new(), Some(1)));
    let link = bench.uplink.view(&bench.options);
    assert!(link.awaits_close && !link.takes_messages());
    assert_eq!(bench.event(dial, message("last")), ["message last"]);
    let events = bench.event(dial, LinkEvent::Ended(LinkEnd::default()));
    assert!(
        matches!(events.as_slice(), [closed] if closed.starts_with("Closed")),
        "{events:?}"
    );
}

#[test]
fn a_forbidden_dial_fails_without_output() {
    let mut bench = Bench::new();
    bench.options.subprotocols = vec!["not a token".to_owned()];
    bench.act(Uplink::dial);
    assert_eq!(bench.events(), ["failed"]);
    assert!(bench.ctx.take_outputs().is_empty());
}

#[test]
fn a_reply_is_refused_for_protocols_without_replies() {
    let mut bench = Bench::new();
    bench.open();
    let refused = bench.act(|uplink, scope| uplink.reply(scope, 1, Bytes::from_static(b"[]")));
    assert_eq!(refused.map_err(|why| why.code), Err(Code::Unsupported));
}

#[test]
fn a_better_transport_is_probed_when_due_unless_messages_are_in_flight() {
    let mut bench = Bench::new();
    bench.options.transports = vec![Protocol::Poll, Protocol::WebSocket];
    for _ in 0..2 {
        bench.act(Uplink::dial);
        let dial = bench.uplink.state.dial_id().expect("a dial");
        bench.event(dial, LinkEvent::Ended(LinkEnd::default()));
    }
    bench.ctx.take_outputs();
    let worse = bench.open();
    let (due, what) = bench.uplink.deadline().expect("a deadline");
    assert_eq!(what, "heartbeat");
    bench.options.heartbeat = None;
    let probes = |bench: &mut Bench, load| {
        bench.act(|uplink, scope| uplink.probe_better(scope, load));
        let outputs = bench.ctx.take_outputs();
        outputs.iter().any(|output| matches!(output, Output::Dial(..)))
    };
    bench.ctx.now.boot = due;
    assert!(!probes(&mut bench, Load::Idle), "it is too early");
    bench.ctx.now.boot = Duration::from_secs(300);
    assert!(!probes(&mut bench, Load::Busy));
    assert_eq!(bench.uplink.state.dial_id(), Some(worse));
    assert!(!probes(&mut bench, Load::Idle), "it was postponed");
    bench.ctx.now.boot += Duration::from_secs(10);
    assert!(probes(&mut bench, Load::Idle));
    assert_eq!(bench.uplink.protocol(&bench.options).protocol, Protocol::Poll);
}

#[test]
fn a_report_shows_the_url_with_the_scheme_of_the_protocol_and_without_secrets() {
    let report = |url: Option<&str>, protocol| {
        let mut uplink = Uplink::restored();
        uplink.url = url.map(|url| Url::parse(url).expect("a URL"));
        let options = Options {
            protocol,
            ..Options::default()
        };
        let mut report = SessionReport::default();
        uplink.report(&mut report, &options, Duration::ZERO);
        report.url
    };
    let secret = Some("wss://user:secret@a.b:8443/path?token=secret");
    assert_eq!(
        report(secret, Protocol::WebSocket).as_deref(),
        Some("wss://a.b:8443/path")
    );
    for protocol in [Protocol::EventStream, Protocol::Poll, Protocol::SocketIo] {
        assert_eq!(report(secret, protocol).as_deref(), Some("https://a.b:8443/path"));
        assert_eq!(
            report(Some("ws://a.b/"), protocol).as_deref(),
            Some("http://a.b/")
        );
    }
    assert_eq!(report(None, Protocol::Poll), None);
}
