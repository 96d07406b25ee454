//! Events and acknowledgements: both ways, with bytes, large ones, after a lost worker.

use super::*;

#[test]
fn events_and_acknowledgements_work_in_both_directions() {
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
    // The server sends an event that requests an acknowledgement.
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
fn bytes_are_sent_and_received_as_attachments() {
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
fn large_events_are_sent_in_order_with_attachments_and_arrays() {
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
fn a_message_above_the_server_limit_is_refused_and_the_link_stays_open() {
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
fn the_next_worker_can_acknowledge_an_event_of_its_predecessor() {
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
    // An event that is not answered in time fails at the server; the session continues.
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
