//! The parser of an event stream, here or away: a piece that ends a large event takes long to parse.

use bytes::Bytes;

use crate::wire::rule::PARSED_WHOLE;

use super::parser::{ParsedEvent, Parser};

/// A piece of a stream, and the parser that is to take it.
#[derive(Debug)]
pub(crate) struct EventStreamChunk {
    parser: Parser,
    bytes: Bytes,
}

/// What a piece of a stream says, and the parser that took it.
#[derive(Debug)]
pub(crate) struct ReadChunk {
    parser: Parser,
    told: Vec<ParsedEvent>,
}

impl EventStreamChunk {
    /// Parses it.
    pub(crate) fn read(mut self) -> ReadChunk {
        let mut told = Vec::new();
        self.parser.push(&self.bytes, &mut told);
        ReadChunk {
            parser: self.parser,
            told,
        }
    }
}

impl ReadChunk {
    /// The data of its large events.
    pub(crate) fn contents(&self) -> Vec<Bytes> {
        let contents = self.told.iter().filter_map(|told| match told {
            ParsedEvent::Event { data, .. } if data.len() > PARSED_WHOLE => Some(data.clone()),
            _ => None,
        });
        contents.collect()
    }
}

/// Where the parser is.
#[derive(Debug)]
pub(super) enum Reader {
    Here(Parser),
    /// It parses a piece elsewhere.
    Away {
        /// Bytes of events that have come in part.
        held: usize,
        /// There is no room for them.
        is_given_up: bool,
        /// Bytes of one event's data, at most.
        most: usize,
    },
}

impl Reader {
    /// At the beginning of a stream. `most`: bytes of one event's data.
    pub(super) const fn new(most: usize) -> Self {
        Self::Here(Parser::new(most))
    }

    /// Gives the parser away with a piece that may end a large event.
    pub(super) fn give_away(&mut self, bytes: &Bytes) -> Option<EventStreamChunk> {
        let Self::Here(parser) = self else { return None };
        let ends_line = || bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
        if parser.held() + bytes.len() <= PARSED_WHOLE || !ends_line() {
            return None;
        }
        let away = Self::Away {
            held: parser.held() + bytes.len(),
            is_given_up: false,
            most: parser.most(),
        };
        match std::mem::replace(self, away) {
            Self::Here(parser) => Some(EventStreamChunk {
                parser,
                bytes: bytes.clone(),
            }),
            Self::Away { .. } => None,
        }
    }

    /// Parses a piece, unless that has been done: then the parser comes back with it.
    pub(super) fn push(&mut self, bytes: &[u8], read: Option<Box<ReadChunk>>) -> Vec<ParsedEvent> {
        match (self, read) {
            (Self::Here(parser), _) => {
                let mut told = Vec::new();
                parser.push(bytes, &mut told);
                told
            }
            (away @ Self::Away { .. }, read) => away.come_back(read),
        }
    }

    fn come_back(&mut self, read: Option<Box<ReadChunk>>) -> Vec<ParsedEvent> {
        let Self::Away {
            is_given_up, most, ..
        } = *self
        else {
            return Vec::new();
        };
        let is_lost = read.is_none();
        let (mut parser, told) = read.map_or_else(
            || (Parser::new(most), Vec::new()),
            |read| (read.parser, read.told),
        );
        if is_given_up || is_lost {
            parser.give_up();
        }
        *self = Self::Here(parser);
        told
    }

    /// Bytes of the event that has come in part.
    pub(super) const fn held(&self) -> usize {
        match self {
            Self::Here(parser) => parser.held(),
            Self::Away { held, .. } => *held,
        }
    }

    /// The event that has come in part is too large.
    pub(super) fn give_up(&mut self) {
        match self {
            Self::Here(parser) => parser.give_up(),
            Self::Away {
                is_given_up, held, ..
            } => (*is_given_up, *held) = (true, 0),
        }
    }
}
