//! A session's share of its extension's memory.

use crate::wire::code::Code;
use crate::wire::record::ErrorInfo;

use crate::core::context::error;

/// What a session takes by itself, and its connection.
pub(crate) const SESSION_COST: usize = 8 << 10;

/// The memory of one extension, as one of its sessions may use it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// Bytes that all sessions of the extension may take.
    limit: usize,
    /// Bytes that this session may take more.
    left: usize,
}

impl Budget {
    /// With a `limit` for all sessions, of which the `others` take so much and this one `held`.
    pub(super) const fn new(limit: usize, others: usize, held: usize) -> Self {
        Self {
            limit,
            left: limit.saturating_sub(others).saturating_sub(held),
        }
    }

    /// Bytes that this session may take more.
    pub(super) const fn left(&self) -> usize {
        self.left
    }

    /// Whether there is room for so many bytes more.
    ///
    /// # Errors
    /// `overflow`.
    pub(super) fn check(&self, more: usize) -> Result<(), ErrorInfo> {
        if more <= self.left {
            return Ok(());
        }
        Err(over_budget(self.limit))
    }
}

/// The error when an extension's budget is spent.
pub(crate) fn over_budget(budget: usize) -> ErrorInfo {
    let why = format!(
        "this extension has reached its memory limit ({} MB; `megabytes` and `memory.total` in the settings): acknowledge records, \
         or close sessions and subscriptions",
        budget >> 20
    );
    error(Code::Overflow, why)
}

/// The error when a session has as many subscriptions or filter lines as it may have.
pub(super) fn too_many_subscriptions() -> ErrorInfo {
    let why = "the session has reached the limit of subscriptions or filter lines";
    error(Code::RateLimited, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_may_use_the_budget_that_others_leave() {
        let budget = Budget::new(100, 30, 50);
        assert_eq!(budget.left(), 20);
        assert!(budget.check(20).is_ok());
        assert_eq!(budget.check(21).map_err(|why| why.code), Err(Code::Overflow));
        assert_eq!(Budget::new(100, 80, 50).left(), 0);
    }
}
