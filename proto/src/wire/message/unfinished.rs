//! The `id` and `session` of an incomplete frame, if its beginning has them, so that it can be answered.
//!
//! For frames that are refused before they are whole. It reads the first bytes only and decides nothing.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};

use crate::wire::record::{ErrorInfo, Name};

use super::from_extension::RefusedFrame;

/// Bytes that are looked at; the SDK writes both fields at the beginning.
const MAX_PREFIX_BYTES: usize = 1024;

impl RefusedFrame {
    /// The refusal of a frame of which this much has come.
    pub fn of_unfinished(begun: &[u8], error: ErrorInfo) -> Self {
        let begun = begun.get(..MAX_PREFIX_BYTES).unwrap_or(begun);
        let mut refusal = Self {
            error,
            id: None,
            session: None,
        };
        // It ends in an error where the bytes end; what was found by then is kept.
        let _ = RefusedFields(&mut refusal).deserialize(&mut serde_json::Deserializer::from_slice(begun));
        refusal
    }
}

struct RefusedFields<'a>(&'a mut RefusedFrame);

impl<'de> DeserializeSeed<'de> for RefusedFields<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RefusedFields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a frame")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "id" => self.0.id = Some(Name::from(map.next_value::<String>()?)),
                "session" => self.0.session = Some(Name::from(map.next_value::<String>()?)),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::code::Code;

    #[test]
    fn the_beginning_of_an_oversize_frame_identifies_its_sender() {
        for (begun, id, session) in [
            (
                r#"{"type":"send","session":"s","id":"7","text":"xxx"#,
                Some("7"),
                Some("s"),
            ),
            (
                r#"{"type":"send","id":"7","text":"{\"session\":\"no\"}"#,
                Some("7"),
                None,
            ),
            (r#"{"text":"xxxxx"#, None, None),
            (r#"{"type":"send","id":7,"session":"s"#, None, None),
            ("[1,2", None, None),
            ("", None, None),
        ] {
            let error = ErrorInfo::new(Code::Overflow, "too much");
            let refusal = RefusedFrame::of_unfinished(begun.as_bytes(), error);
            assert_eq!(
                (refusal.id.as_deref(), refusal.session.as_deref()),
                (id, session),
                "{begun}"
            );
        }
    }
}
