//! Event streams, polling and posting from an extension's port to a real HTTP server.

use serde_json::{Value, json};

use crate::support::ORIGIN;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::server::Server;

/// An extension's port, a broker and a server.
fn world() -> Option<(Scratch, HostProcess, Server)> {
    let server = Server::start("http.mjs", "")?;
    let scratch = Scratch::new();
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    Some((scratch, host, server))
}

fn open(host: &mut HostProcess, url: String, options: Value) {
    let mut frame = json!({"type":"open","id":"o","session":"s","url":url});
    if !options.is_null() {
        frame["options"] = options;
    }
    host.send(&frame);
    let opened = host.find("opened or error", |frame| {
        frame["type"] == "opened" || frame["type"] == "error"
    });
    assert_eq!(opened["type"], "opened", "{opened}");
}

fn state(host: &mut HostProcess, state: &str) -> Value {
    host.find(state, |frame| frame["type"] == "state" && frame["state"] == state)
}

#[test]
fn an_event_stream_survives_the_worker_and_a_lost_connection() {
    let Some((scratch, mut host, mut server)) = world() else {
        return;
    };
    server.command(
        json!({"on":"/events","stream":true,"headers":{"content-type":"text/event-stream"},
        "body":": hello\n\nretry: 1\nid: 1\nevent: task\ndata: {\"n\":1}\n\n"}),
    );
    let options = json!({"protocol":"sse","format":"json","cookies":"sid=7","headers":{"X-Key":"k"}});
    open(&mut host, server.url("/events?x=1"), options);
    let request = server.wait_for("the request", |line| line["url"] == "/events?x=1");
    assert_eq!(request["headers"]["accept"], "text/event-stream");
    assert_eq!(request["headers"]["cookie"], "sid=7");
    assert_eq!(request["headers"]["x-key"], "k");
    assert_eq!(request["headers"]["origin"], ORIGIN.trim_end_matches('/'));
    let task = host.expect("message");
    assert_eq!(
        (&task["event"], &task["json"], &task["lastEventId"]),
        (&json!("task"), &json!({"n": 1}), &json!("1"))
    );
    host.send(&json!({"type":"ack","session":"s","seq":task["seq"]}));
    host.ping("acknowledged");
    // The worker stops; the stream continues.
    drop(host);
    server.command(json!({"say":"/events","text":"id: 2\ndata: while away\n\n"}));
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    open(&mut host, server.url("/events?x=1"), json!(null));
    assert_eq!(host.expect("message")["text"], "while away");
    server.command(
        json!({"on":"/events","stream":true,"headers":{"content-type":"text/event-stream"},
        "body":"id: 3\ndata: again\n\n"}),
    );
    server.command(json!({"end":"/events"}));
    let request = server.wait_for("the next request", |line| {
        line["headers"]["last-event-id"].is_string()
    });
    assert_eq!(request["headers"]["last-event-id"], "2");
    assert_eq!(host.expect("message")["text"], "again");
    let open = host.find("open again", |frame| frame["continuity"].is_string());
    assert_eq!(open["continuity"], "server");
}

#[test]
fn a_polled_server_is_polled_again_and_receives_posts() {
    let Some((_scratch, mut host, mut server)) = world() else {
        return;
    };
    server.command(
        json!({"on":"/tasks/pending","headers":{"etag":"\"one\""},"body":r#"{"tasks":[{"id":1},{"id":2}]}"#}),
    );
    let rest = "/tasks/pending?after=2";
    server.command(json!({"on":rest,"headers":{"etag":"\"two\""},"body":r#"{"tasks":[]}"#}));
    server.command(json!({"on":"/results","status":201}));
    let options = json!({"protocol":"poll","poll":{"interval":20,"items":"/tasks","cursor":{"item":"/id","query":"after"}},
        "post":{"url":server.url("/results"),"headers":{"X-Post":"1"}}});
    open(&mut host, server.url("/tasks/pending"), options);
    assert_eq!(host.expect("message")["json"], json!({"id": 1}));
    assert_eq!(host.expect("message")["json"], json!({"id": 2}));
    let request = server.wait_for("a request from its position", |line| line["url"] == rest);
    assert_eq!(
        request["headers"]["if-none-match"],
        Value::Null,
        "the tag was another's"
    );
    let request = server.wait_for("the same request", |line| line["url"] == rest);
    assert_eq!(request["headers"]["if-none-match"], "\"two\"");
    host.send(&json!({"type":"send","session":"s","id":"r1","json":{"done":1},"receipt":true}));
    host.send(&json!({"type":"send","session":"s","id":"r2","text":"two","receipt":true}));
    assert_eq!(host.expect("outcome")["outcome"], "confirmed");
    assert_eq!(host.expect("outcome")["id"], "r2");
    let post = server.wait_for("a post", |line| line["method"] == "POST");
    assert_eq!(
        (
            &post["body"],
            &post["headers"]["content-type"],
            &post["headers"]["x-post"]
        ),
        (&json!(r#"{"done":1}"#), &json!("application/json"), &json!("1"))
    );
    assert_eq!(
        server.wait_for("a second", |line| line["method"] == "POST")["body"],
        "two"
    );
    server.command(json!({"on":rest,"status":500}));
    assert_eq!(state(&mut host, "waiting")["status"], 500);
    server.command(json!({"on":rest,"body":r#"{"tasks":[{"id":3}]}"#}));
    assert_eq!(
        host.expect("message")["json"],
        json!({"id": 3}),
        "an unchanged response was delivered once"
    );
}

#[test]
fn messages_behind_a_failed_post_are_posted_once_and_in_order() {
    let Some((_scratch, mut host, mut server)) = world() else {
        return;
    };
    server.command(json!({"on":"/events","stream":true,"headers":{"content-type":"text/event-stream"}}));
    server.command(json!({"on":"/results","status":503}));
    let options = json!({"protocol":"sse","post":{"url":server.url("/results")},"reconnect":{"minDelay":10}});
    open(&mut host, server.url("/events"), options);
    state(&mut host, "open");
    let mut send = |text: &str| json!({"type":"send","session":"s","id":text,"text":text,"receipt":true});
    let frames: Vec<Value> = ["1", "2", "3"].into_iter().map(&mut send).collect();
    host.send(&json!({"type":"batch","frames":frames}));
    assert_eq!(state(&mut host, "waiting")["status"], 503);
    server.command(json!({"on":"/results","status":201}));
    for id in ["1", "2", "3", "4"] {
        if id == "4" {
            host.send(&send(id));
        }
        let outcome = host.expect("outcome");
        assert_eq!(
            (&outcome["id"], &outcome["outcome"]),
            (&json!(id), &json!("confirmed"))
        );
    }
    let mut posts = vec![String::new()];
    while posts.last().is_none_or(|last| last != "4") {
        let post = server.wait_for("a post", |line| line["method"] == "POST");
        posts.push(post["body"].as_str().unwrap().to_owned());
    }
    posts.dedup();
    assert_eq!(posts[1..], ["1", "2", "3", "4"]);
}

#[test]
fn a_broken_request_is_a_lost_link_or_at_first_a_failed_dial() {
    let Some((_scratch, mut host, mut server)) = world() else {
        return;
    };
    server.command(json!({"on":"/tasks","body":"{}"}));
    let options = json!({"protocol":"poll","poll":{"interval":20},"reconnect":{"minDelay":5}});
    open(&mut host, server.url("/tasks"), options);
    state(&mut host, "open");
    server.command(json!({"on":"/tasks","cut":true}));
    let lost = state(&mut host, "waiting");
    assert_eq!(lost["error"]["code"], "link-lost", "{lost}");
    let failed = state(&mut host, "waiting");
    assert_eq!(failed["error"]["code"], "handshake", "{failed}");
}

#[test]
fn a_broken_post_is_a_lost_link_with_unknown_outcome() {
    let Some((_scratch, mut host, mut server)) = world() else {
        return;
    };
    server.command(
        json!({"on":"/events","stream":true,"headers":{"content-type":"text/event-stream"},"body":": hello\n\n"}),
    );
    server.command(json!({"on":"/results","cut":true}));
    let options = json!({"protocol":"sse","post":{"url":server.url("/results")}});
    open(&mut host, server.url("/events"), options);
    state(&mut host, "open");
    host.send(&json!({"type":"send","session":"s","id":"r","text":"x","receipt":true}));
    let lost = state(&mut host, "waiting");
    assert_eq!(lost["error"]["code"], "link-lost", "{lost}");
    let outcome = host.expect("outcome");
    assert_eq!(outcome["outcome"], "unknown", "{outcome}");
}

#[test]
fn a_response_that_is_not_an_event_stream_is_reported() {
    let Some((_scratch, mut host, mut server)) = world() else {
        return;
    };
    server.command(json!({"on":"/page","headers":{"content-type":"text/html"},"body":"<html>"}));
    open(&mut host, server.url("/page"), json!({"protocol":"sse"}));
    let failed = state(&mut host, "failed");
    assert_eq!(failed["error"]["code"], "server-protocol");
    assert!(failed["error"]["message"].as_str().unwrap().contains("text/html"));
    server.command(json!({"on":"/page","status":204}));
    host.send(&json!({"type":"reconnect","session":"s"}));
    assert_eq!(state(&mut host, "closed")["status"], 204);
}

#[test]
fn a_server_without_websocket_is_reached_by_event_stream() {
    let Some((_scratch, mut host, mut server)) = world() else {
        return;
    };
    server.command(
        json!({"on":"/events","stream":true,"headers":{"content-type":"text/event-stream"},
        "body":"data: heard\n\n"}),
    );
    let options = json!({"transports":["websocket","sse","poll"],"reconnect":{"minDelay":5},
        "urls":{"sse":server.url("/events"),"poll":server.url("/tasks")}});
    open(&mut host, server.url("/socket"), options);
    assert_eq!(host.expect("message")["text"], "heard");
    assert_eq!(state(&mut host, "open")["transport"], "sse");
}
