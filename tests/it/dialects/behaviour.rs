//! The scenarios of `tests/vectors/behaviour.json`, which the SDK's broker in the browser is tested with, too: rules, filters,
//! guards, correlation, heartbeats, logins, presets and Socket.IO must mean the same in both.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use longwire::core::io::{DialId, Incoming, Input, LinkEvent, Output};
use longwire::wire::message::ClientFrame;
use longwire::wire::options::Options;
use longwire::wire::payload::Payload;
use serde_json::value::to_raw_value;
use serde_json::{Map, Value, json};

use crate::harness::{Harness, PORT};

/// Frames that are compared.
const COMPARED: [&str; 7] = [
    "message",
    "response",
    "outcome",
    "error",
    "subscription",
    "auth-needed",
    "state",
];
/// Fields that no frame may have unless a scenario names them.
const REPORTED_TYPES: [&str; 10] = [
    "text",
    "json",
    "base64",
    "event",
    "args",
    "namespace",
    "reply",
    "outcome",
    "code",
    "id",
];

/// A session with an open link, and what a scenario needs to know of the frames exchanged.
struct Dialogue {
    harness: Harness,
    dial: DialId,
    /// The link marks texts that are JSON.
    marks_json: bool,
    transmitted: u64,
    written: Vec<Value>,
    nonce: Value,
    last_seq: Value,
}

fn open_frame(options: &Value) -> Value {
    let url = if options["protocol"] == "socket.io" {
        "http://127.0.0.1:1"
    } else {
        "ws://127.0.0.1:1"
    };
    json!({"type":"open","id":"o","session":"s","url":url,"options":options})
}

/// Passes a frame to the hub, or returns why it is invalid, as a port does.
fn send(harness: &mut Harness, frame: &Value) {
    match ClientFrame::parse(frame.to_string().as_bytes()) {
        Ok(frame) => harness.give(Input::Frame(PORT, frame.expect("a known type"))),
        Err(refusal) => {
            let code = refusal.error.code.as_str();
            let id = refusal.id.expect("an id").to_string();
            harness
                .delivered
                .push_back((PORT, json!({"type":"error","code":code,"id":id})));
        }
    }
}

impl Dialogue {
    fn begin(options: &Value) -> Self {
        let mut harness = Harness::with_client();
        send(&mut harness, &open_frame(options));
        let dial = harness.next_dial();
        let opened = LinkEvent::Opened {
            subprotocol: None,
            extensions: None,
        };
        harness.give(Input::Link(dial, opened));
        harness.delivered.clear();
        let (read, _) = Options::from_json(&to_raw_value(options).unwrap()).unwrap();
        Self {
            harness,
            dial,
            marks_json: read.json,
            transmitted: 0,
            written: Vec::new(),
            nonce: Value::Null,
            last_seq: Value::Null,
        }
    }

    fn send(&mut self, frame: &Value) {
        let mut frame = frame.clone();
        frame["session"] = json!("s");
        send(&mut self.harness, &frame);
    }

    fn step(&mut self, step: &Value, about: &str) {
        if step["sends"].is_object() {
            self.send(&step["sends"]);
        }
        if step["authorize"].is_object() {
            let mut frame = step["authorize"].clone();
            frame["type"] = json!("authorize");
            frame["nonce"] = self.nonce.clone();
            self.send(&frame);
        }
        if step["reply"].is_array() {
            let frame = json!({"type":"reply","seq":self.last_seq,"args":step["reply"]});
            self.send(&frame);
        }
        for message in step["server"].as_array().into_iter().flatten() {
            let message = Incoming::Message(self.payload(message));
            self.harness
                .give(Input::Link(self.dial, LinkEvent::Messages(vec![message])));
        }
        if let Some(milliseconds) = step["passes"].as_u64() {
            self.harness.passes(Duration::from_millis(milliseconds));
        }
        if let Some(wanted) = step["receives"].as_array() {
            assert_eq!(&self.receive(wanted), wanted, "{about}: {step}");
        }
        self.write();
        if let Some(wanted) = step["written"].as_array() {
            let wanted: Vec<Value> = wanted.iter().map(comparable).collect();
            assert_eq!(std::mem::take(&mut self.written), wanted, "{about}: {step}");
        }
    }

    fn payload(&self, message: &Value) -> Payload {
        if let Some(encoded) = message["base64"].as_str() {
            return Payload::Binary(BASE64.decode(encoded).expect("base64").into());
        }
        let text = message.as_str().expect("text");
        let json = Payload::json_from_slice(text.to_owned().into()).filter(|_| self.marks_json);
        json.unwrap_or_else(|| Payload::text(text))
    }

    /// The frames since the last time, with the fields that are compared.
    fn receive(&mut self, wanted: &[Value]) -> Vec<Value> {
        let frames: Vec<Value> = self.harness.delivered.drain(..).map(|(_, frame)| frame).collect();
        let is_compared = |frame: &&Value| {
            frame["type"]
                .as_str()
                .is_some_and(|kind| COMPARED.contains(&kind))
        };
        let frames: Vec<&Value> = frames.iter().filter(is_compared).collect();
        for frame in &frames {
            if frame["type"] == "auth-needed" {
                self.nonce = frame["nonce"].clone();
            }
            if frame["type"] == "message" {
                self.last_seq = frame["seq"].clone();
            }
        }
        frames
            .into_iter()
            .filter(|frame| frame["state"] != "connecting")
            .enumerate()
            .map(|(at, frame)| fields_of(frame, wanted.get(at)))
            .collect()
    }

    /// Notes what is to be written, which the link then reports as written.
    fn write(&mut self) {
        let before = self.written.len();
        while let Some(output) = self.harness.asked.pop_front() {
            if let Output::Transmit(_, payload) = output {
                self.transmitted += 1;
                self.written.push(comparable(&match &payload {
                    Payload::Binary(bytes) => json!({"base64": BASE64.encode(bytes)}),
                    text => json!(text.as_str().expect("text")),
                }));
            }
        }
        if self.written.len() > before {
            let event = LinkEvent::Written(self.transmitted);
            self.harness.give(Input::Link(self.dial, event));
        }
    }
}

fn fields_of(frame: &Value, wanted: Option<&Value>) -> Value {
    let mut all = frame.as_object().expect("an object").clone();
    if let Some(code) = frame["error"].get("code") {
        all.insert("code".to_owned(), code.clone());
    }
    let is_compared = |name: &str| {
        name == "type"
            || REPORTED_TYPES.contains(&name)
            || wanted.is_some_and(|wanted| wanted.get(name).is_some())
    };
    let fields: Map<String, Value> = all.into_iter().filter(|(name, _)| is_compared(name)).collect();
    fields.into()
}

/// Texts with JSON are compared by value: members may stand in any order.
fn comparable(message: &Value) -> Value {
    let Some(text) = message.as_str() else {
        return message.clone();
    };
    let start = text.find(['[', '{']).unwrap_or(text.len());
    match serde_json::from_str::<Value>(&text[start..]) {
        Ok(value) => json!([&text[..start], numbers_as_doubles(value)]),
        Err(_) => message.clone(),
    }
}

/// JavaScript writes `7.0` as `7`.
fn numbers_as_doubles(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(elements) => elements.into_iter().map(numbers_as_doubles).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, numbers_as_doubles(value)))
            .collect::<Map<String, Value>>()
            .into(),
        other => other,
    }
}

/// Plays one scenario.
fn play(scenario: &Value) {
    let name = scenario["name"].as_str().unwrap();
    let options = scenario.get("options").cloned().unwrap_or_else(|| json!({}));
    if let Some(code) = scenario["refused"].as_str() {
        let mut harness = Harness::with_client();
        send(&mut harness, &open_frame(&options));
        assert_eq!(harness.receive(PORT)["code"], code, "{name}");
        return;
    }
    let mut play = Dialogue::begin(&options);
    if let Some(subscribe) = scenario.get("subscribe") {
        let mut frame = json!({"type":"subscribe","id":"s","key":"k"});
        for (field, value) in subscribe.as_object().unwrap() {
            frame[field] = value.clone();
        }
        play.send(&frame);
        play.receive(&[]);
    }
    for step in scenario["steps"].as_array().unwrap() {
        play.step(step, name);
    }
}

#[test]
fn scenarios_give_the_same_results_as_in_the_browser() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/behaviour.json");
    let scenarios: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(scenarios.len() > 40);
    let failed = scenarios
        .iter()
        .filter(|scenario| std::panic::catch_unwind(|| play(scenario)).is_err());
    let failed: Vec<&Value> = failed.map(|scenario| &scenario["name"]).collect();
    assert!(failed.is_empty(), "{failed:?}");
}
