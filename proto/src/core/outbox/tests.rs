//! Units of the outbox. What the session does with outcomes is tested in `tests/it`.

use super::*;

const CLIENT: ClientId = ClientId(1);
const NOW: Duration = Duration::ZERO;
const LATER: Duration = Duration::from_secs(60);

fn item(id: &str) -> Item {
    Item::new(
        CLIENT,
        Some(id.into()),
        Payload::text("x"),
        LATER,
        Terms::default(),
    )
}

fn hand_over(outbox: &mut Outbox) -> u64 {
    match outbox.next(NOW, NOW, |_| Ok(())) {
        Some(NextMessage::Transmit { serial, .. }) => serial,
        other => panic!("{other:?}"),
    }
}

fn outcomes(settled: &[Settled]) -> Vec<(&str, Outcome)> {
    settled
        .iter()
        .map(|settled| match &settled.result {
            MessageResult::Outcome(outcome, _) => (settled.id.as_deref().unwrap_or("-"), *outcome),
            MessageResult::Response(_) => panic!("{settled:?}"),
        })
        .collect()
}

#[test]
fn only_a_pong_proves_what_was_written_before_its_ping() {
    let mut outbox = Outbox::default();
    outbox.accept(item("a"));
    outbox.accept(item("b"));
    hand_over(&mut outbox);
    let covered = outbox.handed();
    hand_over(&mut outbox);
    assert!(outbox.written(NOW, 2, Proof::Pong).is_empty() && outbox.wants_proof());
    assert_eq!(outcomes(&outbox.proven(NOW, covered)), [("a", Outcome::Sent)]);
    assert_eq!(outcomes(&outbox.link_lost(NOW, 2)), [("b", Outcome::Unknown)]);
    assert_eq!(
        outbox.status(CLIENT, &"b".into()),
        Some(MessageStatus::Settled(Some(Outcome::Unknown)))
    );
}

#[test]
fn untransmitted_messages_are_requeued_in_order() {
    let mut outbox = Outbox::default();
    for id in ["a", "b", "c", "d"] {
        outbox.accept(item(id));
    }
    for _ in 0..3 {
        hand_over(&mut outbox);
    }
    assert_eq!(outcomes(&outbox.link_lost(NOW, 1)), [("a", Outcome::Unknown)]);
    assert_eq!(
        [
            hand_over(&mut outbox),
            hand_over(&mut outbox),
            hand_over(&mut outbox)
        ],
        [2, 3, 4]
    );
}

#[test]
fn written_messages_whose_payload_was_released_are_not_requeued() {
    let mut outbox = Outbox::default();
    outbox.accept(item("a"));
    hand_over(&mut outbox);
    outbox.written(NOW, 1, Proof::Pong);
    assert_eq!(outcomes(&outbox.link_lost(NOW, 0)), [("a", Outcome::Unknown)]);
    assert!(outbox.next(NOW, NOW, |_| Ok(())).is_none());
}

#[test]
fn resend_messages_are_requeued_first_and_volatile_ones_are_dropped() {
    let mut outbox = Outbox::default();
    outbox.accept(Item {
        resend: true,
        ..item("again")
    });
    outbox.accept(Item {
        volatile: true,
        ..item("brief")
    });
    outbox.accept(item("next"));
    hand_over(&mut outbox);
    hand_over(&mut outbox);
    assert_eq!(outcomes(&outbox.link_lost(NOW, 1)), [("brief", Outcome::Dropped)]);
    assert_eq!([hand_over(&mut outbox), hand_over(&mut outbox)], [1, 3]);
}

#[test]
fn messages_possibly_sent_on_an_earlier_link_are_never_reported_unsent() {
    let mut outbox = Outbox::default();
    for id in ["waits", "ends"] {
        outbox.accept(Item {
            resend: true,
            ..item(id)
        });
        hand_over(&mut outbox);
    }
    assert!(outbox.link_lost(NOW, 2).is_empty());
    assert_eq!(
        outcomes(&outbox.end(NOW)),
        [("waits", Outcome::Unknown), ("ends", Outcome::Unknown)]
    );
}

#[test]
fn messages_the_next_link_cannot_carry_are_unsent_only_if_no_link_carried_them() {
    let mut outbox = Outbox::default();
    let not_sent = || ErrorInfo::new(Code::NotSent, "no events here");
    for id in ["checked", "refused", "answered"] {
        outbox.accept(Item {
            resend: true,
            ..item(id)
        });
        hand_over(&mut outbox);
    }
    assert!(outbox.link_lost(NOW, 3).is_empty());
    outbox.accept(item("new"));
    let mut ended = Vec::new();
    match outbox.next(NOW, NOW, |_| Err(not_sent())) {
        Some(NextMessage::Settled(settled)) => ended.push(settled),
        other => panic!("{other:?}"),
    }
    assert_eq!(outbox.handed(), 0);
    let serial = hand_over(&mut outbox);
    ended.extend(outbox.refuse(NOW, serial, not_sent()));
    hand_over(&mut outbox);
    ended.extend(outbox.answered(NOW, 2, Some(not_sent())));
    match outbox.next(NOW, NOW, |_| Err(not_sent())) {
        Some(NextMessage::Settled(settled)) => ended.push(settled),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        outcomes(&ended),
        [
            ("checked", Outcome::Unknown),
            ("refused", Outcome::Unknown),
            ("answered", Outcome::Unknown),
            ("new", Outcome::Failed)
        ]
    );
}

#[test]
fn a_message_without_id_is_forgotten_once_written() {
    let mut outbox = Outbox::default();
    outbox.accept(Item { id: None, ..item("") });
    hand_over(&mut outbox);
    assert!(!outbox.wants_proof());
    assert!(outbox.written(NOW, 1, Proof::Pong).is_empty());
    assert_eq!(outbox.len(), 0);
}

#[test]
fn a_waiting_message_expires_once_at_its_deadline() {
    let mut outbox = Outbox::default();
    let serial = outbox.accept(item("a"));
    assert_eq!(outbox.deadline(), Some(LATER));
    assert_eq!(outcomes(&outbox.expire(LATER, NOW)), [("a", Outcome::Expired)]);
    assert!(outbox.cancel(NOW, serial).is_none());
    assert!(outbox.next(LATER, NOW, |_| Ok(())).is_none());
    assert!(outbox.queue.is_empty());
}

#[test]
fn a_cancelled_message_reports_whether_it_may_have_been_sent() {
    let mut outbox = Outbox::default();
    let waits = outbox.accept(item("a"));
    let result_names = |settled: Option<Settled>| match settled.map(|settled| settled.result) {
        Some(MessageResult::Outcome(Outcome::Cancelled, Some(error))) => error.message.to_string(),
        other => format!("{other:?}"),
    };
    assert_eq!(
        result_names(outbox.cancel(NOW, waits)),
        "the extension withdrew it before it was written"
    );
    let dropped = outbox.accept(item("b"));
    hand_over(&mut outbox);
    assert_eq!(
        result_names(outbox.cancel(NOW, dropped)),
        "the extension stopped waiting; it may have been written already"
    );
}

#[test]
fn bounds_are_enforced_and_an_empty_outbox_accepts_one_oversize_message() {
    let bounds = OutboxBounds {
        messages: 2,
        bytes: 10,
        ttl: 0,
    };
    let mut outbox = Outbox::default();
    assert!(outbox.has_room(&bounds, 1000, Flow::Waiting));
    outbox.accept(item("a"));
    assert!(outbox.has_room(&bounds, 9, Flow::Waiting) && !outbox.has_room(&bounds, 10, Flow::Waiting));
    outbox.accept(item("b"));
    assert!(!outbox.has_room(&bounds, 0, Flow::Waiting) && outbox.has_room(&bounds, 0, Flow::Flowing));
}

#[test]
fn the_number_of_remembered_settled_ids_is_bounded() {
    let mut outbox = Outbox::default();
    for number in 0..=MAX_REMEMBERED {
        let serial = outbox.accept(item(&number.to_string()));
        outbox.cancel(NOW, serial);
    }
    assert_eq!(outbox.status(CLIENT, &"0".into()), None);
    assert!(outbox.status(CLIENT, &"1".into()).is_some());
    outbox.remember(REMEMBER_FOR * 2, CLIENT, "new".into(), None);
    assert_eq!(outbox.status(CLIENT, &"1".into()), None);
}

#[test]
fn messages_answered_before_their_proof_use_no_in_flight_bytes() {
    let mut outbox = Outbox::default();
    let big = MAX_IN_FLIGHT_BYTES / 2;
    for round in 0..3u32 {
        let id = round.to_string();
        let serial = outbox.accept(Item {
            resend: true,
            awaits: Awaiting::Answer,
            payload: Payload::Binary(vec![0; big].into()),
            ..item(&id)
        });
        hand_over(&mut outbox);
        outbox.written(NOW, outbox.handed(), Proof::Pong);
        let answer = MessageResult::Response(Ok(Payload::text("answer")));
        assert!(outbox.settle(NOW, serial, answer).is_some());
        outbox.proven(NOW, outbox.handed());
    }
    assert!(outbox.has_room(&OutboxBounds::default(), 1, Flow::Flowing));
}
