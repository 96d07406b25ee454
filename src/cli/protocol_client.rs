//! The command line's client of the protocol: JSON frames over a pair of streams, to a host or to the broker.
//!
//! It unpacks batches and joins parts. It knows no session and acknowledges nothing.

use std::collections::VecDeque;
use std::io;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::wire::batch::Shape;
use crate::wire::frame::{Frames, Taken, framed};
use crate::wire::part::Joiner;

/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;

/// Why there is no next frame.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The length that the prefix announces.
    #[error("a frame above the size limit")]
    TooLarge(usize),
    #[error("no frame: {0}")]
    Malformed(String),
}

impl ReadError {
    /// As an error of `peer`'s stream.
    pub(crate) fn of(self, peer: &str) -> io::Error {
        match self {
            Self::Io(error) => error,
            malformed => io::Error::other(format!("{peer} sent {malformed}")),
        }
    }
}

/// Both directions of a connection.
#[derive(Debug)]
pub(crate) struct ProtocolClient<R, W> {
    reader: R,
    writer: W,
    frames: Frames,
    joiner: Joiner,
    ready: VecDeque<Value>,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> ProtocolClient<R, W> {
    /// Accepts frames of at most `max_frame` bytes.
    pub(crate) fn new(reader: R, writer: W, max_frame: usize) -> Self {
        Self {
            reader,
            writer,
            frames: Frames::new(max_frame),
            joiner: Joiner::default(),
            ready: VecDeque::new(),
        }
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// When the other side has gone.
    pub(crate) async fn send(&mut self, frame: &Value) -> io::Result<()> {
        self.send_bytes(frame.to_string().as_bytes()).await
    }

    /// Sends one frame that is already encoded.
    ///
    /// # Errors
    /// When the other side has gone.
    pub(crate) async fn send_bytes(&mut self, json: &[u8]) -> io::Result<()> {
        self.writer.write_all(&framed(json)).await?;
        self.writer.flush().await
    }

    /// Introduces itself as this client, in a profile of its own if there is one.
    ///
    /// # Errors
    /// When the other side has gone.
    pub(crate) async fn hello(&mut self, client: &str, profile: Option<&str>) -> io::Result<()> {
        let mut hello = json!({"type": "hello", "protocol": 1, "client": client});
        if let Some(profile) = profile {
            hello["profile"] = profile.into();
        }
        self.send(&hello).await
    }

    /// The next frame; `None` at the end of the stream. Cancelling it loses nothing.
    ///
    /// # Errors
    /// When the stream fails or what came is no frame.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, ReadError> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Ok(Some(frame));
            }
            while let Some(taken) = self.frames.take() {
                match taken {
                    Taken::Frame(bytes) if bytes.is_empty() => {}
                    Taken::Frame(bytes) => self.unpack(&bytes)?,
                    Taken::TooLarge(length) => return Err(ReadError::TooLarge(length)),
                }
            }
            if self.ready.is_empty() && self.reader.read_buf(self.frames.room(READ_BYTES)).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn unpack(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        let malformed = |error: serde_json::Error| ReadError::Malformed(error.to_string());
        match Shape::of(bytes).map_err(|error| ReadError::Malformed(error.message))? {
            Shape::Single => {
                let frame = serde_json::from_slice(bytes).map_err(malformed)?;
                self.ready.push_back(frame);
            }
            Shape::Batch(frames) => {
                for frame in frames {
                    let frame = serde_json::from_str(frame.get()).map_err(malformed)?;
                    self.ready.push_back(frame);
                }
            }
            Shape::Part(part) => {
                let joined = self.joiner.join(&part);
                if let Some(frame) = joined.map_err(|error| ReadError::Malformed(error.message))? {
                    let frame = serde_json::from_str(&frame).map_err(malformed)?;
                    self.ready.push_back(frame);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::TO_BROWSER;

    /// What a client reads from these bytes.
    async fn read(bytes: &[u8]) -> (Vec<Value>, Option<ReadError>) {
        let mut client = ProtocolClient::new(bytes, tokio::io::sink(), TO_BROWSER);
        let mut frames = Vec::new();
        loop {
            match client.next().await {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return (frames, None),
                Err(error) => return (frames, Some(error)),
            }
        }
    }

    #[tokio::test]
    async fn frames_batches_and_parts_are_read_in_order() {
        let mut bytes = framed(br#"{"type":"welcome"}"#);
        bytes.extend(framed(b""));
        bytes.extend(framed(
            br#"{"type":"batch","frames":[{"type":"ok"},{"type":"pong"}]}"#,
        ));
        for (index, data) in [r#"{\"type\":"#, r#"\"status\"}"#].iter().enumerate() {
            let part = format!(
                r#"{{"type":"part","part":"p1","index":{index},"last":{},"data":"{data}"}}"#,
                index == 1
            );
            bytes.extend(framed(part.as_bytes()));
        }
        let (frames, error) = read(&bytes).await;
        assert!(error.is_none(), "{error:?}");
        let types: Vec<_> = frames.iter().map(|frame| frame["type"].clone()).collect();
        assert_eq!(types, ["welcome", "ok", "pong", "status"]);
    }

    #[tokio::test]
    async fn text_instead_of_a_frame_is_an_error_with_its_bytes() {
        let (_, error) = read(b"text: something else").await;
        let expected = u32::from_ne_bytes(*b"text") as usize;
        assert!(matches!(error, Some(ReadError::TooLarge(length)) if length == expected));
        let (_, error) = read(&framed(b"{")).await;
        assert!(error.is_some_and(|error| {
            error
                .of("the host")
                .to_string()
                .starts_with("the host sent no frame")
        }));
    }
}
