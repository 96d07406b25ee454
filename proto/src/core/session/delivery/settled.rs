//! How the end of a message that was sent reaches the client that sent it: as a record, or in the journal only.

use crate::wire::code::Code;
use crate::wire::payload::Payload;
use crate::wire::record::{Body, ErrorInfo, OutcomeReport, ResponseReport};

use crate::core::context::error;
use crate::core::journal_record::JournalRecord;
use crate::core::outbox::{MessageResult, Settled};
use crate::core::recorded_log::Durable;

use super::{Delivery, DeliveryContext};

/// Bytes of unacknowledged answers, at most; one answer may be larger.
const MAX_ANSWER_BYTES: usize = 16 << 20;

impl Delivery {
    /// Records how a message ended, for the client that sent it. One without an id is not reported, and one that ended well
    /// and whose client wants no receipt is only journalled.
    pub(in crate::core::session) fn record_settled(
        &mut self,
        ctx: &mut DeliveryContext<'_>,
        settled: Settled,
    ) {
        let Settled {
            client,
            id: Some(id),
            receipt,
            result,
            ..
        } = settled
        else {
            return;
        };
        let body = match result {
            MessageResult::Outcome(outcome, _) if outcome.is_good() && !receipt => {
                let record = JournalRecord::Settled {
                    client: client.0,
                    id,
                    outcome: Some(outcome),
                };
                return self.log.write(&mut ctx.recorder(), &record, Durable::Written);
            }
            MessageResult::Outcome(outcome, error) => {
                Body::Outcome(OutcomeReport { id, outcome, error }.into())
            }
            MessageResult::Response(answer) => {
                let (answer, error) = match answer.and_then(|answer| self.room_for(ctx.room, answer)) {
                    Ok(answer) => (Some(answer), None),
                    Err(why) => (None, Some(why)),
                };
                Body::Response(ResponseReport { id, answer, error }.into())
            }
        };
        self.append(ctx, body, Some(client));
    }

    /// The answer, if the log has room for it. A server cannot fill the memory with answers that are not acknowledged.
    fn room_for(&self, room: usize, answer: Payload) -> Result<Payload, ErrorInfo> {
        let held = self.log.answers();
        let fits = held == 0 || held + answer.len() <= MAX_ANSWER_BYTES;
        if fits && self.log.held() + answer.len() <= room {
            return Ok(answer);
        }
        let why = format!(
            "the server answered with {} bytes, and {held} bytes of answers are unacknowledged: the answer was dropped",
            answer.len()
        );
        Err(error(Code::Overflow, why))
    }
}
