//! Polling of an Engine.IO session: what answers to GET and POST mean, and what is posted next.

use crate::wire::code::Code;
use crate::wire::payload::Payload;
use crate::wire::record::ErrorInfo;

use crate::core::dialect::html;
use crate::core::io::{Answer, Incoming, LinkEnd};

use super::payload::{SEPARATOR, in_base64};
use super::{Action, Engine, MAX_GREETING_BYTES, PostReach};

impl Engine {
    /// The answer to `Get`.
    pub fn get_answered(&mut self, answer: &Answer) {
        if let Some(end) = self.refusal(answer) {
            self.end(end);
            return;
        }
        if answer.too_large {
            self.getting = false;
            if self.sid.is_none() {
                return self.fault(Code::TooLarge, "the server's handshake exceeds `maxMessage`");
            }
            // The server has forgotten these packets: polling goes on behind them.
            self.report_packets(vec![Incoming::TooLarge { bytes: None }]);
            return self.flow();
        }
        // The beginning distinguishes a page from packets.
        let body = answer.content();
        let start = String::from_utf8_lossy(&body[..body.len().min(MAX_GREETING_BYTES)]);
        if let Some(page) = html::described(&start) {
            let why = format!("the server answered with {page} instead of Engine.IO");
            return self.fault(Code::ServerProtocol, &why);
        }
        self.body = body;
        self.is_fresh = true;
        if self.body.is_empty() {
            self.getting = false;
            self.flow();
        }
    }

    /// The answer to `Post`.
    pub fn post_answered(&mut self, answer: &Answer) {
        if let Some(end) = self.refusal(answer) {
            self.end(end);
            return;
        }
        self.posted += std::mem::take(&mut self.posting);
        self.actions.push_back(Action::Written(self.posted));
        self.flow();
    }

    /// `Get` has no answer.
    pub fn get_failed(&mut self, mut end: LinkEnd) {
        end.taken = self.posted + self.posting;
        self.end(end);
    }

    /// `Post` has no answer.
    pub fn post_failed(&mut self, mut end: LinkEnd, reach: PostReach) {
        let doubtful = match reach {
            PostReach::Unsent => 0,
            PostReach::MaybeSent => self.posting,
        };
        end.taken = self.posted + doubtful;
        self.end(end);
    }

    /// A server that cannot be reached by one transport may be by the other.
    pub(super) const fn may_try_polling(&self, end: &LinkEnd) -> bool {
        let may = match self.transports.try_all {
            Some(all) => all || self.transports.remember_upgrade,
            None => !matches!(end.status, Some(401 | 403)),
        };
        may && self.transports.polling && self.sid.is_none() && !self.tried_other
    }

    pub(super) fn post(&mut self) {
        if self.posting > 0 || self.sid.is_none() || self.queue.is_empty() {
            return;
        }
        let mut body = String::new();
        while let Some(packet) = self.queue.front() {
            let encoded = match packet {
                Payload::Binary(bytes) => in_base64(bytes),
                other => other.as_str().unwrap_or_default().to_owned(),
            };
            if !body.is_empty() {
                if body.len() + 1 + encoded.len() > self.max_body {
                    break;
                }
                body.push(SEPARATOR);
            }
            body.push_str(&encoded);
            self.queue.pop_front();
            self.posting += 1;
        }
        let url = self.address("polling");
        self.actions.push_back(Action::Post(url, body.into()));
    }

    pub(super) fn refusal(&self, answer: &Answer) -> Option<LinkEnd> {
        if answer.is_good() {
            return None;
        }
        let text = answer.beginning();
        let shown: String = html::described(&text).unwrap_or_else(|| {
            let chars = text.chars().map(|c| if c.is_control() { ' ' } else { c });
            chars.take(200).collect()
        });
        let mut end = LinkEnd {
            error: Some(ErrorInfo::new(
                Code::HttpStatus,
                format!("the server answered with {}: {shown}", answer.status),
            )),
            retry_after: answer.retry_after,
            reason: Some(shown),
            taken: self.posted + self.posting,
            ..LinkEnd::default()
        };
        // In the middle a status means that the server has forgotten this session: another one may be had.
        end.status = self.sid.is_none().then_some(answer.status);
        Some(end)
    }
}
