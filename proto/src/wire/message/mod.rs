//! The frames of the protocol as types, one file per direction, and how they are read and written.
//!
//! Length prefixes, batches and parts are not here: see `frame`, `batch` and `part`.

mod encode;
mod field;
mod from_extension;
mod object;
mod reading;
mod run;
mod status_report;
mod to_extension;
mod unfinished;

pub use field::read_payload;
pub(crate) use field::{check_size, is_namespace};
pub use from_extension::{
    Authorize, ClientFrame, Conflict, Hello, Match, Open, RefusedFrame, Reply, Request, Resume, Send,
    Subscribe, USUAL_LANE,
};
pub(crate) use run::MessageRun;
pub use status_report::{
    ExtensionMemory, Filtered, MemoryReport, Rtt, SessionReport, StatusReport, Totals, UnmetNeeds,
};
pub use to_extension::{
    BrokerFrame, CloseReport, ErrorFrame, Opened, OutboxItem, Question, Resumed, SessionSummary,
    SubscriptionState, Welcome,
};
