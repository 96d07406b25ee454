//! Reads JSON into a type. An object is read from an object only, and an error names the value that it is about.
//!
//! It does not know the types, nor whose fields they are.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;

use super::record::json_error_text;

/// A value with fields. Without it an array in the place of an object would be read too, field by field.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

/// Reads a value with fields.
///
/// # Errors
/// What is wrong, with the name of the field if it is about one: `` `minDelay`: invalid type: ... ``.
pub(crate) fn read_object<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T, String> {
    read_value(json).map(|Object(value)| value)
}

/// Reads any value.
///
/// # Errors
/// As `read_object`.
pub(crate) fn read_value<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T, String> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let place = error.path().to_string();
        let why = match error.inner().classify() {
            Category::Syntax => unreadable(error.inner()).to_owned(),
            _ => json_error_text(error.inner()),
        };
        if place == "." {
            why
        } else {
            format!("`{place}`: {why}")
        }
    })?;
    match deserializer.end() {
        Ok(()) => Ok(value),
        Err(error) => Err(json_error_text(&error)),
    }
}

/// Why a value that is JSON cannot be read: JavaScript has it and Rust has not, or it is neither a string nor an object in the
/// place of a word.
fn unreadable(error: &serde_json::Error) -> &'static str {
    let text = error.to_string();
    if text.contains("hex escape") || text.contains("surrogate") {
        "half of a surrogate pair is not allowed here"
    } else if text.contains("out of range") {
        "a number is too large"
    } else {
        "invalid type, expected a string"
    }
}

/// For `deserialize_with`: an array of objects.
pub(super) fn objects<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    let objects = Vec::<Object<T>>::deserialize(deserializer)?;
    Ok(objects.into_iter().map(|Object(value)| value).collect())
}

/// For `deserialize_with`: an object, or `null` for none.
pub(super) fn optional_object<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    let object = Option::<Object<T>>::deserialize(deserializer)?;
    Ok(object.map(|Object(value)| value))
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Form<'a> {
        #[serde(borrow)]
        raw: &'a RawValue,
        #[serde(default, deserialize_with = "optional_object")]
        inner: Option<Inner>,
        #[serde(default, deserialize_with = "objects")]
        list: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        number: u8,
    }

    #[test]
    fn a_value_that_only_javascript_reads_is_named() {
        let half = read_value::<String>(r#""\ud83d""#).unwrap_err();
        assert_eq!(half, "half of a surrogate pair is not allowed here");
        let large = read_value::<serde_json::Value>("[1e999]").unwrap_err();
        assert_eq!(large, "`[0]`: a number is too large");
    }

    #[test]
    fn an_array_is_not_read_as_an_object() {
        for json in [
            "[1]",
            r#"{"raw":1,"inner":[1]}"#,
            r#"{"raw":1,"list":[{"number":1},[2]]}"#,
        ] {
            let why = read_object::<Form<'_>>(json).unwrap_err();
            assert!(why.ends_with("invalid type: array, expected an object"), "{why}");
        }
        let form: Form<'_> =
            read_object(r#"{"raw":[ 1 ],"inner":{"number":2},"list":[{"number":3}]}"#).unwrap();
        assert_eq!(form.raw.get(), "[ 1 ]");
        assert_eq!((form.inner.unwrap().number, form.list[0].number), (2, 3));
    }

    #[test]
    fn an_error_names_its_value() {
        for (json, why) in [
            (
                r#"{"raw":1,"inner":{"number":"2"}}"#,
                "`inner.number`: invalid type: string \"2\", expected a whole number from 0 to 255",
            ),
            (
                r#"{"raw":1,"list":[{"number":1},{}]}"#,
                "`list[1]`: missing field `number`",
            ),
            ("{}", "missing field `raw`"),
        ] {
            assert_eq!(read_object::<Form<'_>>(json).unwrap_err(), why);
        }
        assert!(read_object::<Form<'_>>(r#"{"raw":1} x"#).is_err());
    }
}
