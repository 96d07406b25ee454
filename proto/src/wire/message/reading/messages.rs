//! Frames that carry messages to the server: `send`, `request` and `subscribe`.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::field::{
    PayloadFields, check_size, correlation, matching, missing, optional, payloads, preset, required_name,
    wrong,
};
use super::super::from_extension::{Request, Send, Subscribe, USUAL_LANE};
use super::Fields;
use crate::wire::filter::{self, FilterLine};
use crate::wire::payload::Payload;
use crate::wire::record::{ErrorInfo, Name};
use crate::wire::rule::Rule;

impl Fields<'_> {
    pub(super) fn send(&self, id: Option<Name>) -> Result<Send, ErrorInfo> {
        let (confirm, ack) = match self.confirm {
            None => (None, false),
            Some(raw) if preset("confirm", raw)?.ack => (None, true),
            Some(raw) => (Some(correlation("confirm", raw)?), false),
        };
        Ok(Send {
            session: self.session()?,
            id,
            payload: self.payload()?,
            confirm,
            ack,
            lane: match optional::<u8>("lane", self.lane)? {
                None => USUAL_LANE,
                Some(lane @ 0..=3) => lane,
                Some(_) => return Err(wrong("lane", "it must be between 0 and 3")),
            },
            ttl: optional("ttl", self.ttl)?,
            volatile: optional("volatile", self.volatile)?.unwrap_or(false),
            resend: match optional::<Cow<'_, str>>("ifLost", self.if_lost)?.as_deref() {
                None | Some("report") => false,
                Some("resend") => true,
                Some(_) => return Err(wrong("ifLost", "it must be `report` or `resend`")),
            },
            receipt: optional("receipt", self.receipt)?.unwrap_or(false),
        })
    }

    fn payload(&self) -> Result<Payload, ErrorInfo> {
        PayloadFields {
            text: self.text,
            json: self.json,
            base64: self.base64,
            event: self.event,
            args: self.args,
            namespace: self.namespace,
        }
        .payload()
    }

    pub(super) fn request(&self) -> Result<Request, ErrorInfo> {
        let id = self.id()?;
        let raw = self.matching.ok_or_else(|| missing("match"))?;
        Ok(Request {
            send: self.send(Some(id.clone()))?,
            id,
            matching: matching(raw)?,
            timeout: optional("timeout", self.timeout)?.unwrap_or(30_000),
        })
    }

    pub(super) fn subscribe(&self) -> Result<Subscribe, ErrorInfo> {
        let lines = optional::<Vec<Box<RawValue>>>("filter", self.filter)?.unwrap_or_default();
        if lines.len() > filter::MAX_LINES {
            let most = filter::MAX_LINES;
            return Err(wrong("filter", format!("it has more than {most} lines")));
        }
        let filter = lines
            .iter()
            .zip(1..)
            .map(|(raw, number)| {
                FilterLine::from_json(raw.get())
                    .map_err(|why| wrong("filter", format!("line {number}: {why}")))
            })
            .collect::<Result<_, _>>()?;
        Ok(Subscribe {
            session: self.session()?,
            id: self.id()?,
            key: required_name("key", self.key)?,
            send: payloads("send", self.send)?,
            undo: payloads("undo", self.undo)?,
            confirm: self
                .confirm
                .map(|raw| {
                    let rule = check_size(raw).and_then(|()| Rule::from_json(raw.get()));
                    rule.map_err(|why| wrong("confirm", why))
                })
                .transpose()?,
            filter,
        })
    }
}
