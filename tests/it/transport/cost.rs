//! What a link costs, measured; run alone: `cargo test --test it transport::cost -- --ignored --nocapture --test-threads 1`.
//!
//! The bounds are generous, so that they fail for a reason and not for the machine.

use std::sync::Arc;
use std::time::Instant;

use longwire::broker::dials::Dials;
use longwire::core::io::{DialId, LinkEvent};
use longwire::transport::{Network, NetworkSettings};
use tokio::sync::mpsc;

use super::servers::{Server, frame, upgraded};
use super::{TestLink, target};

/// Resident bytes of this process.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[tokio::test]
#[ignore = "measures"]
async fn an_idle_link_needs_little_memory() {
    for deflate in [false, true] {
        let options = if deflate {
            r#"{"deflate":{"threshold":0}}"#
        } else {
            "{}"
        };
        let Some(server) = Server::ws(options).await else {
            return;
        };
        let (tx, mut events) = mpsc::channel::<(DialId, LinkEvent)>(64);
        let mut dials = Dials::new(
            Arc::new(Network::new(NetworkSettings::default()).unwrap()),
            tx,
            4096,
        );
        let mut target = target(server.url("/flood?count=1&size=64&stay"));
        target.compression = deflate;
        let mut before = 0;
        for n in 0..1100 {
            if n == 100 {
                before = resident();
            }
            dials.dial(DialId(n), Box::new(target.clone()));
            while !matches!(events.recv().await, Some((_, LinkEvent::Messages(_)))) {}
        }
        let each = (resident() - before) / 1000;
        println!("an idle link, compression {deflate}: {each} bytes");
        assert!(
            each < if deflate { 64 * 1024 } else { 8 * 1024 },
            "{each} bytes a link"
        );
    }
}

#[tokio::test]
#[ignore = "measures"]
async fn a_flood_of_messages_is_read() {
    for (size, count) in [(32, 1_000_000), (1024, 500_000), (1 << 20, 500)] {
        let (port, _server) = upgraded(move |mut peer| async move {
            let one = frame(0x81, vec![b'x'; size]);
            let many = one.repeat((1 << 20) / one.len() + 1);
            let each = many.len() / one.len();
            for _ in 0..count / each + 1 {
                peer.send(&many).await;
            }
            peer.until_end().await;
        })
        .await;
        let mut link = TestLink::dial(target(format!("ws://127.0.0.1:{port}")));
        link.opened().await;
        let begun = Instant::now();
        let (mut got, mut events) = (0, 0);
        while got < count {
            if let LinkEvent::Messages(more) = link.next().await {
                got += more.len();
                events += 1;
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "{size} bytes: {:.0} messages/s, {:.1} MB/s, {:.0} an event",
            got as f64 / seconds,
            (got * size) as f64 / seconds / 1e6,
            got as f64 / f64::from(events)
        );
    }
}
