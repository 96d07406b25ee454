//! Messages on an open link: pings, pauses, slow sockets, full queues, closing.

use longwire::core::io::LinkEvent;
use longwire::transport::{NetworkSettings, credit};
use longwire::wire::payload::Payload;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use super::servers::{Frame, close, frame, payload, upgraded};
use super::{DIAL, TEST_TIMEOUT, TestLink, binary, target, text};

fn pong(payload: impl AsRef<[u8]>) -> Option<Frame> {
    Some(Frame {
        first: 0x8a,
        payload: payload.as_ref().to_vec(),
    })
}

#[tokio::test]
async fn a_ping_proves_what_was_transmitted_before_it() {
    let (port, server) = upgraded(|mut peer| async move {
        let mut seen = Vec::new();
        for _ in 0..4 {
            let frame = peer.frame().await.unwrap();
            seen.push((frame.first, frame.payload.clone()));
        }
        // Not ours, malformed, then only the latest.
        peer.send([frame(0x8a, "whatever"), frame(0x8a, "?"), frame(0x8a, &seen[3].1)].concat())
            .await;
        peer.until_end().await;
        seen
    })
    .await;
    let mut link = TestLink::dial(target(format!("ws://127.0.0.1:{port}")));
    link.opened().await;
    link.transmit(Payload::text("one"));
    link.dials.ping(DIAL, 11);
    link.transmit(Payload::Json("{}".into()));
    link.dials.ping(DIAL, 12);
    link.written(2).await;
    assert_eq!((link.pong().await, link.pong().await), (11, 12));
    drop(link);
    let seen = server.await.unwrap();
    assert_eq!(
        seen,
        [
            (0x81, b"one".to_vec()),
            (0x89, 11u64.to_be_bytes().to_vec()),
            (0x81, b"{}".to_vec()),
            (0x89, 12u64.to_be_bytes().to_vec()),
        ]
    );
}

#[tokio::test]
async fn pings_are_answered_and_count_as_activity() {
    let (port, server) = upgraded(|mut peer| async move {
        peer.send(frame(0x89, "are you there?")).await;
        peer.frame().await
    })
    .await;
    let mut link = TestLink::dial(target(format!("ws://127.0.0.1:{port}")));
    link.opened().await;
    let event = link.next().await;
    assert!(matches!(event, LinkEvent::Alive), "{event:?}");
    assert_eq!(server.await.unwrap(), pong("are you there?"));
}

#[tokio::test]
async fn every_ping_of_a_burst_is_answered_in_order() {
    let (port, server) = upgraded(|mut peer| async move {
        let burst: Vec<u8> = (0..10).flat_map(|n| frame(0x89, format!("{n}"))).collect();
        peer.send(burst).await;
        let mut answers = Vec::new();
        for _ in 0..10 {
            answers.push(peer.frame().await);
        }
        answers
    })
    .await;
    let mut link = TestLink::dial(target(format!("ws://127.0.0.1:{port}")));
    link.opened().await;
    let expected: Vec<_> = (0..10).map(|n| pong(format!("{n}"))).collect();
    assert_eq!(server.await.unwrap(), expected);
}

#[tokio::test]
async fn part_of_a_message_counts_as_activity() {
    let (go, wait) = oneshot::channel::<()>();
    let (port, _server) = upgraded(|mut peer| async move {
        let whole = frame(0x82, vec![1; 100_000]);
        peer.send(&whole[..50_000]).await;
        wait.await.unwrap();
        peer.send(&whole[50_000..]).await;
        peer.until_end().await;
    })
    .await;
    let mut link = TestLink::dial(target(format!("ws://127.0.0.1:{port}")));
    link.opened().await;
    let event = link.next().await;
    assert!(matches!(event, LinkEvent::Alive), "{event:?}");
    go.send(()).unwrap();
    assert_eq!(link.messages(1).await, [binary(vec![1; 100_000])]);
}

#[tokio::test]
async fn a_paused_link_answers_pings_and_writes_and_loses_nothing() {
    let (paused, wait) = oneshot::channel::<()>();
    let (port, server) = upgraded(|mut peer| async move {
        wait.await.unwrap();
        let written = peer.frame().await;
        for n in 0..10 {
            peer.send([frame(0x81, format!("{n}")), frame(0x89, format!("{n}"))].concat())
                .await;
            assert_eq!(peer.frame().await, pong(format!("{n}")));
        }
        for n in 10..2000 {
            peer.send(frame(0x81, format!("{n}"))).await;
        }
        peer.until_end().await;
        written
    })
    .await;
    let mut link = TestLink::dial(target(format!("ws://127.0.0.1:{port}")));
    link.opened().await;
    link.dials.pause(DIAL);
    paused.send(()).unwrap();
    link.transmit(Payload::text("while paused"));
    loop {
        match link.next().await {
            LinkEvent::Written(1) => break,
            LinkEvent::Alive => {}
            other => panic!("while paused: {other:?}"),
        }
    }
    link.dials.resume(DIAL);
    let expected: Vec<_> = (0..2000).map(|n| text(n.to_string())).collect();
    assert_eq!(link.messages(2000).await, expected);
    drop(link);
    assert_eq!(server.await.unwrap().unwrap().payload, b"while paused");
}

#[tokio::test]
async fn a_paused_link_eventually_stops_reading() {
    let (port, server) = upgraded(|mut peer| async move {
        let whole = frame(0x82, vec![1; 60_000]);
        let mut sent = 0;
        // Until it is not read any more: far less than this fits into both sockets' buffers.
        for _ in 0..10_000 {
            let write = peer.stream.write_all(&whole);
            if tokio::time::timeout(std::time::Duration::from_millis(300), write)
                .await
                .is_err()
            {
                return sent;
            }
            sent += 1;
        }
        sent
    })
    .await;
    let mut link = TestLink::dial(target(format!("ws://127.0.0.1:{port}")));
    link.opened().await;
    link.dials.pause(DIAL);
    assert!(server.await.unwrap() < 10_000, "everything was read");
}

#[tokio::test]
async fn messages_of_a_server_that_does_not_read_are_received() {
    let (got, wait) = oneshot::channel::<()>();
    let (port, server) = upgraded(|mut peer| async move {
        for n in 0..100 {
            peer.send(frame(0x81, n.to_string())).await;
        }
        wait.await.unwrap();
        let mut bytes = 0;
        while let Some(frame) = peer.frame().await {
            bytes += frame.payload.len();
            if frame.first == 0x88 {
                break;
            }
        }
        bytes
    })
    .await;
    let mut link = TestLink::dial(target(format!("ws://127.0.0.1:{port}")));
    link.opened().await;
    for _ in 0..20 {
        link.transmit(payload(1_000_000, false));
    }
    let expected: Vec<_> = (0..100).map(|n| text(n.to_string())).collect();
    assert_eq!(link.messages(100).await, expected);
    got.send(()).unwrap();
    link.written(20).await;
    link.dials.hang_up(DIAL, 1000, String::new());
    assert_eq!(server.await.unwrap(), 20_000_002);
}

#[tokio::test]
async fn a_link_whose_events_are_not_read_still_writes_and_loses_nothing() {
    const COUNT: usize = 50_000;
    let (port, server) = upgraded(|mut peer| async move {
        let (mut reading, mut writing) = peer.stream.split();
        let send = async {
            for n in 0..COUNT {
                writing.write_all(&frame(0x81, n.to_string())).await.unwrap();
            }
        };
        let hear = async {
            let mut first = [0; 6 + 5];
            reading.read_exact(&mut first).await.unwrap();
        };
        tokio::join!(send, hear);
        peer.until_end().await;
    })
    .await;
    let target = target(format!("ws://127.0.0.1:{port}"));
    let mut link = TestLink::dial_by(NetworkSettings::default(), target, 1);
    link.opened().await;
    link.transmit(Payload::text("hello"));
    // Nothing is taken until the queue has been full for a while.
    while link.events.is_empty() {
        tokio::task::yield_now().await;
    }
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let expected: Vec<_> = (0..COUNT).map(|n| text(n.to_string())).collect();
    assert_eq!(link.messages(COUNT).await, expected);
    drop(link);
    server.await.unwrap();
}

#[tokio::test]
async fn many_messages_arrive_in_few_events() {
    let (port, _server) = upgraded(|mut peer| async move {
        let all: Vec<u8> = (0..1000).flat_map(|n| frame(0x81, n.to_string())).collect();
        peer.send(all).await;
        peer.until_end().await;
    })
    .await;
    let mut link = TestLink::dial(target(format!("ws://127.0.0.1:{port}")));
    link.opened().await;
    let mut messages = Vec::new();
    let mut largest = 0;
    while messages.len() < 1000 {
        if let LinkEvent::Messages(more) = link.next().await {
            largest = largest.max(more.len());
            messages.extend(more);
        }
    }
    assert!((20..=256).contains(&largest), "{largest} in one event");
}

#[tokio::test]
async fn closing_writes_transmitted_messages_then_closes_without_events() {
    let (port, server) = upgraded(|mut peer| async move {
        let mut frames = Vec::new();
        while let Some(frame) = peer.frame().await {
            frames.push((frame.first, frame.payload.clone()));
            if frame.first == 0x88 {
                peer.send(super::servers::frame(0x88, &frame.payload)).await;
                break;
            }
        }
        frames
    })
    .await;
    let mut link = TestLink::dial(target(format!("ws://127.0.0.1:{port}")));
    link.opened().await;
    for n in 0..50 {
        link.transmit(Payload::text(n.to_string()));
    }
    link.dials.hang_up(DIAL, 4000, "bye".to_owned());
    let frames = server.await.unwrap();
    let mut expected: Vec<_> = (0..50).map(|n| (0x81, n.to_string().into_bytes())).collect();
    expected.push((0x88, close(4000, "bye")));
    assert_eq!(frames, expected);
    tokio::time::timeout(TEST_TIMEOUT, link.dials.settle())
        .await
        .unwrap();
    drop(link.dials);
    while let Some((_, event)) = link.events.recv().await {
        assert!(!matches!(event, LinkEvent::Ended(_)), "{event:?}");
    }
}

#[tokio::test]
async fn a_server_that_ignores_the_close_frame_is_disconnected() {
    let (port, server) = upgraded(|mut peer| async move {
        peer.until_end().await;
    })
    .await;
    let mut link = TestLink::dial(target(format!("ws://127.0.0.1:{port}")));
    link.opened().await;
    link.dials.hang_up(DIAL, 1000, String::new());
    tokio::time::timeout(TEST_TIMEOUT, link.dials.settle())
        .await
        .unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn after_a_reset_taken_is_between_written_and_transmitted() {
    let (go, wait) = oneshot::channel::<()>();
    let (port, _) = upgraded(|peer| async move {
        wait.await.unwrap();
        peer.stream.set_zero_linger().unwrap();
    })
    .await;
    let mut link = TestLink::dial(target(format!("ws://127.0.0.1:{port}")));
    link.opened().await;
    for _ in 0..200 {
        link.transmit(payload(100_000, false));
    }
    let mut written = link.written(1).await;
    go.send(()).unwrap();
    let end = loop {
        match link.next().await {
            LinkEvent::Written(count) => written = count,
            LinkEvent::Ended(end) => break end,
            _ => {}
        }
    };
    assert!(
        (written..=written + 1).contains(&end.taken) && end.taken < 200,
        "written {written}, taken {}",
        end.taken
    );
}

#[tokio::test]
async fn one_fast_server_does_not_fill_the_shared_queue() {
    const SENT: usize = 20_000;
    const ON_THE_WAY: usize = 2048;
    let (port, _server) = upgraded(|mut peer| async move {
        let flood: Vec<u8> = (0..SENT).flat_map(|n| frame(0x81, n.to_string())).collect();
        peer.send(flood).await;
        peer.until_end().await;
    })
    .await;
    let mut link = TestLink::dial(target(format!("ws://127.0.0.1:{port}")));
    link.opened().await;
    let mut received = Vec::new();
    while received.len() < ON_THE_WAY / 2 {
        if let LinkEvent::Messages(messages) = link.next_on_its_way().await {
            received.extend(messages);
        }
    }
    // Whoever writes is not kept waiting.
    for n in 1..=20 {
        link.transmit(Payload::text("up"));
        loop {
            match link.next_on_its_way().await {
                LinkEvent::Messages(messages) => received.extend(messages),
                LinkEvent::Written(written) if written == n => break,
                _ => {}
            }
        }
    }
    assert!(
        received.len() < ON_THE_WAY,
        "{} reported although none were read",
        received.len()
    );
    link.dials.took(DIAL, credit::cost(&received));
    while received.len() < SENT {
        received.extend(link.messages(1).await);
    }
    let expected: Vec<_> = (0..SENT).map(|n| text(n.to_string())).collect();
    assert_eq!(received, expected);
}
