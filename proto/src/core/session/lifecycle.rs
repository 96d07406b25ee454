//! Whether a session is in use, being closed, or over, and the next step of closing.
//!
//! What was accepted is written first, then the close frame, then the server answers it; all of that within option
//! `closeTimeout`. Until it is over the session keeps its name, and takes no new messages.

use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::message::CloseReport;
use crate::wire::record::ErrorInfo;

use crate::core::context::error;
use crate::core::io::LinkEnd;

use super::link_view::LinkView;

/// The life of a session, from its first `open` on. Boxed: most sessions are in use.
#[derive(Debug, Default)]
pub(crate) struct Lifecycle(Option<Box<Stage>>);

/// What comes after a session was in use.
#[derive(Debug)]
enum Stage {
    /// Somebody has closed it.
    Closing(Closing),
    /// It has ended and is to be removed.
    Over,
}

/// How a session that was closed is to end.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(super) code: u16,
    pub(super) reason: String,
    /// Boot time at which waiting ends.
    by: Duration,
}

/// What becomes of messages that wait when a session is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// They are written first.
    Write,
    /// They are cancelled.
    Discard,
}

/// Messages on their way out while a session is being closed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unfinished {
    /// Messages accepted and not ended.
    pub(super) total: usize,
    /// Some wait that no link has been given.
    pub(super) waits: bool,
    /// Everything that was handed over is written.
    pub(super) is_written: bool,
}

/// The next step towards the end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ClosingStep {
    /// No close frame and nothing to prove: there is nothing to wait for.
    HangUp,
    /// Everything is written: one more ping to prove it, and the close frame behind that.
    SendClose { code: u16, reason: String },
    /// Nothing is worth waiting for any more.
    GiveUp,
}

impl Lifecycle {
    /// Somebody closes it; whoever did so first says how.
    pub(super) fn begin_closing(&mut self, code: u16, reason: String, by: Duration) {
        self.0
            .get_or_insert_with(|| Box::new(Stage::Closing(Closing { code, reason, by })));
    }

    /// Closing comes to its end; how it was asked for, `None` if nobody did.
    pub(super) fn end_closing(&mut self) -> Option<Closing> {
        match *self.0.take_if(|stage| matches!(**stage, Stage::Closing(_)))? {
            Stage::Closing(closing) => Some(closing),
            Stage::Over => None,
        }
    }

    /// Nothing is left of it.
    pub(super) fn end(&mut self) {
        self.0 = Some(Box::new(Stage::Over));
    }

    /// Whether it is to be removed.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.0.as_deref(), Some(Stage::Over))
    }

    /// Whether somebody has closed it.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing().is_some()
    }

    fn closing(&self) -> Option<&Closing> {
        match self.0.as_deref() {
            Some(Stage::Closing(closing)) => Some(closing),
            Some(Stage::Over) | None => None,
        }
    }

    /// Whether it takes anything new.
    ///
    /// # Errors
    /// `session-closed` once somebody has closed it.
    pub(crate) fn check(&self) -> Result<(), ErrorInfo> {
        if self.is_closing() {
            return Err(error(Code::SessionClosed, "the session is being closed"));
        }
        Ok(())
    }

    /// When closing is given up, in boot time.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.closing().map(|closing| closing.by)
    }

    /// The next step towards the end at this boot time, with this link and these messages; `None`: to wait.
    pub(super) fn next_step(
        &self,
        boot: Duration,
        link: &LinkView,
        unfinished: Unfinished,
    ) -> Option<ClosingStep> {
        let closing = self.closing()?;
        if boot >= closing.by {
            return Some(ClosingStep::GiveUp);
        }
        let Unfinished {
            total,
            waits,
            is_written,
        } = unfinished;
        if !link.is_open {
            let is_worth_waiting = waits && link.may_come_up();
            return (!is_worth_waiting).then_some(ClosingStep::GiveUp);
        }
        if link.is_encoding {
            None
        } else if total == 0 && !link.abilities.pings {
            Some(ClosingStep::HangUp)
        } else if !link.awaits_close && !waits && is_written {
            Some(ClosingStep::SendClose {
                code: closing.code,
                reason: closing.reason.clone(),
            })
        } else {
            None
        }
    }
}

/// How a closed session ended, for its clients.
pub(super) fn close_report(end: LinkEnd) -> CloseReport {
    CloseReport {
        clean: end.error.is_none() && end.code != Some(1006),
        code: end.code,
        reason: end.reason.filter(|reason| !reason.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(4);
    const NOTHING: Unfinished = Unfinished {
        total: 0,
        waits: false,
        is_written: true,
    };

    fn closing() -> Lifecycle {
        let mut lifecycle = Lifecycle::default();
        lifecycle.begin_closing(1000, String::new(), Duration::from_secs(5));
        lifecycle
    }

    fn send_close() -> Option<ClosingStep> {
        Some(ClosingStep::SendClose {
            code: 1000,
            reason: String::new(),
        })
    }

    #[test]
    fn the_close_frame_waits_until_everything_is_written() {
        let link = LinkView::for_tests();
        let waits = Unfinished {
            total: 1,
            waits: true,
            ..NOTHING
        };
        let unwritten = Unfinished {
            total: 1,
            is_written: false,
            ..NOTHING
        };
        assert_eq!(Lifecycle::default().next_step(NOW, &link, NOTHING), None);
        assert_eq!(closing().next_step(NOW, &link, waits), None);
        assert_eq!(closing().next_step(NOW, &link, unwritten), None);
        assert_eq!(closing().next_step(NOW, &link, NOTHING), send_close());
        let by = Duration::from_secs(5);
        assert_eq!(closing().next_step(by, &link, waits), Some(ClosingStep::GiveUp));
        let asked = LinkView {
            awaits_close: true,
            ..link
        };
        assert_eq!(closing().next_step(NOW, &asked, NOTHING), None);
    }

    #[test]
    fn closing_waits_for_messages_only_while_a_link_may_open() {
        let waits = Unfinished {
            total: 1,
            waits: true,
            ..NOTHING
        };
        let dialling = LinkView::dialling_for_tests();
        assert_eq!(closing().next_step(NOW, &dialling, waits), None);
        assert_eq!(
            closing().next_step(NOW, &dialling, NOTHING),
            Some(ClosingStep::GiveUp)
        );
    }

    #[test]
    fn a_protocol_without_close_frames_closes_after_the_last_message() {
        let mut link = LinkView::for_tests();
        link.abilities.pings = false;
        assert_eq!(
            closing().next_step(NOW, &link, NOTHING),
            Some(ClosingStep::HangUp)
        );
        let written = Unfinished { total: 1, ..NOTHING };
        assert_eq!(closing().next_step(NOW, &link, written), send_close());
        link.is_encoding = true;
        assert_eq!(closing().next_step(NOW, &link, NOTHING), None);
    }

    #[test]
    fn the_first_close_determines_code_and_reason_and_ends_once() {
        let mut lifecycle = closing();
        lifecycle.begin_closing(4000, "late".to_owned(), Duration::ZERO);
        assert_eq!(lifecycle.deadline(), Some(Duration::from_secs(5)));
        assert_eq!(
            lifecycle.check().map_err(|why| why.code),
            Err(Code::SessionClosed)
        );
        assert_eq!(lifecycle.end_closing().map(|closing| closing.code), Some(1000));
        lifecycle.end();
        assert!(lifecycle.is_over() && lifecycle.end_closing().is_none() && lifecycle.is_over());
    }

    #[test]
    fn an_unanswered_close_is_not_clean() {
        let end = |code| LinkEnd {
            code,
            ..LinkEnd::default()
        };
        assert!(close_report(end(Some(1000))).clean);
        assert!(!close_report(end(Some(1006))).clean);
    }
}
