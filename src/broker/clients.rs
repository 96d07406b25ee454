//! One port: who is calling, what it says, and writing to it.
//!
//! It decides nothing about sessions: frames go to the loop as they are read. Each port has one reading and one
//! writing task, and neither ever waits for another port.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::core::io::{Caller, EndSession, PortId, Watch};
use crate::crash;
use crate::local::{ReadHalf, Stream, WriteHalf, split};
use crate::version;
use crate::wire::batch::{Packer, Shape};
use crate::wire::code::Code;
use crate::wire::frame::{FROM_BROWSER, Frames, Taken};
use crate::wire::message::{BrokerFrame, ClientFrame, ErrorFrame, Refusal};
use crate::wire::part::Joiner;
use crate::wire::preamble::{self, Kind, Preamble};
use crate::wire::record::{ErrorInfo, Name};

use super::connections::Place;
use super::incoming::Incoming;
use super::server::WakeUp;

/// How long a caller may take to say who it is.
const GREETING: Duration = Duration::from_secs(10);

/// How long a dropped host may take to hang up.
const PARTING: Duration = Duration::from_secs(2);

/// Bytes read at once.
const READ: usize = 64 << 10;

/// What an extension is told that sends too much at once.
const TOO_MUCH: &str = "this extension has too much under way; send it when other frames are whole";

/// A port that has said who it is.
#[derive(Debug)]
pub(super) struct NewConnection {
    pub(super) port: PortId,
    pub(super) caller: Caller,
    /// Takes one buffer; the next when `WakeUp::Written` has come back.
    pub(super) writer: mpsc::Sender<Vec<u8>>,
    pub(super) reading: watch::Sender<Reading>,
    /// Counts it until it is gone.
    pub(super) place: Place,
}

/// What the reading task is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Read.
    On,
    /// Leave what comes in the socket: the port does not take its answers.
    Paused,
}

/// What a port said.
#[derive(Debug)]
pub(super) enum Heard {
    /// A frame for the hub.
    Frame(ClientFrame),
    /// A frame that could not be read; to be answered.
    Refused(Refusal),
    /// The command line asks the broker to leave.
    Stop(Name),
    /// A newer version asks the broker to make room.
    Retire(Name),
    /// The command line wants to see what a session records.
    Watch(Watch),
    /// The command line ends a session.
    EndSession(EndSession),
    /// The command line asks the broker to read its settings again.
    Reload(Name),
}

/// Serves one connection to its end.
pub(super) async fn serve(port: PortId, stream: Stream, mut place: Place, wake: mpsc::Sender<WakeUp>) {
    let (mut input, mut output) = split(stream);
    let mut frames = Frames::new(FROM_BROWSER);
    let (caller, version) = match timeout(GREETING, greeting(&mut input, &mut frames)).await {
        Ok(Ok(said)) => said,
        Ok(Err(problem)) => {
            tracing::warn!(port = port.0, problem, "a caller did not say who it is");
            reject(&mut output, Code::BadFrame, problem).await;
            drop(place);
            let _ = wake.send(WakeUp::Rejected).await;
            return;
        }
        Err(_) => {
            drop(place);
            let _ = wake.send(WakeUp::Rejected).await;
            return;
        }
    };
    if let Err(problem) = place.admit(&caller) {
        tracing::warn!(port = port.0, ?caller, problem, "rejected a connection");
        reject(&mut output, Code::RateLimited, problem).await;
        drop(place);
        let _ = wake.send(WakeUp::Rejected).await;
        return;
    }
    let is_admin = caller == Caller::Admin;
    let incoming = place.incoming(&caller);
    let (writer, buffers) = mpsc::channel(1);
    let (reading, mode) = watch::channel(Reading::On);
    let connection = NewConnection {
        port,
        caller,
        writer,
        reading,
        place,
    };
    if wake.send(WakeUp::Came(connection)).await.is_err() {
        return;
    }
    tokio::spawn(write(port, output, buffers, wake.clone()));
    let mut ear = Ear {
        is_admin,
        is_newer: version::is_newer(&version, version::own()),
        joiner: Joiner::default(),
        incoming,
        heard: Vec::new(),
    };
    if let Err(problem) = read(port, &mut input, &mut frames, &mut ear, mode, &wake).await {
        tracing::debug!(port = port.0, %problem, "reading ended");
    }
    let _ = wake.send(WakeUp::Gone(port)).await;
}

/// Reads the first frame: who calls, and in which version.
async fn greeting(input: &mut ReadHalf, frames: &mut Frames) -> Result<(Caller, String), &'static str> {
    let first = loop {
        match frames.take() {
            Some(Taken::Frame(frame)) if frame.len() <= preamble::LIMIT => break frame,
            Some(_) => return Err("the first frame is too large to be a preamble"),
            None if frames.room(0).len() > preamble::LIMIT => {
                return Err("the first frame is too large to be a preamble");
            }
            None => {}
        }
        match input.read_buf(frames.room(4096)).await {
            Ok(count) if count > 0 => {}
            Ok(_) | Err(_) => return Err("it hung up"),
        }
    };
    let preamble = Preamble::parse(&first).map_err(|_| "the first frame is no preamble")?;
    match (preamble.kind, preamble.origin) {
        (Kind::Host, Some(origin)) => {
            let origin = origin.into();
            Ok((Caller::Extension { origin }, preamble.version))
        }
        (Kind::Host, None) => Err("a host that serves nobody"),
        (Kind::Admin, _) => Ok((Caller::Admin, preamble.version)),
    }
}

/// Tells a caller that it was not understood. What it sent is not answered any further.
async fn reject(output: &mut WriteHalf, code: Code, problem: &'static str) {
    let mut packer = Packer::default();
    packer.add(&BrokerFrame::error(code, problem), &mut Vec::new());
    packer.add_end();
    let _ = timeout(PARTING, output.write_all(&packer.take())).await;
}

async fn read(
    port: PortId,
    input: &mut ReadHalf,
    frames: &mut Frames,
    ear: &mut Ear,
    mut mode: watch::Receiver<Reading>,
    wake: &mpsc::Sender<WakeUp>,
) -> io::Result<()> {
    loop {
        while let Some(taken) = frames.take() {
            ear.take(taken);
        }
        if !ear.incoming.keep(frames.held() + ear.joiner.held()) {
            let error = ErrorInfo::new(Code::Overflow, TOO_MUCH);
            let mut refusal = Refusal::of_unfinished(frames.begun(), error);
            if let Some(length) = frames.give_up() {
                refusal.error.message = format!("a frame of {length} bytes: {TOO_MUCH}");
                ear.heard.push(Heard::Refused(refusal));
            }
            ear.incoming.keep(ear.joiner.held());
        }
        let heard = std::mem::take(&mut ear.heard);
        if !heard.is_empty() && wake.send(WakeUp::Heard(port, heard)).await.is_err() {
            return Ok(());
        }
        let is_on = mode.wait_for(|mode| *mode == Reading::On).await.is_ok();
        // The loop has forgotten this port: nobody listens any more, and the other side is to hang up.
        if !is_on || mode.has_changed().is_err() {
            let _ = timeout(PARTING, discard(input)).await;
            return Ok(());
        }
        tokio::select! {
            count = input.read_buf(frames.room(READ)) => if count? == 0 {
                return match frames.is_torn() {
                    true => Err(io::ErrorKind::UnexpectedEof.into()),
                    false => Ok(()),
                };
            },
            _ = mode.changed() => {}
        }
    }
}

async fn discard(input: &mut ReadHalf) {
    let mut bytes = Vec::with_capacity(READ);
    while matches!(input.read_buf(&mut bytes).await, Ok(count) if count > 0) {
        bytes.clear();
    }
}

async fn write(
    port: PortId,
    mut output: WriteHalf,
    mut buffers: mpsc::Receiver<Vec<u8>>,
    wake: mpsc::Sender<WakeUp>,
) {
    while let Some(buffer) = buffers.recv().await {
        if crash::is_due("port.write.middle") {
            let _ = output.write_all(&buffer[..buffer.len() / 2]).await;
            std::process::abort();
        }
        let written = match output.write_all(&buffer).await {
            Ok(()) => WakeUp::Written(port),
            Err(_) => WakeUp::Gone(port),
        };
        drop(buffer);
        crash::point("port.write.after");
        if wake.send(written).await.is_err() {
            return;
        }
    }
    let _ = output.shutdown().await;
}

/// Turns native frames into what was said: unpacks batches, joins parts.
struct Ear {
    is_admin: bool,
    /// The caller is of a newer version than this broker.
    is_newer: bool,
    joiner: Joiner,
    incoming: Incoming,
    heard: Vec<Heard>,
}

impl Ear {
    fn take(&mut self, taken: Taken) {
        match taken {
            Taken::Frame(frame) => self.native(&frame),
            Taken::TooLarge(length) => self.refuse(ErrorInfo::new(
                Code::FrameTooLarge,
                format!("a frame of {length} bytes exceeds {FROM_BROWSER}"),
            )),
        }
    }

    fn native(&mut self, json: &[u8]) {
        match Shape::of(json) {
            Ok(Shape::Batch(frames)) => {
                for frame in frames {
                    self.inner(frame.get().as_bytes());
                }
            }
            Ok(Shape::Part(_) | Shape::Single) => self.inner(json),
            Err(error) => self.refuse(error),
        }
    }

    /// A frame that is not in a batch, or not any more.
    fn inner(&mut self, json: &[u8]) {
        match Shape::of(json) {
            Ok(Shape::Single) => self.frame(json),
            Ok(Shape::Part(part)) if !self.incoming.keep(self.joiner.held() + part.data.len()) => {
                let error = self.joiner.refuse(&part, Code::Overflow, TOO_MUCH);
                self.incoming.keep(self.joiner.held());
                self.refuse(error);
            }
            Ok(Shape::Part(part)) => match self.joiner.join(&part) {
                Ok(Some(whole)) => self.frame(whole.as_bytes()),
                Ok(None) => {}
                Err(error) => self.refuse(error),
            },
            Ok(Shape::Batch(_)) => {
                self.refuse(ErrorInfo::new(Code::BadFrame, "a batch must not lie in a batch"));
            }
            Err(error) => self.refuse(error),
        }
    }

    fn frame(&mut self, json: &[u8]) {
        if self.is_admin
            && let Some(heard) = order(json, self.is_newer)
        {
            self.heard.push(heard);
            return;
        }
        match ClientFrame::parse(json) {
            Ok(Some(frame)) => self.heard.push(Heard::Frame(frame)),
            Ok(None) => {}
            Err(refusal) => self.heard.push(Heard::Refused(refusal)),
        }
    }

    fn refuse(&mut self, error: ErrorInfo) {
        self.heard.push(Heard::Refused(Refusal {
            error,
            id: None,
            session: None,
        }));
    }
}

/// A `stop`, `retire`, `watch`, `end` or `reload`, which only the command line and newer versions may say.
fn order(json: &[u8], is_newer: bool) -> Option<Heard> {
    #[derive(serde::Deserialize)]
    struct Order {
        #[serde(rename = "type")]
        kind: String,
        id: Name,
    }
    let order = serde_json::from_slice::<Order>(json).ok()?;
    match order.kind.as_str() {
        _ if order.id.len() > 128 => None,
        "stop" => Some(Heard::Stop(order.id)),
        "retire" if is_newer => Some(Heard::Retire(order.id)),
        "retire" => Some(Heard::Refused(Refusal {
            error: ErrorInfo::new(
                Code::Unsupported,
                format!("this broker is not older: {}", version::own()),
            ),
            id: Some(order.id),
            session: None,
        })),
        "watch" => serde_json::from_slice(json).ok().map(Heard::Watch),
        "end" => serde_json::from_slice(json).ok().map(Heard::EndSession),
        "reload" => Some(Heard::Reload(order.id)),
        _ => None,
    }
}

/// The answer to a frame that could not be read.
pub(super) fn answer(refusal: Refusal) -> BrokerFrame {
    let Refusal { error, id, session } = refusal;
    BrokerFrame::Error(Box::new(ErrorFrame::new(error, id, session)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::incoming::IncomingBytes;

    fn ear(is_admin: bool) -> Ear {
        Ear {
            is_admin,
            is_newer: false,
            joiner: Joiner::default(),
            incoming: IncomingBytes::default().of(&Caller::Admin),
            heard: Vec::new(),
        }
    }

    fn words(heard: &[Heard]) -> Vec<String> {
        heard
            .iter()
            .map(|heard| match heard {
                Heard::Frame(frame) => frame.id().map_or_else(|| "-".to_owned(), ToString::to_string),
                Heard::Refused(refusal) => refusal.error.code.to_string(),
                Heard::Stop(id) => format!("stop {id}"),
                Heard::Retire(id) => format!("retire {id}"),
                Heard::Watch(watch) => format!("watch {}", watch.id),
                Heard::EndSession(end) => format!("end {}", end.id),
                Heard::Reload(id) => format!("reload {id}"),
            })
            .collect()
    }

    #[test]
    fn a_bad_element_yields_one_error_and_the_rest_goes_on() {
        let mut ear = ear(false);
        ear.native(
            br#"{"type":"batch","frames":[{"type":"ping","id":"1"},7,{"type":"what"},
            {"type":"batch","frames":[]},{"type":"ping","id":"2"}]}"#,
        );
        assert_eq!(
            words(&ear.heard),
            ["1", "bad-frame", "unknown-type", "bad-frame", "2"]
        );
    }

    #[test]
    fn parts_are_joined_also_from_a_batch() {
        let mut ear = ear(false);
        ear.native(br#"{"type":"part","part":"p","index":0,"last":false,"data":"{\"type\":\"ping\","}"#);
        assert!(ear.heard.is_empty());
        ear.native(
            br#"{"type":"batch","frames":[{"type":"part","part":"p","index":1,"last":true,"data":"\"id\":\"3\"}"}]}"#,
        );
        assert_eq!(words(&ear.heard), ["3"]);
    }

    #[test]
    fn only_a_newer_version_may_replace_the_broker() {
        let json = br#"{"type":"retire","id":"1"}"#;
        let (mut extension, mut same, mut newer) = (ear(false), ear(true), ear(true));
        (extension.is_newer, newer.is_newer) = (true, true);
        extension.native(json);
        same.native(json);
        newer.native(json);
        assert_eq!(words(&extension.heard), ["unknown-type"]);
        assert_eq!(words(&same.heard), ["unsupported"]);
        assert_eq!(words(&newer.heard), ["retire 1"]);
    }

    #[test]
    fn only_the_command_line_may_stop_the_broker() {
        let json = br#"{"type":"stop","id":"1"}"#;
        let (mut extension, mut admin) = (ear(false), ear(true));
        extension.native(json);
        admin.native(json);
        assert_eq!(words(&extension.heard), ["unknown-type"]);
        assert_eq!(words(&admin.heard), ["stop 1"]);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn what_a_forgotten_port_says_is_heard_by_nobody() {
        let (ours, theirs) = tokio::net::UnixStream::pair().unwrap();
        let (mut input, _output) = split(ours);
        let (_, mut theirs) = split(theirs);
        let (wake, mut wakes) = mpsc::channel(1);
        let (reading, mode) = watch::channel(Reading::On);
        drop(reading);
        let ping = crate::wire::frame::framed(br#"{"type":"ping","id":"1"}"#);
        theirs.write_all(&ping).await.unwrap();
        drop(theirs);
        let mut frames = Frames::new(FROM_BROWSER);
        read(PortId(1), &mut input, &mut frames, &mut ear(false), mode, &wake)
            .await
            .unwrap();
        drop(wake);
        assert!(wakes.recv().await.is_none());
    }
}
