//! Ten thousand clients of one server that restarts: how many dials a second it gets.
//!
//! Every client is a whole hub in virtual time. `--nocapture` prints what `docs/LINKS.md` shows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use longwire::core::io::LinkEnd;
use longwire::wire::code::Code;
use longwire::wire::record::ErrorInfo;
use serde_json::json;

use super::harness::{Harness, closed};

const CLIENTS: u64 = 10_000;

/// Dials by tenth of a second since the server went.
type Dials = BTreeMap<u128, u64>;

/// Everybody's links end with `code`; the server is back after `down`. What it gets.
fn ours(code: u16, down: Duration) -> Dials {
    let mut dials = Dials::new();
    let mut clients: Vec<Harness> = (0..CLIENTS).map(Harness::new).collect();
    let mut due = BinaryHeap::new();
    let begun = clients[0].now();
    for (index, client) in clients.iter_mut().enumerate() {
        client.opens("s", "wss://server.example/", json!({"heartbeat": false}));
        let (dial, _) = client.dial();
        client.link_opens(dial);
        client.link_ends(dial, closed(code));
        due.push(Reverse((client.due().unwrap(), index)));
    }
    while let Some(Reverse((at, index))) = due.pop() {
        let client = &mut clients[index];
        client.pass(begun + at - client.now());
        let Some((dial, _)) = client.dials.pop_front() else {
            due.push(Reverse((at + client.due().unwrap(), index)));
            continue;
        };
        *dials.entry(at.as_millis() / 100).or_default() += 1;
        client.receive_all();
        if at < down {
            let end = LinkEnd {
                error: Some(ErrorInfo::new(Code::Refused, "nobody listens")),
                ..LinkEnd::default()
            };
            client.link_ends(dial, end);
            due.push(Reverse((at + client.due().unwrap(), index)));
        } else {
            client.link_opens(dial);
        }
    }
    dials
}

/// The same with clients that double their wait from half a second to thirty, without jitter.
fn naive(down: Duration) -> Dials {
    let mut dials = Dials::new();
    let (mut at, mut wait) = (Duration::ZERO, Duration::from_millis(500));
    loop {
        at += wait;
        dials.insert(at.as_millis() / 100, CLIENTS);
        if at >= down {
            return dials;
        }
        wait = (wait * 2).min(Duration::from_secs(30));
    }
}

/// The most in any second.
fn peak(dials: &Dials) -> u64 {
    dials
        .keys()
        .map(|begin| dials.range(begin..&(begin + 10)).map(|(_, count)| count).sum())
        .max()
        .unwrap()
}

/// When the last client was back.
fn back(dials: &Dials) -> f64 {
    dials
        .keys()
        .last()
        .map_or(0.0, |tenth| (*tenth as f64 + 1.0) / 10.0)
}

#[test]
fn ten_thousand_clients_reconnect_spread_out() {
    for (code, down, most) in [(1012, 1, 4000), (1006, 20, 4000)] {
        let down = Duration::from_secs(down);
        let (ours, naive) = (ours(code, down), naive(down));
        let since = down.as_millis() / 100;
        let after = |dials: &Dials| {
            dials
                .range(since..)
                .map(|(tenth, count)| (*tenth, *count))
                .collect::<Dials>()
        };
        println!(
            "{code}, down {} s: ours {} at most in a second, {} once it is up, all back after {:.1} s; naive {}, {:.1} s",
            down.as_secs(),
            peak(&ours),
            peak(&after(&ours)),
            back(&ours),
            peak(&naive),
            back(&naive),
        );
        for (who, dials) in [("ours", &ours), ("naive", &naive)] {
            let second = |second: u128| {
                dials
                    .range(second * 10..second * 10 + 10)
                    .map(|(_, count)| count)
                    .sum::<u64>()
            };
            let seconds: Vec<String> = (0..40).map(|n| second(n).to_string()).collect();
            println!("{who} by second: {}", seconds.join(" "));
        }
        assert_eq!(after(&naive).values().sum::<u64>(), CLIENTS);
        assert!(
            peak(&after(&ours)) <= most,
            "{} dials in a second",
            peak(&after(&ours))
        );
        assert!(back(&ours) < down.as_secs_f64() + 36.0);
    }
}
