//! Units of the incoming direction. What comes of it in a whole session is tested in `tests/it`.

use super::*;
use crate::core::context::Context;
use crate::core::io::Output;
use crate::wire::code::GapReason;
use crate::wire::message::{CloseReport, Opened, Resumed};
use crate::wire::options::{Overflow, Window};
use crate::wire::payload::Payload;
use crate::wire::record::State;
use crate::wire::rule::ParsedMessage;

/// A delivery with all that it works on.
struct Bench {
    delivery: Delivery,
    ctx: Context,
    who: Identity,
    options: Options,
}

impl Bench {
    fn new(options: Options) -> Self {
        Self {
            delivery: Delivery::default(),
            ctx: Context::for_tests(),
            who: Identity::for_tests(),
            options,
        }
    }

    fn act<R>(&mut self, act: impl FnOnce(&mut Delivery, &mut DeliveryContext<'_>) -> R) -> R {
        let mut scope = DeliveryContext {
            now: self.ctx.now,
            who: &self.who,
            options: &self.options,
            room: usize::MAX,
            ports: self.ctx.ports(),
        };
        act(&mut self.delivery, &mut scope)
    }

    /// Attaches a client without a position of its own; the broker's verdict.
    fn attach(&mut self, client: &str, port: u64) -> Resumed {
        let opened = Opened {
            id: "1".into(),
            session: "s".into(),
            created: false,
            epoch: "e".into(),
            resume: Resumed::Fresh,
            seq: 0,
            last: 0,
            state: State::Open,
            subprotocol: None,
            outbox: Vec::new(),
            subscriptions: Vec::new(),
            ignored: Vec::new(),
        };
        self.act(|delivery, scope| {
            let placed = delivery.attach(scope, PortId(port), &client.into(), None);
            delivery.welcome(scope, PortId(port), &placed, opened);
            delivery.deliver(scope);
        });
        let verdict = self.frames().into_iter().find_map(|(_, frame)| match frame {
            BrokerFrame::Opened(opened) => Some(opened.resume),
            _ => None,
        });
        verdict.expect("an answer")
    }

    /// A message of the server's: its number, and what the log asks of the link.
    fn message(&mut self, text: &'static str) -> (Option<u64>, Option<ReadRequest>) {
        let payload = Payload::text(text);
        let taken = self.act(|delivery, scope| {
            let views = delivery.admit(scope, &ParsedMessage::at(&payload))?;
            delivery.append_message(scope, payload, views)
        });
        self.act(Delivery::advance);
        (taken, self.delivery.poll())
    }

    /// The frames that ports got meanwhile, except records.
    fn frames(&mut self) -> Vec<(u64, BrokerFrame)> {
        let frames = self.ctx.take_outputs().into_iter().map(|output| match output {
            Output::Deliver { port, frame, .. } => (port.0, frame),
            other => panic!("{other:?}"),
        });
        frames.collect()
    }

    /// The records that ports were handed meanwhile, by number, and whether they come again.
    fn records(&mut self) -> Vec<(u64, u64, bool)> {
        let frames = self.frames().into_iter();
        frames
            .filter_map(|(port, frame)| match frame {
                BrokerFrame::Record {
                    record, redelivered, ..
                } => Some((port, record.seq, redelivered)),
                _ => None,
            })
            .collect()
    }

    fn acknowledge(&mut self, port: u64, seq: u64) -> bool {
        self.act(|delivery, scope| delivery.acknowledge(scope, PortId(port), seq))
    }
}

#[test]
fn unacknowledged_records_are_redelivered_and_marked() {
    let mut bench = Bench::new(Options::default());
    assert_eq!(bench.attach("a", 1), Resumed::Fresh);
    bench.message("one");
    bench.message("two");
    assert_eq!(bench.records(), [(1, 1, false), (1, 2, false)]);
    assert!(bench.acknowledge(1, 1) && !bench.acknowledge(1, 1));
    let at = |delivery: &Delivery| (delivery.log().messages(), delivery.pending("a"));
    assert_eq!(at(&bench.delivery), (1, 1));
    bench.act(|delivery, scope| delivery.detach(scope, PortId(1)));
    assert_eq!(bench.delivery.idle_since(), Some(Duration::ZERO));
    let frames = {
        bench.act(|delivery, scope| {
            delivery.attach(scope, PortId(2), &"a".into(), None);
            delivery.deliver(scope);
        });
        bench.records()
    };
    assert_eq!(frames, [(2, 2, true)]);
}

#[test]
fn a_newer_attachment_fences_the_previous_one() {
    let mut bench = Bench::new(Options::default());
    bench.attach("a", 1);
    bench.act(|delivery, scope| {
        delivery.attach(scope, PortId(2), &"a".into(), None);
    });
    let frames = bench.frames();
    assert!(
        matches!(
            frames.as_slice(),
            [(
                1,
                BrokerFrame::Detached {
                    reason: "superseded",
                    ..
                }
            )]
        ),
        "{frames:?}"
    );
    bench.message("one");
    assert!(!bench.acknowledge(1, 1), "the old port holds nothing");
    assert!(bench.acknowledge(2, 1));
}

#[test]
fn only_delivered_records_can_be_acknowledged() {
    let mut bench = Bench::new(Options::default());
    bench.attach("a", 1);
    bench.message("one");
    bench.frames();
    assert!(!bench.acknowledge(1, 2));
    let frames = bench.frames();
    assert!(
        matches!(frames.as_slice(), [(1, BrokerFrame::Error(_))]),
        "{frames:?}"
    );
    assert_eq!(bench.delivery.log().messages(), 1);
}

#[test]
fn a_full_window_holds_records_back_until_there_is_room() {
    let mut bench = Bench::new(Options {
        window: Window {
            messages: 1,
            bytes: 1000,
        },
        ..Options::default()
    });
    bench.attach("a", 1);
    bench.message("one");
    bench.message("two");
    assert_eq!(bench.records(), [(1, 1, false)]);
    assert!(bench.delivery.stall_deadline().is_some());
    bench.acknowledge(1, 1);
    bench.act(Delivery::deliver);
    assert_eq!(bench.records(), [(1, 2, false)]);
    assert_eq!(bench.delivery.stall_deadline(), None);
}

#[test]
fn a_full_log_drops_or_pauses_the_link() {
    let full = |overflow| {
        let mut options = Options::default();
        options.queue.messages = 2;
        options.queue.overflow = overflow;
        let mut bench = Bench::new(options);
        bench.attach("a", 1);
        let results = ["one", "two", "three"].map(|text| bench.message(text));
        (results, bench)
    };
    let none = |seq| (Some(seq), None);
    let (results, bench) = full(Overflow::DropOldest);
    assert_eq!(results, [none(1), none(2), none(3)]);
    let mut report = SessionReport::default();
    bench.delivery.report(&mut report, Duration::ZERO);
    assert_eq!((report.queued, report.dropped), (2, 1));
    let (results, _) = full(Overflow::DropNewest);
    assert_eq!(results, [none(1), none(2), (None, None)]);
    let (results, mut bench) = full(Overflow::Pause);
    assert_eq!(results[1], (Some(2), Some(ReadRequest::Pause)));
    let request_after = |bench: &mut Bench, seq| {
        bench.acknowledge(1, seq);
        bench.act(Delivery::advance);
        bench.delivery.poll()
    };
    assert_eq!(request_after(&mut bench, 1), None);
    assert_eq!(request_after(&mut bench, 3), Some(ReadRequest::Resume));
    assert_eq!(request_after(&mut bench, 3), None, "it is asked once");
    let (results, _) = full(Overflow::Close);
    assert_eq!(results[1], (Some(2), Some(ReadRequest::Stop)));
}

#[test]
fn an_expired_message_becomes_a_gap_at_its_position() {
    let mut options = Options::default();
    options.queue.age = 1000;
    let mut bench = Bench::new(options);
    bench.message("one");
    assert_eq!(
        bench.delivery.age_deadline(&bench.options),
        Some(Duration::from_secs(1))
    );
    bench.act(|delivery, scope| delivery.drop_aged(scope));
    assert_eq!(bench.delivery.log().messages(), 1);
    bench.ctx.now.awake = Duration::from_secs(1);
    bench.act(|delivery, scope| delivery.drop_aged(scope));
    let body = &bench.delivery.log().get(0).expect("a gap").record.body;
    assert!(
        matches!(body, Body::Gap(gap) if gap.reason == GapReason::Age && gap.count == 1),
        "{body:?}"
    );
}

#[test]
fn a_closing_session_reports_results_despite_a_full_window() {
    let mut bench = Bench::new(Options {
        window: Window {
            messages: 0,
            bytes: 0,
        },
        ..Options::default()
    });
    bench.attach("a", 1);
    bench.message("one");
    let change = crate::wire::record::StateChange::new(State::Closed);
    bench.act(|delivery, scope| {
        delivery.append(scope, Body::State(change.into()), None);
        delivery.end(scope, &CloseReport::default(), "closed");
    });
    let frames = bench.frames();
    assert!(
        matches!(
            frames.as_slice(),
            [(1, BrokerFrame::Record { record, .. }), (1, BrokerFrame::Detached { .. })] if record.seq == 2
        ),
        "{frames:?}"
    );
    assert_eq!(bench.delivery.client_at(PortId(1)), None);
}

#[test]
fn clients_are_restored_from_a_journal_with_their_positions() {
    let mut bench = Bench::new(Options::default());
    bench
        .delivery
        .restore_client(Duration::ZERO, ClientId(7), "a".into(), 4, 0);
    bench
        .delivery
        .restore_client(Duration::ZERO, ClientId(7), "a".into(), 5, 0);
    bench.delivery.skip_to(9);
    bench.delivery.finish_restoring(Duration::ZERO);
    assert_eq!(bench.delivery.positions().count(), 1);
    assert_eq!(bench.attach("b", 2), Resumed::Fresh);
    assert_eq!(bench.delivery.client_at(PortId(2)), Some(ClientId(8)));
    assert_eq!(bench.attach("a", 1), Resumed::Exact);
}
