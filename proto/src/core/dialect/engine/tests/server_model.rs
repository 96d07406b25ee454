//! The model of a server during an upgrade, and what is on its way to it and back: requests, and packets of a socket.
//!
//! It does what npm `engine.io` does; it judges neither what packets mean nor how long anything takes.

use std::collections::VecDeque;

use super::super::payload::SEPARATOR;

/// Where a GET or POST is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    None,
    Sent(String),
    /// The server holds it.
    Open,
    Answered(String),
}

impl Request {
    /// What arrives now: its body at the server, or the body of its answer.
    pub(super) fn take(&mut self) -> String {
        match std::mem::replace(self, Self::None) {
            Self::Sent(text) | Self::Answered(text) => text,
            other => panic!("{other:?}"),
        }
    }
}

/// The WebSocket beside polling.
#[derive(Debug, Clone, Default)]
pub(super) struct Socket {
    pub(super) is_open: bool,
    pub(super) is_cut: bool,
    pub(super) up: VecDeque<String>,
    pub(super) down: VecDeque<String>,
    pub(super) sent: u64,
    pub(super) reported: u64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Server {
    on_socket: bool,
    upgrading: bool,
    emitted: usize,
    waiting: VecDeque<String>,
    received: Vec<String>,
}

impl Server {
    /// Whether the upgrade is done.
    pub(super) const fn is_on_socket(&self) -> bool {
        self.on_socket
    }

    /// Whether it was probed and waits for the upgrade packet.
    pub(super) const fn is_upgrading(&self) -> bool {
        self.upgrading
    }

    /// How many packets it has emitted.
    pub(super) const fn emitted(&self) -> usize {
        self.emitted
    }

    /// The client's packets, in the order in which they arrived.
    pub(super) fn received(&self) -> &[String] {
        &self.received
    }

    /// Has another packet to send.
    pub(super) fn emit(&mut self) {
        self.emitted += 1;
        self.waiting.push_back(format!("4e{}", self.emitted));
    }

    /// The socket is closed, or it has waited for the upgrade packet for too long.
    pub(super) const fn abort_upgrade(&mut self) {
        self.upgrading = false;
    }

    /// Reads the body of a POST.
    pub(super) fn read_body(&mut self, body: &str) {
        self.received.extend(body.split(SEPARATOR).map(str::to_owned));
    }

    /// Reads a packet from the socket.
    pub(super) fn read_packet(&mut self, socket: &mut Socket, get: &Request) {
        match socket.up.pop_front().unwrap().as_str() {
            "2probe" => {
                self.upgrading = true;
                socket.down.push_back("3probe".to_owned());
            }
            "5" => {
                assert!(self.upgrading && *get == Request::None);
                (self.upgrading, self.on_socket) = (false, true);
            }
            packet => {
                assert!(self.on_socket, "`{packet}` before the upgrade packet");
                self.received.push(packet.to_owned());
            }
        }
    }

    /// Sends what it has, if a transport is free.
    pub(super) fn flush(&mut self, get: &mut Request, socket: Option<&mut Socket>) {
        if self.waiting.is_empty() {
            return;
        }
        if self.on_socket {
            socket.unwrap().down.extend(self.waiting.drain(..));
        } else if *get == Request::Open {
            let body: Vec<String> = self.waiting.drain(..).collect();
            *get = Request::Answered(body.join(&SEPARATOR.to_string()));
        }
    }
}
