//! Socket.IO around the change from polling to a WebSocket: no message or answer is lost, duplicated or reordered.
//!
//! `LONGWIRE_ROUNDS` makes the counting longer than a usual run has time for.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::server::Server;

/// Sessions that change at the same time.
const SESSIONS: usize = 12;

/// What came of one namespace of one session.
#[derive(Debug, Default)]
struct Count {
    received: u64,
    answered: u64,
    last: Option<u64>,
}

impl Count {
    fn is_over(&self) -> bool {
        self.last == Some(self.received) && self.answered == self.received
    }
}

#[test]
fn numbers_arrive_once_and_in_order_while_many_connections_upgrade() {
    let Some(mut server) = Server::start("numbers.mjs", "") else {
        return;
    };
    let rounds = std::env::var("LONGWIRE_ROUNDS").map_or(2, |rounds| rounds.parse().unwrap());
    let scratch = Scratch::new();
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    let mut upgraded = 0;
    for round in 0..rounds {
        count(&mut host, &server.url("/"), round);
        for _ in 0..SESSIONS + SESSIONS / 2 {
            let finished = server.wait_for("finished", |line| line["finished"].is_string());
            assert_eq!(finished["wrong"], Value::Null, "{finished}");
            upgraded += usize::from(finished["transport"] == "websocket");
        }
    }
    assert!(upgraded > 0, "nothing was changed");
}

/// Every second session has two namespaces.
fn count(host: &mut HostProcess, url: &str, round: usize) {
    let mut counts = BTreeMap::new();
    let names: Vec<String> = (0..SESSIONS).map(|index| format!("s{round}-{index}")).collect();
    for (index, name) in names.iter().enumerate() {
        let namespaces = &["/", "/other"][..1 + index % 2];
        let options = json!({"protocol":"socket.io","socketio":{"namespaces":namespaces}});
        host.send(&json!({"type":"open","id":name,"session":name,"url":url,"options":options}));
        counts.extend(
            namespaces
                .iter()
                .map(|namespace| (format!("{name} {namespace}"), Count::default())),
        );
    }
    while !counts.values().all(Count::is_over) {
        let frame = host.next().expect("the host ended");
        match frame["type"].as_str().unwrap() {
            "message" => count_received(host, &frame, &mut counts),
            "response" => {
                let (key, number) = frame["id"].as_str().unwrap().rsplit_once(' ').unwrap();
                let number: u64 = number.parse().unwrap();
                assert_eq!(frame["args"], json!([number]), "{frame}");
                counts.get_mut(key).unwrap().answered += 1;
            }
            "error" => panic!("{frame}"),
            "state" => assert!(
                ["connecting", "open"].contains(&frame["state"].as_str().unwrap())
                    || !frame["session"]
                        .as_str()
                        .is_some_and(|name| names.iter().any(|ours| ours == name)),
                "{frame}"
            ),
            _ => {}
        }
    }
    for name in names {
        host.send(&json!({"type":"close","session":name}));
    }
}

fn count_received(host: &mut HostProcess, frame: &Value, counts: &mut BTreeMap<String, Count>) {
    let session = &frame["session"];
    let namespace = frame["namespace"].as_str().unwrap_or("/");
    let key = format!("{} {namespace}", session.as_str().unwrap());
    let count = counts.get_mut(&key).unwrap();
    let number = frame["args"][0].as_u64().unwrap();
    if frame["event"] == "last" {
        assert_eq!(number, count.received, "the end overtook a number: {frame}");
        count.last = Some(number);
    } else {
        count.received += 1;
        assert_eq!(number, count.received, "{frame}");
        host.send(&json!({"type":"reply","session":session,"seq":frame["seq"],"args":[number]}));
        host.send(
            &json!({"type":"request","session":session,"id":format!("{key} {number}"),"event":"number",
            "args":[number],"namespace":namespace,"match":{"ack":true}}),
        );
    }
    host.send(&json!({"type":"ack","session":session,"seq":frame["seq"]}));
}

/// The requests to a hand-written server, by session.
type PollCounts = Arc<Mutex<HashMap<String, usize>>>;

#[test]
fn a_poll_response_lost_with_its_connection_starts_a_new_session() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let polls = PollCounts::default();
        for stream in listener.incoming().map_while(Result::ok) {
            let polls = polls.clone();
            std::thread::spawn(move || serve(stream, &polls));
        }
    });
    let scratch = Scratch::new();
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    let options = json!({"protocol":"socket.io","reconnect":{"minDelay":10}});
    host.send(&json!({"type":"open","id":"o","session":"s","url":url,"options":options}));
    let first = host.expect("message");
    assert_eq!(first["args"], json!(["of session 2"]), "{first}");
    host.find("waiting", |frame| frame["state"] == "waiting");
}

/// One kept connection of a server whose first session loses an answer on the way.
fn serve(stream: TcpStream, polls: &PollCounts) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        reader.read_exact(&mut vec![0; length]).unwrap();
        let Some(body) = answer(&first, polls) else { return };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        if stream.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}

/// `None`: the connection ends, and the response is lost.
fn answer(request: &str, polls: &PollCounts) -> Option<String> {
    if request.starts_with("POST") {
        return Some("ok".to_owned());
    }
    let mut polls = polls.lock().unwrap();
    let sid = request
        .split_once("sid=")
        .map(|(_, sid)| sid.chars().take_while(char::is_ascii_digit).collect::<String>());
    let Some(sid) = sid else {
        let sid = polls.len() + 1;
        polls.insert(sid.to_string(), 0);
        return Some(format!(
            r#"0{{"sid":"{sid}","upgrades":[],"pingInterval":25000,"pingTimeout":20000}}"#
        ));
    };
    let count = polls.get_mut(&sid).unwrap();
    *count += 1;
    match (sid.as_str(), *count) {
        (_, 1) => Some(r#"40{"sid":"x"}"#.to_owned()),
        ("1", 2) => None,
        (_, 2 | 3) => Some(format!(r#"42["e","of session {sid}"]"#)),
        _ => None,
    }
}
