//! The broker: its folder, its socket, and what it answers.
//!
//! It makes no folder, and ends no broker but the one that a check started.

use crate::cli::admin::Admin;
use crate::local::{self, Endpoint};
use crate::paths::Paths;

use super::super::facts::{BrokerAnswer, BrokerFacts, PathFacts};
use super::super::files;

/// Looks at the broker without making any folder.
pub(super) async fn broker(admin: &Admin, paths: &Paths) -> BrokerFacts {
    let Some(folder) = run_folder(paths) else {
        return BrokerFacts {
            folder: None,
            socket: None,
            process: None,
            ran: false,
            answer: Ok(None),
            status: None,
        };
    };
    let endpoint = Endpoint::of(paths).ok();
    let socket = endpoint
        .as_ref()
        .and_then(|endpoint| files::place(endpoint.address()));
    let (answer, status) = match admin.status().await {
        Ok(status) => {
            let answer = status.as_ref().map(|status| BrokerAnswer {
                version: status["version"].as_str().unwrap_or("?").to_owned(),
                pid: status["pid"].as_u64().unwrap_or_default(),
            });
            (Ok(answer), status)
        }
        Err(failure) => (Err(failure.in_one_line()), None),
    };
    // Only one that does not answer has to be named.
    let process = match endpoint.filter(|_| answer.is_err()) {
        Some(endpoint) => local::connect(&endpoint)
            .await
            .ok()
            .and_then(|stream| i32::try_from(local::peer_process(&stream)?).ok()),
        None => None,
    };
    BrokerFacts {
        folder: Some(folder),
        socket,
        process,
        ran: !matches!(answer, Ok(None)),
        answer,
        status,
    }
}

/// The folder that hosts use, if it is there already.
fn run_folder(paths: &Paths) -> Option<PathFacts> {
    for folder in paths.run_candidates() {
        let there = files::place(folder);
        let can_be_created = folder
            .parent()
            .is_some_and(|parent| files::writing_problem(parent).is_none());
        if there.is_some() || can_be_created {
            return there;
        }
    }
    None
}

/// Asks the broker that was started for doctor's host to exit, unless another process has connected to it since.
pub(super) async fn leave_as_found(admin: &Admin) {
    if let Ok(Some(status)) = admin.status().await {
        let idle = status["ports"].as_u64().is_none_or(|ports| ports <= 1)
            && status["sessions"].as_array().is_none_or(Vec::is_empty);
        if idle {
            // It leaves by itself, if not now.
            let _ = admin.stop().await;
        }
    }
}
