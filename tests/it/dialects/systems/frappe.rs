//! Frappe realtime: the cookie, the Origin and the site decide who comes in.

use serde_json::json;

use super::System;
use crate::support::{SOON, eventually};

/// Frappe compares the Origin with its own Host, and an extension may send no other Origin than its own unasked.
const FRAPPE: &str = "[default]\nany-origin = true\n";

#[test]
fn is_joined_with_the_cookie_and_its_code_is_data() {
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
fn is_not_let_in_from_a_foreign_page() {
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
fn is_reconnected_a_thousand_times_without_a_leak() {
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
