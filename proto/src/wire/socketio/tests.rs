//! Tests of `socketio`.

use super::*;

fn read(json: &str) -> SocketIoOptions {
    SocketIoOptions::from_json(json).unwrap()
}

#[test]
fn paths_equal_those_of_engine_io_client() {
    for (json, path) in [
        ("{}", "/socket.io/"),
        (r#"{"path":"/live"}"#, "/live/"),
        (r#"{"path":"/live/"}"#, "/live/"),
        (r#"{"path":"/live","addTrailingSlash":false}"#, "/live"),
        (r#"{"path":"/live/","addTrailingSlash":false}"#, "/live"),
        (r#"{"addTrailingSlash":false}"#, "/socket.io"),
    ] {
        assert_eq!(read(json).path, path, "{json}");
    }
}

#[test]
fn values_are_converted_to_text_as_in_javascript() {
    let given = read(
        r#"{"query":{"z":"é","a":1.0,"n":null,"t":true},"requestTimeout":"1500","extraHeaders":{"X-N":7}}"#,
    );
    let pairs = [("z", "é"), ("a", "1"), ("n", "null"), ("t", "true")];
    assert_eq!(
        given.query,
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!(given.polling.request_timeout, Some(1500));
    assert_eq!(given.websocket.headers, [("X-N".to_owned(), "7".to_owned())]);
}

#[test]
fn each_transport_has_its_own_options() {
    let given = read(
        r#"{"extraHeaders":{"X-A":"all"},"timestampParam":"ts",
            "transportOptions":{"polling":{"extraHeaders":{"X-P":"p"},"timestampRequests":false},
                                "websocket":{"timestampRequests":true,"forceBase64":true}}}"#,
    );
    assert_eq!(given.polling.headers, [("X-P".to_owned(), "p".to_owned())]);
    assert_eq!(given.websocket.headers, [("X-A".to_owned(), "all".to_owned())]);
    assert_eq!(given.polling.timestamp_param, None);
    assert_eq!(given.websocket.timestamp_param.as_deref(), Some("ts"));
    assert!(given.websocket.base64 && !given.polling.base64);
    assert_eq!(read("{}").polling.timestamp_param.as_deref(), Some("t"));
    assert_eq!(read("{}").websocket.timestamp_param, None);
}

#[test]
fn unsupported_options_are_refused_by_name() {
    for (names, _) in REFUSED {
        for name in *names {
            let why = SocketIoOptions::from_json(&format!(r#"{{"{name}":1}}"#)).unwrap_err();
            assert!(why.contains(&format!("`{name}`")), "{why}");
            let own = format!(r#"{{"transportOptions":{{"polling":{{"{name}":1}}}}}}"#);
            let why = SocketIoOptions::from_json(&own).unwrap_err();
            assert!(why.contains(&format!("`{name}`")), "{why}");
        }
    }
    for (json, name) in [
        (r#"{"transportOptions":{"polling":{"path":"/x"}}}"#, "path"),
        (r#"{"transportOptions":{"flash":{}}}"#, "flash"),
        (r#"{"query":{"a":{}}}"#, "query"),
        (r#"{"query":"a=b"}"#, "query"),
        (r#"{"requestTimeout":"soon"}"#, "requestTimeout"),
        (r#"{"addTrailingSlash":1}"#, "addTrailingSlash"),
        (r#"{"transports":["webtransport"]}"#, "transports"),
    ] {
        let why = SocketIoOptions::from_json(json).unwrap_err();
        assert!(why.contains(&format!("`{name}`")), "{json}: {why}");
    }
}
