//! The frames that a host writes itself.
//!
//! Everything else a browser reads comes from the broker.

use crate::wire::code::Code;
use crate::wire::frame::{FROM_BROWSER, framed};

/// The state of the connection to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BrokerStatus {
    /// None was found; one is being started.
    Starting,
    /// It has exited while the port was open.
    Lost,
    /// Another one was found: the extension is to say `hello` again.
    Back,
    /// None can be reached; the port ends.
    Failed,
}

impl BrokerStatus {
    /// The frame that reports it.
    pub(super) fn frame(self) -> Vec<u8> {
        let (state, code, message) = match self {
            Self::Starting => ("starting", Code::BrokerStarting, "the broker is being started"),
            Self::Lost => ("lost", Code::BrokerLost, "the broker has exited; reconnecting"),
            Self::Back => (
                "back",
                Code::BrokerLost,
                "reconnected to a broker: send hello again",
            ),
            Self::Failed => (
                "failed",
                Code::BrokerUnreachable,
                "the broker cannot be reached or started; run `longwire doctor` for the reason",
            ),
        };
        let json = format!(r#"{{"type":"host","state":"{state}","code":"{code}","message":"{message}"}}"#);
        framed(json.as_bytes())
    }
}

/// The answer to a frame above what a browser may send.
pub(super) fn too_large(length: usize) -> Vec<u8> {
    let code = Code::FrameTooLarge;
    let json = format!(
        r#"{{"type":"error","code":"{code}","message":"a frame of {length} bytes exceeds {FROM_BROWSER}","retry":"{}"}}"#,
        code.retry().as_str()
    );
    framed(json.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::HEADER;

    #[test]
    fn every_status_is_a_frame() {
        let statuses = [
            BrokerStatus::Starting,
            BrokerStatus::Lost,
            BrokerStatus::Back,
            BrokerStatus::Failed,
        ];
        let frames = statuses.map(BrokerStatus::frame);
        for frame in frames.iter().chain([&too_large(70_000_000)]) {
            let json: serde_json::Value = serde_json::from_slice(&frame[HEADER..]).unwrap();
            assert!(json["code"].is_string() && json["message"].is_string());
            assert!(frame[HEADER..].starts_with(br#"{"type":""#));
        }
    }
}
