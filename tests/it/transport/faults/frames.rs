//! Faults on an open link: lost connections, close frames, broken rules, messages that are too large.

use super::*;

#[tokio::test]
async fn an_end_inside_a_frame_is_a_lost_link_after_the_messages() {
    let (port, _) = upgraded(|mut peer| async move {
        peer.send(frame(0x81, "whole")).await;
        peer.send(&frame(0x81, "never finished")[..5]).await;
    })
    .await;
    let mut link = TestLink::dial(target(secret_url(port)));
    link.opened().await;
    let (messages, end) = link.ended().await;
    assert_eq!(messages, [text("whole")]);
    assert_eq!((end.code, code(&end)), (Some(1006), Code::LinkLost));
    assert!(!end.error.unwrap().message.contains("canary"));
}

#[tokio::test]
async fn a_reset_is_a_lost_link() {
    let (port, _) = upgraded(|mut peer| async move {
        peer.frame().await;
        peer.stream.set_zero_linger().unwrap();
    })
    .await;
    let mut link = TestLink::dial(target(format!("ws://127.0.0.1:{port}")));
    link.opened().await;
    link.transmit(longwire::wire::payload::Payload::text("x"));
    let (_, end) = link.ended().await;
    assert_eq!((end.code, code(&end), end.taken), (Some(1006), Code::LinkLost, 1));
}

#[tokio::test]
async fn close_codes_and_reasons_arrive_and_are_answered() {
    for (payload, expected, reason) in [
        (close(1000, "done"), 1000, Some("done")),
        (close(1001, ""), 1001, None),
        (close(4321, "because"), 4321, Some("because")),
        (Vec::new(), 1005, None),
    ] {
        let sent = payload.clone();
        let (port, server) = upgraded(move |mut peer| async move {
            peer.send([frame(0x81, "last"), frame(0x88, sent)].concat()).await;
            let answer = peer.frame().await;
            // The client waits for us to end the connection.
            drop(peer);
            answer
        })
        .await;
        let mut link = TestLink::dial(target(format!("ws://127.0.0.1:{port}")));
        link.opened().await;
        let (messages, end) = link.ended().await;
        assert_eq!(messages, [text("last")]);
        assert_eq!(
            (end.code, end.reason.as_deref(), end.error),
            (Some(expected), reason, None)
        );
        let answer = server.await.unwrap().expect("no close frame was received");
        assert_eq!((answer.first, answer.payload.get(..2)), (0x88, payload.get(..2)));
    }
}

#[tokio::test]
async fn a_protocol_violation_is_reported_and_closes_the_link() {
    for (bytes, answer) in [
        (vec![0x81, 0x81, 0, 0, 0, 0, b'x'], 1002),
        (frame(0x83, ""), 1002),
        (frame(0xc1, "not agreed"), 1002),
        (frame(0x81, [0xff]), 1007),
        (frame(0x88, close(1006, "")), 1002),
    ] {
        let (port, server) = upgraded(move |mut peer| async move {
            peer.send([frame(0x81, "fine"), bytes].concat()).await;
            peer.frame().await
        })
        .await;
        let mut link = TestLink::dial(target(format!("ws://127.0.0.1:{port}")));
        link.opened().await;
        let (messages, end) = link.ended().await;
        assert_eq!(messages, [text("fine")]);
        assert_eq!((end.code, code(&end)), (Some(1006), Code::ServerProtocol));
        let frame = server.await.unwrap().expect("no close frame was received");
        assert_eq!(
            (frame.first, &frame.payload[..2]),
            (0x88, &u16::to_be_bytes(answer)[..])
        );
    }
}

#[tokio::test]
async fn an_oversize_message_is_reported_in_order_and_the_link_stays_open() {
    let (port, server) = upgraded(|mut peer| async move {
        peer.send(
            [
                frame(0x81, "fine"),
                frame(0x82, vec![0; 3_000_000]),
                frame(0x81, "behind"),
            ]
            .concat(),
        )
        .await;
        peer.frame().await
    })
    .await;
    let mut target = target(format!("ws://127.0.0.1:{port}"));
    target.max_message = 1000;
    let mut link = TestLink::dial(target);
    link.opened().await;
    let skipped = Incoming::TooLarge {
        bytes: Some(3_000_000),
    };
    assert_eq!(link.messages(3).await, [text("fine"), skipped, text("behind")]);
    link.dials.transmit(DIAL, Payload::text("still here"));
    let frame = server.await.unwrap().expect("the link is open");
    assert_eq!(frame.payload, b"still here");
}
