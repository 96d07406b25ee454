//! The reader on bytes as servers send them, cut anywhere.

use std::sync::Arc;

use super::super::deflate::Agreement;
use super::super::incoming::IncomingBytes;
use super::*;
use crate::core::rules::{ExtensionRule, Rules};
use proptest::prelude::*;

const ALL: InboxLimit = InboxLimit {
    messages: usize::MAX,
    bytes: usize::MAX,
};

/// A frame as a server writes it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        len @ 0..126 => out.push(len as u8),
        len @ 126..65_536 => {
            out.push(126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
    out
}

/// Feeds the reader as a link does: in pieces of these sizes, over and over, keeping what was not taken.
fn feed(
    reader: &mut FrameReader,
    input: &[u8],
    sizes: &[usize],
    limit: InboxLimit,
) -> (Inbox, Result<(), Violation>) {
    let mut inbox = Inbox::default();
    let mut output = Vec::new();
    let mut sizes = sizes.iter().copied().cycle();
    let mut input = input;
    let mut reported = Inbox::default();
    while !input.is_empty() {
        let (piece, rest) = input.split_at(sizes.next().unwrap_or(1).clamp(1, input.len()));
        input = rest;
        output.extend_from_slice(piece);
        loop {
            let taken = match reader.read(&output, &mut inbox, limit) {
                Ok(taken) => taken,
                Err(violation) => {
                    reported.messages.append(&mut inbox.messages);
                    return (reported, Err(violation));
                }
            };
            output.drain(..taken);
            let full = inbox.holds(limit.messages, limit.bytes);
            reported.messages.append(&mut inbox.messages);
            (inbox.bytes, inbox.work) = (0, 0);
            if !full {
                break;
            }
        }
        reader.release_buffers();
    }
    reported.pongs = inbox.pongs;
    reported.pings = inbox.pings;
    reported.close = inbox.close;
    (reported, Ok(()))
}

fn reader(max: usize) -> FrameReader {
    FrameReader::new(max, false, None)
}

fn read(input: &[u8]) -> (Inbox, Result<(), Violation>) {
    feed(&mut reader(1 << 20), input, &[usize::MAX], ALL)
}

fn texts(inbox: &Inbox) -> Vec<&str> {
    inbox
        .messages
        .iter()
        .map(|message| match message {
            Incoming::Message(payload) => payload.as_str().unwrap_or("<binary>"),
            Incoming::TooLarge { .. } => "<too large>",
        })
        .collect()
}

#[test]
fn a_message_above_the_memory_budget_is_skipped_and_the_next_is_read() {
    let all = IncomingBytes::default();
    all.set_rules(Arc::new(Rules {
        default: ExtensionRule {
            bytes: 1 << 20,
            ..ExtensionRule::default()
        },
        ..Rules::default()
    }));
    let origin = "chrome-extension://a/".into();
    let credit = || Credit::counted(&all, &origin);
    let large = frame(0x82, &vec![b'x'; 900 << 10]);
    let mut first = reader(64 << 20).counted_by(credit());
    let half = &large[..600 << 10];
    let (inbox, result) = feed(&mut first, half, &[4096], ALL);
    assert!(result.is_ok() && inbox.messages.is_empty(), "it is not whole");
    let mut second = reader(64 << 20).counted_by(credit());
    let mut input = large.clone();
    input.extend(frame(0x81, b"small"));
    let (inbox, _) = feed(&mut second, &input, &[4096], ALL);
    assert_eq!(
        texts(&inbox),
        ["<too large>", "small"],
        "the first holds the budget"
    );
    // The extension's other links have room again when that one ends.
    drop(first);
    let mut third = reader(64 << 20).counted_by(credit());
    let (inbox, _) = feed(&mut third, &large, &[4096], ALL);
    assert_eq!(texts(&inbox), ["<binary>"]);
}

#[test]
fn control_frames_between_fragments_are_handled() {
    let mut bytes = frame(0x01, b"Hel");
    bytes.extend(frame(0x89, b"ping"));
    bytes.extend(frame(0x00, b""));
    bytes.extend(frame(0x8a, &7u64.to_be_bytes()));
    bytes.extend(frame(0x8a, b"not ours"));
    bytes.extend(frame(0x8a, b"short"));
    bytes.extend(frame(0x80, b"lo"));
    bytes.extend(frame(0x88, &[0x0f, 0xa1, b'x']));
    bytes.extend(frame(0x81, b"too late"));
    let (inbox, result) = read(&bytes);
    assert_eq!(result, Ok(()));
    assert_eq!(texts(&inbox), ["Hello"]);
    assert_eq!(inbox.pings, [b"ping"]);
    assert_eq!(inbox.pongs, [7, u64::from_be_bytes(*b"not ours")]);
    assert_eq!(inbox.close, Some((4001, "x".to_owned())));
}

#[test]
fn json_is_distinguished_from_text() {
    let mut reader = FrameReader::new(1000, true, None);
    let mut bytes = frame(0x81, br#"{"a": [1, 2]}"#);
    bytes.extend(frame(0x81, b"{nonsense"));
    bytes.extend(frame(0x82, b"1"));
    let (inbox, _) = feed(&mut reader, &bytes, &[usize::MAX], ALL);
    assert_eq!(
        inbox.messages,
        [
            Payload::Json(Bytes::from_static(br#"{"a": [1, 2]}"#)),
            Payload::Text(Bytes::from_static(b"{nonsense")),
            Payload::Binary(Bytes::from_static(b"1")),
        ]
        .map(Incoming::Message)
    );
}

#[test]
fn protocol_violations_have_their_close_code() {
    let split_char = [frame(0x01, &[0xc3]), frame(0x80, &[0x28])].concat();
    for (bytes, close) in [
        (frame(0x80, b"x"), 1002),
        ([frame(0x01, b"a"), frame(0x81, b"b")].concat(), 1002),
        (frame(0xc1, b"x"), 1002),
        (frame(0x81, &[0xff]), 1007),
        (split_char, 1007),
        (frame(0x88, &[1]), 1002),
    ] {
        let (_, result) = read(&bytes);
        assert_eq!(
            result.map_err(|violation| violation.close),
            Err(close),
            "{bytes:?}"
        );
    }
    let character = [frame(0x01, &[0xc3]), frame(0x80, &[0xa4])].concat();
    assert_eq!(texts(&read(&character).0), ["ä"]);
}

#[test]
fn an_oversize_message_is_reported_in_order_and_reading_continues() {
    for large in [
        frame(0x82, &[0; 101]),
        frame(0x82, &[0; 70_000]),
        [frame(0x02, &[0; 60]), frame(0x80, &[0; 41])].concat(),
        [
            frame(0x01, &[0; 99]),
            frame(0x89, b"between"),
            frame(0x00, &[0; 9000]),
            frame(0x80, b""),
        ]
        .concat(),
    ] {
        let bytes: u64 = match large.len() {
            103 => 101,
            ..200 => 101,
            70_010 => 70_000,
            _ => 9099,
        };
        let input = [frame(0x81, b"before"), large, frame(0x81, b"behind")].concat();
        for size in [1, 7, 4096, usize::MAX] {
            let mut reader = reader(100);
            let (inbox, result) = feed(&mut reader, &input, &[size], ALL);
            assert_eq!(result, Ok(()));
            assert_eq!(texts(&inbox), ["before", "<too large>", "behind"]);
            assert_eq!(inbox.messages[1], Incoming::TooLarge { bytes: Some(bytes) });
            assert!(
                reader.data.capacity() <= 100,
                "{} bytes are held",
                reader.data.capacity()
            );
        }
    }
    let (inbox, result) = feed(&mut reader(100), &frame(0x82, &[0; 100]), &[7], ALL);
    assert_eq!((inbox.messages.len(), result), (1, Ok(())));
}

#[test]
fn an_endless_message_is_not_buffered() {
    let mut reader = reader(100);
    let mut inbox = Inbox::default();
    let head = [0x82, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255];
    assert_eq!(reader.read(&head, &mut inbox, ALL), Ok(head.len()));
    for _ in 0..100 {
        assert_eq!(reader.read(&[1; 65_536], &mut inbox, ALL), Ok(65_536));
    }
    assert_eq!((inbox.messages.len(), reader.data.capacity()), (0, 0));
}

#[test]
fn fragments_of_an_oversize_message_are_freed() {
    let mut reader = reader(100 << 10);
    let mut bytes = frame(0x02, &vec![b'x'; 90 << 10]);
    bytes.extend(frame(0x00, &vec![b'x'; 20 << 10]));
    let (inbox, result) = feed(&mut reader, &bytes, &[4096], ALL);
    assert!(result.is_ok() && inbox.messages.is_empty(), "it is not whole");
    assert_eq!(reader.data.capacity(), 0);
}

#[test]
fn a_decompression_bomb_is_skipped_and_the_next_message_is_read() {
    for (answer, keeps_window) in [
        ("permessage-deflate", true),
        ("permessage-deflate; server_no_context_takeover", false),
    ] {
        let mut state = flate2::Compress::new(flate2::Compression::best(), false);
        let mut input = Vec::new();
        for content in [
            b"one and two".to_vec(),
            vec![b'a'; 5_000_000],
            b"one and two, aaaa".to_vec(),
        ] {
            let mut wire = Vec::with_capacity(1 << 20);
            state
                .compress_vec(&content, &mut wire, flate2::FlushCompress::Sync)
                .unwrap();
            wire.truncate(wire.len() - 4);
            let (head, tail) = wire.split_at(wire.len() / 2);
            input.extend([frame(0x41, head), frame(0x80, tail)].concat());
            if !keeps_window {
                state.reset();
            }
        }
        for size in [1, 1000, usize::MAX] {
            let agreement = Agreement::read(answer).unwrap().unwrap();
            let mut reader = FrameReader::new(1000, false, Some(Inflater::new(agreement)));
            let (inbox, result) = feed(&mut reader, &input, &[size], ALL);
            assert_eq!(result, Ok(()), "{answer}");
            assert_eq!(texts(&inbox), ["one and two", "<too large>", "one and two, aaaa"]);
            assert!(reader.data.capacity() <= 64 * 1024, "{}", reader.data.capacity());
        }
    }
}

#[test]
fn frames_without_messages_yield_to_other_tasks() {
    let limit = InboxLimit {
        messages: 256,
        bytes: 256 << 10,
    };
    let pings = frame(0x89, b"p").repeat(100_000);
    let fragments = frame(0x00, b"x").repeat(100_000);
    for (begin, flood) in [(&b""[..], pings), (&frame(0x01, b"x"), fragments)] {
        let mut reader = reader(1 << 20);
        let mut inbox = Inbox::default();
        reader.read(begin, &mut inbox, limit).unwrap();
        let taken = reader.read(&flood, &mut inbox, limit).unwrap();
        assert!((1..5000).contains(&taken), "{taken}");
    }
}

#[test]
fn inflating_yields_to_other_tasks_also_when_nothing_is_stored() {
    let limit = InboxLimit {
        messages: 256,
        bytes: 256 << 10,
    };
    let mut state = flate2::Compress::new(flate2::Compression::best(), false);
    let mut bomb = Vec::with_capacity(1 << 20);
    state
        .compress_vec(&vec![0; 50_000_000], &mut bomb, flate2::FlushCompress::Sync)
        .unwrap();
    let input = frame(0xc2, &bomb);
    for max in [64 << 20, 1000] {
        let agreement = Agreement::read("permessage-deflate").unwrap().unwrap();
        let mut reader = FrameReader::new(max, false, Some(Inflater::new(agreement)));
        let (mut at, mut turns) = (0, 0);
        while at < input.len() {
            let mut inbox = Inbox::default();
            at += reader.read(&input[at..], &mut inbox, limit).unwrap();
            assert!(inbox.work < 1 << 20, "{max}: {}", inbox.work);
            turns += 1;
        }
        assert!(turns > 50, "{max}: {turns}");
    }
}

#[test]
fn stored_messages_do_not_retain_the_read_buffer() {
    let small = frame(0x82, &[1; 100]);
    let (inbox, _) = read(&small);
    let Some(Incoming::Message(Payload::Binary(bytes))) = inbox.messages.into_iter().next() else {
        panic!("no message")
    };
    assert!(bytes.try_into_mut().is_ok_and(|bytes| bytes.capacity() <= 128));
}

proptest! {
    /// However the bytes arrive, and however little room there is, the messages are the same.
    #[test]
    fn any_split_gives_the_same_messages(
        messages in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..6000), 1..4usize, any::<bool>()), 1..8),
        sizes in prop::collection::vec(1..5000usize, 1..6),
        limit in (1..4usize, 1..10_000usize),
    ) {
        let mut state = flate2::Compress::new(flate2::Compression::fast(), false);
        let mut bytes = Vec::new();
        for (content, fragments, compress) in &messages {
            let mut wire = content.clone();
            if *compress {
                wire = Vec::with_capacity(content.len() * 2 + 100);
                state.compress_vec(content, &mut wire, flate2::FlushCompress::Sync).unwrap();
                // An empty message behind an empty one flushes nothing; RFC 7692 (7.2.3.6) writes it so.
                wire = if wire.is_empty() { vec![0] } else { wire };
                wire.truncate(wire.len().saturating_sub(4).max(1));
            }
            let step = wire.len() / fragments + 1;
            let count = wire.chunks(step).count().max(1);
            for index in 0..count {
                let piece = wire.get(index * step..).unwrap_or_default();
                let piece = &piece[..piece.len().min(step)];
                let opcode = if index == 0 { 2 | if *compress { 0x40 } else { 0 } } else { 0 };
                let fin = if index + 1 == count { 0x80 } else { 0 };
                bytes.extend(frame(opcode | fin, piece));
                bytes.extend(frame(0x89, b"between"));
            }
        }
        let agreement = Agreement::read("permessage-deflate").unwrap().unwrap();
        let mut reader = FrameReader::new(1 << 20, false, Some(Inflater::new(agreement)));
        let limit = InboxLimit { messages: limit.0, bytes: limit.1 };
        let (inbox, result) = feed(&mut reader, &bytes, &sizes, limit);
        prop_assert_eq!(result, Ok(()));
        let expected: Vec<_> = messages
            .into_iter()
            .map(|(content, ..)| Incoming::Message(Payload::Binary(Bytes::from(content))))
            .collect();
        prop_assert_eq!(inbox.messages, expected);
    }

    /// No input makes it panic, loop or take more than it was given.
    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), sizes in prop::collection::vec(1..50usize, 1..4)) {
        let agreement = Agreement::read("permessage-deflate").unwrap().unwrap();
        let mut reader = FrameReader::new(1000, true, Some(Inflater::new(agreement)));
        let _ = feed(&mut reader, &bytes, &sizes, ALL);
    }
}
