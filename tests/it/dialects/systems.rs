//! The systems that Longwire was made for, each against the server of its example: real server software, a real host
//! and broker, and the frames that the example's worker sends.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::server::Server;
use crate::support::{SOON, eventually};

/// An extension with its broker, and the server of an example.
struct System {
    host: HostProcess,
    server: Server,
    scratch: Scratch,
}

impl System {
    fn of(example: &str, variables: &[(&str, &str)]) -> Option<Self> {
        Self::with_settings(example, variables, "")
    }

    fn with_settings(example: &str, variables: &[(&str, &str)], settings: &str) -> Option<Self> {
        let server = Server::example(example, variables)?;
        let scratch = Scratch::new();
        std::fs::create_dir_all(scratch.home().join("config")).unwrap();
        std::fs::write(scratch.home().join("config/settings.toml"), settings).unwrap();
        let mut host = HostProcess::chromium(&scratch);
        host.hello();
        Some(Self {
            host,
            server,
            scratch,
        })
    }

    fn says(&mut self, frame: Value) {
        self.host.send(&frame);
    }

    fn opens(&mut self, session: &str, url: String, options: Value) -> Value {
        self.says(json!({"type":"open","id":session,"session":session,"url":url,"options":options}));
        let opened = self.host.find("opened or error", |frame| {
            (frame["type"] == "opened" || frame["type"] == "error") && frame["id"] == session
        });
        assert_eq!(opened["type"], "opened", "{opened}");
        opened
    }

    fn state(&mut self, state: &str) -> Value {
        self.host
            .find(state, |frame| frame["type"] == "state" && frame["state"] == state)
    }

    fn event(&mut self, event: &str) -> Value {
        self.host.find(event, |frame| {
            frame["type"] == "message" && frame["event"] == event
        })
    }

    /// The next message whose JSON has this type.
    fn told(&mut self, kind: &str) -> Value {
        self.host.find(kind, |frame| {
            frame["type"] == "message" && frame["json"]["type"] == kind
        })["json"]
            .clone()
    }

    fn status(&mut self) -> Value {
        self.says(json!({"type":"status","id":"status"}));
        self.host.expect("status")
    }
}

/// Frappe compares the Origin with its own Host, and an extension may send no other Origin than its own unasked.
const FRAPPE: &str = "[default]\nany-origin = true\n";

/// Panels until the batch is complete, acknowledged as they come.
fn panels(system: &mut System, session: &str) -> BTreeSet<u64> {
    let mut panels = BTreeSet::new();
    loop {
        let message = system.host.find("progress", |frame| {
            frame["type"] == "message" && frame["session"] == session
        });
        system.says(json!({"type":"ack","session":session,"seq":message["seq"]}));
        match message["json"]["type"].as_str() {
            Some("progress") => {
                panels.insert(message["json"]["panel"].as_u64().unwrap());
            }
            Some("completed") => return panels,
            _ => {}
        }
    }
}

#[test]
fn image_bridge_finishes_its_batch_through_a_lost_link() {
    let Some(mut system) = System::of("image-bridge", &[]) else {
        return;
    };
    let url = system.server.ws("/");
    system.opens(
        "batches",
        url,
        json!({"format":"json","reconnect":{"minDelay":5}}),
    );
    system.says(json!({"type":"subscribe","session":"batches","id":"w","key":"b1",
        "send":[{"json":{"type":"watch","batchId":"b1"}}],"confirm":{"/type":"watching","/batchId":"b1"}}));
    system.says(json!({"type":"request","session":"batches","id":"g",
        "json":{"type":"generate","id":"g","batchId":"b1","panels":500},
        "match":{"out":"/id","in":"/id"},"ifLost":"resend"}));
    assert_eq!(system.host.expect("response")["json"]["batchId"], "b1");
    system.told("progress");
    // The link breaks in the middle, the server goes on.
    system.says(json!({"type":"send","session":"batches","json":{"type":"fault"}}));
    assert_eq!(panels(&mut system, "batches").len(), 500);
    system.host.find("active again", |frame| {
        frame["type"] == "subscription" && frame["state"] == "active"
    });
    assert_eq!(system.status()["sessions"][0]["reconnects"], 1);
}

#[test]
fn image_bridge_is_heard_by_polling_and_by_its_event_stream_too() {
    let Some(mut system) = System::of("image-bridge", &[]) else {
        return;
    };
    let (tasks, post) = (
        system.server.url("/tasks/pending"),
        system.server.url("/tasks/result"),
    );
    let poll = json!({"protocol":"poll","format":"json","post":{"url":post},
        "poll":{"interval":5,"items":"/tasks","cursor":{"item":"/id","query":"after"}}});
    system.opens("poll", tasks, poll);
    let events = system.server.url("/events");
    system.opens("stream", events, json!({"protocol":"sse","format":"json"}));
    let url = system.server.ws("/");
    system.opens("socket", url, json!({}));
    let generate = json!({"type":"generate","id":1,"batchId":"b2","panels":500});
    system.says(json!({"type":"send","session":"socket","json":generate}));
    assert_eq!(panels(&mut system, "poll").len(), 500);
    assert_eq!(panels(&mut system, "stream").len(), 500);
    system.says(json!({"type":"send","session":"poll","id":"done","json":{"batchId":"b2"},"receipt":true}));
    assert_eq!(system.host.expect("outcome")["outcome"], "confirmed");
}

#[test]
fn image_bridge_has_a_host_name_of_its_own() {
    let scratch = Scratch::new();
    std::fs::create_dir_all(scratch.folder().join(".config/chromium")).unwrap();
    let output = scratch
        .command()
        .args([
            "install",
            "--name",
            "com.semantest.bridge",
            "--browser",
            "chromium",
            "--json",
        ])
        .args(["--extension", "hclnghhgacddobflaigcphghaobnpmjo"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let manifest = scratch
        .folder()
        .join(".config/chromium/NativeMessagingHosts/com.semantest.bridge.json");
    let manifest: Value = serde_json::from_slice(&std::fs::read(manifest).unwrap()).unwrap();
    assert_eq!(manifest["name"], "com.semantest.bridge");
    assert_eq!(
        manifest["allowed_origins"],
        json!(["chrome-extension://hclnghhgacddobflaigcphghaobnpmjo/"])
    );
}

#[test]
fn agent_answers_requests_beside_its_own_events_for_every_client() {
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

#[test]
fn frappe_is_joined_with_the_cookie_and_its_code_is_data() {
    let Some(mut system) = System::with_settings("frappe", &[], FRAPPE) else {
        return;
    };
    let site = system.server.url("");
    let options = json!({"protocol":"socket.io","socketio":{"namespaces":["/site1.local"]},
        "headers":{"Origin":site},"auth":"provider"});
    system.opens("frappe", site.clone(), options.clone());
    let asked = system.host.expect("auth-needed");
    assert_eq!(asked["why"], "first");
    let cookie = |sid: &str| json!({"Cookie":format!("sid={sid}")});
    system.says(
        json!({"type":"authorize","session":"frappe","nonce":asked["nonce"],"headers":cookie("expired")}),
    );
    let asked = system.host.expect("auth-needed");
    assert_eq!(asked["why"], "refused");
    system
        .says(json!({"type":"authorize","session":"frappe","nonce":asked["nonce"],"headers":cookie("abc")}));
    system.state("open");
    // However often it is opened, there is one connection.
    for _ in 0..5 {
        let opened = system.opens("frappe", site.clone(), options.clone());
        assert_eq!(
            (&opened["created"], &opened["state"]),
            (&json!(false), &json!("open"))
        );
    }
    system.says(
        json!({"type":"request","session":"frappe","id":"n","event":"connections",
        "namespace":"/site1.local","match":{"ack":true}}),
    );
    assert_eq!(system.host.expect("response")["args"], json!([1]));
    system.says(
        json!({"type":"send","session":"frappe","event":"ai_start","args":["t1"],"namespace":"/site1.local"}),
    );
    for percent in [25, 50, 75, 100] {
        assert_eq!(
            system.event("ai_progress")["args"],
            json!([{"task":"t1","percent":percent}])
        );
    }
    assert_eq!(system.event("msgprint")["args"][0]["message"], "Task t1 is done");
    assert_eq!(
        system.event("eval_js")["args"],
        json!(["globalThis.pwned = true"])
    );
    // Where no socket gets through, the whitelisted method is polled with the same cookie.
    let method = system.server.url("/api/method/ai.pending");
    let poll = |sid: &str| {
        json!({"protocol":"poll","cookies":format!("sid={sid}"),
            "poll":{"interval":20,"items":"/message","cursor":{"item":"/idx","query":"after"}}})
    };
    system.opens("poll", method.clone(), poll("abc"));
    let first = system.host.find("polled", |frame| {
        frame["session"] == "poll" && frame["type"] == "message"
    });
    assert_eq!(first["json"]["event"], "ai_progress");
    system.opens("denied", method, poll("Guest"));
    let denied = system.host.find("denied", |frame| {
        frame["session"] == "denied" && frame["state"] == "failed"
    });
    assert_eq!(denied["status"], 403);
}

#[test]
fn frappe_is_not_let_in_from_a_foreign_page() {
    let Some(mut system) = System::of("frappe", &[]) else {
        return;
    };
    let site = system.server.url("");
    let options =
        json!({"protocol":"socket.io","socketio":{"namespaces":["/site1.local"]},"cookies":"sid=abc"});
    system.opens("frappe", site, options);
    assert_eq!(system.state("failed")["reason"], "Invalid origin");
}

#[test]
fn frappe_is_reconnected_a_thousand_times_without_a_leak() {
    let Some(mut system) = System::with_settings("frappe", &[], FRAPPE) else {
        return;
    };
    let site = system.server.url("");
    let options = json!({"protocol":"socket.io","cookies":"sid=abc","headers":{"Origin":site},
        "socketio":{"namespaces":["/site1.local"],"transports":["websocket"]}});
    system.opens("frappe", site, options);
    let opens = |system: &mut System, times: u32| {
        for _ in 0..times {
            system.state("open");
            system.says(json!({"type":"reconnect","session":"frappe"}));
        }
        system.state("open");
    };
    opens(&mut system, 50);
    let broker = system.scratch.broker();
    let files = || std::fs::read_dir(format!("/proc/{broker}/fd")).unwrap().count();
    let (rss, open_files) = (system.status()["rss"].as_u64().unwrap(), files());
    system.says(json!({"type":"reconnect","session":"frappe"}));
    opens(&mut system, 949);
    let now = system.status();
    assert_eq!(now["total"]["dials"], 1001);
    // A connection that was left says goodbye for a moment.
    eventually(SOON, "old connections are gone", || {
        (files() <= open_files + 2).then_some(())
    });
    let grown = now["rss"].as_u64().unwrap().saturating_sub(rss);
    assert!(grown < 8 << 20, "{grown} bytes more than after 50");
}

#[test]
fn canvas_greets_batches_and_refuses_without_a_token() {
    let Some(mut system) = System::of("canvas", &[("PING", "300")]) else {
        return;
    };
    let url = |query: &str| system.server.ws(&format!("/ws{query}"));
    let (bare, good) = (url(""), url("?userId=u1&sessionId=s1&token=a.secret.token"));
    let options = json!({"format":"json","auth":"provider","closeCodes":{"1008":"auth"},"reconnect":{"minDelay":5},
        "ready":{"/type":"connection"},
        "heartbeat":{"interval":50,"timeout":10000,"message":{"json":{"type":"ping"}},"expect":{"/type":"pong"}}});
    system.opens("canvas", bare.clone(), options);
    let asked = system.host.expect("auth-needed");
    system.says(json!({"type":"authorize","session":"canvas","nonce":asked["nonce"],"url":bare}));
    let asked = system.host.expect("auth-needed");
    assert_eq!(asked["why"], "refused");
    system.says(json!({"type":"authorize","session":"canvas","nonce":asked["nonce"],"url":good}));
    assert_eq!(system.told("connection")["sessionId"], "s1");
    system.says(
        json!({"type":"subscribe","session":"canvas","id":"d","key":"drawing",
        "send":[{"json":{"type":"subscribe","topic":"drawing"}}],
        "undo":[{"json":{"type":"unsubscribe","topic":"drawing"}}],
        "confirm":{"/type":"subscribed","/topic":"drawing"},
        "filter":[{"when":{"/type":"subscribed"},"do":"drop"}]}),
    );
    system.host.find("active", |frame| {
        frame["type"] == "subscription" && frame["state"] == "active"
    });
    system.says(json!({"type":"send","session":"canvas","json":{"type":"draw","topic":"drawing","steps":3,"size":2000}}));
    let batch = system.told("batch");
    let kinds: Vec<&str> = batch["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "ai_start",
            "ai_progress",
            "ai_progress",
            "ai_progress",
            "ai_complete"
        ]
    );
    system
        .says(json!({"type":"send","session":"canvas","json":{"type":"draw","topic":"drawing","steps":-1}}));
    assert_eq!(system.told("batch")["events"][1]["type"], "ai_error");
    // The application's own beats arrive; their answers are used up.
    let statistics = system.server.url("/api/ws/stats");
    let options = json!({"protocol":"poll","format":"json","poll":{"interval":20}});
    system.opens("statistics", statistics, options);
    let statistics = system.host.find("beats in the statistics", |frame| {
        frame["session"] == "statistics" && frame["json"]["messagesReceived"].as_u64() > Some(8)
    });
    assert_eq!(statistics["json"]["active"], 1);
    assert_eq!(
        statistics["json"]["bySession"][0]["subscriptions"],
        json!(["drawing"])
    );
    system.says(json!({"type":"send","session":"canvas","json":{"type":"vanish"}}));
    system.state("waiting");
    system.told("connection");
    let status = system.status().to_string();
    assert!(!status.contains("secret") && !system.scratch.log().contains("secret"));
}

#[test]
fn gateway_never_takes_the_broker_for_slow_and_its_restart_is_seen() {
    let Some(mut system) = System::of("gateway", &[]) else {
        return;
    };
    let url = system.server.ws("/ws");
    let options = json!({"format":"json","maxMessage":524_288,"reconnect":{"minDelay":5},
        "greeting":[{"json":{"type":"hello","payload":"worker"}}],"ready":{"/type":"welcome"}});
    system.opens("gateway", url, options);
    let welcome = system.told("welcome");
    let instance = welcome["payload"]["instance"].clone();
    assert_eq!(welcome["payload"]["heard"], "worker");
    // The worker sleeps; the broker drains what would have made a sleeping client too slow.
    system.says(json!({"type":"window","session":"gateway","messages":0,"bytes":0}));
    for round in 1..=10 {
        let flood = json!({"type":"flood","payload":{"count":200}});
        system.says(json!({"type":"send","session":"gateway","json":flood}));
        eventually(SOON, "the flood has come", || {
            let received = system.status()["total"]["received"]["messages"].as_u64();
            (received > Some(200 * round)).then_some(())
        });
    }
    assert_eq!(system.status()["total"]["reconnects"], 0);
    system.says(json!({"type":"window","session":"gateway","messages":4096,"bytes":4_194_304}));
    assert_eq!(system.told("tick")["payload"]["n"], 1, "nothing of it was lost");
    let big = json!({"type":"hello","payload":"x".repeat(600_000)});
    system.says(json!({"type":"send","session":"gateway","id":"big","json":big}));
    let refused = system.host.find("refusal", |frame| frame["id"] == "big");
    assert_eq!(refused["code"], "too-large");
    system.says(json!({"type":"send","session":"gateway","json":{"type":"restart"}}));
    assert_eq!(
        system.host.find("the restart", |frame| frame["code"] == 1012)["state"],
        "waiting"
    );
    assert_ne!(system.told("welcome")["payload"]["instance"], instance);
}
