//! The Go gateway: on gorilla/websocket where Debian's packages are installed, and the same on npm `ws` everywhere.

use serde_json::{Value, json};

use super::System;
use crate::support::{SOON, eventually};

/// Each of these runs against both servers.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod gorilla {
            $(#[test]
            fn $test() {
                if let Some(server) = crate::support::server::Server::go("gateway", super::VARIABLES) {
                    super::$test(super::System::on(server, ""));
                }
            })*
        }
        mod npm {
            $(#[test]
            fn $test() {
                if let Some(system) = super::System::of("gateway", super::VARIABLES) {
                    super::$test(system);
                }
            })*
        }
    };
}

on_both!(
    never_disconnects_the_broker_as_slow,
    disconnects_a_slow_client_which_reconnects_and_fetches_missed_messages,
    overflowing_messages_become_a_gap,
    is_reconnected_after_a_restart,
    receives_pongs_and_enforces_its_message_limit,
);

const VARIABLES: &[(&str, &str)] = &[("PING", "50")];

fn options(more: Value) -> Value {
    let mut options = json!({"format":"json","maxMessage":524_288,"reconnect":{"minDelay":5},
        "greeting":[{"json":{"type":"hello","payload":"worker"}}],"ready":{"/type":"welcome"}});
    for (name, value) in more.as_object().unwrap() {
        options[name] = value.clone();
    }
    options
}

impl System {
    /// Opens the session; gives what the server is called in this life.
    fn join(&mut self, more: Value) -> Value {
        let url = self.server.ws("/ws");
        self.opens("gateway", url, options(more));
        let welcome = self
            .host
            .find("the welcome", |frame| frame["json"]["type"] == "welcome");
        self.send(json!({"type":"ack","session":"gateway","seq":welcome["seq"]}));
        let payload = &welcome["json"]["payload"];
        assert_eq!(payload["heard"], "worker");
        payload["instance"].clone()
    }

    fn gateway(&mut self, kind: &str, payload: Value) {
        self.send(json!({"type":"send","session":"gateway","json":{"type":kind,"payload":payload}}));
    }

    /// The worker sleeps, or comes back.
    fn window(&mut self, messages: u32, bytes: u32) {
        self.send(json!({"type":"window","session":"gateway","messages":messages,"bytes":bytes}));
    }

    /// So many messages have come to the broker.
    fn received(&mut self, count: u64) {
        eventually(SOON, "the flood has come", || {
            let received = self.status()["total"]["received"]["messages"].as_u64();
            (received >= Some(count)).then_some(())
        });
    }

    /// The next record, acknowledged.
    fn record(&mut self) -> Value {
        let record = self.host.find("a record", |frame| {
            matches!(frame["type"].as_str(), Some("message" | "gap" | "state"))
        });
        self.send(json!({"type":"ack","session":"gateway","seq":record["seq"]}));
        record
    }
}

fn never_disconnects_the_broker_as_slow(mut system: System) {
    system.join(json!({}));
    // The worker sleeps; the broker drains what would have made a sleeping client too slow.
    system.window(0, 0);
    for round in 1..=10 {
        system.gateway("flood", json!({"count":200}));
        system.received(200 * round + 1);
    }
    let total = system.status()["total"].clone();
    assert_eq!((&total["reconnects"], &total["dropped"]), (&json!(0), &json!(0)));
    system.window(4096, 4_194_304);
    for n in 1..=2000 {
        assert_eq!(
            system.message_of_type("tick")["payload"]["n"],
            n,
            "nothing of it was lost"
        );
    }
    let stats = system.got("/api/stats");
    assert_eq!((&stats["clients"], &stats["dropped"]), (&json!(1), &json!(0)));
    assert_eq!(stats["polls"], 0, "no client polls");
}

fn disconnects_a_slow_client_which_reconnects_and_fetches_missed_messages(mut system: System) {
    // A log that is full stops reading: that makes even this client too slow.
    system.join(json!({"queue":{"messages":8,"overflow":"pause"}}));
    system.window(0, 0);
    system.gateway("flood", json!({"count":400,"size":200_000}));
    eventually(SOON, "the gateway drops it", || {
        (system.got("/api/stats")["dropped"] == 1).then_some(())
    });
    system.window(4096, 4_194_304);
    let mut last = 0;
    let open = loop {
        let record = system.record();
        if record["json"]["type"] == "tick" {
            last += 1;
            assert_eq!(record["json"]["payload"]["n"], last, "every message arrived");
        }
        if record["state"] == "open" && record["dial"] == 2 {
            break record;
        }
    };
    assert!(last < 400, "the gateway had dropped the rest");
    assert_eq!(
        open["continuity"], "unknown",
        "only the server knows how much it threw away"
    );
    system.message_of_type("welcome");
    system.gateway("flood", json!({"count":1}));
    assert_eq!(
        system.message_of_type("tick")["payload"]["n"],
        401,
        "by its numbers one sees what is missing"
    );
}

fn overflowing_messages_become_a_gap(mut system: System) {
    system.join(json!({"queue":{"messages":50}}));
    system.window(0, 0);
    system.gateway("flood", json!({"count":200}));
    system.received(201);
    assert_eq!(system.status()["total"]["dropped"], 150);
    system.window(4096, 4_194_304);
    let gap = system.host.expect("gap");
    assert_eq!(
        (&gap["reason"], &gap["exact"], &gap["count"]),
        (&json!("overflow"), &json!(true), &json!(150))
    );
    for n in 151..=200 {
        assert_eq!(system.message_of_type("tick")["payload"]["n"], n);
    }
}

fn is_reconnected_after_a_restart(mut system: System) {
    let instance = system.join(json!({}));
    system.gateway("flood", json!({"count":3}));
    for n in 1..=3 {
        assert_eq!(system.message_of_type("tick")["payload"]["n"], n);
    }
    system.gateway("restart", json!(null));
    let lost = system.host.find("the restart", |frame| frame["code"] == 1012);
    assert_eq!(lost["state"], "waiting");
    // It is not up at once: each refusal makes the next wait longer.
    for attempt in 2..=4 {
        let refused = system.host.find("a refusal", |frame| frame["status"] == 503);
        assert_eq!(
            (&refused["state"], &refused["attempt"]),
            (&json!("waiting"), &json!(attempt))
        );
    }
    let welcome = system.message_of_type("welcome");
    assert_ne!(welcome["payload"]["instance"], instance);
    system.gateway("flood", json!({"count":1}));
    assert_eq!(
        system.message_of_type("tick")["payload"]["n"],
        1,
        "it has forgotten everything"
    );
    assert_eq!(system.got("/api/stats")["polls"], 0);
}

fn receives_pongs_and_enforces_its_message_limit(mut system: System) {
    system.join(json!({}));
    eventually(SOON, "several pings are answered", || {
        (system.got("/api/stats")["pongs"].as_u64() >= Some(5)).then_some(())
    });
    assert_eq!(system.status()["total"]["reconnects"], 0);
    let big = json!({"type":"hello","payload":"x".repeat(600_000)});
    system.send(json!({"type":"send","session":"gateway","id":"big","json":big}));
    let refused = system.host.find("refusal", |frame| frame["id"] == "big");
    assert_eq!(
        refused["code"], "too-large",
        "`maxMessage` is enforced before the server's limit"
    );
    // Without it the server's own limit applies.
    let url = system.server.ws("/ws");
    system.opens(
        "unwarned",
        url,
        json!({"format":"json","reconnect":{"minDelay":5}}),
    );
    system.send(json!({"type":"send","session":"unwarned","id":"big2","json":big,"receipt":true}));
    // Gorilla closes with the rest unread, and its close frame 1009 may be lost to the reset.
    let closed = system.host.find("the server's answer", |frame| {
        frame["session"] == "unwarned" && frame["code"].is_number()
    });
    assert!(closed["code"] == 1009 || closed["code"] == 1006, "{closed}");
    let outcome = system.host.find("its outcome", |frame| {
        frame["id"] == "big2" && frame["type"] == "outcome"
    });
    assert_eq!(
        outcome["outcome"], "unknown",
        "it was written, and is not sent again unasked"
    );
    let back = system.host.find("it is redialled", |frame| {
        frame["session"] == "unwarned" && frame["state"] == "open" && frame["continuity"].is_string()
    });
    assert_eq!(back["dial"], 2);
}
