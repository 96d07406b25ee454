//! What of other modules' types lies on disk, and how it is spelled there. It stays as it is when those types, or what goes
//! over the wire, change.
//!
//! Of the wire it takes the error codes alone, which are append-only there as well.

use serde::{Deserialize, Serialize};

use crate::core::requests::{AnswerKind, AwaitedAnswer};
use crate::wire::code::{Code, GapReason};
use crate::wire::options::Overflow;
use crate::wire::record::{Continuity, ErrorInfo, Gap, Name, Outcome, OutcomeReport, State, StateChange};

/// An enum of words on disk, each for a variant of another type.
macro_rules! words {
    ($(#[$doc:meta])* $form:ident: $type:ident { $($variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub(crate) enum $form {
            $(#[serde(rename = $word)] $variant,)+
        }

        impl From<$type> for $form {
            fn from(value: $type) -> Self {
                match value {
                    $($type::$variant => Self::$variant,)+
                }
            }
        }

        impl From<$form> for $type {
            fn from(form: $form) -> Self {
                match form {
                    $($form::$variant => Self::$variant,)+
                }
            }
        }
    };
}

words! {
    /// What happens to a message that the log has no room for.
    OverflowForm: Overflow {
        DropOldest = "drop-oldest",
        DropNewest = "drop-newest",
        Pause = "pause",
        Close = "close",
    }
}

words! {
    /// How a message ended.
    OutcomeForm: Outcome {
        Sent = "sent",
        Confirmed = "confirmed",
        Unknown = "unknown",
        Failed = "failed",
        Expired = "expired",
        Dropped = "dropped",
        Cancelled = "cancelled",
    }
}

words! {
    /// A state of the link.
    LinkStateForm: State {
        Connecting = "connecting",
        Open = "open",
        Waiting = "waiting",
        Unauthorized = "unauthorized",
        Paused = "paused",
        Failed = "failed",
        Closed = "closed",
    }
}

words! {
    /// Whether the server resumed.
    ContinuityForm: Continuity {
        Server = "server",
        None = "none",
        Unknown = "unknown",
    }
}

words! {
    /// Why messages were lost.
    ReasonForm: GapReason {
        Overflow = "overflow",
        Age = "age",
        TooLarge = "too-large",
        Crash = "crash",
        Journal = "journal",
        Acknowledged = "acknowledged",
    }
}

/// An error.
#[derive(Serialize, Deserialize)]
pub(super) struct ErrorForm {
    code: Code,
    message: String,
}

impl From<&ErrorInfo> for ErrorForm {
    fn from(error: &ErrorInfo) -> Self {
        Self {
            code: error.code,
            message: error.message.clone(),
        }
    }
}

impl From<ErrorForm> for ErrorInfo {
    fn from(ErrorForm { code, message }: ErrorForm) -> Self {
        Self { code, message }
    }
}

/// A run of lost records.
#[derive(Serialize, Deserialize)]
pub(super) struct GapForm {
    from: u64,
    to: u64,
    count: u64,
    reason: ReasonForm,
    exact: bool,
}

impl From<&Gap> for GapForm {
    fn from(gap: &Gap) -> Self {
        let Gap {
            from,
            to,
            count,
            reason,
            exact,
        } = *gap;
        Self {
            from,
            to,
            count,
            reason: reason.into(),
            exact,
        }
    }
}

impl From<GapForm> for Gap {
    fn from(form: GapForm) -> Self {
        let GapForm {
            from,
            to,
            count,
            reason,
            exact,
        } = form;
        Self {
            from,
            to,
            count,
            reason: reason.into(),
            exact,
        }
    }
}

/// A change of the link's state. What a Socket.IO server sent with a refusal is not stored.
#[derive(Serialize, Deserialize)]
pub(super) struct StateForm {
    state: LinkStateForm,
    dial: Option<u64>,
    attempt: Option<u32>,
    retry_in: Option<u64>,
    code: Option<u16>,
    status: Option<u16>,
    reason: Option<String>,
    error: Option<ErrorForm>,
    continuity: Option<ContinuityForm>,
    subprotocol: Option<String>,
    extensions: Option<String>,
    namespace: Option<String>,
    transport: Option<String>,
}

impl From<&StateChange> for StateForm {
    fn from(change: &StateChange) -> Self {
        let StateChange {
            state,
            dial,
            attempt,
            retry_in,
            code,
            status,
            reason,
            error,
            continuity,
            subprotocol,
            extensions,
            namespace,
            transport,
            data: _,
        } = change.clone();
        Self {
            state: state.into(),
            dial,
            attempt,
            retry_in,
            code,
            status,
            reason,
            error: error.as_ref().map(ErrorForm::from),
            continuity: continuity.map(ContinuityForm::from),
            subprotocol,
            extensions,
            namespace,
            transport,
        }
    }
}

impl From<StateForm> for StateChange {
    fn from(form: StateForm) -> Self {
        let StateForm {
            state,
            dial,
            attempt,
            retry_in,
            code,
            status,
            reason,
            error,
            continuity,
            subprotocol,
            extensions,
            namespace,
            transport,
        } = form;
        Self {
            state: state.into(),
            dial,
            attempt,
            retry_in,
            code,
            status,
            reason,
            error: error.map(ErrorInfo::from),
            continuity: continuity.map(Continuity::from),
            subprotocol,
            extensions,
            namespace,
            transport,
            data: None,
        }
    }
}

/// The result of a `send`.
#[derive(Serialize, Deserialize)]
pub(super) struct ReportForm {
    id: Name,
    outcome: OutcomeForm,
    error: Option<ErrorForm>,
}

impl From<&OutcomeReport> for ReportForm {
    fn from(report: &OutcomeReport) -> Self {
        Self {
            id: report.id.clone(),
            outcome: report.outcome.into(),
            error: report.error.as_ref().map(ErrorForm::from),
        }
    }
}

impl From<ReportForm> for OutcomeReport {
    fn from(ReportForm { id, outcome, error }: ReportForm) -> Self {
        Self {
            id,
            outcome: outcome.into(),
            error: error.map(ErrorInfo::from),
        }
    }
}

/// Which incoming message a message waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WantedForm {
    pointer: String,
    value: String,
    json_rpc: bool,
    answer: bool,
    #[serde(default)]
    ack: bool,
}

impl From<AwaitedAnswer> for WantedForm {
    fn from(wanted: AwaitedAnswer) -> Self {
        let AwaitedAnswer {
            pointer,
            value,
            kind,
            ack,
        } = wanted;
        Self {
            pointer,
            value,
            json_rpc: kind == AnswerKind::JsonRpc,
            answer: kind != AnswerKind::Confirmation,
            ack,
        }
    }
}

impl From<WantedForm> for AwaitedAnswer {
    fn from(form: WantedForm) -> Self {
        let WantedForm {
            pointer,
            value,
            json_rpc,
            answer,
            ack,
        } = form;
        let kind = match (answer, json_rpc) {
            (false, _) => AnswerKind::Confirmation,
            (true, false) => AnswerKind::Answer,
            (true, true) => AnswerKind::JsonRpc,
        };
        Self {
            pointer,
            value,
            kind,
            ack,
        }
    }
}
