//! Socket.IO from an extension's port to the real server.

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
fn events_and_acknowledgements_travel_both_ways() {
    let Some(mut world) = World::new(json!({"namespaces":["/chat"]})) else {
        return;
    };
    world.opens(
        json!({"namespaces":["/","/chat"],"auth":{"token":"t"},"transports":["websocket"]}),
        json!({"cookies":"sid=1","greeting":[{"event":"hello","args":["there"]}]}),
    );
    let connected = world.server_reports("connected");
    assert_eq!(
        (&connected["auth"], &connected["cookie"], &connected["transport"]),
        (&json!({"token":"t"}), &json!("sid=1"), &json!("websocket"))
    );
    assert_eq!(world.server_reports("event")["event"], "hello");
    let echo = world.message();
    assert_eq!(
        (&echo["event"], &echo["args"]),
        (&json!("echo"), &json!(["there"]))
    );
    // A message with a receipt, one that its acknowledgement confirms, and a request.
    world.send(json!({"type":"send","session":"s","id":"1","event":"silent","args":[],"receipt":true}));
    assert_eq!(world.host.expect("outcome")["outcome"], "sent");
    world.send(
        json!({"type":"send","session":"s","id":"2","event":"x","confirm":{"ack":true},"receipt":true}),
    );
    assert_eq!(world.host.expect("outcome")["outcome"], "confirmed");
    world.send(
        json!({"type":"request","session":"s","id":"3","event":"ask","args":[{"n":1},"two"],
        "namespace":"/chat","match":{"ack":true}}),
    );
    let response = world.host.expect("response");
    assert_eq!(
        (&response["id"], &response["args"]),
        (&json!("3"), &json!([{"n":1},"two"]))
    );
    world.send(
        json!({"type":"request","session":"s","id":"4","event":"silent","args":[],
        "match":{"ack":true},"timeout":50}),
    );
    assert_eq!(world.host.expect("response")["error"]["code"], "timeout");
    // The server asks.
    world
        .server
        .command(json!({"ask":"question","args":[{"deep":true}],"ns":"/chat"}));
    let question = world.host.find("question", |frame| frame["event"] == "question");
    assert_eq!(
        (&question["args"], &question["namespace"], &question["reply"]),
        (&json!([{"deep":true}]), &json!("/chat"), &json!(true))
    );
    world.send(json!({"type":"reply","session":"s","seq":question["seq"],"args":["yes"]}));
    assert_eq!(world.server_reports("answers")["answers"], json!(["yes"]));
    world.send(json!({"type":"reply","session":"s","seq":question["seq"],"args":["again"]}));
    assert_eq!(world.host.expect("error")["code"], "not-sent");
}

#[test]
fn polling_becomes_a_websocket_and_loses_nothing() {
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
fn a_server_of_version_2_is_recognised_with_advice() {
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
fn bytes_come_and_go_as_attachments() {
    let Some(mut world) = World::new(json!({"maxHttpBufferSize":10_000_000})) else {
        return;
    };
    world.opens(json!({"transports":["websocket"]}), json!({}));
    world.state("open");
    world
        .server
        .command(json!({"emit":"file","args":[{"name":"a","data":{"$bytes":3}},{"$bytes":0}]}));
    assert_eq!(
        world.message()["args"],
        json!([{"name":"a","data":{"$base64":"BwcH"}},{"$base64":""}])
    );
    // Large ones too, in parts on the pipe.
    world
        .server
        .command(json!({"emit":"large","args":[{"$bytes":3_000_000}]}));
    let large = world.message();
    world.send(json!({"type":"ack","session":"s","seq":large["seq"]}));
    let large = large["args"].clone();
    assert_eq!(large[0]["$base64"].as_str().map(str::len), Some(4_000_000));
    world.send(
        json!({"type":"request","session":"s","id":"l","event":"up","args":large,"match":{"ack":true}}),
    );
    assert_eq!(world.host.expect("response")["args"], large);
    world.server.wait_for("large", |line| line["event"] == "up");
    let sent = json!([{"$base64":"AAEC"},{"$$base64":"mine"}]);
    world
        .send(json!({"type":"request","session":"s","id":"r","event":"up","args":sent,"match":{"ack":true}}));
    assert_eq!(world.host.expect("response")["args"], sent);
    let up = world.server.wait_for("up", |line| line["event"] == "up");
    assert_eq!(
        up["args"],
        json!([{"type":"Buffer","data":[0,1,2]},{"$base64":"mine"}])
    );
}

#[test]
fn large_events_go_in_order_with_their_attachments_and_arrays() {
    for transports in [json!(["websocket"]), json!(["polling"])] {
        let Some(mut world) = World::new(json!({"maxHttpBufferSize": 4 << 20})) else {
            return;
        };
        world.opens(json!({"transports": transports}), json!({}));
        let text = "x".repeat(600_000);
        world.send(json!({"type":"request","session":"s","id":"1","event":"large",
            "args":[[1, [2]], text, {"$base64":"AQID"}],"match":{"ack":true}}));
        world.send(json!({"type":"request","session":"s","id":"2","event":"small",
            "args":[["after"]],"match":{"ack":true}}));
        let first = world.host.expect("response");
        assert_eq!(
            (&first["id"], &first["args"]),
            (&json!("1"), &json!([[1, [2]], text, {"$base64":"AQID"}]))
        );
        let second = world.host.expect("response");
        assert_eq!(
            (&second["id"], &second["args"]),
            (&json!("2"), &json!([["after"]]))
        );
        world.server.command(json!({"ask":"question","args":[]}));
        let question = world.host.find("question", |frame| frame["event"] == "question");
        world.send(json!({"type":"reply","session":"s","seq":question["seq"],"args":[text]}));
        assert_eq!(world.server_reports("answers")["answers"], json!([text]));
    }
}

#[test]
fn what_is_more_than_the_server_takes_is_refused_and_ends_nothing() {
    for transport in ["websocket", "polling"] {
        let Some(mut world) = World::new(json!({"maxHttpBufferSize":100_000})) else {
            return;
        };
        world.opens(json!({"transports":[transport]}), json!({}));
        world.state("open");
        let large = "x".repeat(150_000);
        world.send(
            json!({"type":"send","session":"s","id":"a","event":"up","args":[large],"ifLost":"resend"}),
        );
        let outcome = world.host.expect("outcome");
        assert_eq!(
            (&outcome["outcome"], &outcome["error"]["code"]),
            (&json!("failed"), &json!("too-large")),
            "{transport}"
        );
        assert!(outcome["error"]["message"].as_str().unwrap().contains("100000"));
        world.send(
            json!({"type":"request","session":"s","id":"b","event":"up","args":[large],"match":{"ack":true}}),
        );
        assert_eq!(world.host.expect("response")["error"]["code"], "too-large");
        // By polling bytes are a third more.
        let bytes = json!([{"$base64":"AAAA".repeat(30_000)}]);
        world.send(
            json!({"type":"request","session":"s","id":"bytes","event":"up","args":bytes,"match":{"ack":true}}),
        );
        let is_refused = world.host.expect("response")["error"]["code"] == "too-large";
        assert_eq!(is_refused, transport == "polling");
        // What an event of the server's is answered with, too.
        world.server.command(json!({"ask":"question"}));
        let question = world.message();
        let reply = |args: Value| json!({"type":"reply","session":"s","seq":question["seq"],"args":args});
        world.send(reply(json!([large])));
        assert_eq!(world.host.expect("error")["code"], "too-large");
        world.send(reply(json!(["small"])));
        assert_eq!(world.server_reports("answers")["answers"], json!(["small"]));
        world.send(json!({"type":"request","session":"s","id":"c","event":"up","args":["small"],"match":{"ack":true}}));
        assert_eq!(world.host.expect("response")["args"], json!(["small"]));
        world.send(json!({"type":"status","id":"q"}));
        assert_eq!(world.host.expect("status")["total"]["dials"], 1);
    }
}

#[test]
fn a_worker_that_died_answers_as_the_next_one() {
    let Some(mut world) = World::new(json!({})) else {
        return;
    };
    world.opens(json!({"transports":["websocket"]}), json!({}));
    world.state("open");
    world.server.command(json!({"ask":"question","args":[1]}));
    let question = world.message();
    world.host.kill();
    world.host = HostProcess::chromium(&world.scratch);
    world.host.hello();
    world.send(json!({"type":"open","id":"o","session":"s"}));
    let again = world.message();
    assert_eq!(
        (&again["seq"], &again["redelivered"], &again["reply"]),
        (&question["seq"], &json!(true), &json!(true))
    );
    world.send(json!({"type":"reply","session":"s","seq":again["seq"],"args":["late"]}));
    assert_eq!(world.server_reports("answers")["answers"], json!(["late"]));
    // One that is not answered in the server's time is the server's loss; the session goes on.
    world
        .server
        .command(json!({"ask":"unanswered","args":[],"timeout":50}));
    let unanswered = world
        .host
        .find("unanswered", |frame| frame["event"] == "unanswered");
    assert!(
        world.server_reports("failed")["failed"]
            .as_str()
            .unwrap()
            .contains("timed out")
    );
    world.send(json!({"type":"reply","session":"s","id":"r","seq":unanswered["seq"],"args":[]}));
    world.host.find("ok", |frame| frame["id"] == "r");
    world.send(json!({"type":"request","session":"s","id":"e","event":"x","args":[2],"match":{"ack":true}}));
    assert_eq!(world.host.expect("response")["args"], json!([2]));
}

#[test]
fn a_connection_that_broke_is_recovered_by_the_server() {
    let Some(mut world) = World::new(json!({"connectionStateRecovery":{}})) else {
        return;
    };
    world.opens(json!({"transports":["websocket"]}), json!({}));
    world.state("open");
    world.server.command(json!({"emit":"n","args":[1]}));
    assert_eq!(world.message()["args"][0], 1);
    world.server.command(json!({"drop":true}));
    world.server.command(json!({"emit":"n","args":[2]}));
    assert_eq!(world.message()["args"][0], 2, "what was said meanwhile comes");
    assert_eq!(world.state("open")["continuity"], "server");
}

#[test]
fn a_refusal_asks_for_credentials_and_fresh_ones_open() {
    let Some(mut world) = World::new(json!({})) else {
        return;
    };
    world.opens(json!({"auth":{"token":"bad"}}), json!({"auth":"provider"}));
    world.host.expect("auth-needed");
    world.send(json!({"type":"authorize","session":"s","auth":{"token":"bad"}}));
    let asked = world.host.expect("auth-needed");
    assert_eq!(asked["why"], "refused");
    let refused = world
        .host
        .find("the refusal", |frame| frame["reason"] == "Unauthorized");
    assert_eq!(refused["state"], "unauthorized");
    world.send(json!({"type":"authorize","session":"s","nonce":asked["nonce"],"auth":{"token":"good"}}));
    world.state("open");
}

#[test]
fn namespaces_are_refused_and_dropped_apart() {
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
fn a_server_that_restarts_is_found_again() {
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
