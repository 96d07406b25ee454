//! Units of the outgoing direction. What comes of it in a whole session is tested in `tests/it`.

mod connection;

use std::time::Duration;

use super::*;
use crate::core::journal_record::JournalRecord;
use crate::core::outbox::{MessageResult, Proof};
use crate::core::subscriptions::MAX_SUBSCRIPTIONS;
use crate::wire::code::Code;
use crate::wire::message::{ClientFrame, Match, Request, Send, Subscribe};

const PORT: PortId = PortId(1);

const CLIENT: ClientId = ClientId(1);

fn now(milliseconds: u64) -> Now {
    let since = Duration::from_millis(milliseconds);
    Now {
        boot: since,
        awake: since,
        wall: milliseconds,
    }
}

fn message(id: &str) -> Send {
    Send {
        session: "s".into(),
        id: Some(id.into()),
        payload: Payload::text("x"),
        confirm: None,
        ack: false,
        lane: 1,
        ttl: None,
        volatile: false,
        resend: false,
        receipt: true,
    }
}

fn request(id: &str, timeout: u64) -> ClientFrame {
    ClientFrame::Request(Request {
        id: id.into(),
        send: message(id),
        matching: Match::Ack,
        timeout,
    })
}

fn subscribe(key: &str) -> Subscribe {
    Subscribe {
        session: "s".into(),
        id: "1".into(),
        key: key.into(),
        send: vec![Payload::text("on")],
        undo: Vec::new(),
        confirm: None,
        filter: Vec::new(),
    }
}

/// An outgoing direction with all that it works on.
struct Bench {
    outgoing: Outgoing,
    options: Options,
    lifecycle: Lifecycle,
    link: LinkView,
    budget: Budget,
}

impl Bench {
    /// With an open link whose server acknowledges.
    fn new() -> Self {
        let mut link = LinkView::for_tests();
        link.abilities.acknowledges = true;
        Self {
            outgoing: Outgoing::default(),
            options: Options::default(),
            lifecycle: Lifecycle::default(),
            link,
            budget: Budget::new(usize::MAX, 0, 0),
        }
    }

    fn act<R>(&mut self, act: impl FnOnce(&mut Outgoing, &OutgoingContext<'_>) -> R) -> R {
        let scope = OutgoingContext {
            now: now(0),
            session: &"s".into(),
            options: &self.options,
            outlines: &Outlines::default(),
            lifecycle: &self.lifecycle,
            link: self.link,
            budget: self.budget,
            durability: "disk",
            has_journal: true,
            unacknowledged_outcomes: 0,
            client: CLIENT,
            port: PORT,
        };
        act(&mut self.outgoing, &scope)
    }

    /// What a frame leads to, abbreviated.
    fn frame(&mut self, frame: ClientFrame) -> Vec<String> {
        self.act(|outgoing, scope| outgoing.frame(scope, frame));
        self.events(now(0))
    }

    fn send(&mut self, send: Send) -> Vec<String> {
        self.frame(ClientFrame::Send(send))
    }

    fn subscribe(&mut self, key: &str) -> Vec<String> {
        let subscribe = subscribe(key);
        let accepts = self.act(|outgoing, scope| outgoing.accepts_subscription(scope, &subscribe));
        if accepts {
            self.act(|outgoing, scope| outgoing.subscribe(scope, subscribe, Ok(())));
        }
        self.events(now(0))
    }

    fn events(&mut self, at: Now) -> Vec<String> {
        std::iter::from_fn(|| self.outgoing.poll(at, &self.options, &self.link))
            .map(|event| describe(&event))
            .collect()
    }

    /// What an action leads to, abbreviated.
    fn after(&mut self, at: Now, act: impl FnOnce(&mut Outgoing, Now)) -> Vec<String> {
        act(&mut self.outgoing, at);
        self.events(at)
    }
}

fn describe(event: &OutgoingEvent) -> String {
    match event {
        OutgoingEvent::Journal(record) => match &**record {
            JournalRecord::Accepted(accepted) => format!("journal {}", accepted.head.serial),
            other => format!("{other:?}"),
        },
        OutgoingEvent::Frame(_, BrokerFrame::Error(frame)) => format!("error {}", frame.error.code.as_str()),
        OutgoingEvent::Frame(_, BrokerFrame::Accepted { id, duplicate, .. }) => {
            format!("{} {id}", if *duplicate { "duplicate" } else { "accepted" })
        }
        OutgoingEvent::Frame(_, BrokerFrame::Ok { .. }) => "ok".to_owned(),
        OutgoingEvent::Frame(_, other) => format!("{other:?}"),
        OutgoingEvent::Transmit(handover) => {
            let awaits = if handover.awaits_ack { " awaiting" } else { "" };
            format!("transmit {}{awaits}", handover.place)
        }
        OutgoingEvent::Settled(settled) => {
            let ends = settled.iter().map(|settled| {
                let id = settled.id.as_deref().unwrap_or("-");
                match &settled.result {
                    MessageResult::Outcome(outcome, _) => format!("{id}: {}", outcome.as_str()),
                    MessageResult::Response(Ok(_)) => format!("{id}: answered"),
                    MessageResult::Response(Err(why)) => format!("{id}: {}", why.code.as_str()),
                }
            });
            ends.collect::<Vec<_>>().join(", ")
        }
        OutgoingEvent::Subscription(key, state) => format!("{key} {state:?}"),
        OutgoingEvent::Unsubscribed(key) => format!("{key} forgotten"),
        OutgoingEvent::Prove(place) => format!("prove {place}"),
    }
}

#[test]
fn a_message_is_journaled_then_accepted_then_transmitted() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.send(message("a")),
        ["journal 1", "accepted a", "transmit 1", "prove 1"]
    );
    assert_eq!(
        bench.send(message("a")),
        ["duplicate a"],
        "it is in its care already"
    );
    assert_eq!(
        bench.after(now(1), |outgoing, at| outgoing.proven(at, 1)),
        ["a: sent"]
    );
    let without_id = Send {
        id: None,
        ..message("")
    };
    assert_eq!(bench.send(without_id), ["transmit 2"], "nobody asks for it");
}

#[test]
fn a_message_that_cannot_be_accepted_is_refused_with_the_first_reason() {
    let refused = |change: fn(&mut Bench)| {
        let mut bench = Bench::new();
        bench.options.outbox.messages = 1;
        change(&mut bench);
        let events = bench.send(message("a"));
        assert_eq!(bench.outgoing.unfinished().total, 0, "{events:?}");
        events
    };
    let close = |bench: &mut Bench| {
        bench.lifecycle.begin_closing(1000, String::new(), Duration::ZERO);
    };
    assert_eq!(refused(close), ["error session-closed"]);
    assert_eq!(
        refused(|bench| bench.link.state = crate::wire::record::State::Closed),
        ["error session-closed"]
    );
    assert_eq!(
        refused(|bench| bench.link.abilities.sends = false),
        ["error unsupported"]
    );
    assert_eq!(
        refused(|bench| bench.options.max_message = 0),
        ["error too-large"]
    );
    assert_eq!(
        refused(|bench| bench.budget = Budget::new(100, 0, 0)),
        ["error outbox-full"]
    );
    let dialling = |bench: &mut Bench| bench.link = LinkView::dialling_for_tests();
    let mut bench = Bench::new();
    bench.options.outbox.messages = 1;
    dialling(&mut bench);
    assert_eq!(bench.send(message("a")), ["journal 1", "accepted a"]);
    assert_eq!(bench.send(message("b")), ["error outbox-full"]);
}

#[test]
fn a_volatile_message_without_a_link_is_dropped_even_if_the_outbox_is_full() {
    let mut bench = Bench::new();
    bench.link = LinkView::dialling_for_tests();
    bench.options.outbox.messages = 0;
    let volatile = Send {
        volatile: true,
        ..message("v")
    };
    assert_eq!(bench.send(volatile), ["journal 1", "accepted v", "v: dropped"]);
}

#[test]
fn a_waiting_message_can_be_cancelled_and_an_unknown_id_cannot() {
    let mut bench = Bench::new();
    bench.link = LinkView::dialling_for_tests();
    bench.send(message("a"));
    let cancel = |id: &str| ClientFrame::Cancel {
        session: "s".into(),
        id: id.into(),
    };
    assert_eq!(bench.frame(cancel("a")), ["a: cancelled"]);
    assert_eq!(bench.frame(cancel("a")), ["duplicate a"]);
    assert_eq!(bench.frame(cancel("b")), ["error not-sent"]);
}

#[test]
fn an_acknowledgement_answers_a_request_and_confirms_a_message() {
    let mut bench = Bench::new();
    assert!(
        bench
            .frame(request("r", 1000))
            .contains(&"transmit 1 awaiting".to_owned())
    );
    let confirmed = Send {
        ack: true,
        ..message("m")
    };
    assert!(bench.send(confirmed).contains(&"transmit 2 awaiting".to_owned()));
    let mut acknowledge = |serial| {
        bench.after(now(1), |outgoing, at| {
            outgoing.acknowledged(at, serial, Payload::text("[]"));
        })
    };
    assert_eq!(acknowledge(1), ["r: answered"]);
    assert_eq!(acknowledge(2), ["m: confirmed"]);
    assert_eq!(acknowledge(2), [""; 0], "it has ended");
    assert_eq!(bench.outgoing.load(), Load::Idle);
    assert!(!bench.outgoing.looks_inside());
    bench.link.abilities.acknowledges = false;
    assert_eq!(bench.frame(request("s", 1000)), ["error unsupported"]);
    let confirmed = Send {
        ack: true,
        ..message("n")
    };
    assert_eq!(bench.send(confirmed), ["error unsupported"]);
}

#[test]
fn a_request_ends_at_its_deadline_and_ignores_later_answers() {
    let mut bench = Bench::new();
    bench.frame(request("r", 1000));
    assert_eq!(
        bench.outgoing.deadline(),
        Some((Duration::from_secs(1), "outbox"))
    );
    bench.outgoing.proven(now(0), 1);
    bench.events(now(0));
    assert_eq!(bench.after(now(999), Outgoing::timeout), [""; 0]);
    assert_eq!(bench.after(now(1000), Outgoing::timeout), ["r: timeout"]);
    assert_eq!(bench.outgoing.load(), Load::Idle);
    assert_eq!(bench.outgoing.requests.held(), 0);
}

#[test]
fn the_number_of_subscriptions_is_limited() {
    let mut bench = Bench::new();
    for key in 0..MAX_SUBSCRIPTIONS {
        assert_eq!(bench.subscribe(&key.to_string())[0], "ok");
    }
    assert_eq!(bench.subscribe("more"), ["error rate-limited"]);
    assert_eq!(bench.subscribe("0")[0], "ok", "it replaces one");
    bench.budget = Budget::new(100, 0, 0);
    assert_eq!(bench.subscribe("0"), ["error overflow"]);
}

#[test]
fn messages_are_restored_from_their_journal_records() {
    let mut before = Bench::new();
    before.send(message("sent"));
    before.link = LinkView::dialling_for_tests();
    before.send(message("waiting"));
    let records = before.outgoing.snapshot(now(0));
    assert_eq!(
        records.len(),
        3,
        "two messages, and that one may have been sent: {records:?}"
    );
    let mut after = Bench::new();
    after.link = LinkView::dialling_for_tests();
    for record in records {
        if let JournalRecord::Accepted(accepted) = record {
            let serial = accepted.head.serial;
            let reach = if serial == 1 {
                Reach::MaybeSent
            } else {
                Reach::Unsent
            };
            after.outgoing.restore(now(5), serial, *accepted, reach);
        }
    }
    let ended = after.after(now(5), |outgoing, at| outgoing.link_lost(at, u64::MAX));
    assert_eq!(ended, ["sent: unknown"]);
    assert_eq!(after.outgoing.unfinished().total, 1);
    assert_eq!(after.send(message("new"))[0], "journal 3", "numbers go on");
}
