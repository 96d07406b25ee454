//! The broker's listener, and the task that accepts connections.
//!
//! It does not serve a port; each gets a task of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::core::io::PortId;
use crate::core::rules::Rules;
use crate::local::{self, Endpoint, Listener, LocalError};

use super::connection;
use super::connections::{Connections, Limits};
use super::wakeup::WakeUp;

/// Wait after the system refused a connection; it has no descriptors left.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// The socket that hosts and the command line connect to.
#[derive(Debug)]
pub(super) struct PortListener {
    endpoint: Endpoint,
    listener: Arc<Listener>,
    acceptor: JoinHandle<()>,
    wake: mpsc::Sender<WakeUp>,
    connections: Connections,
    /// Ports are numbered in thousands per opening, so that no number comes twice.
    openings: u64,
}

impl PortListener {
    /// Binds the socket and starts to accept.
    ///
    /// # Errors
    /// When the socket cannot be bound.
    pub(super) async fn open(
        endpoint: Endpoint,
        wake: mpsc::Sender<WakeUp>,
        limits: Limits,
    ) -> Result<Self, LocalError> {
        let listener = Arc::new(Listener::bind(&endpoint).await?);
        let connections = Connections::new(limits);
        let acceptor = tokio::spawn(accept(
            Arc::clone(&listener),
            wake.clone(),
            connections.clone(),
            0,
        ));
        Ok(Self {
            endpoint,
            listener,
            acceptor,
            wake,
            connections,
            openings: 0,
        })
    }

    /// Opens it again after it was closed or has lost its socket.
    ///
    /// # Errors
    /// When the socket cannot be bound.
    pub(super) async fn reopen(&mut self) -> Result<(), LocalError> {
        self.listener.withdraw();
        let listener = Arc::new(Listener::bind(&self.endpoint).await?);
        self.openings += 1;
        let first = self.openings << 32;
        let accept = accept(
            Arc::clone(&listener),
            self.wake.clone(),
            self.connections.clone(),
            first,
        );
        // The old acceptor continues until its backlog is empty, which it is: it cannot be reached any more.
        self.acceptor.abort();
        self.acceptor = tokio::spawn(accept);
        self.listener = listener;
        Ok(())
    }

    /// Removes the socket; earlier connections are still accepted.
    pub(super) fn close(&self) {
        self.listener.withdraw();
    }

    /// Every connection.
    pub(super) const fn connections(&self) -> &Connections {
        &self.connections
    }

    /// These rules hold from now on.
    pub(super) fn set_rules(&self, rules: Arc<Rules>) {
        self.connections.set_rules(rules);
    }

    /// How many connections have not become ports yet.
    pub(super) fn pending(&self) -> usize {
        self.connections.pending()
    }

    /// Whether the socket is still found.
    pub(super) fn is_in_place(&self) -> bool {
        self.listener.is_in_place()
    }
}

impl Drop for PortListener {
    fn drop(&mut self) {
        self.listener.withdraw();
        self.acceptor.abort();
    }
}

async fn accept(listener: Arc<Listener>, wake: mpsc::Sender<WakeUp>, connections: Connections, first: u64) {
    for number in first.. {
        match listener.accept().await {
            Ok(stream) => {
                let Some(slot) = connections.accepted(local::peer_process(&stream)) else {
                    drop(stream);
                    // A process that connects as fast as it can alternates with everything else.
                    tokio::task::yield_now().await;
                    continue;
                };
                if wake.send(WakeUp::Accepted).await.is_err() {
                    return;
                }
                let pending = slot.number();
                let task = tokio::spawn(connection::serve(PortId(number), stream, slot, wake.clone()));
                connections.served_by(pending, task.abort_handle());
            }
            Err(problem) => {
                tracing::warn!(%problem, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
            }
        }
    }
}
