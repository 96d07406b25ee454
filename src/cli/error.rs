//! How a command fails: a sentence, its causes, a hint that can be pasted, an exit code.
//!
//! It prints nothing; `render` does.

use std::error::Error;

/// What the process ends with. Scripts rely on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Failed, or doctor found a fault.
    Failed = 1,
    /// Wrong usage.
    Usage = 2,
    /// The broker cannot be reached.
    Unreachable = 3,
    /// A bug of Longwire's.
    Bug = 70,
}

/// A failure as a person should see it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) causes: Vec<String>,
    pub(crate) hints: Vec<String>,
    pub(crate) exit: Exit,
}

impl Failure {
    /// A failure that says what was attempted on what.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
            exit: Exit::Failed,
        }
    }

    /// A failure with the chain of what caused it.
    pub(crate) fn because(message: impl Into<String>, cause: &dyn Error) -> Self {
        let mut failure = Self::new(message);
        let mut next = Some(cause);
        while let Some(cause) = next {
            failure.causes.push(cause.to_string());
            next = cause.source();
        }
        failure
    }

    /// Adds what caused it.
    #[must_use]
    pub(crate) fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds something that can be pasted.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The sentence and its causes in one line.
    pub(crate) fn in_one_line(&self) -> String {
        let mut line = self.message.clone();
        for cause in &self.causes {
            line.push_str(": ");
            line.push_str(cause);
        }
        line
    }

    /// Ends the process with another code.
    #[must_use]
    pub(crate) const fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
