//! The agent module: requests and the server's own events, for every client, by rules.

use serde_json::{Value, json};

use super::System;
use crate::support::host::HostProcess;

/// What the module may send, and what it accepts from the server.
fn rules() -> Value {
    json!({
        "send": [
            {"when":{"event":"fight"},"rate":{"messages":5,"per":60_000}},
            {"when":{"event":"ask"},"types":{"/0/text":"string"}},
            {"when":{"event":["join","cheat","break","restart"]}},
            {"do":"deny"}],
        "receive": [{"when":{"event":"combat"},"types":{"/0/round":"integer","/0/hp":"object"}}]})
}

impl System {
    /// Opens the session and joins the world; returns the state that the server sends.
    fn join_world(&mut self) -> Value {
        let url = self.server.url("/");
        let options = json!({"protocol":"socket.io","reconnect":{"minDelay":5},"guard":rules(),
            "socketio":{"transports":["websocket"]}});
        self.opens("agent", url, options);
        self.send(
            json!({"type":"subscribe","session":"agent","id":"w","key":"world",
            "send":[{"event":"join","args":["world"]}]}),
        );
        self.event("state")["args"][0].clone()
    }

    fn emit(&mut self, id: &str, event: &str, args: Value) {
        self.send(json!({"type":"send","session":"agent","id":id,"event":event,"args":args}));
    }

    fn request(&mut self, id: &str, payload: Value, timeout: u32) {
        self.send(
            json!({"type":"request","session":"agent","id":id,"event":"ask","args":[payload],
            "match":{"ack":true},"timeout":timeout}),
        );
    }

    fn response(&mut self, id: &str) -> Value {
        self.host.find("a response", |frame| {
            frame["type"] == "response" && frame["id"] == id
        })
    }

    fn refusal(&mut self, id: &str) -> Value {
        self.host
            .find("a refusal", |frame| frame["type"] == "error" && frame["id"] == id)
    }
}

#[test]
fn answers_requests_and_sends_events_to_every_client() {
    let Some(mut system) = System::of("agent", &[]) else {
        return;
    };
    assert_eq!(system.join_world()["version"], 0);
    // The popup is another client of the same session.
    let mut popup = HostProcess::chromium(&system.scratch);
    popup.send(&json!({"type":"hello","protocol":1,"client":"popup"}));
    popup.expect("welcome");
    popup.send(&json!({"type":"open","id":"p","session":"agent"}));
    assert_eq!(popup.expect("opened")["created"], false);
    // Several requests are in flight; each gets its own answer, in any order.
    system.request("slow", json!({"id":1,"text":"slow","after":100}), 20_000);
    system.request("never", json!({"text":"silence"}), 50);
    system.request("quick", json!({"id":2,"text":"quick"}), 20_000);
    assert_eq!(system.event("typing")["args"][0], json!({"who":"agent"}));
    for (id, answer) in [("quick", 2), ("slow", 1)] {
        assert_eq!(
            system.response(id)["args"],
            json!([{"id":answer,"text":format!("You said: {id}")}])
        );
    }
    let never = system.response("never");
    assert_eq!(never["error"]["code"], "timeout");
    // The server's own events come to both, as the same records.
    system.emit("f", "fight", json!([]));
    for event in ["combat", "notification", "suggestion"] {
        let seen = system.event(event);
        let popups = popup.find(event, |frame| frame["event"] == event);
        assert_eq!((&seen["args"], &seen["seq"]), (&popups["args"], &popups["seq"]));
    }
    // What is answered to one is no business of the other's.
    popup.ping("everything is delivered");
    let answers = popup.passed().filter(|frame| frame["type"] == "response");
    assert_eq!(answers.count(), 0);
}

#[test]
fn receives_only_what_the_rules_allow_and_reports_refusals() {
    let Some(mut system) = System::of("agent", &[]) else {
        return;
    };
    system.join_world();
    for (id, event, args, why) in [
        ("1", "erase", json!([]), "the event `erase`"),
        ("2", "ask", json!([{"text":7}]), "`/0/text` is a number"),
        ("3", "ask", json!([]), "`/0/text`"),
    ] {
        system.emit(id, event, args);
        let refused = system.refusal(id);
        assert_eq!(
            (&refused["code"], &refused["retry"]),
            (&json!("bad-frame"), &json!("no"))
        );
        assert!(refused["message"].as_str().unwrap().contains(why), "{refused}");
    }
    for id in ["a", "b", "c", "d", "e"] {
        system.emit(id, "fight", json!([]));
    }
    system.emit("f", "fight", json!([]));
    let refused = system.refusal("f");
    assert_eq!(
        (&refused["code"], &refused["retry"]),
        (&json!("rate-limited"), &json!("later"))
    );
    for round in 1..=5 {
        assert_eq!(system.event("combat")["args"][0]["round"], round);
    }
    // The server breaks its own rules: that is reported and counted, and not delivered.
    system.emit("g", "cheat", json!([]));
    let wrong = system
        .host
        .find("the error", |frame| frame["code"] == "server-protocol");
    let why = wrong["message"].as_str().unwrap();
    assert!(
        why.contains("the event `combat`") && why.contains("`/0/round` is a string"),
        "{wrong}"
    );
    assert_eq!(system.status()["total"]["filtered"]["refused"], 1);
    let more = system.host.passed().find(|frame| frame["event"] == "combat");
    assert_eq!(more, None);
}

#[test]
fn is_resynchronised_after_a_lost_link_and_a_restart() {
    let Some(mut system) = System::of("agent", &[]) else {
        return;
    };
    assert_eq!(system.join_world()["version"], 0);
    let reopened = |system: &mut System, dial: u32| {
        system.host.find("open again", |frame| {
            frame["state"] == "open" && frame["dial"] == dial
        })["continuity"]
            .clone()
    };
    // A server that remembers sends what happened meanwhile.
    system.emit("b", "break", json!([]));
    assert_eq!(system.event("combat")["args"][0]["round"], 1);
    assert_eq!(reopened(&mut system, 2), "server");
    assert_eq!(system.event("state")["args"][0]["version"], 1, "joined anew");
    // One that was restarted does not, and reports it; the world is joined again, and its state sent.
    system.request("lost", json!({"text":"silence"}), 20_000);
    system.emit("r", "restart", json!([]));
    assert_eq!(system.response("lost")["error"]["code"], "link-lost");
    assert_eq!(reopened(&mut system, 3), "none");
    let state = system.event("state")["args"][0].clone();
    assert_eq!(
        (&state["version"], &state["round"]),
        (&json!(2), &json!(1)),
        "what was missed is in the state"
    );
    system.emit("f", "fight", json!([]));
    assert_eq!(system.event("combat")["args"][0]["round"], 2);
}
