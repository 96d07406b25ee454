//! The agent module: requests beside the server's own events, for every client, by rules.

use serde_json::json;

use super::System;
use crate::support::host::HostProcess;

#[test]
fn answers_requests_beside_its_own_events_for_every_client() {
    let Some(mut system) = System::of("agent", &[]) else {
        return;
    };
    let url = system.server.url("/");
    let guard = json!({
        "send": [
            {"when":{"event":"fight"},"rate":{"messages":5,"per":1000}},
            {"when":{"event":"ask"},"types":{"/0/text":"string"}},
            {"when":{"event":["join","restart"]}},
            {"do":"deny"}],
        "receive": [{"when":{"event":"combat"},"types":{"/0/round":"integer","/0/hp":"object"}}]});
    let options = json!({"protocol":"socket.io","reconnect":{"minDelay":5},"guard":guard});
    system.opens("agent", url.clone(), options);
    system.says(
        json!({"type":"subscribe","session":"agent","id":"w","key":"world",
        "send":[{"event":"join","args":["world"]}]}),
    );
    assert_eq!(system.event("state")["args"][0]["version"], 0);
    // The popup is another client of the same session.
    let mut popup = HostProcess::chromium(&system.scratch);
    popup.send(&json!({"type":"hello","protocol":1,"client":"popup"}));
    popup.expect("welcome");
    popup.send(&json!({"type":"open","id":"p","session":"agent"}));
    assert_eq!(popup.expect("opened")["created"], false);
    system.says(json!({"type":"request","session":"agent","id":"q1","event":"ask",
        "args":[{"id":7,"text":"hello"}],"match":{"ack":true}}));
    assert_eq!(system.event("typing")["args"][0], json!({"who":"agent"}));
    assert_eq!(
        system.host.expect("response")["args"],
        json!([{"id":7,"text":"You said: hello"}])
    );
    system.says(json!({"type":"request","session":"agent","id":"q2","event":"ask",
        "args":[{"text":"silence"}],"match":{"ack":true},"timeout":50}));
    assert_eq!(system.host.expect("response")["error"]["code"], "timeout");
    for (id, event, args) in [("1", "erase", json!([])), ("2", "ask", json!([{"text":7}]))] {
        system.says(json!({"type":"send","session":"agent","id":id,"event":event,"args":args}));
        let refused = system.host.find("refusal", |frame| frame["id"] == id);
        assert_eq!(refused["code"], "bad-frame", "{refused}");
    }
    system.says(json!({"type":"send","session":"agent","event":"fight"}));
    for event in ["combat", "notification", "suggestion"] {
        let seen = system.event(event);
        let popups = popup.find(event, |frame| frame["event"] == event);
        assert_eq!((&seen["args"], &seen["seq"]), (&popups["args"], &popups["seq"]));
    }
    // The server breaks its own rules once: that is told, and not delivered.
    let wrong = system
        .host
        .find("the error", |frame| frame["code"] == "server-protocol");
    assert!(
        wrong["message"].as_str().unwrap().contains("the event `combat`"),
        "{wrong}"
    );
    system.says(json!({"type":"send","session":"agent","event":"restart"}));
    let state = system.host.find("the new state", |frame| {
        frame["event"] == "state" && frame["args"][0]["version"].as_u64() > Some(0)
    });
    assert_eq!(state["args"][0]["round"], 1, "in step again after the restart");
}
