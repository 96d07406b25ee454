//! A session's guard at work: which messages pass, in each direction, and how many in a while.
//!
//! It judges; the session refuses and counts.

use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::guard::{Guard as Lines, GuardLine, called};
use crate::wire::record::ErrorInfo;
use crate::wire::rule::ParsedMessage;

/// How often an extension gets an error about messages of the server that do not pass.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The guard of what is sent.
#[derive(Debug, Default)]
pub(crate) struct SendGuard(Vec<Bucket>);

/// The guard of what is received.
#[derive(Debug, Default)]
pub(crate) struct ReceiveGuard {
    buckets: Vec<Bucket>,
    /// Boot time of the next error at the earliest.
    next_report_at: Duration,
}

/// Messages of one line that may still pass, as of a moment.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// In thousandths of a message.
    left: u64,
    as_of: Duration,
}

impl SendGuard {
    /// Lets a message of the extension's pass; it counts for the rates.
    ///
    /// # Errors
    /// `bad-frame` with the line's reason, `rate-limited`.
    pub(crate) fn pass(
        &mut self,
        lines: &Lines,
        message: &ParsedMessage<'_>,
        now: Duration,
    ) -> Result<(), ErrorInfo> {
        pass(&lines.send, &mut self.0, message, now)
    }
}

impl ReceiveGuard {
    /// Lets a message of the server's pass; it counts for the rates.
    ///
    /// # Errors
    /// As [`SendGuard::pass`].
    pub(crate) fn pass(
        &mut self,
        lines: &Lines,
        message: &ParsedMessage<'_>,
        now: Duration,
    ) -> Result<(), ErrorInfo> {
        pass(&lines.receive, &mut self.buckets, message, now)
    }

    /// Whether a refusal is to be reported now: one in each interval is enough.
    pub(crate) fn take_report(&mut self, now: Duration) -> bool {
        let is_due = now >= self.next_report_at;
        if is_due {
            self.next_report_at = now + REPORT_INTERVAL;
        }
        is_due
    }
}

fn pass(
    lines: &[GuardLine],
    buckets: &mut Vec<Bucket>,
    message: &ParsedMessage<'_>,
    now: Duration,
) -> Result<(), ErrorInfo> {
    let Some((index, line)) = lines
        .iter()
        .enumerate()
        .find(|(_, line)| line.when.matches(message))
    else {
        return Ok(());
    };
    let what = called(message);
    if !line.allow {
        let why = format!(
            "{what} is refused by the session's `guard`: line {} denies it",
            index + 1
        );
        return Err(ErrorInfo::new(Code::BadFrame, why));
    }
    if let Some(why) = line.misshapen(message) {
        let why = format!("{what} is refused by the session's `guard`: {why}");
        return Err(ErrorInfo::new(Code::BadFrame, why));
    }
    if let Some(rate) = line.rate {
        let full = u64::from(rate.messages) * 1000;
        if buckets.len() != lines.len() {
            *buckets = vec![
                Bucket {
                    left: u64::MAX,
                    as_of: now
                };
                lines.len()
            ];
        }
        if let Some(bucket) = buckets.get_mut(index) {
            let passed = u64::try_from(now.saturating_sub(bucket.as_of).as_millis()).unwrap_or(u64::MAX);
            let gained = passed.saturating_mul(full) / rate.per;
            if gained > 0 || bucket.left > full {
                bucket.left = bucket.left.saturating_add(gained).min(full);
                bucket.as_of = now;
            }
            if bucket.left < 1000 {
                let why = format!(
                    "{what} exceeds the rate limit: {} in {} ms",
                    rate.messages, rate.per
                );
                return Err(ErrorInfo::new(Code::RateLimited, why));
            }
            bucket.left -= 1000;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::payload::Payload;

    fn passes(guard: &mut SendGuard, lines: &Lines, text: &str, milliseconds: u64) -> Result<(), Code> {
        let payload = Payload::text(text);
        guard
            .pass(
                lines,
                &ParsedMessage::at(&payload),
                Duration::from_millis(milliseconds),
            )
            .map_err(|error| error.code)
    }

    #[test]
    fn the_first_matching_guard_line_decides_and_no_match_allows() {
        let lines = Lines::from_json(
            r#"{"send":[{"when":{"/type":"ask"},"types":{"/text":"string"}},{"when":{"/type":"admin"},"do":"deny"}]}"#,
        )
        .unwrap();
        let mut guard = SendGuard::default();
        assert_eq!(
            passes(&mut guard, &lines, r#"{"type":"ask","text":"x"}"#, 0),
            Ok(())
        );
        assert_eq!(
            passes(&mut guard, &lines, r#"{"type":"ask"}"#, 0),
            Err(Code::BadFrame)
        );
        assert_eq!(
            passes(&mut guard, &lines, r#"{"type":"admin"}"#, 0),
            Err(Code::BadFrame)
        );
        assert_eq!(passes(&mut guard, &lines, r#"{"type":"other"}"#, 0), Ok(()));
    }

    #[test]
    fn a_rate_limit_allows_a_burst_and_then_its_rate() {
        let lines = Lines::from_json(r#"{"send":[{"rate":{"messages":3,"per":1000}}]}"#).unwrap();
        let mut guard = SendGuard::default();
        let reported: Vec<bool> = [0, 0, 0, 0, 300, 334, 600, 2000, 2000, 2000, 2000]
            .into_iter()
            .map(|at| passes(&mut guard, &lines, "x", 5_000 + at).is_ok())
            .collect();
        assert_eq!(
            reported,
            [
                true, true, true, false, false, true, false, true, true, true, false
            ]
        );
    }
}
