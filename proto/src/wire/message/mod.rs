//! The frames of the protocol as types, one file per direction, and how they are read and written.
//!
//! Length prefixes, batches and parts are not here: see `frame`, `batch` and `part`.

mod encode;
mod field;
mod from_extension;
mod object;
mod reading;
mod run;
mod to_extension;
mod unfinished;

pub use field::read_payload;
pub(crate) use field::{check_size, is_namespace};
pub use from_extension::{
    Authorize, ClientFrame, Conflict, Hello, Match, Open, RefusedFrame, Reply, Request, Resume, Send,
    Subscribe, USUAL_LANE,
};
pub(crate) use run::MessageRun;
pub use to_extension::{
    BrokerFrame, CloseReport, ErrorFrame, ExtensionMemory, Filtered, MemoryReport, Opened, OutboxItem,
    Question, Resumed, Rtt, SessionReport, SessionSummary, StatusReport, SubscriptionState, Totals,
    UnmetNeeds, Welcome,
};
