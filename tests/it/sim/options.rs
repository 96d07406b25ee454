//! Random options of sessions: mostly the defaults, sometimes limits so small that everything overflows.

use std::sync::LazyLock;

use longwire::wire::guard::Guard;
use longwire::wire::options::{
    CloseClass, Durability, HeartbeatOptions, Options, OutboxBounds, Overflow, Protocol, QueueOptions,
    Reconnect, Window,
};
use longwire::wire::payload::Payload;
use longwire::wire::rule::Rule;
use longwire::wire::servers::{Cursor, CursorFrom, CursorTo, Poll, Post};
use longwire::wire::socketio::SocketIoOptions;

use super::logins::LOGIN;
use super::protocols::CURSOR;
use super::rng::Rng;
use super::socketio::NAMESPACES;

/// The server's message when it is ready.
pub(super) static READY: LazyLock<Rule> =
    LazyLock::new(|| Rule::from_json(&serde_json::json!({"/type": "ready"}).to_string()).unwrap());

pub(super) fn random_window(rng: &mut Rng) -> Window {
    Window {
        messages: match rng.below(10) {
            0 => 0,
            1..=5 => rng.below(6),
            _ => 4096,
        },
        bytes: match rng.below(10) {
            0 => 0,
            1..=3 => rng.below(100),
            _ => 4_194_304,
        },
    }
}

/// Messages with `forbidden` do not pass, in either direction; the rest no faster than this.
const GUARD: &str = r#"{
    "send": [{"when": {"/rude": true}, "do": "deny"}, {"when": {"/0/rude": true}, "do": "deny"},
        {"rate": {"messages": 4, "per": 1000}}],
    "receive": [{"when": {"/rude": true}, "do": "deny"}, {"when": {"/0/rude": true}, "do": "deny"}]}"#;

/// The options of a well-known server.
fn preset(rng: &mut Rng, disk: bool) -> Options {
    let json = format!(r#"{{"preset": "{}"}}"#, rng.pick(crate::presets::PRESETS));
    let raw: Box<serde_json::value::RawValue> = serde_json::from_str(&json).unwrap();
    let (options, _) = Options::from_json(&raw).unwrap();
    Options {
        durability: if disk {
            Durability::Disk
        } else {
            Durability::Memory
        },
        auth_provider: rng.percent(50),
        ..options
    }
}

/// Options with the largest numbers: they mean for ever, and must overflow nothing.
fn for_ever(disk: bool) -> Options {
    let plain = Options::default();
    Options {
        reconnect: Some(Reconnect {
            max_delay: u64::MAX,
            factor: 100.0,
            stable_after: u64::MAX,
            ..Reconnect::default()
        }),
        heartbeat: Some(HeartbeatOptions {
            interval: u64::MAX,
            timeout: u64::MAX,
            ..HeartbeatOptions::default()
        }),
        queue: QueueOptions {
            messages: usize::MAX,
            bytes: usize::MAX,
            age: u64::MAX,
            overflow: Overflow::Pause,
        },
        outbox: OutboxBounds {
            messages: usize::MAX,
            bytes: usize::MAX,
            ttl: u64::MAX,
        },
        window: Window {
            messages: usize::MAX,
            bytes: usize::MAX,
        },
        linger: u64::MAX,
        expire: u64::MAX,
        durability: if disk {
            Durability::Disk
        } else {
            Durability::Memory
        },
        ..plain
    }
}

/// Options of a session with other protocols than WebSocket alone. `own` is where its transports have URLs.
fn other_protocols(rng: &mut Rng, own: &str, options: Options) -> Options {
    let all = [
        Protocol::WebSocket,
        Protocol::EventStream,
        Protocol::Poll,
        Protocol::SocketIo,
    ];
    let mut transports = Vec::new();
    let protocol = *rng.pick(&all[1..]);
    if rng.percent(40) {
        for _ in 0..3 {
            let next = *rng.pick(&all);
            if !transports.contains(&next) {
                transports.push(next);
            }
        }
    }
    let spoken = if transports.is_empty() {
        vec![protocol]
    } else {
        transports.clone()
    };
    let urls = spoken.iter().filter(|_| rng.percent(30));
    let urls = urls.map(|protocol| (*protocol, format!("{own}/own-{}", protocol.as_str())));
    let urls = urls.collect();
    let has_events = spoken.contains(&Protocol::SocketIo);
    let is_deaf = rng.percent(30);
    let post = Post {
        url: format!("{own}/post"),
        headers: Vec::new(),
    };
    Options {
        protocol,
        transports,
        urls,
        post: (!is_deaf).then_some(post),
        greeting: match is_deaf {
            true => Vec::new(),
            // The greeting of a preset is no event.
            false if has_events => vec![Payload::text("greet")],
            false => options.greeting,
        },
        heartbeat: options
            .heartbeat
            .filter(|_| spoken.contains(&Protocol::WebSocket)),
        // Rules look into an event's arguments, and these are for plain messages.
        ready: options.ready.filter(|_| !has_events),
        login: if has_events { Vec::new() } else { options.login },
        socketio: SocketIoOptions {
            namespaces: rng
                .pick(&NAMESPACES)
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
            ..SocketIoOptions::default()
        },
        poll: Poll {
            interval: rng.between(1, 5000),
            long: rng.percent(30),
            cursor: rng.percent(60).then(|| Cursor {
                from: CursorFrom::Header(CURSOR.0.to_owned()),
                to: CursorTo::Query((*rng.pick(&CURSOR.1)).to_owned()),
                start: None,
            }),
            ..Poll::default()
        },
        ..options
    }
}

/// `own` is an address of the session's, for transports that have URLs of their own.
pub(super) fn mixed_options(rng: &mut Rng, disk: bool, own: &str) -> Options {
    let options = random_options(rng, disk);
    if rng.percent(90) {
        other_protocols(rng, own, options)
    } else {
        options
    }
}

pub(super) fn random_options(rng: &mut Rng, disk: bool) -> Options {
    match rng.below(100) {
        0..=7 => return preset(rng, disk),
        8..=9 => return for_ever(disk),
        _ => {}
    }
    let plain = Options::default();
    let some = |rng: &mut Rng| rng.percent(35);
    let logs_in = rng.percent(12);
    Options {
        headers: if rng.percent(10) {
            vec![("X".to_owned(), rng.below(3).to_string())]
        } else {
            Vec::new()
        },
        reconnect: match rng.below(8) {
            0 => None,
            1 => Some(Reconnect {
                max_attempts: Some(2),
                ..Reconnect::default()
            }),
            2..=4 => Some(Reconnect {
                min_delay: 1,
                max_delay: 50,
                stable_after: 100,
                ..Reconnect::default()
            }),
            _ => Some(Reconnect::default()),
        },
        heartbeat: match rng.below(8) {
            0 => None,
            1 => Some(HeartbeatOptions {
                message: Some(Payload::text("beat")),
                ..HeartbeatOptions::default()
            }),
            2 => Some(HeartbeatOptions {
                interval: 200,
                timeout: 300,
                ..HeartbeatOptions::default()
            }),
            _ => Some(HeartbeatOptions::default()),
        },
        greeting: (0..rng.below(8).saturating_sub(5))
            .map(|_| Payload::text("greet"))
            .collect(),
        ready: (rng.percent(12) || logs_in).then(|| READY.clone()),
        login: if logs_in { LOGIN.clone() } else { Vec::new() },
        queue: QueueOptions {
            messages: if some(rng) { 1 + rng.below(20) } else { 65_536 },
            bytes: if some(rng) { 1 + rng.below(300) } else { 16_777_216 },
            age: if some(rng) {
                rng.between(1, 20_000)
            } else {
                86_400_000
            },
            overflow: *rng.pick(&[
                Overflow::DropOldest,
                Overflow::DropOldest,
                Overflow::DropNewest,
                Overflow::Pause,
                Overflow::Close,
            ]),
        },
        outbox: OutboxBounds {
            messages: if some(rng) { rng.below(6) } else { 1000 },
            bytes: if some(rng) { rng.below(500) } else { 8_388_608 },
            ttl: if some(rng) {
                rng.between(0, 20_000)
            } else {
                3_600_000
            },
        },
        window: if some(rng) {
            random_window(rng)
        } else {
            plain.window
        },
        linger: if some(rng) {
            // At once would be a deadline in the past.
            rng.between(1, 20_000)
        } else {
            plain.linger
        },
        expire: if rng.percent(15) {
            rng.between(1000, 100_000)
        } else {
            plain.expire
        },
        durability: if disk {
            Durability::Disk
        } else {
            Durability::Memory
        },
        auth_provider: rng.percent(20),
        compression: rng.percent(80),
        guard: if rng.percent(12) {
            Guard::from_json(GUARD).unwrap()
        } else {
            Guard::default()
        },
        close_codes: if rng.percent(10) {
            [(4000, CloseClass::Stop), (1012, CloseClass::Auth)]
                .into_iter()
                .collect()
        } else {
            plain.close_codes.clone()
        },
        close_timeout: *rng.pick(&[0, 700, plain.close_timeout, 60_000]),
        max_message: if rng.percent(5) { 200 } else { plain.max_message },
        ..plain
    }
}
