//! `longwire broker`: the broker itself, in the foreground or detached from the process that started it.
//!
//! It only starts it; `broker` does the work.

use crate::broker::{self, BrokerError, ClaimError};
use crate::log::LogOutput;

use super::args::BrokerArgs;
use super::error::{Exit, Failure};

/// Runs the broker to its end.
pub(super) fn run(broker: &BrokerArgs) -> Result<Exit, Failure> {
    if broker.detached {
        return Ok(detached());
    }
    match broker::run(LogOutput::FolderAndStderr, || {}) {
        Ok(()) => Ok(Exit::Done),
        Err(error) => {
            let taken = matches!(error, BrokerError::Claim(ClaimError::Taken(_)));
            let failure = Failure::because("the broker cannot run", &error);
            Err(if taken {
                failure.hint("longwire stop")
            } else {
                failure
            })
        }
    }
}

/// Runs the broker that a host has started, and reports to it.
fn detached() -> Exit {
    broker::detach();
    match broker::run(LogOutput::Folder, || broker::report(broker::READY)) {
        Ok(()) => Exit::Done,
        Err(BrokerError::Claim(ClaimError::Taken(_))) => {
            broker::report("taken");
            Exit::Done
        }
        Err(error) => {
            let mut message = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(next) = cause {
                message.push_str(": ");
                message.push_str(&next.to_string());
                cause = next.source();
            }
            broker::report(&message);
            Exit::Failed
        }
    }
}
