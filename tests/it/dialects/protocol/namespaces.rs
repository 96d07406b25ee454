//! Namespaces of Socket.IO: connected with credentials, refused, disconnected.

use super::*;

#[test]
fn namespaces_are_requested_with_and_without_credentials() {
    for (socketio, packets) in [
        (json!({}), vec!["40"]),
        (json!({"auth":{"token":"123"}}), vec![r#"40{"token":"123"}"#]),
        (json!({"namespaces":["/custom"]}), vec!["40/custom,"]),
        (
            json!({"namespaces":["/","/custom"],"auth":{"token":"abc"}}),
            vec![r#"40{"token":"abc"}"#, r#"40/custom,{"token":"abc"}"#],
        ),
    ] {
        let Some(mut peer) = Peer::new(json!({})) else {
            return;
        };
        peer.dial(json!(["websocket"]), socketio);
        for packet in packets {
            peer.packet(packet);
            let namespace = if packet.contains("/custom") {
                "/custom,"
            } else {
                ""
            };
            let connected = format!(r#"40{namespace}{{"sid":"x"}}"#);
            let greeting = format!(r#"42{namespace}["auth",{{}}]"#);
            peer.server.command(json!({"say":[connected, greeting]}));
        }
        peer.state("open");
        assert_eq!(peer.event("auth")["args"], json!([{}]));
        peer.assert_no_errors();
    }
}

#[test]
fn an_unknown_namespace_is_reported() {
    for (namespaces, connects, sent) in [
        (json!(["/random"]), vec!["40/random,"], vec![]),
        (
            json!(["/", "/random"]),
            vec!["40", "40/random,"],
            vec![r#"40{"sid":"x"}"#],
        ),
    ] {
        let Some(mut peer) = Peer::new(json!({})) else {
            return;
        };
        peer.dial(json!(["polling"]), json!({"namespaces":namespaces}));
        for packet in connects {
            peer.packet(packet);
        }
        peer.server.command(json!({"say":sent}));
        peer.server
            .command(json!({"say":[r#"44/random,{"message":"Invalid namespace","data":{"code":7}}"#]}));
        let failed = peer.state("failed");
        let why = failed["error"]["message"].as_str().unwrap();
        assert!(
            why.contains("/random") && why.contains("Invalid namespace"),
            "{failed}"
        );
        assert_eq!(
            (&failed["reason"], &failed["data"]),
            (&json!("Invalid namespace"), &json!({"code": 7}))
        );
        if failed["namespace"] == "/random" {
            peer.state("open");
        }
        peer.assert_no_errors();
    }
}

#[test]
fn a_server_that_confirms_no_namespace_is_disconnected() {
    for transport in TRANSPORTS {
        let Some(mut peer) = Peer::new(json!({})) else {
            return;
        };
        let options = json!({"protocol":"socket.io","socketio":{"transports":[transport]},"connectTimeout":500,
            "reconnect":{"minDelay":5}});
        peer.dial_with(options);
        peer.packet("40");
        let waiting = peer.state("waiting");
        assert_eq!(waiting["dial"], 1, "{transport}");
        assert_eq!(waiting["error"]["code"], "timeout", "{waiting}");
        let why = waiting["error"]["message"].as_str().unwrap();
        assert!(why.contains("the namespace `/` within `connectTimeout`"), "{why}");
        peer.assert_no_errors();
    }
}

#[test]
fn a_closed_namespace_does_not_affect_the_others() {
    let Some(mut peer) = Peer::new(json!({})) else {
        return;
    };
    peer.dial(json!(["websocket"]), json!({"namespaces":["/","/custom"]}));
    peer.packet("40");
    peer.packet("40/custom,");
    peer.server
        .command(json!({"say":[r#"40{"sid":"x"}"#, r#"40/custom,{"sid":"y"}"#]}));
    peer.state("open");
    peer.server.command(json!({"say":["41/custom,"]}));
    let closed = peer.host.find("the end", |frame| frame["namespace"] == "/custom");
    assert_eq!(closed["state"], "closed");
    let message = "message to main namespace";
    peer.send(json!({"type":"send","session":"s","event":"message","args":[message]}));
    peer.packet(&format!(r#"42["message","{message}"]"#));
    // The main one ends the session: it was meant.
    peer.server.command(json!({"say":["41"]}));
    assert_eq!(peer.state("failed")["error"]["code"], "closed-by-server");
    peer.assert_no_errors();
}
