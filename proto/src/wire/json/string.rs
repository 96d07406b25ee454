//! Strings as JavaScript has them: they may hold half a surrogate pair, which UTF-8 cannot.
//!
//! Decoded, they are WTF-8: UTF-8 in which such a half takes three bytes, as if it were a character.

use std::borrow::Cow;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::escape::write_inside;

/// A string of JavaScript.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JsString(Box<[u8]>);

impl JsString {
    /// The string that a JSON string stands for; `json` is a valid one with its quotes.
    pub fn from_json(json: &str) -> Self {
        Self(decoded(json).into_owned().into())
    }

    /// The string; `None` if it holds half a surrogate pair.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The string with U+FFFD for each half of a surrogate pair, as browsers send text.
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        lossy(Cow::Borrowed(&self.0))
    }

    /// As WTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As a JSON string, quotes included.
    pub fn to_json(&self) -> String {
        let mut json = Vec::with_capacity(self.0.len() + 2);
        encode(&self.0, &mut json);
        String::from_utf8(json).unwrap_or_default()
    }
}

impl From<&str> for JsString {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl PartialEq<str> for JsString {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

impl fmt::Debug for JsString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

/// What is UTF-8 as a string, the rest as its bytes.
impl Serialize for JsString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_str() {
            Some(text) => serializer.serialize_str(text),
            None => serializer.collect_seq(self.0.iter()),
        }
    }
}

impl<'de> Deserialize<'de> for JsString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum StringForm {
            Text(String),
            Bytes(Vec<u8>),
        }
        match StringForm::deserialize(deserializer)? {
            StringForm::Text(text) => Ok(Self(text.into_bytes().into())),
            StringForm::Bytes(bytes) if is_wtf8(&bytes) => Ok(Self(bytes.into())),
            StringForm::Bytes(_) => Err(D::Error::custom("these bytes are not a string")),
        }
    }
}

fn is_wtf8(bytes: &[u8]) -> bool {
    bytes.utf8_chunks().all(|chunk| {
        // A half is three bytes, which UTF-8 refuses one by one.
        matches!(chunk.invalid(), [] | [0xed] | [0xa0..=0xbf] | [0x80..=0xbf])
    })
}

/// What a JSON string stands for, as WTF-8. `json` is a valid one with its quotes.
pub(super) fn decoded(json: &str) -> Cow<'_, [u8]> {
    let inner = json.as_bytes();
    let inner = inner.get(1..inner.len().saturating_sub(1)).unwrap_or_default();
    let Some(first) = inner.iter().position(|byte| *byte == b'\\') else {
        return Cow::Borrowed(inner);
    };
    let mut out = Vec::with_capacity(inner.len());
    out.extend_from_slice(&inner[..first]);
    let mut at = first;
    while let Some(byte) = inner.get(at) {
        if *byte != b'\\' {
            out.push(*byte);
            at += 1;
            continue;
        }
        let escape = inner.get(at + 1).copied().unwrap_or_default();
        at += 2;
        match escape {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let mut unit = hex(inner, at);
                at += 4;
                // Two halves that stand side by side are one character.
                if (0xd800..0xdc00).contains(&unit) && inner.get(at..at + 2) == Some(b"\\u") {
                    let low = hex(inner, at + 2);
                    if (0xdc00..0xe000).contains(&low) {
                        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                        at += 6;
                    }
                }
                push(&mut out, unit);
            }
            plain => out.push(plain),
        }
    }
    Cow::Owned(out)
}

fn hex(text: &[u8], at: usize) -> u32 {
    text.get(at..at + 4)
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .unwrap_or(0xfffd)
}

fn push(out: &mut Vec<u8>, code: u32) {
    match char::from_u32(code) {
        Some(char) => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        // Half a pair.
        None => out.extend([
            0xe0 | low_byte(code >> 12),
            0x80 | low_byte(code >> 6 & 0x3f),
            0x80 | low_byte(code & 0x3f),
        ]),
    }
}

fn low_byte(bits: u32) -> u8 {
    bits.to_le_bytes()[0]
}

/// WTF-8 as text, with U+FFFD for each half of a surrogate pair.
pub(super) fn lossy(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    let text = match bytes {
        Cow::Borrowed(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => return Cow::Borrowed(text),
            Err(_) => bytes.to_vec(),
        },
        Cow::Owned(bytes) => match String::from_utf8(bytes) {
            Ok(text) => return Cow::Owned(text),
            Err(error) => error.into_bytes(),
        },
    };
    let mut out = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        out.push_str(chunk.valid());
        // Of the three bytes of a half, each is refused on its own: the first stands for all.
        if chunk.invalid().first() == Some(&0xed) {
            out.push('\u{fffd}');
        }
    }
    Cow::Owned(out)
}

/// Appends WTF-8 as a JSON string.
pub(super) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        write_inside(out, chunk.valid().as_bytes());
        at += chunk.valid().len();
        if let ([0xed], Some([_, high, low])) = (chunk.invalid(), bytes.get(at..at + 3)) {
            let unit = 0xd000 | u32::from(high & 0x3f) << 6 | u32::from(low & 0x3f);
            out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
        }
        at += chunk.invalid().len();
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_surrogates_survive_and_pairs_are_one_character() {
        for (json, lossy) in [
            (r#""a\ud83d""#, "a\u{fffd}"),
            (r#""\ude00b""#, "\u{fffd}b"),
            (r#""\ud83d\ud83dx\udc00""#, "\u{fffd}\u{fffd}x\u{fffd}"),
        ] {
            let string = JsString::from_json(json);
            assert_eq!(string.to_json(), json);
            assert_eq!(string.to_string_lossy(), lossy);
            assert_eq!(string.as_str(), None);
            let encoded = serde_json::to_string(&string).unwrap();
            assert_eq!(serde_json::from_str::<JsString>(&encoded).unwrap(), string);
        }
        let whole = JsString::from_json(r#""\uD83D\uDE00\n\/\u0041""#);
        assert_eq!(whole.as_str(), Some("\u{1f600}\n/A"));
        assert_eq!(JsString::from_json(r#""é""#).to_json(), r#""é""#);
    }

    #[test]
    fn invalid_bytes_are_not_deserialized_as_a_string() {
        assert!(serde_json::from_str::<JsString>("[237,160,189]").is_ok());
        assert!(serde_json::from_str::<JsString>("[255]").is_err());
        assert!(serde_json::from_str::<JsString>("[195]").is_err());
    }
}
