//! Units of the outgoing direction. What comes of it in a whole session is tested in `tests/it`.

use super::*;
use crate::core::dialect::outlines::Outlines;
use crate::core::journal_record::JournalRecord;
use crate::core::subscriptions::MAX_SUBSCRIPTIONS;
use crate::wire::message::{Match, Request, Send, Subscribe, SubscriptionState};
use crate::wire::options::Options;

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

fn accept(outgoing: &mut Outgoing, send: Send) -> u64 {
    let offer = Offer::of_send(now(0), &Options::default(), &Outlines::default(), send).expect("an offer");
    outgoing.check_answers(&offer).expect("room");
    outgoing.accept(CLIENT, offer)
}

fn request(outgoing: &mut Outgoing, id: &str, timeout: u64) -> u64 {
    let request = Request {
        id: id.into(),
        send: message(id),
        matching: Match::Ack,
        timeout,
    };
    let offer = Offer::of_request(now(0), &Outlines::default(), request).expect("an offer");
    outgoing.accept(CLIENT, offer)
}

/// Hands over everything that waits, as the link would.
fn hand_over(outgoing: &mut Outgoing, at: Now) -> Vec<Handover> {
    std::iter::from_fn(|| outgoing.next(at))
        .map(|step| match step {
            OutgoingStep::Transmit(handover) => handover,
            OutgoingStep::Settled(settled) => panic!("{settled:?}"),
        })
        .collect()
}

fn outcomes(settled: &[Settled]) -> Vec<(&str, Option<Outcome>)> {
    let outcome = |settled: &Settled| match settled.result {
        MessageResult::Outcome(outcome, _) => Some(outcome),
        MessageResult::Response(_) => None,
    };
    settled
        .iter()
        .map(|settled| (settled.id.as_deref().unwrap_or("-"), outcome(settled)))
        .collect()
}

#[test]
fn only_so_much_is_handed_over_before_it_is_written() {
    let mut outgoing = Outgoing::default();
    for number in 0..=MAX_UNWRITTEN {
        accept(&mut outgoing, message(&number.to_string()));
    }
    assert_eq!(hand_over(&mut outgoing, now(0)).len(), MAX_UNWRITTEN);
    assert!(!outgoing.is_written() && !outgoing.has_room_for_beats());
    assert!(outgoing.written(now(0), 10, Proof::Pong).is_empty());
    assert!(outgoing.has_room_for_beats());
    assert_eq!(hand_over(&mut outgoing, now(0)).len(), 1);
    assert_eq!(outgoing.sent().messages, MAX_UNWRITTEN as u64 + 1);
}

#[test]
fn what_is_no_message_takes_a_place_on_the_link_but_is_not_proven() {
    let mut outgoing = Outgoing::default();
    let greeting = outgoing.hand_untracked(Payload::text("hello"));
    assert_eq!((greeting.place, greeting.serial), (1, None));
    assert_eq!(outgoing.wants_proof(), None);
    accept(&mut outgoing, message("a"));
    assert_eq!(hand_over(&mut outgoing, now(0))[0].place, 2);
    assert_eq!(outgoing.wants_proof(), Some(2));
    assert!(outgoing.proven(now(0), 1).is_empty());
    assert_eq!(
        outcomes(&outgoing.proven(now(0), 2)),
        [("a", Some(Outcome::Sent))]
    );
}

#[test]
fn without_pings_what_is_written_is_proven() {
    let mut outgoing = Outgoing::default();
    accept(&mut outgoing, message("a"));
    hand_over(&mut outgoing, now(0));
    let settled = outgoing.written(now(0), 1, Proof::Written);
    assert_eq!(outcomes(&settled), [("a", Some(Outcome::Sent))]);
    assert!(outgoing.is_idle());
}

#[test]
fn an_acknowledgement_answers_a_request_and_confirms_a_message() {
    let mut outgoing = Outgoing::default();
    let answered = request(&mut outgoing, "r", 1000);
    let confirmed = accept(
        &mut outgoing,
        Send {
            ack: true,
            ..message("m")
        },
    );
    assert!(
        hand_over(&mut outgoing, now(0))
            .iter()
            .all(|handed| handed.awaits_ack)
    );
    let answer = outgoing.acknowledged(now(1), answered, Payload::text("[]"));
    assert_eq!(outcomes(answer.as_slice()), [("r", None)]);
    let confirmation = outgoing.acknowledged(now(1), confirmed, Payload::text("[]"));
    assert_eq!(
        outcomes(confirmation.as_slice()),
        [("m", Some(Outcome::Confirmed))]
    );
    assert!(
        outgoing
            .acknowledged(now(1), confirmed, Payload::text("[]"))
            .is_none(),
        "it has ended"
    );
    assert!(outgoing.is_idle() && !outgoing.looks_inside());
}

#[test]
fn a_request_ends_at_its_deadline_and_awaits_nothing_any_more() {
    let mut outgoing = Outgoing::default();
    request(&mut outgoing, "r", 1000);
    hand_over(&mut outgoing, now(0));
    assert_eq!(outgoing.deadline(), Some((Duration::from_secs(1), "outbox")));
    assert!(outgoing.expire(now(999)).is_empty());
    assert_eq!(outcomes(&outgoing.expire(now(1000))), [("r", None)]);
    assert!(outgoing.is_idle());
    assert_eq!(outgoing.requests.held(), 0);
}

#[test]
fn a_lost_link_leaves_nothing_proven_and_no_subscription_standing() {
    let mut outgoing = Outgoing::default();
    let subscribe = || Subscribe {
        session: "s".into(),
        id: "1".into(),
        key: "k".into(),
        send: vec![Payload::text("on")],
        undo: Vec::new(),
        confirm: None,
        filter: Vec::new(),
    };
    assert!(outgoing.subscribe(subscribe()));
    let (said, state) = outgoing.say_subscription("k", Duration::ZERO).expect("one");
    assert_eq!((said.len(), state), (1, SubscriptionState::Active));
    accept(&mut outgoing, message("written"));
    accept(&mut outgoing, message("waiting"));
    hand_over(&mut outgoing, now(0));
    let settled = outgoing.link_lost(now(0), 1);
    assert_eq!(outcomes(&settled), [("written", Some(Outcome::Unknown))]);
    assert!(
        outgoing.waits(),
        "what the link had not begun goes out on the next"
    );
    assert_eq!(outgoing.standing(&subscribe()), Some(SubscriptionState::Pending));
}

#[test]
fn there_is_a_bound_for_subscriptions() {
    let mut outgoing = Outgoing::default();
    let subscribe = |key: usize| Subscribe {
        session: "s".into(),
        id: "1".into(),
        key: key.to_string().as_str().into(),
        send: Vec::new(),
        undo: Vec::new(),
        confirm: None,
        filter: Vec::new(),
    };
    assert!((0..MAX_SUBSCRIPTIONS).all(|key| outgoing.subscribe(subscribe(key))));
    assert!(!outgoing.subscribe(subscribe(MAX_SUBSCRIPTIONS)));
    assert!(outgoing.subscribe(subscribe(0)), "it replaces one");
}

#[test]
fn messages_come_back_from_what_a_journal_keeps_of_them() {
    let mut before = Outgoing::default();
    accept(&mut before, message("gone"));
    hand_over(&mut before, now(0));
    accept(&mut before, message("waiting"));
    let notes = before.snapshot(now(0));
    assert_eq!(
        notes.len(),
        3,
        "two messages, and that one may have gone: {notes:?}"
    );
    let mut after = Outgoing::default();
    for note in notes {
        if let JournalRecord::Accepted(accepted) = note {
            let serial = accepted.head.serial;
            let reach = if serial == 1 {
                Reach::MaybeSent
            } else {
                Reach::Unsent
            };
            assert!(after.restore(now(5), serial, *accepted, reach).is_none());
        }
    }
    let settled = after.link_lost(now(5), u64::MAX);
    assert_eq!(outcomes(&settled), [("gone", Some(Outcome::Unknown))]);
    assert_eq!(after.len(), 1);
    assert_eq!(accept(&mut after, message("new")), 3, "numbers go on");
}
