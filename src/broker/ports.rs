//! The send buffers of ports: packed frames, their cost, and when reading from a port is paused.
//!
//! It never waits and writes nothing itself; each port's writing task takes one buffer at a time.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, watch};

use crate::core::io::PortId;
use crate::wire::batch::Packer;
use crate::wire::message::BrokerFrame;

use super::connections::ConnectionSlot;
use super::wakeup::{NewConnection, ReadMode};

/// Bytes waiting for a port above which it is not read: its replies would only accumulate.
const PAUSE_BYTES: usize = 8 << 20;

/// Bytes waiting for a port below which it is read again.
const RESUME_BYTES: usize = 1 << 20;

/// Bytes waiting for a port above which it is dropped; the hub's windows keep far below this.
const MAX_BYTES: usize = 1 << 30;

/// Bytes of frames outside every window (replies, states of subscriptions) waiting for a port above which it is dropped.
/// Few bytes can ask for many, so not reading is not enough. Less in unit tests, which would take long to fill it.
const MAX_ANSWER_BYTES: usize = if cfg!(test) { 12 << 20 } else { 64 << 20 };

/// Frames held back until journals are written, above which a port is not read.
const MAX_HELD: usize = 4096;

/// Every open port.
#[derive(Debug, Default)]
pub(super) struct Ports {
    ports: BTreeMap<PortId, PortTask>,
    /// Ports with something to hand to their writing task.
    ready: Vec<PortId>,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct PortTask {
    packer: Packer,
    /// Cost of the frames in the packer.
    cost: usize,
    /// Bytes in the packer of frames that cost nothing: no window holds them back.
    answers: usize,
    /// Frames that wait elsewhere until journals are written.
    held: usize,
    writing: Option<Writing>,
    is_ready: bool,
    writer: mpsc::Sender<Vec<u8>>,
    read_mode: watch::Sender<ReadMode>,
    _slot: ConnectionSlot,
}

/// What the writing task holds.
#[derive(Debug, Clone, Copy)]
struct Writing {
    bytes: usize,
    cost: usize,
    answers: usize,
}

impl Ports {
    /// Takes in a port.
    pub(super) fn open(&mut self, connection: NewConnection) {
        let port = PortTask {
            packer: Packer::default(),
            cost: 0,
            answers: 0,
            held: 0,
            writing: None,
            is_ready: false,
            writer: connection.writer,
            read_mode: connection.read_mode,
            _slot: connection.slot,
        };
        self.ports.insert(connection.port, port);
    }

    /// Removes a port with everything that waits for it. `false` if it was not there.
    pub(super) fn close(&mut self, port: PortId) -> bool {
        self.ports.remove(&port).is_some()
    }

    /// Whether a port is open.
    pub(super) fn is_open(&self, port: PortId) -> bool {
        self.ports.contains_key(&port)
    }

    /// Packs a frame for a port.
    pub(super) fn deliver(&mut self, id: PortId, frame: &BrokerFrame, cost: usize) {
        let Some(port) = self.ports.get_mut(&id) else {
            return;
        };
        if port.is_swamped() {
            // It is dropped with the next flush; until then nothing more piles up.
            return;
        }
        if let BrokerFrame::Welcome(welcome) = frame {
            port.packer.take_runs(welcome.takes_messages);
        }
        let before = port.packer.len();
        port.packer.add(frame, &mut self.scratch);
        port.cost += cost;
        if cost == 0 {
            port.answers += port.packer.len() - before;
        }
        mark(id, port, &mut self.ready);
    }

    /// So many frames for a port wait elsewhere until journals are written.
    pub(super) fn set_held(&mut self, id: PortId, held: usize) {
        if let Some(port) = self.ports.get_mut(&id) {
            port.held = held;
            port.listen();
        }
    }

    /// A writing task has done what it held. Gives the cost, or `None` for a port that has gone.
    pub(super) fn written(&mut self, id: PortId) -> Option<usize> {
        let port = self.ports.get_mut(&id)?;
        let written = port.writing.take()?;
        if port.packer.is_empty() {
            port.listen();
        } else {
            mark(id, port, &mut self.ready);
        }
        Some(written.cost)
    }

    /// Hands every port's packed frames to its writing task, unless that is still at the last.
    /// Gives the ports that hold far too much, and are to be dropped.
    pub(super) fn flush(&mut self) -> Vec<PortId> {
        let mut swamped = Vec::new();
        for id in std::mem::take(&mut self.ready) {
            let Some(port) = self.ports.get_mut(&id) else {
                continue;
            };
            port.is_ready = false;
            if port.writing.is_none() {
                let buffer = port.packer.take();
                // Of a long frame only a part was taken: room comes back with its last.
                let is_all = port.packer.is_empty();
                port.writing = Some(Writing {
                    bytes: buffer.len(),
                    cost: if is_all { std::mem::take(&mut port.cost) } else { 0 },
                    answers: if is_all {
                        std::mem::take(&mut port.answers)
                    } else {
                        0
                    },
                });
                // The task holds nothing, so its one slot is free; if it has ended, the event that the port is closed
                // is queued.
                let _ = port.writer.try_send(buffer);
            }
            port.listen();
            if port.is_swamped() {
                swamped.push(id);
            }
        }
        swamped
    }

    /// Whether nothing waits to be written.
    pub(super) fn is_settled(&self) -> bool {
        self.ports
            .values()
            .all(|port| port.writing.is_none() && port.packer.is_empty())
    }

    /// Whether no port is open.
    pub(super) fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }
}

fn mark(id: PortId, port: &mut PortTask, ready: &mut Vec<PortId>) {
    if !port.is_ready {
        port.is_ready = true;
        ready.push(id);
    }
}

impl PortTask {
    fn waiting(&self) -> usize {
        self.packer.len() + self.writing.map_or(0, |writing| writing.bytes)
    }

    /// Whether it holds far too much.
    fn is_swamped(&self) -> bool {
        let answers = self.answers + self.writing.map_or(0, |writing| writing.answers);
        self.waiting() > MAX_BYTES || answers > MAX_ANSWER_BYTES
    }

    /// Pauses reading from a port that does not read its replies, or resumes it.
    fn listen(&self) {
        let (waiting, held) = (self.waiting(), self.held);
        self.read_mode.send_if_modified(|mode| {
            let wanted = match *mode {
                ReadMode::On if waiting > PAUSE_BYTES || held > MAX_HELD => ReadMode::Paused,
                ReadMode::Paused if waiting < RESUME_BYTES && held <= MAX_HELD / 2 => ReadMode::On,
                as_it_is => as_it_is,
            };
            std::mem::replace(mode, wanted) != wanted
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::connections::{Connections, tests::LIMITS};
    use crate::core::io::Caller;
    use crate::wire::code::Code;

    const PORT: PortId = PortId(7);

    fn port(ports: &mut Ports) -> (mpsc::Receiver<Vec<u8>>, watch::Receiver<ReadMode>) {
        let (writer, buffers) = mpsc::channel(1);
        let (read_mode, mode) = watch::channel(ReadMode::On);
        ports.open(NewConnection {
            port: PORT,
            caller: Caller::Admin,
            writer,
            read_mode,
            slot: Connections::new(LIMITS).accepted(None).unwrap(),
        });
        (buffers, mode)
    }

    fn frame(text: &str) -> BrokerFrame {
        BrokerFrame::error(Code::Internal, text)
    }

    #[test]
    fn ready_frames_share_one_write_and_their_cost_is_refunded_after_it() {
        let mut ports = Ports::default();
        let (mut buffers, _mode) = port(&mut ports);
        ports.deliver(PORT, &frame("1"), 10);
        ports.deliver(PORT, &frame("2"), 5);
        ports.flush();
        let first = buffers.try_recv().unwrap();
        assert!(String::from_utf8_lossy(&first).contains(r#""type":"batch""#));
        ports.deliver(PORT, &frame("3"), 1);
        ports.flush();
        assert!(
            buffers.try_recv().is_err(),
            "the writing task is still at the first"
        );
        assert_eq!(ports.written(PORT), Some(15));
        ports.flush();
        assert!(buffers.try_recv().is_ok());
        assert!(!ports.is_settled());
        assert_eq!(ports.written(PORT), Some(1));
        assert!(ports.is_settled());
    }

    #[test]
    fn a_port_that_does_not_read_is_not_read_from() {
        let mut ports = Ports::default();
        let (mut buffers, mode) = port(&mut ports);
        let big = frame(&"x".repeat(500_000));
        for _ in 0..20 {
            ports.deliver(PORT, &big, 0);
            ports.flush();
        }
        assert_eq!(*mode.borrow(), ReadMode::Paused);
        while buffers.try_recv().is_ok() {
            ports.written(PORT);
            ports.flush();
        }
        assert_eq!(*mode.borrow(), ReadMode::On);
    }

    #[test]
    fn a_port_with_too_many_unread_answers_is_closed_and_one_with_full_windows_is_not() {
        let mut ports = Ports::default();
        let (_buffers, _mode) = port(&mut ports);
        let big = frame(&"x".repeat(1 << 20));
        for _ in 0..14 {
            ports.deliver(PORT, &big, 1 << 20);
        }
        assert!(ports.flush().is_empty());
        for _ in 0..20 {
            ports.deliver(PORT, &big, 0);
        }
        assert_eq!(ports.flush(), [PORT]);
        assert!(
            ports.ports[&PORT].packer.len() < MAX_ANSWER_BYTES + (2 << 20),
            "and nothing piled up beyond the bound"
        );
    }
}
