//! A server that numbers its messages, remembers those it receives, and continues its numbers when it is dialled again.
//!
//! What it has written to a connection that then breaks is not sent again: such a loss must be visible to the client.

use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// What the test requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct ServerCommand {
    /// Send numbers up to this one.
    limit: u64,
    /// Bytes of padding in each message.
    size: usize,
    /// Close the connection with this code whenever it changes.
    close: (u64, u16),
    stopped: bool,
}

/// A running server; it ends when this is dropped.
pub(crate) struct NumberServer {
    pub(crate) url: String,
    command: watch::Sender<ServerCommand>,
    sent_count: Arc<Mutex<u64>>,
    received: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl NumberServer {
    pub(crate) fn start() -> Self {
        let (command, commands) = watch::channel(ServerCommand::default());
        let sent_count = Arc::new(Mutex::new(0));
        let received = Arc::new(Mutex::new(Vec::new()));
        let (notify, port) = mpsc::channel();
        let state = State {
            commands,
            sent_count: Arc::clone(&sent_count),
            received: Arc::clone(&received),
        };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                notify.send(listener.local_addr().unwrap()).unwrap();
                serve(listener, state).await;
            });
        });
        let url = format!("ws://{}/", port.recv().unwrap());
        Self {
            url,
            command,
            sent_count,
            received,
            thread: Some(thread),
        }
    }

    /// Lets it send numbers up to `limit`, each with `size` bytes of padding.
    pub(crate) fn send_up_to(&self, limit: u64, size: usize) {
        self.command.send_modify(|command| {
            command.limit = limit;
            command.size = size;
        });
    }

    /// Lets it send one number more; returns that number.
    pub(crate) fn send_one_more(&self) -> u64 {
        self.command.send_modify(|command| command.limit += 1);
        self.command.borrow().limit
    }

    /// The last number sent.
    pub(crate) fn sent_count(&self) -> u64 {
        *self.sent_count.lock().unwrap()
    }

    /// Closes the connection with this code.
    pub(crate) fn close(&self, code: u16) {
        self.command
            .send_modify(|command| command.close = (command.close.0 + 1, code));
    }

    /// Every text received, in order.
    pub(crate) fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }
}

impl Drop for NumberServer {
    fn drop(&mut self) {
        self.command.send_modify(|command| command.stopped = true);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

struct State {
    commands: watch::Receiver<ServerCommand>,
    sent_count: Arc<Mutex<u64>>,
    received: Arc<Mutex<Vec<String>>>,
}

async fn serve(listener: TcpListener, mut state: State) {
    loop {
        let mut commands = state.commands.clone();
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.unwrap();
                serve_connection(stream, &mut state).await;
            }
            _ = commands.wait_for(|command| command.stopped) => return,
        }
        if state.commands.borrow().stopped {
            return;
        }
    }
}

/// Serves one connection until it ends.
async fn serve_connection(stream: TcpStream, state: &mut State) {
    let Ok(socket) = tokio_tungstenite::accept_async(stream).await else {
        return;
    };
    let (mut writer, mut reader) = socket.split();
    let close = state.commands.borrow_and_update().close;
    loop {
        let command = *state.commands.borrow();
        if command.stopped {
            return;
        }
        if command.close != close {
            let frame = CloseFrame {
                code: command.close.1.into(),
                reason: "".into(),
            };
            let _ = writer.send(Message::Close(Some(frame))).await;
            return;
        }
        let next = *state.sent_count.lock().unwrap() + 1;
        if next <= command.limit {
            let text = json!({"n": next, "pad": "x".repeat(command.size)}).to_string();
            let sending = async {
                writer.feed(Message::text(text)).await?;
                // Many at a time, as a busy server writes.
                if next.is_multiple_of(64) || next == command.limit {
                    writer.flush().await
                } else {
                    Ok(())
                }
            };
            let mut commands = state.commands.clone();
            tokio::select! {
                sent = sending => {
                    if sent.is_err() {
                        return;
                    }
                    *state.sent_count.lock().unwrap() = next;
                }
                // A client that reads nothing must not keep the test from ending.
                _ = commands.wait_for(|command| command.stopped) => return,
            }
        }
        let idle = next > command.limit;
        tokio::select! {
            biased;
            message = reader.next() => match message {
                Some(Ok(Message::Text(text))) => state.received.lock().unwrap().push(text.to_string()),
                Some(Ok(_)) => { let _ = writer.flush().await; }
                Some(Err(_)) | None => return,
            },
            _ = state.commands.changed(), if idle => {}
            () = std::future::ready(()), if !idle => {}
        }
    }
}
