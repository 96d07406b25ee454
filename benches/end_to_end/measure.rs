//! The measures: rates both ways, round trips, starts. Every `seq` is checked on the way.

use std::time::{Duration, Instant};

use crate::broker::Broker;
use crate::port::Port;
use crate::server::Server;
use crate::subject::Subject;

/// The defaults of the protocol.
pub(crate) const WINDOW: (u64, u64) = (4096, 4 << 20);
/// More than any measure sends.
pub(crate) const UNLIMITED_WINDOW: (u64, u64) = (1 << 40, 1 << 40);

/// From the server to the extension.
#[derive(Clone, Copy)]
pub(crate) struct Down {
    pub(crate) name: &'static str,
    pub(crate) size: usize,
    pub(crate) count: u64,
    pub(crate) json: bool,
    pub(crate) window: (u64, u64),
    pub(crate) durability: &'static str,
}

/// From the extension to the server.
#[derive(Clone, Copy)]
pub(crate) struct Up {
    pub(crate) name: &'static str,
    pub(crate) count: u64,
    pub(crate) durability: &'static str,
    pub(crate) ids: bool,
}

/// What a measure gave.
pub(crate) struct Taken {
    /// Messages per second.
    pub(crate) rate: f64,
    /// Payload bytes per second.
    pub(crate) bytes: f64,
    /// Processor seconds per message: broker, host.
    pub(crate) cpu: Option<(f64, f64)>,
}

impl Down {
    pub(crate) fn rate(&self, took: Duration) -> Taken {
        taken(self.count, self.size, took, None)
    }

    /// Others know neither windows nor disks.
    pub(crate) fn is_plain(&self) -> bool {
        self.window == WINDOW && self.durability == "memory"
    }
}

fn taken(count: u64, size: usize, took: Duration, cpu: Option<(Duration, Duration)>) -> Taken {
    let rate = count as f64 / took.as_secs_f64();
    let each = |cpu: Duration| cpu.as_secs_f64() / count as f64;
    Taken {
        rate,
        bytes: rate * size as f64,
        cpu: cpu.map(|(broker, host)| (each(broker), each(host))),
    }
}

/// From the first message at the host's stdout to the last.
pub(crate) fn down(server: &Server, broker: &Broker, subject: &Subject, down: &Down) -> Taken {
    let Down { size, count, .. } = *down;
    let mut port = Port::open(subject);
    let format = if down.json { "json" } else { "text" };
    let queue = if down.window == UNLIMITED_WINDOW {
        UNLIMITED_WINDOW
    } else {
        (65_536, 16 << 20)
    };
    let options = format!(
        r#"{{"compression":false,"heartbeat":false,"reconnect":false,"format":"{format}","durability":"{}","queue":{{"messages":{},"bytes":{},"overflow":"pause"}},"window":{{"messages":{},"bytes":{}}}}}"#,
        down.durability, queue.0, queue.1, down.window.0, down.window.1
    );
    let before = (broker.cpu(), port.cpu());
    port.attach(&server.flood(size, count, down.json), &options);
    let (mut first, mut seen, mut unacked) = (None, 0, 0);
    while seen < count {
        let news = port.messages(size);
        seen += news.count;
        unacked += news.count;
        if first.is_none() && seen > 0 {
            first = Some((Instant::now(), seen));
        }
        if unacked >= down.window.0 / 4 || unacked * size as u64 >= down.window.1 / 4 {
            port.ack(news.last);
            unacked = 0;
        }
    }
    let (first, head) = first.unwrap();
    let took = first.elapsed().mul_f64(count as f64 / (count - head) as f64);
    let cpu = (
        broker.cpu().saturating_sub(before.0),
        port.cpu().saturating_sub(before.1),
    );
    port.close();
    taken(count, size, took, Some(cpu))
}

/// From the first write to the host's stdin until the server says that it has everything.
pub(crate) fn up(server: &Server, broker: &Broker, subject: &Subject, up: &Up) -> Taken {
    /// Messages in one native frame.
    const BATCH_MESSAGES: u64 = 256;
    /// Messages that the server has not counted yet, at most: nothing is read meanwhile, and a port that does not read its
    /// answers is not listened to for ever.
    const MAX_UNCOUNTED_MESSAGES: u64 = 8_192;
    let mut port = Port::open(subject);
    let options = format!(
        r#"{{"compression":false,"reconnect":false,"durability":"{}","outbox":{{"messages":65536,"bytes":67108864}}}}"#,
        up.durability
    );
    port.attach(&server.sink(MAX_UNCOUNTED_MESSAGES / 4), &options);
    port.wait_for_open();
    let before = (broker.cpu(), port.cpu());
    let start = Instant::now();
    let (mut sent, mut counted) = (0, 0);
    while counted < up.count {
        while sent < up.count && sent - counted < MAX_UNCOUNTED_MESSAGES {
            let more = BATCH_MESSAGES.min(up.count - sent);
            port.send_batch(sent, more, up.ids);
            sent += more;
        }
        if sent == up.count {
            port.send_text("end");
        }
        counted = port.counted();
    }
    let took = start.elapsed();
    let cpu = (
        broker.cpu().saturating_sub(before.0),
        port.cpu().saturating_sub(before.1),
    );
    port.close();
    taken(up.count, 200, took, Some(cpu))
}

/// Round trips, one at a time.
pub(crate) fn echo(server: &Server, subject: &Subject, count: usize, durability: &str) -> Vec<Duration> {
    let mut port = Port::open(subject);
    let options = format!(r#"{{"compression":false,"reconnect":false,"durability":"{durability}"}}"#);
    port.attach(&server.echo(), &options);
    port.wait_for_open();
    let text = "e".repeat(200);
    let mut times = Vec::with_capacity(count);
    let mut unacked = 0;
    for _ in 0..count {
        let start = Instant::now();
        port.send_text(&text);
        let mut news = port.messages(text.len());
        while news.count == 0 {
            news = port.messages(text.len());
        }
        times.push(start.elapsed());
        unacked += 1;
        if unacked == WINDOW.0 / 4 {
            port.ack(news.last);
            unacked = 0;
        }
    }
    port.close();
    times
}

/// Starts of a host, one after the other; a broker is there.
pub(crate) fn welcome(subject: &Subject, count: usize) -> Vec<Duration> {
    (0..count)
        .map(|_| {
            let start = Instant::now();
            let port = Port::open(subject);
            let took = start.elapsed();
            port.close();
            took
        })
        .collect()
}

/// Starts of a host that has to start a broker first.
pub(crate) fn cold(count: usize) -> Vec<Duration> {
    (0..count)
        .map(|_| {
            let broker = Broker::none_yet();
            let subject = Subject::longwire(&broker);
            let start = Instant::now();
            let port = Port::open(&subject);
            let took = start.elapsed();
            port.close();
            broker.stop();
            took
        })
        .collect()
}
