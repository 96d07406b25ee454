//! The WebSocket of an Engine.IO session: upgrading to it, and packets on it.

use base64::Engine as _;

use crate::wire::code::Code;
use crate::wire::payload::Payload;

use crate::core::io::{Incoming, LinkEnd};

use super::payload::BASE64;
use super::{Action, Engine, Mode, OVERHEAD};

impl Engine {
    /// The WebSocket is open.
    pub fn socket_opened(&mut self) {
        if self.mode == Mode::Probing {
            self.actions.push_back(Action::Send(Payload::text("2probe")));
        }
    }

    /// Messages on the WebSocket.
    pub fn socket_messages(&mut self, messages: Vec<Incoming>) {
        let mut packets = Vec::new();
        for message in messages {
            if self.mode == Mode::Probing {
                let is_answer =
                    matches!(&message, Incoming::Message(payload) if payload.as_str() == Some("3probe"));
                if !is_answer {
                    return self.abort_upgrade();
                }
                self.mode = Mode::Upgrading;
                self.flow();
                continue;
            }
            let Incoming::Message(packet @ (Payload::Text(_) | Payload::Json(_))) = message else {
                packets.push(message);
                continue;
            };
            match self.socket_packet(packet) {
                Ok(packet) => packets.push(packet),
                Err(why) => return self.fault(Code::ServerProtocol, why),
            }
        }
        self.report_packets(packets);
        self.flow();
    }

    /// So many messages have been written on the WebSocket.
    pub fn socket_wrote(&mut self, count: u64) {
        match self.mode {
            Mode::Direct => self.actions.push_back(Action::Written(count)),
            Mode::Upgraded => {
                let written = self.posted + count.saturating_sub(OVERHEAD);
                self.actions.push_back(Action::Written(written));
            }
            Mode::Polling | Mode::Probing | Mode::Upgrading => {}
        }
    }

    /// The WebSocket has ended, or never came to be.
    pub fn socket_ended(&mut self, mut end: LinkEnd) {
        match self.mode {
            // The server goes on with polling: nothing was sent on the socket yet.
            Mode::Polling | Mode::Probing | Mode::Upgrading => self.abort_upgrade(),
            // A proxy that knows no WebSockets makes servers answer with 400: polling may do where a socket does not.
            Mode::Direct if self.may_try_polling(&end) => {
                self.tried_other = true;
                self.mode = Mode::Polling;
                self.flow();
            }
            Mode::Direct => self.end(end),
            Mode::Upgraded => {
                end.taken = self.posted.saturating_add(end.taken.saturating_sub(OVERHEAD));
                self.end(end);
            }
        }
    }

    pub(super) fn open_socket(&mut self) {
        let url = self.address("websocket");
        self.actions.push_back(Action::OpenSocket(url));
    }

    /// A text message of the WebSocket: bytes come so as well if the options ask for it.
    pub(super) fn socket_packet(&mut self, packet: Payload) -> Result<Incoming, &'static str> {
        match packet.as_str().and_then(|text| text.strip_prefix('b')) {
            None => Ok(self.text_packet(packet)),
            Some(encoded) => match BASE64.decode(encoded) {
                Ok(bytes) => Ok(self.incoming(Payload::Binary(bytes.into()))),
                Err(_) => Err("a binary packet is not base64"),
            },
        }
    }

    /// The socket is of no use: polling goes on.
    pub(super) fn abort_upgrade(&mut self) {
        if matches!(self.mode, Mode::Probing | Mode::Upgrading) {
            self.mode = Mode::Polling;
            self.actions.push_back(Action::DropSocket);
        }
        self.flow();
    }
}
