//! Socket.IO from an extension's port to the real server.

mod events;

use serde_json::{Value, json};

use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::server::Server;

/// An extension's port, a broker, and a server with these options.
struct World {
    host: HostProcess,
    server: Server,
    scratch: Scratch,
}

impl World {
    fn new(options: Value) -> Option<Self> {
        Server::start("socketio.mjs", &options.to_string()).map(Self::with)
    }

    /// With a server of version 2.
    fn old() -> Option<Self> {
        Server::start("socketio2.mjs", "").map(Self::with)
    }

    fn with(server: Server) -> Self {
        let scratch = Scratch::new();
        let mut host = HostProcess::chromium(&scratch);
        host.hello();
        Self {
            host,
            server,
            scratch,
        }
    }

    fn opens(&mut self, socketio: Value, more: Value) {
        let mut options = json!({"protocol":"socket.io","socketio":socketio,"reconnect":{"minDelay":10}});
        for (name, value) in more.as_object().unwrap() {
            options[name] = value.clone();
        }
        let url = self.server.url("/");
        self.host
            .send(&json!({"type":"open","id":"o","session":"s","url":url,"options":options}));
        let opened = self.host.find("opened or error", |frame| {
            frame["type"] == "opened" || frame["type"] == "error"
        });
        assert_eq!(opened["type"], "opened", "{opened}");
    }

    fn state(&mut self, state: &str) -> Value {
        self.host
            .find(state, |frame| frame["type"] == "state" && frame["state"] == state)
    }

    fn message(&mut self) -> Value {
        self.host.expect("message")
    }

    fn send(&mut self, frame: Value) {
        self.host.send(&frame);
    }

    fn server_reports(&mut self, field: &str) -> Value {
        self.server.wait_for(field, |line| !line[field].is_null())
    }
}

#[test]
fn polling_upgrades_to_websocket_without_loss() {
    let Some(mut world) = World::new(json!({})) else {
        return;
    };
    world.opens(json!({}), json!({}));
    for number in 0..200 {
        world.send(json!({"type":"send","session":"s","event":"n","args":[number]}));
    }
    assert_eq!(world.server_reports("connected")["transport"], "polling");
    assert_eq!(world.server_reports("upgraded")["upgraded"], "websocket");
    for number in 0..200 {
        assert_eq!(world.message()["args"], json!([number]));
    }
    world.send(json!({"type":"send","session":"s","event":"after","args":[]}));
    let last = world.server.wait_for("after", |line| line["event"] == "after");
    assert_eq!(last["transport"], "websocket");
}

#[test]
fn polling_alone_carries_everything() {
    let Some(mut world) = World::new(json!({"transports":["polling"],"pingInterval":200,"pingTimeout":5000}))
    else {
        return;
    };
    world.opens(json!({"transports":["polling"]}), json!({}));
    for number in 0..50 {
        world.send(
            json!({"type":"send","session":"s","id":number.to_string(),"event":"n",
            "args":[number,{"$base64":"AQID"}],"receipt":true}),
        );
    }
    for number in 0..50 {
        assert_eq!(world.message()["args"], json!([number, {"$base64":"AQID"}]));
        assert_eq!(world.host.expect("outcome")["outcome"], "sent");
    }
    // Several of the server's pings later it is still the same connection.
    for _ in 0..3 {
        world.server.command(json!({"ask":"still","args":[]}));
        let still = world.message();
        world.send(json!({"type":"reply","session":"s","seq":still["seq"],"args":[]}));
        world.server_reports("answers");
    }
    world.send(json!({"type":"status","id":"q"}));
    assert_eq!(world.host.expect("status")["total"]["dials"], 1);
}

#[test]
fn a_version_2_server_is_reported_with_advice() {
    for transports in [
        json!(["polling"]),
        json!(["websocket"]),
        json!(["polling", "websocket"]),
    ] {
        let Some(mut world) = World::old() else {
            return;
        };
        world.opens(json!({"transports":transports}), json!({}));
        let failed = world.state("failed");
        let error = &failed["error"];
        assert_eq!(error["code"], "server-protocol", "{transports}");
        let advice = error["message"].as_str().unwrap();
        assert!(
            advice.contains("Socket.IO 2") && advice.contains("update"),
            "{advice}"
        );
        world.send(json!({"type":"status","id":"q"}));
        assert_eq!(
            world.host.expect("status")["total"]["dials"],
            1,
            "once is enough to know"
        );
    }
}

#[test]
fn a_broken_connection_is_recovered_by_the_server() {
    let Some(mut world) = World::new(json!({"connectionStateRecovery":{}})) else {
        return;
    };
    world.opens(json!({"transports":["websocket"]}), json!({}));
    world.state("open");
    world.server.command(json!({"emit":"n","args":[1]}));
    assert_eq!(world.message()["args"][0], 1);
    world.server.command(json!({"drop":true}));
    world.server.command(json!({"emit":"n","args":[2]}));
    assert_eq!(world.message()["args"][0], 2, "messages sent meanwhile arrive");
    assert_eq!(world.state("open")["continuity"], "server");
}

#[test]
fn a_refused_handshake_requests_credentials_and_fresh_ones_open() {
    let Some(mut world) = World::new(json!({})) else {
        return;
    };
    world.opens(json!({"auth":{"token":"bad"}}), json!({"auth":"provider"}));
    world.host.expect("auth-needed");
    world.send(json!({"type":"authorize","session":"s","auth":{"token":"bad"}}));
    let auth_needed = world.host.expect("auth-needed");
    assert_eq!(auth_needed["why"], "refused");
    let refused = world
        .host
        .find("the refusal", |frame| frame["reason"] == "Unauthorized");
    assert_eq!(refused["state"], "unauthorized");
    world
        .send(json!({"type":"authorize","session":"s","nonce":auth_needed["nonce"],"auth":{"token":"good"}}));
    world.state("open");
}

#[test]
fn namespaces_are_refused_and_closed_separately() {
    let Some(mut world) = World::new(json!({"namespaces":["/side"]})) else {
        return;
    };
    world.opens(
        json!({"namespaces":["/","/side","/none"],"transports":["websocket"]}),
        json!({}),
    );
    let refused = world.host.find("refusal", |frame| frame["namespace"] == "/none");
    assert_eq!(
        (&refused["state"], &refused["error"]["code"]),
        (&json!("failed"), &json!("handshake"))
    );
    world.state("open");
    world.send(json!({"type":"send","session":"s","id":"1","event":"x","namespace":"/none"}));
    assert_eq!(world.host.expect("outcome")["outcome"], "failed");
    world.server.command(json!({"kick":"/side"}));
    let dropped = world.host.find("the drop", |frame| frame["namespace"] == "/side");
    assert_eq!(dropped["state"], "closed");
    world.send(json!({"type":"send","session":"s","id":"2","event":"x","receipt":true}));
    assert_eq!(
        world
            .host
            .find("sent", |frame| frame["id"] == "2" && frame["type"] == "outcome")["outcome"],
        "sent"
    );
    world.server.command(json!({"kick":"/"}));
    assert_eq!(world.state("failed")["error"]["code"], "closed-by-server");
    world.send(json!({"type":"send","session":"s","id":"3","event":"x","namespace":"/other"}));
    assert_eq!(world.host.expect("error")["code"], "bad-frame");
}

#[test]
fn a_restarted_server_is_reconnected() {
    let Some(mut world) = World::new(json!({})) else {
        return;
    };
    world.opens(json!({}), json!({}));
    world.state("open");
    world.send(json!({"type":"subscribe","session":"s","id":"u","key":"k","send":[{"event":"join","args":["room"]}]}));
    assert_eq!(
        world.server.wait_for("join", |line| line["event"] == "join")["args"],
        json!(["room"])
    );
    world.server.command(json!({"drop":true}));
    world.state("waiting");
    assert_eq!(
        world.server.wait_for("join", |line| line["event"] == "join")["args"],
        json!(["room"])
    );
    assert_eq!(
        world.host.find("open", |frame| frame["continuity"].is_string())["continuity"],
        "unknown"
    );
    assert!(!world.scratch.log().contains("panicked"));
}
