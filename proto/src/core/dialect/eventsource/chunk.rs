//! The parser of an event stream, in the handler or lent to another thread: a piece that ends a large event takes long.

use bytes::Bytes;

use crate::wire::rule::PARSED_WHOLE;

use super::parser::{ParsedEvent, Parser};

/// A piece of a stream, and the parser that is to take it.
#[derive(Debug)]
pub(crate) struct EventStreamChunk {
    parser: Parser,
    bytes: Bytes,
}

/// The contents of a piece of a stream, and the parser that read it.
#[derive(Debug)]
pub(crate) struct ReadChunk {
    parser: Parser,
    parsed: Vec<ParsedEvent>,
}

impl EventStreamChunk {
    /// Parses it.
    pub(crate) fn read(mut self) -> ReadChunk {
        let mut parsed = Vec::new();
        self.parser.push(&self.bytes, &mut parsed);
        ReadChunk {
            parser: self.parser,
            parsed,
        }
    }
}

impl ReadChunk {
    /// The data of its large events.
    pub(crate) fn contents(&self) -> Vec<Bytes> {
        let contents = self.parsed.iter().filter_map(|parsed| match parsed {
            ParsedEvent::Event { data, .. } if data.len() > PARSED_WHOLE => Some(data.clone()),
            _ => None,
        });
        contents.collect()
    }
}

/// Where the parser is.
#[derive(Debug)]
pub(super) enum ParserState {
    Idle(Parser),
    /// It parses a piece elsewhere.
    Busy {
        /// Bytes of events that have come in part.
        buffered: usize,
        /// There is no room for them.
        is_given_up: bool,
        /// Bytes of one event's data, at most.
        max_data_bytes: usize,
    },
}

impl ParserState {
    /// At the beginning of a stream. `max_data_bytes`: bytes of one event's data.
    pub(super) const fn new(max_data_bytes: usize) -> Self {
        Self::Idle(Parser::new(max_data_bytes))
    }

    /// Gives the parser away with a piece that may end a large event.
    pub(super) fn give_away(&mut self, bytes: &Bytes) -> Option<EventStreamChunk> {
        let Self::Idle(parser) = self else { return None };
        let ends_line = || bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
        if parser.buffered() + bytes.len() <= PARSED_WHOLE || !ends_line() {
            return None;
        }
        let away = Self::Busy {
            buffered: parser.buffered() + bytes.len(),
            is_given_up: false,
            max_data_bytes: parser.max_data_bytes(),
        };
        match std::mem::replace(self, away) {
            Self::Idle(parser) => Some(EventStreamChunk {
                parser,
                bytes: bytes.clone(),
            }),
            Self::Busy { .. } => None,
        }
    }

    /// Parses a piece, unless that has been done: then the parser comes back with it.
    pub(super) fn push(&mut self, bytes: &[u8], read: Option<Box<ReadChunk>>) -> Vec<ParsedEvent> {
        match (self, read) {
            (Self::Idle(parser), _) => {
                let mut parsed = Vec::new();
                parser.push(bytes, &mut parsed);
                parsed
            }
            (away @ Self::Busy { .. }, read) => away.come_back(read),
        }
    }

    fn come_back(&mut self, read: Option<Box<ReadChunk>>) -> Vec<ParsedEvent> {
        let Self::Busy {
            is_given_up,
            max_data_bytes,
            ..
        } = *self
        else {
            return Vec::new();
        };
        let is_lost = read.is_none();
        let (mut parser, parsed) = read.map_or_else(
            || (Parser::new(max_data_bytes), Vec::new()),
            |read| (read.parser, read.parsed),
        );
        if is_given_up || is_lost {
            parser.give_up();
        }
        *self = Self::Idle(parser);
        parsed
    }

    /// Bytes of the event that has come in part.
    pub(super) const fn buffered(&self) -> usize {
        match self {
            Self::Idle(parser) => parser.buffered(),
            Self::Busy { buffered, .. } => *buffered,
        }
    }

    /// The event that has come in part is too large.
    pub(super) fn give_up(&mut self) {
        match self {
            Self::Idle(parser) => parser.give_up(),
            Self::Busy {
                is_given_up,
                buffered,
                ..
            } => (*is_given_up, *buffered) = (true, 0),
        }
    }
}
