//! Values as compact JSON, the same text for equal values.
//!
//! It writes without recursion, and stops when what is written is more than the caller wants.

use std::collections::BTreeMap;

use super::{Value, ValueKind, number, string};

impl Value<'_> {
    /// The value as compact JSON, the same text for equal values: keys in order, numbers however they were written.
    pub fn canonical(self) -> String {
        let mut out = Vec::new();
        self.write_canonical(&mut out, |_| true);
        String::from_utf8(out).unwrap_or_default()
    }

    /// Whether its canonical text is among these. What is much larger than all of them is not written out.
    pub fn is_among<'w>(self, wanted: impl Fn(&str) -> bool + 'w, longest: usize) -> bool {
        let mut out = Vec::new();
        let is_whole = self.write_canonical(&mut out, |written| written <= longest);
        is_whole && String::from_utf8(out).is_ok_and(|text| wanted(&text))
    }

    /// Writes as long as `goes_on` with what is written; whether it came to the end.
    fn write_canonical(self, out: &mut Vec<u8>, goes_on: impl Fn(usize) -> bool) -> bool {
        enum WriteTask<'d> {
            Value(Value<'d>),
            Key(Vec<u8>),
            Byte(u8),
        }
        let mut tasks = vec![WriteTask::Value(self)];
        while let Some(next) = tasks.pop() {
            match next {
                WriteTask::Byte(byte) => out.push(byte),
                WriteTask::Key(key) => {
                    string::encode(&key, out);
                    out.push(b':');
                }
                WriteTask::Value(value) => match value.kind() {
                    ValueKind::Number => number::canonical(value.raw(), out),
                    ValueKind::String => string::encode(&value.decoded(), out),
                    ValueKind::Null | ValueKind::True | ValueKind::False => {
                        out.extend_from_slice(value.raw().as_bytes())
                    }
                    ValueKind::Array => {
                        out.push(b'[');
                        let begin = tasks.len();
                        for element in value.elements() {
                            if tasks.len() > begin {
                                tasks.push(WriteTask::Byte(b','));
                            }
                            tasks.push(WriteTask::Value(element));
                            if !goes_on(out.len() + tasks.len() - begin) {
                                return false;
                            }
                        }
                        tasks[begin..].reverse();
                        tasks.insert(begin, WriteTask::Byte(b']'));
                    }
                    ValueKind::Object => {
                        out.push(b'{');
                        let members: BTreeMap<_, _> = value
                            .members()
                            .map(|(key, value)| (key.decoded().into_owned(), value))
                            .collect();
                        let begin = tasks.len();
                        for (key, value) in members {
                            if tasks.len() > begin {
                                tasks.push(WriteTask::Byte(b','));
                            }
                            tasks.push(WriteTask::Key(key));
                            tasks.push(WriteTask::Value(value));
                        }
                        tasks[begin..].reverse();
                        tasks.insert(begin, WriteTask::Byte(b'}'));
                    }
                },
            }
            if !goes_on(out.len()) {
                return false;
            }
        }
        true
    }
}
