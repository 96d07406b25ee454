//! Frappe realtime: the cookie, the Origin and the site decide who may connect.

use serde_json::{Value, json};

use super::System;
use crate::support::{SOON, eventually};

/// Frappe compares the Origin with its own Host; these settings let an extension send any.
const FRAPPE: &str = "[default]\nany-origin = true\n";

fn reported(system: &mut System, what: &str) -> Value {
    system.server.wait_for(what, |line| line[what].is_string())[what].clone()
}

fn cookie(sid: &str) -> Value {
    json!({"Cookie":format!("sid={sid}")})
}

/// The options of a session with the site, for an Origin and with these of Socket.IO's own.
fn joining(origin: &str, socketio: Value) -> Value {
    let mut options =
        json!({"protocol":"socket.io","socketio":socketio,"cookies":"sid=abc","reconnect":{"minDelay":5}});
    options["headers"] = json!({"Origin":origin});
    options["socketio"]["namespaces"] = json!(["/site1.local"]);
    options
}

#[test]
fn connects_with_its_cookie_and_delivers_code_as_data() {
    // Without settings: the Origin is that of the site itself.
    let Some(mut system) = System::of("frappe", &[]) else {
        return;
    };
    let site = system.server.url("");
    let options = json!({"protocol":"socket.io","socketio":{"namespaces":["/site1.local"]},
        "headers":{"Origin":site},"auth":"provider"});
    system.opens("frappe", site.clone(), options.clone());
    let auth_needed = system.host.expect("auth-needed");
    assert_eq!(auth_needed["why"], "first");
    system.send(
        json!({"type":"authorize","session":"frappe","nonce":auth_needed["nonce"],"headers":cookie("expired")}),
    );
    let auth_needed = system.host.expect("auth-needed");
    assert_eq!(auth_needed["why"], "refused");
    system.send(
        json!({"type":"authorize","session":"frappe","nonce":auth_needed["nonce"],"headers":cookie("abc")}),
    );
    system.state("open");
    // By polling first, then by a WebSocket.
    assert_eq!(reported(&mut system, "connected"), "polling");
    assert_eq!(reported(&mut system, "upgraded"), "websocket");
    // However often it is opened, there is one connection.
    for _ in 0..5 {
        let opened = system.opens("frappe", site.clone(), options.clone());
        assert_eq!(
            (&opened["created"], &opened["state"]),
            (&json!(false), &json!("open"))
        );
    }
    system.send(
        json!({"type":"request","session":"frappe","id":"n","event":"connections",
        "namespace":"/site1.local","match":{"ack":true}}),
    );
    assert_eq!(system.host.expect("response")["args"], json!([1]));
    system.send(
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
}

#[test]
fn requests_a_new_cookie_when_the_session_has_expired() {
    let Some(mut system) = System::with_settings("frappe", &[], FRAPPE) else {
        return;
    };
    let site = system.server.url("");
    let mut options = joining(&site, json!({}));
    options["auth"] = json!("provider");
    system.opens("frappe", site, options);
    let auth_needed = system.host.expect("auth-needed");
    system.send(
        json!({"type":"authorize","session":"frappe","nonce":auth_needed["nonce"],"headers":cookie("first")}),
    );
    system.state("open");
    let sign_out = json!({"type":"send","session":"frappe","event":"sign_out","namespace":"/site1.local"});
    system.send(sign_out);
    let auth_needed = system.host.expect("auth-needed");
    assert_eq!(auth_needed["why"], "refused");
    system.host.find("the refusal", |frame| {
        frame["state"] == "unauthorized" && frame["reason"] == "Unauthorized"
    });
    system.send(
        json!({"type":"authorize","session":"frappe","nonce":auth_needed["nonce"],"headers":cookie("second")}),
    );
    let again = system
        .host
        .find("open again", |frame| frame["continuity"].is_string());
    assert_eq!(again["state"], "open");
}

#[test]
fn connects_over_the_requested_transports() {
    let Some(mut system) = System::with_settings("frappe", &[], FRAPPE) else {
        return;
    };
    let site = system.server.url("");
    for transport in ["websocket", "polling"] {
        let options = joining(&site, json!({"transports":[transport]}));
        system.opens(transport, site.clone(), options);
        system.state("open");
        assert_eq!(reported(&mut system, "connected"), transport);
        let start = json!({"type":"send","session":transport,"event":"ai_start","args":[transport],
            "namespace":"/site1.local"});
        system.send(start);
        let progress = system.host.find("progress", |frame| {
            frame["session"] == transport && frame["event"] == "ai_progress"
        });
        assert_eq!(progress["args"][0]["task"], transport);
    }
}

#[test]
fn is_polled_with_the_same_cookie_where_websocket_is_blocked() {
    let Some(mut system) = System::with_settings("frappe", &[("NO_SOCKET", "1")], FRAPPE) else {
        return;
    };
    let (site, method) = (system.server.url(""), system.server.url("/api/method/ai.pending"));
    let mut options = joining(&site, json!({}));
    options["transports"] = json!(["socket.io", "poll"]);
    options["urls"] = json!({"poll":method});
    options["poll"] = json!({"interval":20,"items":"/message","cursor":{"item":"/idx","query":"after"}});
    system.opens("frappe", site, options);
    let open = system.state("open");
    assert_eq!(open["transport"], "poll");
    for event in [
        "ai_progress",
        "ai_progress",
        "ai_progress",
        "ai_progress",
        "msgprint",
        "eval_js",
    ] {
        assert_eq!(system.host.expect("message")["json"]["event"], event);
    }
    // Without a cookie that is good it is refused as the socket would be.
    let guest = json!({"protocol":"poll","cookies":"sid=Guest"});
    system.opens("guest", method.clone(), guest);
    let denied = system.host.find("denied", |frame| {
        frame["session"] == "guest" && frame["state"] == "failed"
    });
    assert_eq!(denied["status"], 403);
    let provided = json!({"protocol":"poll","auth":"provider"});
    system.opens("provided", method, provided);
    let auth_needed = system.host.expect("auth-needed");
    let expired = json!({"type":"authorize","session":"provided","nonce":auth_needed["nonce"],"headers":cookie("expired")});
    system.send(expired);
    let auth_needed = system.host.find("asked again", |frame| {
        frame["type"] == "auth-needed" && frame["why"] == "refused"
    });
    assert_eq!(auth_needed["status"], 403);
}

#[test]
fn refuses_foreign_origins_and_other_sites() {
    let Some(mut system) = System::with_settings("frappe", &[], FRAPPE) else {
        return;
    };
    let site = system.server.url("");
    let own = format!("http://127.0.0.1:{}", system.server.port);
    for (session, origin, namespace, sid, why) in [
        ("unsaid", None, "/site1.local", "sid=abc", "Invalid origin"),
        (
            "foreign",
            Some("http://evil.example"),
            "/site1.local",
            "sid=abc",
            "Invalid origin",
        ),
        (
            "other",
            Some(own.as_str()),
            "/site2.local",
            "sid=abc",
            "Invalid namespace",
        ),
        (
            "nobody",
            Some(own.as_str()),
            "/site1.local",
            "system_user=yes",
            "No sid",
        ),
        (
            "guest",
            Some(own.as_str()),
            "/site1.local",
            "sid=Guest",
            "Unauthorized",
        ),
    ] {
        let mut options = json!({"protocol":"socket.io","socketio":{"namespaces":[namespace]},"cookies":sid});
        if let Some(origin) = origin {
            options["headers"] = json!({"Origin":origin});
        }
        system.opens(session, site.clone(), options);
        let failed = system.host.find("refusal", |frame| {
            frame["session"] == session && frame["state"] == "failed"
        });
        assert_eq!(failed["reason"], why, "{session}");
    }
}

/// What a process holds besides memory.
fn holds(process: u32, what: &str) -> usize {
    std::fs::read_dir(format!("/proc/{process}/{what}"))
        .unwrap()
        .count()
}

#[test]
fn is_reconnected_a_thousand_times_without_a_leak() {
    let Some(mut system) = System::with_settings("frappe", &[], FRAPPE) else {
        return;
    };
    let site = system.server.url("");
    let options = joining(&site, json!({"transports":["websocket"]}));
    system.opens("frappe", site, options);
    let reconnects = |system: &mut System, times: u32| {
        for _ in 0..times {
            system.send(json!({"type":"reconnect","session":"frappe"}));
            let open = system.state("open");
            system.send(json!({"type":"ack","session":"frappe","seq":open["seq"]}));
        }
    };
    system.state("open");
    reconnects(&mut system, 100);
    let broker = system.scratch.broker();
    let rss = system.status()["rss"].as_u64().unwrap();
    let before = ["fd", "task"].map(|what| holds(broker, what));
    reconnects(&mut system, 900);
    let now = system.status();
    assert_eq!(now["total"]["dials"], 1001);
    assert_eq!(
        (&now["total"]["outbox"], &now["total"]["queued"], &now["ports"]),
        (&json!(0), &json!(0), &json!(1))
    );
    // A closed connection takes a moment to end.
    eventually(SOON, "old connections are closed", || {
        let now = ["fd", "task"].map(|what| holds(broker, what));
        (now[0] <= before[0] + 2 && now[1] <= before[1] + 2).then_some(())
    });
    eventually(SOON, "the server has one connection", || {
        system.send(
            json!({"type":"request","session":"frappe","id":"n","event":"connections",
            "namespace":"/site1.local","match":{"ack":true}}),
        );
        (system.host.expect("response")["args"] == json!([1])).then_some(())
    });
    // What 900 connections would leave behind at 9 KB each; an allocator keeps some megabytes as it likes.
    let grown = now["rss"].as_u64().unwrap().saturating_sub(rss);
    assert!(grown < 8 << 20, "{grown} bytes more than after 100");
}
