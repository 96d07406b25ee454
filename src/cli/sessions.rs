//! `longwire sessions`: lists the broker's sessions, and ends one of them.
//!
//! A session is named as `status` shows it; where several have one name, origin and profile choose.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{sleep, timeout};

use super::admin::Admin;
use super::args::{EndSessionArgs, SessionOwnerArgs, SessionsArgs, SessionsCommand};
use super::error::{Exit, Failure};
use super::render;
use super::status::not_running;
use super::status_table::sessions_table;
use super::text::harmless;

/// How long a session may take to write what it accepted and to close: the default of `closeTimeout`, and a little.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(12);
/// How often the broker is asked whether a session is gone.
const CLOSE_CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// Lists sessions, or does what is asked with one.
pub(super) fn run(sessions: &SessionsArgs) -> Result<Exit, Failure> {
    super::block_on(async {
        let admin = Admin::new(super::paths()?);
        match &sessions.command {
            None => list(&admin, sessions).await,
            Some(SessionsCommand::End(end)) => end_session(&admin, end).await,
        }
    })
}

async fn list(admin: &Admin, wanted: &SessionsArgs) -> Result<Exit, Failure> {
    let report = admin.status().await?.ok_or_else(not_running)?;
    let all = report["sessions"].as_array().cloned().unwrap_or_default();
    let shown: Vec<Value> = all
        .into_iter()
        .filter(|session| wanted.owner.fits(session))
        .collect();
    if wanted.json {
        render::json(&json!({"sessions": shown}));
    } else if wanted.names {
        for session in &shown {
            let name = session["session"].as_str().unwrap_or_default();
            render::line(&harmless(name));
        }
    } else if shown.is_empty() {
        render::line("no sessions");
    } else {
        render::line(sessions_table(&shown, render::terminal()).trim_end());
    }
    Ok(Exit::Done)
}

async fn end_session(admin: &Admin, end: &EndSessionArgs) -> Result<Exit, Failure> {
    let request = end.owner.request("end", &end.session);
    let answer = admin.request(&request).await?.ok_or_else(not_running)?;
    if answer["type"] == "error" {
        return Err(refused(&answer));
    }
    let is_gone = timeout(CLOSE_TIMEOUT, wait_until_gone(admin, end)).await;
    let state = if is_gone.is_ok_and(|gone| gone.is_ok()) {
        "ended"
    } else {
        "closing"
    };
    if end.json {
        render::json(&json!({state: end.session}));
    } else {
        render::line(&format!("{state} session `{}`", harmless(&end.session)));
    }
    Ok(Exit::Done)
}

/// Waits until the broker has written what it accepted and has closed the session.
async fn wait_until_gone(admin: &Admin, end: &EndSessionArgs) -> Result<(), Failure> {
    let is_meant = |session: &Value| session["session"] == end.session.as_str() && end.owner.fits(session);
    while let Some(report) = admin.status().await? {
        let sessions = report["sessions"].as_array().map_or(&[][..], Vec::as_slice);
        if !sessions.iter().any(is_meant) {
            break;
        }
        sleep(CLOSE_CHECK_INTERVAL).await;
    }
    Ok(())
}

/// The broker's refusal as a failure.
pub(super) fn refused(answer: &Value) -> Failure {
    let message = answer["message"].as_str().unwrap_or("the broker refused");
    Failure::new(message).hint("longwire sessions")
}

impl SessionOwnerArgs {
    /// A request to the broker about the session of this name.
    pub(super) fn request(&self, kind: &str, session: &str) -> Value {
        let mut request = Map::new();
        for (key, value) in [("type", kind), ("id", "1"), ("session", session)] {
            request.insert(key.to_owned(), value.into());
        }
        for (key, value) in [("origin", &self.origin), ("profile", &self.profile)] {
            if let Some(value) = value {
                request.insert(key.to_owned(), value.as_str().into());
            }
        }
        Value::Object(request)
    }

    /// Whether a reported session is one of those meant.
    fn fits(&self, session: &Value) -> bool {
        let fits = |key: &str, wanted: &Option<String>| {
            wanted
                .as_ref()
                .is_none_or(|wanted| session[key] == wanted.as_str())
        };
        fits("origin", &self.origin) && fits("profile", &self.profile)
    }
}
