//! The grammar of JSON (RFC 8259), exactly as `JSON.parse` accepts it, in one pass and without recursion.
//!
//! It builds nothing; a [`Sink`] may.

use std::fmt;

use super::escape::plain_prefix;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    Null,
    True,
    False,
    Number,
    String,
    Array,
    Object,
}

/// Where a text stops being JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyntaxError {
    /// It ends in the middle of a value.
    UnexpectedEnd,
    /// This byte cannot stand here.
    Unexpected(usize),
    /// It has 4 GiB or more.
    TooLong,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedEnd => f.write_str("it ends in the middle of a value"),
            Self::Unexpected(at) => write!(f, "unexpected character at byte {at}"),
            Self::TooLong => f.write_str("it has 4 GiB or more"),
        }
    }
}

/// Receives the tokens of a text in order. Of an object, keys and values alternate.
pub(super) trait Sink {
    /// A scalar or a key, from its first byte to the one after its last.
    fn scalar(&mut self, kind: ValueKind, start: usize, end: usize);
    /// An array or object begins.
    fn open(&mut self, kind: ValueKind, start: usize);
    /// The innermost array or object ends before this byte.
    fn close(&mut self, end: usize);
}

/// Receives nothing.
pub(super) struct Nothing;

impl Sink for Nothing {
    fn scalar(&mut self, _: ValueKind, _: usize, _: usize) {}
    fn open(&mut self, _: ValueKind, _: usize) {}
    fn close(&mut self, _: usize) {}
}

#[cfg(debug_assertions)]
std::thread_local! {
    static SCANNED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Bytes that this thread has scanned so far: tests ask who does it. Debug builds only.
#[cfg(debug_assertions)]
pub fn scanned() -> usize {
    SCANNED.get()
}

/// Reads a whole text, which is one value with white space around it.
pub(super) fn scan(text: &[u8], sink: &mut impl Sink) -> Result<(), SyntaxError> {
    #[cfg(debug_assertions)]
    SCANNED.set(SCANNED.get() + text.len());
    scan_value(text, sink)
}

fn scan_value(text: &[u8], sink: &mut impl Sink) -> Result<(), SyntaxError> {
    if u32::try_from(text.len()).is_err() {
        return Err(SyntaxError::TooLong);
    }
    let mut scanner = Scanner { text, at: 0 };
    let mut inside = Nesting::default();
    loop {
        // A value begins here.
        scanner.blanks();
        match scanner.peek()? {
            byte @ (b'[' | b'{') => {
                let kind = if byte == b'[' {
                    ValueKind::Array
                } else {
                    ValueKind::Object
                };
                sink.open(kind, scanner.at);
                scanner.at += 1;
                scanner.blanks();
                let end = if byte == b'[' { b']' } else { b'}' };
                if scanner.peek()? != end {
                    inside.push(kind);
                    if byte == b'{' {
                        scanner.key(sink)?;
                    }
                    continue;
                }
                scanner.at += 1;
                sink.close(scanner.at);
            }
            _ => {
                let start = scanner.at;
                let kind = scanner.scalar()?;
                sink.scalar(kind, start, scanner.at);
            }
        }
        match scanner.after_value(&mut inside, sink)? {
            Next::Value => {}
            Next::End => return Ok(()),
        }
    }
}

/// What follows a value.
enum Next {
    Value,
    /// The end of the text.
    End,
}

/// Of each array and object that is open, whether it is an object: one bit each.
#[derive(Default)]
struct Nesting {
    bits: Vec<u64>,
    depth: usize,
}

impl Nesting {
    fn push(&mut self, kind: ValueKind) {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if word == self.bits.len() {
            self.bits.push(0);
        }
        self.bits[word] = (self.bits[word] & !(1 << bit)) | (u64::from(kind == ValueKind::Object) << bit);
        self.depth += 1;
    }

    fn last(&self) -> Option<bool> {
        let index = self.depth.checked_sub(1)?;
        Some(self.bits[index / 64] >> (index % 64) & 1 == 1)
    }

    const fn pop(&mut self) {
        self.depth -= 1;
    }
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Result<u8, SyntaxError> {
        self.text.get(self.at).copied().ok_or(SyntaxError::UnexpectedEnd)
    }

    fn blanks(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// A value has ended: what follows belongs to what it stands in.
    fn after_value(&mut self, inside: &mut Nesting, sink: &mut impl Sink) -> Result<Next, SyntaxError> {
        loop {
            self.blanks();
            let Some(in_object) = inside.last() else {
                return match self.text.get(self.at) {
                    None => Ok(Next::End),
                    Some(_) => Err(SyntaxError::Unexpected(self.at)),
                };
            };
            match self.peek()? {
                b',' => {
                    self.at += 1;
                    if in_object {
                        self.blanks();
                        self.key(sink)?;
                    }
                    return Ok(Next::Value);
                }
                b']' if !in_object => {}
                b'}' if in_object => {}
                _ => return Err(SyntaxError::Unexpected(self.at)),
            }
            self.at += 1;
            inside.pop();
            sink.close(self.at);
        }
    }

    fn unexpected<T>(&self) -> Result<T, SyntaxError> {
        match self.text.get(self.at) {
            Some(_) => Err(SyntaxError::Unexpected(self.at)),
            None => Err(SyntaxError::UnexpectedEnd),
        }
    }

    /// A key and its colon.
    fn key(&mut self, sink: &mut impl Sink) -> Result<(), SyntaxError> {
        let start = self.at;
        if self.peek()? != b'"' {
            return self.unexpected();
        }
        self.string()?;
        sink.scalar(ValueKind::String, start, self.at);
        self.blanks();
        if self.peek()? != b':' {
            return self.unexpected();
        }
        self.at += 1;
        Ok(())
    }

    fn scalar(&mut self) -> Result<ValueKind, SyntaxError> {
        match self.peek()? {
            b'"' => self.string().map(|()| ValueKind::String),
            b'-' | b'0'..=b'9' => self.number().map(|()| ValueKind::Number),
            b'n' => self.word(b"null").map(|()| ValueKind::Null),
            b't' => self.word(b"true").map(|()| ValueKind::True),
            b'f' => self.word(b"false").map(|()| ValueKind::False),
            _ => self.unexpected(),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), SyntaxError> {
        for byte in word {
            if self.peek()? != *byte {
                return self.unexpected();
            }
            self.at += 1;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), SyntaxError> {
        self.at += 1;
        loop {
            self.at += plain_prefix(self.text.get(self.at..).unwrap_or_default());
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => {
                    self.at += 1;
                    match self.peek()? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
                        b'u' => {
                            self.at += 1;
                            for _ in 0..4 {
                                if !self.peek()?.is_ascii_hexdigit() {
                                    return self.unexpected();
                                }
                                self.at += 1;
                            }
                        }
                        _ => return self.unexpected(),
                    }
                }
                _ => return self.unexpected(),
            }
        }
    }

    fn number(&mut self) -> Result<(), SyntaxError> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        match self.peek()? {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits()?,
            _ => return self.unexpected(),
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.text.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// One digit at least.
    fn digits(&mut self) -> Result<(), SyntaxError> {
        if !self.peek()?.is_ascii_digit() {
            return self.unexpected();
        }
        while matches!(self.text.get(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }
}
