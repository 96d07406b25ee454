//! The whole path, as a browser would use it: server, broker, host, and a reader at the host's pipe.
//!
//! Prints a line per measure and subject; it compares no results. The server and the reader are in this process, brokers and
//! hosts are real processes. `cargo bench --bench end_to_end`, optionally with a part of a measure's name; `scripts/bench`
//! measures what people would otherwise write in the same run.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench ends where it fails and prints"
)]

mod broker;
mod idle;
mod many_sessions;
mod measure;
mod port;
mod server;
mod subject;
mod tls;

use std::time::Duration;

use broker::Broker;
use measure::{Down, Taken, UNLIMITED_WINDOW, Up, WINDOW};
use server::Server;
use subject::Subject;

fn main() {
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let is_wanted = |name: &str| wanted.as_ref().is_none_or(|part| name.contains(part.as_str()));
    let server = Server::start();
    let broker = Broker::start();
    let ours = Subject::longwire(&broker);
    let rivals = Subject::rivals();
    println!(
        "{:<34} {:<12} {:>12} {:>8} {:>8} {:>22}",
        "messages", "", "a second", "MB/s", "ratio", "CPU us: broker  host"
    );
    for down in downs() {
        if !is_wanted(down.name) {
            continue;
        }
        let floor = server::read_directly(&server, down.size, down.count, down.json);
        let took = measure::down(&server, &broker, &ours, &down);
        row(down.name, "read only", &down.rate(floor), None);
        row(down.name, ours.name, &took, None);
        for rival in rivals.iter().filter(|_| down.is_plain()) {
            let down = Down {
                count: down.count / 10,
                ..down
            };
            row(
                down.name,
                rival.name,
                &measure::down(&server, &broker, rival, &down),
                Some(&took),
            );
        }
    }
    for up in ups() {
        if !is_wanted(up.name) {
            continue;
        }
        let took = measure::up(&server, &broker, &ours, &up);
        row(up.name, ours.name, &took, None);
        for rival in rivals.iter().filter(|rival| rival.both_ways && !up.ids) {
            let up = Up {
                count: up.count / 10,
                ..up
            };
            row(
                up.name,
                rival.name,
                &measure::up(&server, &broker, rival, &up),
                Some(&took),
            );
        }
    }
    if is_wanted("echo") {
        println!("round trips, 200 B, one at a time");
        spread("directly", server::echo_directly(&server, 20_000));
        spread(ours.name, measure::echo(&server, &ours, 20_000, "memory"));
        spread("longwire, on disk", measure::echo(&server, &ours, 20_000, "disk"));
        for rival in rivals.iter().filter(|rival| rival.both_ways) {
            spread(rival.name, measure::echo(&server, rival, 5_000, "memory"));
        }
    }
    if is_wanted("start") {
        println!("start of a host to `welcome`");
        spread(ours.name, measure::welcome(&ours, 100));
        spread("longwire, broker too", measure::cold(30));
        for rival in &rivals {
            spread(rival.name, measure::welcome(rival, 20));
        }
    }
    if is_wanted("idle") {
        idle::print(&downs()[0]);
    }
    if is_wanted("many") {
        many_sessions::print();
    }
}

fn downs() -> Vec<Down> {
    let plain = Down {
        name: "down 200 B",
        size: 200,
        count: 2_000_000,
        json: false,
        window: WINDOW,
        durability: "memory",
    };
    vec![
        plain,
        Down {
            name: "down 200 B, not acknowledged",
            count: 300_000,
            window: UNLIMITED_WINDOW,
            ..plain
        },
        Down {
            name: "down 200 B, on disk",
            durability: "disk",
            ..plain
        },
        Down {
            name: "down 1 KB JSON",
            size: 1000,
            count: 500_000,
            json: true,
            ..plain
        },
        Down {
            name: "down 64 KB",
            size: 64 << 10,
            count: 30_000,
            ..plain
        },
    ]
}

fn ups() -> Vec<Up> {
    let plain = Up {
        name: "up 200 B",
        count: 1_000_000,
        durability: "memory",
        ids: false,
    };
    // Only so many may wait for the ping that proves them, and pings go out every 500 ms.
    let proven = Up {
        name: "up 200 B, with ids",
        count: 60_000,
        ids: true,
        ..plain
    };
    vec![
        plain,
        proven,
        Up {
            name: "up 200 B, with ids, on disk",
            durability: "disk",
            ..proven
        },
    ]
}

fn row(name: &str, subject: &str, taken: &Taken, ours: Option<&Taken>) {
    let cpu = taken.cpu.map_or_else(String::new, |(broker, host)| {
        format!("{:>16.2} {:>5.2}", broker * 1e6, host * 1e6)
    });
    let ratio = ours.map_or_else(String::new, |ours| format!("{:.2}", ours.rate / taken.rate));
    println!(
        "{name:<34} {subject:<12} {:>12.0} {:>8.0} {ratio:>8} {cpu}",
        taken.rate,
        taken.bytes / 1e6
    );
}

fn spread(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e6;
    println!(
        "{:<34} {name:<22} p50 {:>8.0} us   p99 {:>8.0} us   max {:>8.0} us",
        "",
        at(0.5),
        at(0.99),
        times.last().unwrap().as_secs_f64() * 1e6
    );
}
