//! External input may be anything at all: the readers of frames and journals must tolerate it.
//!
//! Inputs are mutated vectors. `fuzz/` tests the same with coverage; this runs with every test.

use longwire::wire::batch::Shape;
use longwire::wire::code::Code;
use longwire::wire::frame::{FROM_BROWSER, Frames, TO_BROWSER, Taken, framed};
use longwire::wire::message::ClientFrame;
use longwire::wire::part::Joiner;
use proptest::prelude::*;
use serde::de::IgnoredAny;

use crate::vectors::{to_broker, to_extension};

/// The JSON of every vector.
fn seeds() -> Vec<String> {
    let vectors = to_broker().into_iter().chain(to_extension());
    vectors.map(|vector| vector.frame.get().to_owned()).collect()
}

/// A change to some bytes.
#[derive(Debug, Clone)]
enum Mutation {
    Set(prop::sample::Index, u8),
    Remove(prop::sample::Index, usize),
    Insert(prop::sample::Index, Vec<u8>),
    Double(prop::sample::Index, usize),
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let index = any::<prop::sample::Index>;
    let word = prop::sample::select(vec![
        "\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "1e999",
        "-1",
        "\\u0000",
        "\\ud800",
        "\u{0}",
        "😀",
        "9007199254740993",
    ]);
    let mutation = prop_oneof![
        (index(), any::<u8>()).prop_map(|(at, to)| Mutation::Set(at, to)),
        (index(), 1..40usize).prop_map(|(at, count)| Mutation::Remove(at, count)),
        (index(), word).prop_map(|(at, word)| Mutation::Insert(at, word.as_bytes().to_vec())),
        (index(), 1..40usize).prop_map(|(at, count)| Mutation::Double(at, count)),
    ];
    prop::collection::vec(mutation, 0..6)
}

fn mutate(seed: &str, mutations: Vec<Mutation>) -> Vec<u8> {
    let mut bytes = seed.as_bytes().to_vec();
    for mutation in mutations {
        match mutation {
            Mutation::Set(at, to) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] = to;
            }
            Mutation::Remove(at, count) => {
                let at = at.index(bytes.len() + 1);
                let end = (at + count).min(bytes.len());
                bytes.drain(at..end);
            }
            Mutation::Insert(at, more) => {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..at, more);
            }
            Mutation::Double(at, count) => {
                let at = at.index(bytes.len() + 1);
                let end = (at + count).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            Mutation::Set(..) => {}
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes is read, or refused with a code of the protocol's own group and a sentence.
    #[test]
    fn a_mutated_frame_is_parsed_or_refused(seed in prop::sample::select(seeds()), mutations in mutations()) {
        let bytes = mutate(&seed, mutations);
        match ClientFrame::parse(&bytes) {
            Ok(_) => {
                let json = serde_json::from_slice::<IgnoredAny>(&bytes);
                prop_assert!(json.is_ok(), "read what is no JSON");
            }
            Err(refusal) => {
                prop_assert!(!refusal.error.message.is_empty());
                prop_assert!(matches!(
                    refusal.error.code,
                    Code::BadFrame | Code::BadJson | Code::UnknownType | Code::Unsupported
                        | Code::BadSessionName | Code::BadOption | Code::BadUrl
                ));
            }
        }
        match Shape::of(&bytes) {
            Ok(Shape::Part(part)) => {
                let _ = Joiner::default().join(&part);
            }
            Ok(Shape::Batch(frames)) => {
                for frame in frames {
                    let _ = ClientFrame::parse(frame.get().as_bytes());
                }
            }
            Ok(Shape::Single) | Err(_) => {}
        }
    }

    /// Frames come out whole and in order, wherever the pipe splits them.
    #[test]
    fn frames_are_reassembled_from_any_chunks(
        texts in prop::collection::vec(prop::sample::select(seeds()), 0..12),
        cuts in prop::collection::vec(1..200usize, 1..40),
    ) {
        let stream: Vec<u8> = texts.iter().flat_map(|text| framed(text.as_bytes())).collect();
        let mut frames = Frames::new(FROM_BROWSER);
        let (mut rest, mut taken, mut turn) = (stream.as_slice(), Vec::new(), 0);
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(cuts[turn % cuts.len()].min(rest.len()));
            frames.push(head);
            while let Some(Taken::Frame(frame)) = frames.take() {
                taken.push(String::from_utf8(frame.to_vec()).unwrap());
            }
            (rest, turn) = (tail, turn + 1);
        }
        prop_assert_eq!(taken, texts);
        prop_assert!(!frames.is_torn());
    }

    /// Any bytes on the pipe: no panic, nothing above the limit, and what is too large is skipped, not kept.
    #[test]
    fn any_bytes_on_the_pipe_are_framed_or_skipped(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut frames = Frames::new(TO_BROWSER);
        frames.push(&bytes);
        while let Some(taken) = frames.take() {
            match taken {
                Taken::Frame(frame) => prop_assert!(frame.len() <= bytes.len()),
                Taken::TooLarge(size) => prop_assert!(size > TO_BROWSER),
            }
        }
    }
}
