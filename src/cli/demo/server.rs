//! The demo's server: a batch job of numbered panels, sent over a WebSocket on loopback.
//!
//! While no client is connected the job waits, as a server does that must not lose anything. It keeps no history.

use std::io;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::{Error, Message};

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct DemoServer {
    url: String,
    limit: watch::Sender<u32>,
    sent: watch::Receiver<u32>,
    task: JoinHandle<()>,
}

/// When the job begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobStart {
    AtOnce,
    /// When a client sends a `start` message.
    OnMessage,
}

/// The job, which outlives connections.
struct BatchJob {
    panels: u32,
    interval: Duration,
    started: bool,
    limit: watch::Receiver<u32>,
    sent: watch::Sender<u32>,
}

impl DemoServer {
    /// Listens on a port of its own.
    ///
    /// # Errors
    /// When loopback cannot be listened on.
    pub(super) async fn start(panels: u32, interval: Duration, start: JobStart) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("ws://{}/panels", listener.local_addr()?);
        let (limit, limits) = watch::channel(0);
        let (sent_sender, sent) = watch::channel(0);
        let job = BatchJob {
            panels,
            interval,
            started: start == JobStart::AtOnce,
            limit: limits,
            sent: sent_sender,
        };
        Ok(Self {
            url,
            limit,
            sent,
            task: tokio::spawn(serve(listener, job)),
        })
    }

    /// Where it listens.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Lets the job go on to this panel.
    pub(super) fn go_on_to(&self, panel: u32) {
        self.limit.send_replace(panel);
    }

    /// Waits until the job has sent this panel.
    pub(super) async fn wait_for_panel(&mut self, panel: u32) {
        // The sender lives as long as the task, which this holds.
        let _ = self.sent.wait_for(|sent| *sent >= panel).await;
    }
}

impl Drop for DemoServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, mut job: BatchJob) {
    while let Ok((stream, _)) = listener.accept().await {
        // A lost connection is what the demo is about: the next one goes on.
        let _ = serve_connection(stream, &mut job).await;
    }
}

async fn serve_connection(stream: TcpStream, job: &mut BatchJob) -> Result<(), Error> {
    let mut socket = tokio_tungstenite::accept_async(stream).await?;
    let mut next_at = Instant::now();
    loop {
        let panel = *job.sent.borrow() + 1;
        let can_send = job.started && panel <= job.panels && panel <= *job.limit.borrow();
        tokio::select! {
            message = socket.next() => match message.transpose()? {
                None => return Ok(()),
                Some(Message::Text(text)) => {
                    let request: Value = serde_json::from_str(&text).unwrap_or_default();
                    job.started |= request["type"] == "start";
                }
                Some(_) => {}
            },
            () = sleep_until(next_at), if can_send => {
                next_at = Instant::now() + job.interval;
                let event = json!({"type": "progress", "batchId": "demo", "panel": panel, "of": job.panels});
                socket.send(Message::text(event.to_string())).await?;
                job.sent.send_replace(panel);
            }
            changed = job.limit.changed(), if !can_send => {
                if changed.is_err() {
                    return Ok(());
                }
            }
        }
    }
}
