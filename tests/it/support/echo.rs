//! A WebSocket server of the test's own: it echoes, and sends numbers on request.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// The server; it ends when dropped.
pub(crate) struct Echo {
    address: SocketAddr,
    _end: oneshot::Sender<()>,
}

impl Echo {
    /// Listens on loopback.
    pub(crate) fn start() -> Self {
        let (address_sender, address) = std::sync::mpsc::channel();
        let (end, ended) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                address_sender.send(listener.local_addr().unwrap()).unwrap();
                tokio::spawn(async move {
                    while let Ok((stream, _)) = listener.accept().await {
                        tokio::spawn(serve(stream));
                    }
                });
                let _ = ended.await;
            });
        });
        Self {
            address: address.recv().unwrap(),
            _end: end,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }
}

/// Echoes every message; `count N` is answered by N messages, `1` to `N`.
async fn serve(stream: tokio::net::TcpStream) {
    let config = WebSocketConfig::default()
        .max_message_size(None)
        .max_frame_size(None);
    let Ok(mut socket) = tokio_tungstenite::accept_async_with_config(stream, Some(config)).await else {
        return;
    };
    while let Some(Ok(message)) = socket.next().await {
        let last = message
            .to_text()
            .ok()
            .and_then(|text| text.strip_prefix("count ")?.parse().ok());
        let sent = match last {
            Some(last) => count(&mut socket, last).await,
            None if message.is_text() || message.is_binary() => socket.send(message).await,
            None => Ok(()),
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn count(
    socket: &mut tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>,
    last: u64,
) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    for number in 1..=last {
        socket.feed(Message::text(number.to_string())).await?;
    }
    socket.flush().await
}
