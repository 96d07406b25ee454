//! Frames to the extension as compact JSON.
//!
//! `type` comes first. Hot frames are written by hand into the caller's buffer; nothing is built up first.

use serde::Serialize;

use super::object::ObjectWriter;
use super::status_report::StatusReport;
use super::to_extension::{BrokerFrame, CloseReport, ErrorFrame, Opened, Question, Welcome};
use crate::wire::code::Retry;
use crate::wire::payload::Payload;
use crate::wire::record::{Body, Continuity, Outcome, Record, StateChange};

impl BrokerFrame {
    /// Appends the frame's JSON to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Record {
                session,
                record,
                redelivered,
            } => encode_record(out, session, record, *redelivered),
            Self::Welcome(welcome) => encode_welcome(out, welcome),
            Self::Opened(opened) => encode_opened(out, opened),
            Self::Status(report) => encode_status(out, report),
            Self::Error(error) => encode_error(out, error),
            Self::Pong { id } => ObjectWriter::new(out, "pong").text("id", id).end(),
            Self::Ok { id } => ObjectWriter::new(out, "ok").text("id", id).end(),
            Self::AuthNeeded { session, question } => encode_question(out, session, question),
            Self::Accepted {
                session,
                id,
                durability,
                duplicate,
                outcome,
            } => encode_accepted(out, session, id, durability, *duplicate, *outcome),
            Self::Detached {
                session,
                reason,
                close_report,
            } => encode_detached(out, session, reason, close_report.as_deref()),
            Self::Outgoing {
                session,
                time,
                payload,
            } => encode_outgoing(out, session, *time, payload),
            Self::Live { session, seq } => with_session(out, "live", session).number("seq", *seq).end(),
            Self::Subscription { session, key, state } => with_session(out, "subscription", session)
                .text("key", key)
                .text("state", state.as_str())
                .end(),
            Self::Stalled {
                session,
                messages,
                bytes,
                oldest,
            } => with_session(out, "stalled", session)
                .number("messages", *messages as u64)
                .number("bytes", *bytes as u64)
                .number_if("oldest", *oldest)
                .end(),
            Self::Missed { session, count } => {
                with_session(out, "missed", session).number("count", *count).end();
            }
            Self::Goaway { reason, after } => ObjectWriter::new(out, "goaway")
                .text("reason", reason)
                .number("after", *after)
                .end(),
        }
    }
}

fn with_session<'a>(out: &'a mut Vec<u8>, kind: &str, session: &str) -> ObjectWriter<'a> {
    let mut object = ObjectWriter::new(out, kind);
    object.text("session", session);
    object
}

fn encode_outgoing(out: &mut Vec<u8>, session: &str, time: u64, payload: &Payload) {
    with_session(out, "outgoing", session)
        .number("time", time)
        .payload(payload)
        .end();
}

fn encode_record(out: &mut Vec<u8>, session: &str, record: &Record, redelivered: bool) {
    let kind = match record.body {
        Body::Message { .. } => "message",
        Body::Gap(_) => "gap",
        Body::State(_) => "state",
        Body::Outcome(_) => "outcome",
        Body::Response(_) => "response",
    };
    let mut object = ObjectWriter::new(out, kind);
    object.text("session", session).number("seq", record.seq);
    match &record.body {
        Body::Message { payload, time } => {
            object.payload(payload).number("time", *time);
        }
        Body::Gap(gap) => {
            object
                .number("from", gap.from)
                .number("to", gap.to)
                .number("count", gap.count);
            object
                .text("reason", gap.reason.as_str())
                .flag("exact", gap.exact);
        }
        Body::State(change) => encode_state(&mut object, change),
        Body::Outcome(report) => {
            object
                .text("id", &report.id)
                .text("outcome", report.outcome.as_str());
            if let Some(error) = &report.error {
                object.error(error);
            }
        }
        Body::Response(report) => {
            object.text("id", &report.id);
            if let Some(answer) = &report.answer {
                object.payload(answer);
            }
            if let Some(error) = &report.error {
                object.error(error);
            }
        }
    }
    if redelivered {
        object.flag("redelivered", true);
    }
    object.end();
}

fn encode_state(object: &mut ObjectWriter<'_>, change: &StateChange) {
    object.text("state", change.state.as_str());
    object
        .number_if("dial", change.dial)
        .number_if("attempt", change.attempt.map(u64::from))
        .number_if("retryIn", change.retry_in)
        .number_if("code", change.code.map(u64::from))
        .number_if("status", change.status.map(u64::from))
        .text_if("reason", change.reason.as_deref());
    if let Some(error) = &change.error {
        object.error(error);
    }
    object
        .text_if("continuity", change.continuity.map(Continuity::as_str))
        .text_if("subprotocol", change.subprotocol.as_deref())
        .text_if("extensions", change.extensions.as_deref())
        .text_if("namespace", change.namespace.as_deref())
        .text_if("transport", change.transport.as_deref());
    if let Some(data) = &change.data {
        object.raw("data", data);
    }
}

fn encode_welcome(out: &mut Vec<u8>, welcome: &Welcome) {
    #[derive(Serialize)]
    struct Summary<'a> {
        session: &'a str,
        state: &'static str,
        pending: usize,
    }
    let limits: serde_json::Map<_, _> = welcome
        .limits
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).into()))
        .collect();
    let sessions: Vec<_> = welcome
        .sessions
        .iter()
        .map(|summary| Summary {
            session: &summary.session,
            state: summary.state.as_str(),
            pending: summary.pending,
        })
        .collect();
    let mut object = ObjectWriter::new(out, "welcome");
    object
        .number("protocol", 1)
        .text("version", welcome.version)
        .text("broker", &welcome.broker);
    object
        .text("origin", &welcome.origin)
        .value("capabilities", &welcome.capabilities);
    object.value("limits", &limits).value("sessions", &sessions).end();
}

fn encode_opened(out: &mut Vec<u8>, opened: &Opened) {
    #[derive(Serialize)]
    struct OpenedSession<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<&'a str>,
        state: &'static str,
    }
    let outbox: Vec<_> = opened
        .outbox
        .iter()
        .map(|item| OpenedSession {
            id: Some(&item.id),
            key: None,
            state: item.state,
        })
        .collect();
    let subscriptions: Vec<_> = opened
        .subscriptions
        .iter()
        .map(|(key, state)| OpenedSession {
            id: None,
            key: Some(key),
            state: state.as_str(),
        })
        .collect();
    let mut object = ObjectWriter::new(out, "opened");
    object
        .text("id", &opened.id)
        .text("session", &opened.session)
        .flag("created", opened.created);
    object
        .text("epoch", &opened.epoch)
        .text("resume", opened.resume.as_str());
    object
        .number("seq", opened.seq)
        .number("last", opened.last)
        .text("state", opened.state.as_str());
    object
        .text_if("subprotocol", opened.subprotocol.as_deref())
        .value("outbox", &outbox)
        .value("subscriptions", &subscriptions)
        .value("ignored", &opened.ignored)
        .end();
}

fn encode_error(out: &mut Vec<u8>, error: &ErrorFrame) {
    let mut object = ObjectWriter::new(out, "error");
    let retry: Retry = error.error.code.retry();
    object
        .text("code", error.error.code.as_str())
        .text("message", &error.error.message);
    object
        .text("retry", retry.as_str())
        .text_if("id", error.id.as_deref())
        .text_if("session", error.session.as_deref())
        .text_if("detail", error.detail.as_deref())
        .end();
}

fn encode_accepted(
    out: &mut Vec<u8>,
    session: &str,
    id: &str,
    durability: &str,
    duplicate: bool,
    outcome: Option<Outcome>,
) {
    let mut object = ObjectWriter::new(out, "accepted");
    object
        .text("session", session)
        .text("id", id)
        .text("durability", durability);
    if duplicate {
        object.flag("duplicate", true);
    }
    object.text_if("outcome", outcome.map(Outcome::as_str)).end();
}

fn encode_question(out: &mut Vec<u8>, session: &str, question: &Question) {
    let mut object = ObjectWriter::new(out, "auth-needed");
    object
        .text("session", session)
        .text("nonce", &question.nonce)
        .text("why", question.why)
        .number("attempt", u64::from(question.attempt))
        .number("deadline", question.deadline)
        .number_if("status", question.status.map(u64::from));
    if let Some(values) = &question.values {
        object.raw("values", values);
    }
    object.end();
}

fn encode_detached(out: &mut Vec<u8>, session: &str, reason: &str, close_report: Option<&CloseReport>) {
    let mut object = ObjectWriter::new(out, "detached");
    object.text("session", session).text("reason", reason);
    if let Some(report) = close_report {
        object
            .number_if("code", report.code.map(u64::from))
            .text_if("closeReason", report.reason.as_deref())
            .flag("clean", report.clean);
    }
    object.end();
}

fn encode_status(out: &mut Vec<u8>, report: &StatusReport) {
    let mut object = ObjectWriter::new(out, "status");
    object
        .text("id", &report.id)
        .text("version", report.version)
        .number("uptime", report.uptime)
        .number("pid", u64::from(report.pid))
        .number("rss", report.rss)
        .number("ports", report.ports)
        .value("memory", &report.memory);
    if !report.unmet.is_empty() {
        object.value("unmet", &report.unmet);
    }
    if !report.insecure.is_empty() {
        object.value("insecure", &report.insecure);
    }
    object
        .value("total", &report.total)
        .value("sessions", &report.sessions)
        .end();
}
