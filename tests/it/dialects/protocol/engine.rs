//! Engine.IO: pings, polling, closing and upgrades.

use super::*;

#[test]
fn pings_are_answered_on_each_transport() {
    for transport in TRANSPORTS {
        let Some(mut peer) = Peer::open(transport, json!({"pingInterval":50})) else {
            return;
        };
        for _ in 0..3 {
            assert_eq!(peer.receive("packet"), "3", "{transport}");
        }
        peer.assert_no_errors();
    }
}

#[test]
fn a_silent_server_is_disconnected() {
    for transport in TRANSPORTS {
        let silent = json!({"silent":true,"pingInterval":500,"pingTimeout":500});
        let Some(mut peer) = Peer::open(transport, silent) else {
            return;
        };
        assert_eq!(peer.state("waiting")["error"]["code"], "heartbeat", "{transport}");
        peer.packet_of_a_new_session();
        peer.assert_no_errors();
    }
}

#[test]
fn a_broken_poll_is_a_lost_link() {
    let Some(mut peer) = Peer::open("polling", json!({})) else {
        return;
    };
    peer.server.command(json!({"cut":true}));
    assert_eq!(peer.state("waiting")["error"]["code"], "link-lost");
    peer.packet_of_a_new_session();
    peer.assert_no_errors();
}

#[test]
fn a_closed_session_sends_a_close_packet() {
    for transport in TRANSPORTS {
        let Some(mut peer) = Peer::open(transport, json!({})) else {
            return;
        };
        peer.send(json!({"type":"send","session":"s","event":"last"}));
        peer.send(json!({"type":"close","session":"s","id":"c"}));
        peer.packet(r#"42["last"]"#);
        if transport == "polling" {
            peer.packet("1");
        } else {
            assert_eq!(peer.receive("closed"), 1000);
        }
        peer.assert_no_errors();
    }
}

#[test]
fn a_closing_server_is_redialled() {
    for transport in TRANSPORTS {
        for command in [json!({"say":["1"]}), json!({"forget":true}), json!({"end":true})] {
            let Some(mut peer) = Peer::open(transport, json!({})) else {
                return;
            };
            if transport == "polling" && command["end"] == true
                || transport == "websocket" && command["forget"] == true
            {
                continue;
            }
            peer.server.command(command.clone());
            let waiting = peer.state("waiting");
            if command["say"].is_array() {
                assert_eq!(waiting["error"]["code"], "closed-by-server", "{transport}");
            }
            peer.packet_of_a_new_session();
            peer.assert_no_errors();
        }
    }
}

#[test]
fn an_upgrade_loses_nothing_and_stops_polling() {
    let Some(mut peer) = Peer::new(json!({})) else {
        return;
    };
    peer.dial(json!(["polling", "websocket"]), json!({}));
    peer.packet("40");
    peer.server.command(json!({"say":[r#"40{"sid":"x"}"#]}));
    peer.state("open");
    // Both sides send all the time.
    for number in 0..200 {
        peer.send(json!({"type":"send","session":"s","event":"up","args":[number]}));
        if number % 20 == 0 {
            peer.server
                .command(json!({"say":[format!(r#"42["down",{number}]"#)]}));
        }
    }
    let (mut upgraded, mut next) = (false, 0);
    while next < 200 || !upgraded {
        let line = peer.server.wait_for("packets and the upgrade", |line| {
            assert_eq!(line["violation"], Value::Null, "the client broke the protocol");
            line["packet"].is_string() || line["upgraded"] == true
        });
        if line["upgraded"] == true {
            upgraded = true;
        } else if line["packet"] != "3" {
            assert_eq!(line["packet"], format!(r#"42["up",{next}]"#));
            next += 1;
        }
    }
    for number in (0..200).step_by(20) {
        assert_eq!(peer.event("down")["args"], json!([number]));
    }
    peer.assert_no_errors();
}

#[test]
fn a_failed_upgrade_leaves_polling_unchanged() {
    for options in [json!({"probe":"3nonsense"}), json!({"transports":["polling"]})] {
        let Some(mut peer) = Peer::new(options) else {
            return;
        };
        peer.dial(json!(["polling", "websocket"]), json!({}));
        peer.packet("40");
        peer.server.command(json!({"say":[r#"40{"sid":"x"}"#]}));
        peer.state("open");
        for number in 0..20 {
            peer.send(json!({"type":"send","session":"s","event":"up","args":[number]}));
            peer.packet(&format!(r#"42["up",{number}]"#));
        }
        peer.send(json!({"type":"status","id":"q"}));
        assert_eq!(peer.host.expect("status")["total"]["dials"], 1);
        peer.assert_no_errors();
    }
}

#[test]
fn a_load_balancer_cookie_is_sent_with_every_request() {
    let Some(mut peer) = Peer::new(json!({"cookie":"lb=1"})) else {
        return;
    };
    peer.dial_with(json!({"protocol":"socket.io","cookies":"sid=7"}));
    peer.packet("40");
    peer.server.command(json!({"say":[r#"40{"sid":"x"}"#]}));
    peer.state("open");
    assert_eq!(peer.receive("upgraded"), true);
    peer.assert_no_errors();
}

#[test]
fn polling_is_tried_after_a_failed_websocket() {
    let Some(mut peer) = Peer::new(json!({"transports":["polling"]})) else {
        return;
    };
    peer.dial(json!(["websocket", "polling"]), json!({}));
    assert_eq!([peer.receive("asked"), peer.receive("asked")], ["WS", "GET"]);
    peer.packet("40");
    peer.server.command(json!({"say":[r#"40{"sid":"x"}"#]}));
    assert_eq!(peer.state("open")["dial"], 1);
    peer.assert_no_errors();
}
