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
use crate::wire::frame::{FROM_BROWSER, FrameGate, FrameRun, Frames, GateStep, HEADER, TO_BROWSER, framed};
use crate::wire::preamble::{PeerKind, Preamble};

use super::caller::HostCaller;
use super::host_frames::{self, BrokerStatus};
use super::launch::{find, jitter};
use super::memory;
use super::stdio::{FrameInput, FrameOutput};

/// Bytes read at once, either way.
const READ_BYTES: usize = 64 << 10;

/// How long the broker may take to read what was handed to it, when the browser has closed the port.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a broker is looked for after the browser has closed the port: frames may be waiting for it.
const DISCONNECT_GRACE: Duration = Duration::from_millis(700);

/// Tries to meet a broker before the port is given up, and the pauses between them.
const MAX_ATTEMPTS: u32 = 8;
const RETRY_DELAY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// A broker that ends sooner than this has not served: it counts as a failed try.
const STABLE_AFTER: Duration = Duration::from_secs(5);

/// How a port ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PortEnd {
    /// The browser closed it.
    Browser,
    /// The broker dropped it.
    Dropped,
    /// No broker could be met.
    Unreachable,
}

/// How forwarding to one broker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RelayEnd {
    /// The browser closed the port.
    Browser,
    /// The browser takes no more frames.
    OutputClosed,
    /// The broker made this host exit.
    Dropped,
    /// The broker ended.
    Lost,
}

/// One port.
#[derive(Debug)]
pub(super) struct Relay {
    preamble: Vec<u8>,
    paths: Paths,
    to_broker: ToBroker,
    to_browser: ToBrowser,
}

/// From the browser to the broker.
#[derive(Debug)]
struct ToBroker {
    input: FrameInput,
    gate: FrameGate,
    chunk: Box<[u8]>,
    /// What of `chunk` has been read and not yet dealt with.
    from: usize,
    to: usize,
}

/// From the broker to the browser. The only one who writes to the browser.
#[derive(Debug)]
struct ToBrowser {
    output: FrameOutput,
    /// Frames of the host itself, written between those of the broker.
    host_frames: mpsc::Receiver<Vec<u8>>,
    send_frame: mpsc::Sender<Vec<u8>>,
}

impl Relay {
    /// A port for this caller.
    pub(super) fn new(caller: &HostCaller, paths: Paths, input: FrameInput, output: FrameOutput) -> Self {
        let (send_frame, host_frames) = mpsc::channel(4);
        Self {
            preamble: framed(
                &Preamble::new(PeerKind::Host, Some(caller.origin()), crate::version::own()).to_json(),
            ),
            paths,
            to_broker: ToBroker {
                input,
                gate: FrameGate::new(FROM_BROWSER),
                chunk: vec![0; READ_BYTES].into_boxed_slice(),
                from: 0,
                to: 0,
            },
            to_browser: ToBrowser {
                output,
                host_frames,
                send_frame,
            },
        }
    }

    /// Serves the port to its end.
    pub(super) async fn run(&mut self) -> PortEnd {
        let mut failures = 0;
        let mut is_back = false;
        loop {
            let Some(stream) = self.meet(&mut failures).await else {
                if self.to_broker.input.is_hung_up() {
                    return PortEnd::Browser;
                }
                let _ = self.to_browser.output.write(&BrokerStatus::Failed.frame()).await;
                return PortEnd::Unreachable;
            };
            if is_back
                && self
                    .to_browser
                    .output
                    .write(&BrokerStatus::Back.frame())
                    .await
                    .is_err()
            {
                return PortEnd::Browser;
            }
            memory::release_startup_pages();
            let since = Instant::now();
            match self.serve(stream).await {
                RelayEnd::Browser | RelayEnd::OutputClosed => return PortEnd::Browser,
                RelayEnd::Dropped => return PortEnd::Dropped,
                RelayEnd::Lost => {}
            }
            tracing::debug!("the broker has exited");
            failures = if since.elapsed() < STABLE_AFTER {
                failures + 1
            } else {
                0
            };
            is_back = true;
            self.to_broker.gate.cut();
            if self
                .to_browser
                .output
                .write(&BrokerStatus::Lost.frame())
                .await
                .is_err()
            {
                return PortEnd::Browser;
            }
        }
    }

    /// Meets a broker; `None` when there is none, or when the browser has closed the port meanwhile.
    async fn meet(&mut self, failures: &mut u32) -> Option<Stream> {
        let Self {
            paths,
            to_broker,
            to_browser,
            ..
        } = self;
        let is_reported = std::cell::Cell::new(false);
        let output = tokio::sync::Mutex::new(&mut to_browser.output);
        let search = async {
            while *failures < MAX_ATTEMPTS {
                if *failures > 0 {
                    let max = (RETRY_DELAY.0 * 2u32.pow(*failures - 1)).min(RETRY_DELAY.1);
                    sleep(jitter(max / 2, max)).await;
                }
                let starting = async || {
                    if !is_reported.replace(true) {
                        let _ = output.lock().await.write(&BrokerStatus::Starting.frame()).await;
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
            while !to_broker.input.is_hung_up() {
                sleep(Duration::from_millis(100)).await;
            }
            sleep(DISCONNECT_GRACE).await;
        };
        tokio::select! {
            met = search => met,
            () = closed => None,
        }
    }

    /// Forwards until one side has gone.
    async fn serve(&mut self, stream: Stream) -> RelayEnd {
        let (from, mut to) = split(stream);
        if to.write_all(&self.preamble).await.is_err() {
            return RelayEnd::Lost;
        }
        let send_frame = self.to_browser.send_frame.clone();
        let to_broker = self.to_broker.forward(&mut to, send_frame);
        let to_browser = self.to_browser.forward(from);
        tokio::pin!(to_broker, to_browser);
        let end = tokio::select! {
            () = &mut to_broker => RelayEnd::Browser,
            end = &mut to_browser => end,
        };
        match end {
            // What was read must reach the broker: it hangs up when it has taken everything.
            RelayEnd::Browser => {
                let _ = timeout(CLOSE_TIMEOUT, to_browser).await;
            }
            // It may still have sent something before it exited.
            RelayEnd::OutputClosed => {
                let _ = timeout(CLOSE_TIMEOUT, to_broker).await;
            }
            RelayEnd::Dropped | RelayEnd::Lost => {}
        }
        end
    }
}

impl ToBroker {
    /// Ends when the browser has closed the port and everything before that has been handed over. When the broker has
    /// gone it waits for ever: the broker's last frames are still to be forwarded.
    async fn forward(&mut self, broker: &mut WriteHalf, send_frame: mpsc::Sender<Vec<u8>>) {
        loop {
            let bytes = &self.chunk[self.from..self.to];
            match self.gate.pass(bytes) {
                GateStep::Forward(count) => {
                    // What the broker does not take any more goes down with it.
                    self.from += count;
                    if broker.write_all(&bytes[..count]).await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
                GateStep::Leave(count) => self.from += count,
                GateStep::TooLarge(length) => {
                    self.from += HEADER;
                    let _ = send_frame.send(host_frames::too_large(length)).await;
                }
                GateStep::More => {
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

impl ToBrowser {
    async fn forward(&mut self, mut broker: ReadHalf) -> RelayEnd {
        let mut frames = Frames::new(TO_BROWSER);
        loop {
            while let Some(run) = frames.run() {
                match run {
                    FrameRun::Whole(bytes) => {
                        if self.output.write(&bytes).await.is_err() {
                            return RelayEnd::OutputClosed;
                        }
                    }
                    FrameRun::Empty => return RelayEnd::Dropped,
                    FrameRun::TooLarge(length) => {
                        tracing::warn!(
                            length,
                            "the broker sent a frame that browsers do not accept; dropped"
                        );
                    }
                }
            }
            tokio::select! {
                count = broker.read_buf(frames.room(READ_BYTES)) => if !matches!(count, Ok(1..)) {
                    return RelayEnd::Lost;
                },
                Some(frame) = self.host_frames.recv() => if self.output.write(&frame).await.is_err() {
                    return RelayEnd::OutputClosed;
                },
            }
        }
    }
}
