//! Units of a connection: what is handed over, proven, refused, and lost with the link.

use super::*;

#[test]
fn the_number_of_unwritten_messages_on_a_link_is_bounded() {
    let mut bench = Bench::new();
    for number in 0..=MAX_UNWRITTEN {
        bench.send(message(&number.to_string()));
    }
    assert_eq!(bench.outgoing.sent.messages, MAX_UNWRITTEN as u64);
    assert!(!bench.outgoing.unfinished().is_written);
    bench.outgoing.answer_beat(Payload::text("beat"));
    assert_eq!(bench.events(now(0)), [""; 0], "the link is full");
    let last = MAX_UNWRITTEN + 1;
    assert_eq!(
        bench.after(now(0), |outgoing, at| outgoing.written(at, 10, Proof::Pong)),
        [format!("transmit {last}"), format!("prove {last}")]
    );
    bench.outgoing.answer_beat(Payload::text("beat"));
    assert_eq!(bench.events(now(0)), [format!("transmit {}", last + 1)]);
}

#[test]
fn untracked_payloads_are_counted_on_the_link_but_not_proven() {
    let mut bench = Bench::new();
    bench.outgoing.send_untracked([Payload::text("hello")]);
    assert_eq!(bench.events(now(0)), ["transmit 1"]);
    assert_eq!(
        bench.send(message("a"))[2..],
        ["transmit 2", "prove 2"],
        "behind the greeting"
    );
    assert_eq!(
        bench.after(now(0), |outgoing, at| outgoing.proven(at, 1)),
        ["prove 2"]
    );
    assert_eq!(
        bench.after(now(0), |outgoing, at| outgoing.proven(at, 2)),
        ["a: sent"]
    );
    bench.link = LinkView::dialling_for_tests();
    bench.outgoing.send_untracked([Payload::text("hello")]);
    assert_eq!(bench.events(now(0)), [""; 0], "there is no link");
}

#[test]
fn a_connection_sends_greeting_subscriptions_then_waiting_messages() {
    let mut bench = Bench::new();
    bench.link = LinkView::dialling_for_tests();
    assert_eq!(bench.subscribe("k"), ["ok", "k Pending"]);
    bench.send(message("a"));
    bench.link = LinkView {
        is_ready: false,
        ..LinkView::for_tests()
    };
    let link = bench.link;
    let greeting = [Payload::text("hello")];
    bench.outgoing.begin_connection(now(0), &greeting, &link);
    assert_eq!(
        bench.events(now(0)),
        ["transmit 1"],
        "the server must be ready first"
    );
    bench.link = LinkView::for_tests();
    assert_eq!(
        bench.after(now(0), Outgoing::begin_ready),
        ["transmit 2", "k Active", "transmit 3", "prove 3"]
    );
}

#[test]
fn a_refused_message_settles_before_the_next_is_transmitted() {
    let mut bench = Bench::new();
    bench.link = LinkView::dialling_for_tests();
    bench.send(message("a"));
    bench.send(message("b"));
    bench.link = LinkView::for_tests();
    bench.outgoing.begin_ready(now(0));
    let first = bench.outgoing.poll(now(0), &bench.options, &bench.link);
    assert_eq!(first.as_ref().map(describe).as_deref(), Some("transmit 1"));
    let refusal = crate::core::session::link_view::Refusal {
        why: ErrorInfo::new(Code::NotSent, "no"),
        written: Some(1),
    };
    bench.outgoing.refused(now(0), Some(1), refusal);
    let events = bench.events(now(0));
    assert!(
        events[0].starts_with("a: ") && events[1] == "transmit 2",
        "{events:?}"
    );
}

#[test]
fn without_pings_written_messages_count_as_proven() {
    let mut bench = Bench::new();
    bench.send(message("a"));
    assert_eq!(
        bench.after(now(0), |outgoing, at| outgoing.written(at, 1, Proof::Written)),
        ["a: sent"]
    );
    assert_eq!(bench.outgoing.load(), Load::Idle);
}

#[test]
fn a_lost_link_resets_proofs_and_active_subscriptions() {
    let mut bench = Bench::new();
    assert_eq!(bench.subscribe("k"), ["ok", "transmit 1", "k Active"]);
    bench.send(message("written"));
    bench.send(message("waiting"));
    bench.link = LinkView::dialling_for_tests();
    assert_eq!(
        bench.after(now(0), |outgoing, at| outgoing.link_lost(at, 2)),
        ["written: unknown"]
    );
    assert!(
        bench.outgoing.unfinished().waits,
        "what the link had not begun goes out on the next"
    );
    assert_eq!(bench.subscribe("k"), ["ok", "k Pending"]);
}

#[test]
fn a_subscription_of_the_previous_worker_is_not_sent_again() {
    let mut bench = Bench::new();
    bench.subscribe("k");
    assert_eq!(bench.subscribe("k"), ["ok", "k Active"]);
    let unsubscribe = || ClientFrame::Unsubscribe {
        session: "s".into(),
        id: "2".into(),
        key: "k".into(),
    };
    assert_eq!(bench.frame(unsubscribe()), ["ok", "k forgotten"]);
    assert_eq!(bench.frame(unsubscribe()), ["error bad-frame"]);
}
