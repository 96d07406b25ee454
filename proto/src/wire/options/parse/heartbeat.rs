//! How option `heartbeat` is read.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{bad, read_fields};
use crate::wire::login::ValuePath;
use crate::wire::message::read_payload;
use crate::wire::object::objects;
use crate::wire::options::HeartbeatOptions;
use crate::wire::record::ErrorInfo;
use crate::wire::rule::Rule;

#[derive(Deserialize)]
#[serde(default)]
struct HeartbeatForm {
    interval: u64,
    timeout: u64,
    message: Option<Box<RawValue>>,
    expect: Option<Box<RawValue>>,
    always: bool,
    #[serde(deserialize_with = "objects")]
    answers: Vec<AnswerForm>,
    #[serde(rename = "intervalFrom")]
    interval_from: Option<ValuePath>,
}

#[derive(Deserialize)]
struct AnswerForm {
    when: Box<RawValue>,
    send: Option<Box<RawValue>>,
}

impl Default for HeartbeatForm {
    fn default() -> Self {
        let HeartbeatOptions {
            interval, timeout, ..
        } = HeartbeatOptions::default();
        Self {
            interval,
            timeout,
            message: None,
            expect: None,
            always: false,
            answers: Vec::new(),
            interval_from: None,
        }
    }
}

/// Reads the option.
pub(super) fn heartbeat(name: &str, value: &RawValue) -> Result<HeartbeatOptions, ErrorInfo> {
    let form: HeartbeatForm = read_fields(name, value)?;
    let answers = form.answers.into_iter().zip(0..).map(|(answer, at)| {
        let named = |why| bad(name, format!("`answers[{at}]`: {why}"));
        let send = answer.send.map(|raw| read_payload(&raw)).transpose();
        let send = send.map_err(|error| named(error.message))?;
        Ok::<_, ErrorInfo>((Rule::from_json(answer.when.get()).map_err(named)?, send))
    });
    let message = form.message.map(|raw| read_payload(&raw)).transpose();
    let expect = form.expect.map(|json| Rule::from_json(json.get())).transpose();
    Ok(HeartbeatOptions {
        interval: form.interval,
        timeout: form.timeout,
        message: message.map_err(|error| bad(name, format!("`message`: {}", error.message)))?,
        expect: expect.map_err(|why| bad(name, format!("`expect`: {why}")))?,
        interval_from: form.interval_from,
        always: form.always,
        answers: answers.collect::<Result<_, _>>()?,
    })
}
