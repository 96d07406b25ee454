//! `longwire status` and `longwire stop`: the state of the broker, and the request to exit.
//!
//! It shows the broker's answer; it measures nothing itself but the time between two answers.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::admin::Admin;
use super::args::StatusArgs;
use super::error::{Exit, Failure};
use super::render;
use super::status_table::picture;
use super::text::harmless_json;

/// How often `--watch` looks again.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Shows the broker, its ports, sessions and counters.
pub(super) fn run(status: &StatusArgs) -> Result<Exit, Failure> {
    super::block_on(async {
        let admin = Admin::new(super::paths()?);
        if status.watch {
            return watch(&admin, status.json).await;
        }
        let report = admin.status().await?.ok_or_else(not_running)?;
        if status.json {
            render::json(&report);
        } else {
            render::line(picture(&report, None, render::terminal()).trim_end());
        }
        Ok(Exit::Done)
    })
}

/// No broker runs.
pub(super) fn not_running() -> Failure {
    Failure::new("the broker is not running")
        .hint("the first extension that connects starts it; `longwire demo` demonstrates it")
        .exit(Exit::Unreachable)
}

/// Shows it again and again, until it is interrupted or its output is closed. Brokers may be replaced meanwhile.
///
/// With `json` each look is a line.
async fn watch(admin: &Admin, json: bool) -> Result<Exit, Failure> {
    let mut screen = None;
    let mut before: Option<(Value, Instant)> = None;
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    loop {
        let report = admin.status().await?;
        let at = Instant::now();
        let terminal = render::terminal().filter(|_| !json);
        let seen = match &report {
            Some(report) if json => harmless_json(&report.to_string()),
            None if json => json!({"type": "status", "pid": null, "sessions": []}).to_string(),
            Some(report) => {
                let earlier = before
                    .as_ref()
                    .filter(|(earlier, _)| earlier["pid"] == report["pid"]);
                let earlier = earlier.map(|(earlier, then)| (earlier, at - *then));
                picture(report, earlier, terminal)
            }
            None => "the broker is not running; waiting for one\n".to_owned(),
        };
        let is_seen = if terminal.is_some() {
            screen.get_or_insert_with(render::Screen::enter).paint(&seen)
        } else {
            render::text_line(&seen)
        };
        if !is_seen {
            return Ok(Exit::Done);
        }
        before = report.map(|report| (report, at));
        tokio::select! {
            () = tokio::time::sleep(WATCH_INTERVAL) => {}
            _ = &mut interrupted => return Ok(Exit::Done),
        }
    }
}

/// Asks the broker to leave; none running is as good.
pub(super) fn stop() -> Result<Exit, Failure> {
    super::block_on(async {
        let stopped = Admin::new(super::paths()?).stop().await?;
        render::line(if stopped {
            "broker stopped"
        } else {
            "the broker is not running"
        });
        Ok(Exit::Done)
    })
}
