//! The option `login`: the answers to a server's messages before the connection is ready.
//!
//! A step selects a message by a rule, extracts values from it, and has the message to send, with those values or with
//! the provider's. It keeps no state; `core::session::uplink::login` does.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{Document, Value, ValueKind};
use super::object::{objects, read_value};
use super::payload::Payload;
use super::rule::{ParsedMessage, Rule, check_pointer};

/// Steps a login may have, values a step may take, and pointers that lead to one.
const MAX_STEPS: usize = 16;

/// JSON texts by name.
pub type Values = BTreeMap<String, String>;

/// Where a value stands in a message: JSON pointers, each applied to the JSON text that the one before leads to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "PathForm")]
pub enum ValuePath {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a value is taken from a JSON pointer, or an array of them"
)]
enum PathForm {
    One(String),
    Many(Vec<String>),
}

impl TryFrom<PathForm> for ValuePath {
    type Error = String;

    fn try_from(form: PathForm) -> Result<Self, String> {
        let path = match form {
            PathForm::One(pointer) => Self::One(pointer),
            PathForm::Many(pointers) if pointers.len() <= MAX_STEPS => Self::Many(pointers),
            PathForm::Many(_) => return Err(format!("at most {MAX_STEPS} pointers lead to a value")),
        };
        path.pointers()
            .iter()
            .try_for_each(|pointer| check_pointer(pointer))?;
        Ok(path)
    }
}

impl ValuePath {
    /// The value as JSON text; `None` where there is none.
    pub fn find(&self, message: &ParsedMessage<'_>) -> Option<String> {
        let mut found = None;
        find_all(message, vec![((), self.pointers())], |(), value| {
            found = Some(value)
        });
        found
    }

    fn pointers(&self) -> &[String] {
        match self {
            Self::One(pointer) => std::slice::from_ref(pointer),
            Self::Many(pointers) => pointers,
        }
    }
}

/// Finds values in a message, which is parsed once for all of them.
fn find_all<N: Copy>(
    message: &ParsedMessage<'_>,
    paths: Vec<(N, &[String])>,
    mut found: impl FnMut(N, String),
) {
    // Nobody logs in with a message that large.
    if message.small_text().is_some() {
        message.pointer(b"", |root| {
            if let Some(root) = root.and_then(|root| root.value) {
                find_within(root, paths, &mut found);
            }
        });
    }
}

/// Finds values within one. A text that several paths lead through is parsed once.
fn find_within<N: Copy>(value: Value<'_>, paths: Vec<(N, &[String])>, found: &mut impl FnMut(N, String)) {
    let mut further: BTreeMap<&str, Vec<(N, &[String])>> = BTreeMap::new();
    for (name, path) in paths {
        match path {
            [] => found(name, value.raw().to_owned()),
            [pointer, rest @ ..] => further.entry(pointer).or_default().push((name, rest)),
        }
    }
    for (pointer, paths) in further {
        let Some(value) = value.pointer(pointer) else {
            continue;
        };
        let (ending, leading): (Vec<_>, Vec<_>) = paths.into_iter().partition(|(_, rest)| rest.is_empty());
        for (name, _) in ending {
            found(name, value.raw().to_owned());
        }
        if leading.is_empty() {
            continue;
        }
        let Some(text) = value.to_text() else {
            find_within(value, leading, found);
            continue;
        };
        if let Ok(document) = Document::parse(&text) {
            find_within(document.root(), leading, found);
        }
    }
}

/// What may be sent: a payload with places for values.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "serde_json::Map<String, serde_json::Value>")]
pub enum Template {
    /// `${name}` and `${/pointer}` stand for texts.
    Text(String),
    /// `{"$value": name}` and `{"$auth": pointer}` stand for values.
    Json(serde_json::Value),
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct LoginStep {
    /// The messages that it answers.
    pub when: Rule,
    /// Values to keep for this connection.
    pub take: Vec<(String, ValuePath)>,
    /// The provider is asked first, with the values there are.
    pub ask: bool,
    /// The message is a refusal: the credentials are not valid.
    pub refused: bool,
    /// What is sent.
    pub send: Vec<Template>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepForm {
    when: Box<RawValue>,
    #[serde(default)]
    take: BTreeMap<String, ValuePath>,
    #[serde(default)]
    ask: bool,
    #[serde(default)]
    refused: bool,
    #[serde(default)]
    send: Vec<Template>,
}

impl TryFrom<serde_json::Map<String, serde_json::Value>> for Template {
    type Error = &'static str;

    fn try_from(form: serde_json::Map<String, serde_json::Value>) -> Result<Self, Self::Error> {
        let mut fields = form.into_iter();
        match (fields.next(), fields.next()) {
            (Some((form, value)), None) if form == "json" => Ok(Self::Json(value)),
            (Some((form, serde_json::Value::String(text))), None) if form == "text" => Ok(Self::Text(text)),
            _ => Err("what is sent has one field: `json`, or `text`, which is a string"),
        }
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Steps(#[serde(deserialize_with = "objects")] Vec<StepForm>);

/// Parses the option, or returns what is wrong.
pub(super) fn read_login(json: &str) -> Result<Vec<LoginStep>, String> {
    let Steps(forms) = read_value(json)?;
    if forms.len() > MAX_STEPS || forms.iter().any(|form| form.take.len() > MAX_STEPS) {
        return Err(format!("at most {MAX_STEPS} steps and as many values"));
    }
    forms.into_iter().map(LoginStep::from_form).collect()
}

impl LoginStep {
    /// The values that it takes from a message.
    pub fn values(&self, message: &ParsedMessage<'_>) -> Values {
        let paths = self
            .take
            .iter()
            .map(|(name, path)| (name.as_str(), path.pointers()));
        let mut values = Values::new();
        find_all(message, paths.collect(), |name, value| {
            values.insert(name.to_owned(), value);
        });
        values
    }

    fn from_form(form: StepForm) -> Result<Self, String> {
        Ok(Self {
            when: Rule::from_json(form.when.get())?,
            take: form.take.into_iter().collect(),
            ask: form.ask,
            refused: form.refused,
            send: form.send,
        })
    }
}

impl Template {
    /// The payload with values in their places; the error names one that is missing.
    pub fn fill(&self, values: &Values, auth: Option<&str>) -> Result<Payload, String> {
        let source = ValueSource { values, auth };
        match self {
            Self::Text(text) => source.fill_text(text).map(Payload::text),
            Self::Json(value) => {
                let mut out = String::new();
                source.fill_json(value, &mut out)?;
                Payload::json_from_slice(out.into()).ok_or_else(|| "a value that is not JSON".to_owned())
            }
        }
    }
}

/// Where values come from.
struct ValueSource<'a> {
    values: &'a Values,
    auth: Option<&'a str>,
}

impl ValueSource<'_> {
    fn value(&self, name: &str) -> Result<String, String> {
        let found = self.values.get(name).cloned();
        found.ok_or_else(|| format!("the server sent no `{name}`"))
    }

    fn credential(&self, pointer: &str) -> Result<String, String> {
        let document = self.auth.and_then(|auth| Document::parse(auth).ok());
        let value = document
            .as_ref()
            .and_then(|document| document.root().pointer(pointer));
        let found = value.map(|value| value.raw().to_owned());
        found.ok_or_else(|| format!("the provider returned no `{pointer}`"))
    }

    fn fill_text(&self, template: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, behind)) = after.split_once('}') else {
                break;
            };
            out.push_str(before);
            let json = if name.starts_with('/') {
                self.credential(name)?
            } else {
                self.value(name)?
            };
            let document = Document::parse(&json).map_err(|error| error.to_string())?;
            match document.root().kind() {
                ValueKind::String => out.push_str(&document.root().to_text().unwrap_or_default()),
                _ => out.push_str(&json),
            }
            rest = behind;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn fill_json(&self, template: &serde_json::Value, out: &mut String) -> Result<(), String> {
        match template {
            serde_json::Value::Object(members) => {
                if let (1, Some((key, serde_json::Value::String(name)))) =
                    (members.len(), members.iter().next())
                {
                    let value = match key.as_str() {
                        "$value" => Some(self.value(name)?),
                        "$auth" => Some(self.credential(name)?),
                        _ => None,
                    };
                    if let Some(value) = value {
                        out.push_str(&value);
                        return Ok(());
                    }
                }
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    out.push_str(&serde_json::Value::from(key.as_str()).to_string());
                    out.push(':');
                    self.fill_json(value, out)?;
                }
                out.push('}');
            }
            serde_json::Value::Array(elements) => {
                out.push('[');
                for (index, value) in elements.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    self.fill_json(value, out)?;
                }
                out.push(']');
            }
            scalar => out.push_str(&scalar.to_string()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HELLO: &str = r#"{"event":"hello","data":"{\"socket_id\":\"1.2\",\"limit\":30}"}"#;

    fn path(json: &str) -> ValuePath {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_path_descends_into_json_inside_text() {
        let hello = Payload::text(HELLO);
        let find = |json: &str| path(json).find(&ParsedMessage::at(&hello));
        assert_eq!(find(r#"["/data","/socket_id"]"#).unwrap(), r#""1.2""#);
        assert_eq!(find(r#"["/data","/limit"]"#).unwrap(), "30");
        assert_eq!(find(r#""/event""#).unwrap(), r#""hello""#);
        assert_eq!(find("[]").unwrap(), HELLO);
        assert_eq!(find(r#"["","","/event"]"#).unwrap(), r#""hello""#);
        assert_eq!(find(r#""/nothing""#), None);
        assert_eq!(find(r#"["/event","/x"]"#), None);
    }

    #[test]
    fn a_message_and_a_text_within_it_are_parsed_once_for_all_values() {
        let paths = (0..MAX_STEPS).map(|at| (format!("v{at}"), json!(["/data", format!("/{at}")])));
        let take: serde_json::Map<_, _> = paths.collect();
        let steps = read_login(&json!([{"when":{"/event":"hello"},"take":take}]).to_string()).unwrap();
        let within = json!((0..1000).collect::<Vec<_>>()).to_string();
        let hello = Payload::text(json!({"event":"hello","data":within}).to_string());
        let before = crate::wire::json::scanned();
        let message = ParsedMessage::at(&hello);
        assert!(steps[0].when.matches(&message));
        let values = steps[0].values(&message);
        assert_eq!((values.len(), values["v15"].as_str()), (MAX_STEPS, "15"));
        assert!(crate::wire::json::scanned() - before <= hello.len() + within.len());
    }

    #[test]
    fn values_and_credentials_are_substituted() {
        let values = Values::from([("id".to_owned(), r#""1.2""#.to_owned())]);
        let steps = read_login(
            r#"[{"when":{"/event":"hello"},"send":[
                {"json":{"a":[{"$value":"id"},1],"b":{"$auth":"/token"},"c":{"$value":"id","more":1}}},
                {"text":"LOGIN ${id} ${/token} $5 ${"}
            ]}]"#,
        )
        .unwrap();
        let fill = |index: usize, auth| steps[0].send[index].fill(&values, auth);
        assert_eq!(
            fill(0, Some(r#"{"token":"t"}"#)).unwrap().as_str().unwrap(),
            r#"{"a":["1.2",1],"b":"t","c":{"$value":"id","more":1}}"#
        );
        assert_eq!(
            fill(1, Some(r#"{"token":"t"}"#)).unwrap().as_str().unwrap(),
            "LOGIN 1.2 t $5 ${"
        );
        assert!(fill(0, None).unwrap_err().contains("/token"));
    }

    #[test]
    fn the_invalid_part_is_named() {
        let too_long = json!([{"when":{"/a":1},"take":{"v":vec![""; 17]}}]).to_string();
        for (bad, why) in [
            (r#"{}"#, "array"),
            (r#"[{}]"#, "when"),
            (r#"[{"when":{"/a":1},"colour":1}]"#, "colour"),
            (r#"[{"when":5}]"#, "rule"),
            (too_long.as_str(), "16 pointers"),
        ] {
            let error = read_login(bad).unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
