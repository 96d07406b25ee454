//! Forwards frames between the browser's pipes and the broker, from broker to broker if need be.
//!
//! It parses nothing and keeps nothing: what the browser sends streams through in chunks, what the broker sends goes
//! out in whole frames. While there is no broker, stdin is not read.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::local::{ReadHalf, Stream, WriteHalf, split};
use crate::paths::Paths;
use crate::wire::frame::{FROM_BROWSER, Frames, Gate, HEADER, Pass, Run, TO_BROWSER, framed};
use crate::wire::preamble::{Kind, Preamble};

use super::caller::Caller;
use super::launch::{find, jitter};
use super::lean;
use super::stdio::{Input, Output};
use super::words::{self, Standing};

/// Bytes read at once, either way.
const CHUNK: usize = 64 << 10;

/// How long the broker may take to read what was handed to it, when the browser has closed the port.
const PARTING: Duration = Duration::from_millis(500);

/// How long a broker is looked for after the browser has closed the port: frames may be waiting for it.
const LAST_LOOK: Duration = Duration::from_millis(700);

/// Tries to meet a broker before the port is given up, and the pauses between them.
const TRIES: u32 = 8;
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// A broker that ends sooner than this has not served: it counts as a failed try.
const SERVED: Duration = Duration::from_secs(5);

/// How a port ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The browser closed it.
    Browser,
    /// The broker dropped it.
    Dropped,
    /// No broker could be met.
    Unreachable,
}

/// How one stretch with one broker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stretch {
    /// The browser closed the port.
    Browser,
    /// The browser takes no more frames.
    Deaf,
    /// The broker told this host to end.
    Dropped,
    /// The broker ended.
    Lost,
}

/// One port.
#[derive(Debug)]
pub(super) struct Relay {
    preamble: Vec<u8>,
    paths: Paths,
    up: Up,
    down: Down,
}

/// From the browser to the broker.
#[derive(Debug)]
struct Up {
    input: Input,
    gate: Gate,
    chunk: Box<[u8]>,
    /// What of `chunk` has been read and not yet dealt with.
    from: usize,
    to: usize,
}

/// From the broker to the browser. The only one who writes to the browser.
#[derive(Debug)]
struct Down {
    output: Output,
    /// Words of the host's own, written between frames.
    words: mpsc::Receiver<Vec<u8>>,
    say: mpsc::Sender<Vec<u8>>,
}

impl Relay {
    /// A port for this caller.
    pub(super) fn new(caller: &Caller, paths: Paths, input: Input, output: Output) -> Self {
        let (say, words) = mpsc::channel(4);
        Self {
            preamble: framed(
                &Preamble::new(Kind::Host, Some(caller.origin()), crate::version::own()).to_json(),
            ),
            paths,
            up: Up {
                input,
                gate: Gate::new(FROM_BROWSER),
                chunk: vec![0; CHUNK].into_boxed_slice(),
                from: 0,
                to: 0,
            },
            down: Down { output, words, say },
        }
    }

    /// Serves the port to its end.
    pub(super) async fn run(&mut self) -> End {
        let mut failures = 0;
        let mut is_back = false;
        loop {
            let Some(stream) = self.meet(&mut failures).await else {
                if self.up.input.is_hung_up() {
                    return End::Browser;
                }
                let _ = self.down.output.write(&Standing::Failed.frame()).await;
                return End::Unreachable;
            };
            if is_back && self.down.output.write(&Standing::Back.frame()).await.is_err() {
                return End::Browser;
            }
            lean::drop_what_starting_needed();
            let since = Instant::now();
            match self.serve(stream).await {
                Stretch::Browser | Stretch::Deaf => return End::Browser,
                Stretch::Dropped => return End::Dropped,
                Stretch::Lost => {}
            }
            tracing::debug!("the broker has exited");
            failures = if since.elapsed() < SERVED { failures + 1 } else { 0 };
            is_back = true;
            self.up.gate.cut();
            if self.down.output.write(&Standing::Lost.frame()).await.is_err() {
                return End::Browser;
            }
        }
    }

    /// Meets a broker; `None` when there is none, or when the browser has closed the port meanwhile.
    async fn meet(&mut self, failures: &mut u32) -> Option<Stream> {
        let Self { paths, up, down, .. } = self;
        let is_told = std::cell::Cell::new(false);
        let output = tokio::sync::Mutex::new(&mut down.output);
        let search = async {
            while *failures < TRIES {
                if *failures > 0 {
                    let most = (PAUSE.0 * 2u32.pow(*failures - 1)).min(PAUSE.1);
                    sleep(jitter(most / 2, most)).await;
                }
                let starting = async || {
                    if !is_told.replace(true) {
                        let _ = output.lock().await.write(&Standing::Starting.frame()).await;
                    }
                };
                match find(paths, starting).await {
                    Ok(stream) => return Some(stream),
                    Err(problem) => {
                        tracing::warn!(problem = &problem as &dyn std::error::Error, "no broker");
                        *failures += 1;
                    }
                }
            }
            None
        };
        let closed = async {
            while !up.input.is_hung_up() {
                sleep(Duration::from_millis(100)).await;
            }
            sleep(LAST_LOOK).await;
        };
        tokio::select! {
            met = search => met,
            () = closed => None,
        }
    }

    /// Forwards until one side has gone.
    async fn serve(&mut self, stream: Stream) -> Stretch {
        let (from, mut to) = split(stream);
        if to.write_all(&self.preamble).await.is_err() {
            return Stretch::Lost;
        }
        let say = self.down.say.clone();
        let up = self.up.forward(&mut to, say);
        let down = self.down.forward(from);
        tokio::pin!(up, down);
        let stretch = tokio::select! {
            () = &mut up => Stretch::Browser,
            stretch = &mut down => stretch,
        };
        match stretch {
            // What was read must reach the broker: it hangs up when it has taken everything.
            Stretch::Browser => {
                let _ = timeout(PARTING, down).await;
            }
            // It may still have said something before it went.
            Stretch::Deaf => {
                let _ = timeout(PARTING, up).await;
            }
            Stretch::Dropped | Stretch::Lost => {}
        }
        stretch
    }
}

impl Up {
    /// Ends when the browser has closed the port and everything before that has been handed over. When the broker has
    /// gone it waits for ever: whatever the broker said last is still to be forwarded.
    async fn forward(&mut self, broker: &mut WriteHalf, say: mpsc::Sender<Vec<u8>>) {
        loop {
            let bytes = &self.chunk[self.from..self.to];
            match self.gate.pass(bytes) {
                Pass::Forward(count) => {
                    // What the broker does not take any more goes down with it.
                    self.from += count;
                    if broker.write_all(&bytes[..count]).await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
                Pass::Leave(count) => self.from += count,
                Pass::TooLarge(length) => {
                    self.from += HEADER;
                    let _ = say.send(words::too_large(length)).await;
                }
                Pass::More => {
                    self.chunk.copy_within(self.from..self.to, 0);
                    self.to -= self.from;
                    self.from = 0;
                    match self.input.read(&mut self.chunk[self.to..]).await {
                        Ok(0) | Err(_) => {
                            let _ = broker.shutdown().await;
                            return;
                        }
                        Ok(count) => self.to += count,
                    }
                }
            }
        }
    }
}

impl Down {
    async fn forward(&mut self, mut broker: ReadHalf) -> Stretch {
        let mut frames = Frames::new(TO_BROWSER);
        loop {
            while let Some(run) = frames.run() {
                match run {
                    Run::Whole(bytes) => {
                        if self.output.write(&bytes).await.is_err() {
                            return Stretch::Deaf;
                        }
                    }
                    Run::Empty => return Stretch::Dropped,
                    Run::TooLarge(length) => {
                        tracing::warn!(
                            length,
                            "the broker sent a frame that browsers do not accept; dropped"
                        );
                    }
                }
            }
            tokio::select! {
                count = broker.read_buf(frames.room(CHUNK)) => if !matches!(count, Ok(1..)) {
                    return Stretch::Lost;
                },
                Some(word) = self.words.recv() => if self.output.write(&word).await.is_err() {
                    return Stretch::Deaf;
                },
            }
        }
    }
}
