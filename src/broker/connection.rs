//! One port connection: its preamble, reading its frames, and writing to it.
//!
//! It decides nothing about sessions: frames go to the loop as they are read. Each port has one reading and one
//! writing task, and neither ever waits for another port.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::core::io::{Caller, PortId};
use crate::crash;
use crate::local::{ReadHalf, Stream, WriteHalf, split};
use crate::wire::batch::Packer;
use crate::wire::code::Code;
use crate::wire::frame::{FROM_BROWSER, Frames, Taken};
use crate::wire::message::BrokerFrame;
use crate::wire::preamble::{self, PeerKind, Preamble};

use super::connections::ConnectionSlot;
use super::decoder::FrameDecoder;
use super::wakeup::{NewConnection, ReadMode, WakeUp};

/// Timeout for the preamble.
const PREAMBLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout for a dropped host to close its end.
const HANG_UP_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;

/// Serves one connection to its end.
pub(super) async fn serve(
    port: PortId,
    stream: Stream,
    mut slot: ConnectionSlot,
    wake: mpsc::Sender<WakeUp>,
) {
    let (mut input, mut output) = split(stream);
    let mut frames = Frames::new(FROM_BROWSER);
    let (caller, version) = match timeout(PREAMBLE_TIMEOUT, read_preamble(&mut input, &mut frames)).await {
        Ok(Ok(preamble)) => preamble,
        Ok(Err(problem)) => {
            tracing::warn!(port = port.0, problem, "a connection sent no preamble in time");
            reject(&mut output, Code::BadFrame, problem).await;
            drop(slot);
            let _ = wake.send(WakeUp::Rejected).await;
            return;
        }
        Err(_) => {
            drop(slot);
            let _ = wake.send(WakeUp::Rejected).await;
            return;
        }
    };
    if let Err(problem) = slot.admit(&caller) {
        tracing::warn!(port = port.0, ?caller, problem, "rejected a connection");
        reject(&mut output, Code::RateLimited, problem).await;
        drop(slot);
        let _ = wake.send(WakeUp::Rejected).await;
        return;
    }
    let read_permit = slot.read_permit(&caller);
    let decoder = FrameDecoder::new(&caller, &version, slot.incoming(&caller));
    let (writer, buffers) = mpsc::channel(1);
    let (read_mode, mode) = watch::channel(ReadMode::On);
    let connection = NewConnection {
        port,
        caller,
        writer,
        read_mode,
        slot,
    };
    if wake.send(WakeUp::PortOpened(connection)).await.is_err() {
        return;
    }
    tokio::spawn(write(port, output, buffers, wake.clone()));
    if let Err(problem) = read(port, &mut input, &mut frames, (decoder, read_permit), mode, &wake).await {
        tracing::debug!(port = port.0, %problem, "reading ended");
    }
    let _ = wake.send(WakeUp::PortClosed(port)).await;
}

/// Reads the preamble: the caller and its version.
async fn read_preamble(input: &mut ReadHalf, frames: &mut Frames) -> Result<(Caller, String), &'static str> {
    let first = loop {
        match frames.take() {
            Some(Taken::Frame(frame)) if frame.len() <= preamble::MAX_BYTES => break frame,
            Some(_) => return Err("the first frame is too large to be a preamble"),
            None if frames.room(0).len() > preamble::MAX_BYTES => {
                return Err("the first frame is too large to be a preamble");
            }
            None => {}
        }
        match input.read_buf(frames.room(4096)).await {
            Ok(count) if count > 0 => {}
            Ok(_) | Err(_) => return Err("it closed the connection"),
        }
    };
    let preamble = Preamble::parse(&first).map_err(|_| "the first frame is not a preamble")?;
    match (preamble.kind, preamble.origin) {
        (PeerKind::Host, Some(origin)) => {
            let origin = origin.into();
            Ok((Caller::Extension { origin }, preamble.version))
        }
        (PeerKind::Host, None) => Err("a host without an extension"),
        (PeerKind::Admin, _) => Ok((Caller::Admin, preamble.version)),
    }
}

/// Sends an error for an invalid preamble. Nothing else that the caller sent is answered.
async fn reject(output: &mut WriteHalf, code: Code, problem: &'static str) {
    let mut packer = Packer::default();
    packer.add(&BrokerFrame::error(code, problem), &mut Vec::new());
    packer.add_end();
    let _ = timeout(HANG_UP_TIMEOUT, output.write_all(&packer.take())).await;
}

async fn read(
    port: PortId,
    input: &mut ReadHalf,
    frames: &mut Frames,
    (mut decoder, read_permit): (FrameDecoder, Arc<Semaphore>),
    mut mode: watch::Receiver<ReadMode>,
    wake: &mpsc::Sender<WakeUp>,
) -> io::Result<()> {
    loop {
        let mut took_long = false;
        while let Some(taken) = frames.take() {
            if !decoder.takes_long(&taken) {
                decoder.decode(taken);
            } else if decoder.admit(&taken, frames) {
                took_long = true;
                decoder = decode_beside(decoder, taken, &read_permit).await?;
            }
        }
        if !took_long || !decoder.has_decoded() {
            decoder.count(frames);
        }
        let inputs = decoder.take();
        if !inputs.is_empty() {
            let (handled, all_handled) = oneshot::channel();
            let handled = took_long.then_some(handled);
            if wake.send(WakeUp::Received(port, inputs, handled)).await.is_err() {
                return Ok(());
            }
            if took_long {
                // Reading waits, and what was decoded counts, until the loop has taken it.
                let _ = all_handled.await;
                decoder.count(frames);
            }
        }
        let is_on = mode.wait_for(|mode| *mode == ReadMode::On).await.is_ok();
        // The loop has dropped this port: nothing more is read, and the other side is to close.
        if !is_on || mode.has_changed().is_err() {
            let _ = timeout(HANG_UP_TIMEOUT, discard(input)).await;
            return Ok(());
        }
        tokio::select! {
            count = input.read_buf(frames.room(READ_BYTES)) => if count? == 0 {
                return match frames.is_torn() {
                    true => Err(io::ErrorKind::UnexpectedEof.into()),
                    false => Ok(()),
                };
            },
            _ = mode.changed() => {}
        }
    }
}

/// Decodes a large frame on another thread.
async fn decode_beside(
    mut decoder: FrameDecoder,
    taken: Taken,
    read_permit: &Arc<Semaphore>,
) -> io::Result<FrameDecoder> {
    let read_permit = read_permit.clone().acquire_owned().await;
    let decoded = tokio::task::spawn_blocking(move || {
        let _permit = read_permit;
        decoder.decode(taken);
        decoder
    });
    decoded.await.map_err(io::Error::other)
}

async fn discard(input: &mut ReadHalf) {
    let mut bytes = Vec::with_capacity(READ_BYTES);
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
            Err(_) => WakeUp::PortClosed(port),
        };
        drop(buffer);
        crash::point("port.write.after");
        if wake.send(written).await.is_err() {
            return;
        }
    }
    let _ = output.shutdown().await;
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::transport::incoming::IncomingBytes;

    #[tokio::test]
    async fn frames_of_a_removed_port_are_not_handled() {
        let (ours, theirs) = tokio::net::UnixStream::pair().unwrap();
        let (mut input, _output) = split(ours);
        let (_, mut theirs) = split(theirs);
        let (wake, mut wakes) = mpsc::channel(1);
        let (read_mode, mode) = watch::channel(ReadMode::On);
        drop(read_mode);
        let ping = crate::wire::frame::framed(br#"{"type":"ping","id":"1"}"#);
        theirs.write_all(&ping).await.unwrap();
        drop(theirs);
        let mut frames = Frames::new(FROM_BROWSER);
        let incoming = IncomingBytes::default().of(&"".into(), 0);
        let decoder = FrameDecoder::new(&Caller::Admin, "0.0.0", incoming);
        let read_permit = Arc::new(Semaphore::new(1));
        read(
            PortId(1),
            &mut input,
            &mut frames,
            (decoder, read_permit),
            mode,
            &wake,
        )
        .await
        .unwrap();
        drop(wake);
        assert!(wakes.recv().await.is_none());
    }
}
