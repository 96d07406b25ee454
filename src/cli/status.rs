//! `longwire status` and `longwire stop`: what the broker holds, and the request to leave.
//!
//! It shows what the broker says; it measures nothing itself.

use std::time::Duration;

use serde_json::Value;

use super::admin::Admin;
use super::args::Status;
use super::error::{Exit, Failure};
use super::render;

/// How often `--watch` looks again.
const WATCH: Duration = Duration::from_secs(1);

/// Shows the broker, its ports, sessions and counters.
pub(super) fn run(status: &Status) -> Result<Exit, Failure> {
    super::block_on(async {
        let admin = Admin::new(super::paths()?);
        loop {
            let Some(report) = admin.status().await? else {
                return Err(Failure::new("no broker runs").hint(
                    "it is started by the first extension that connects; `longwire demo` shows it at work",
                ).exit(Exit::Unreachable));
            };
            if status.json {
                render::json(&report);
                return Ok(Exit::Done);
            }
            if status.watch {
                render::clear();
            }
            render::line(picture(&report).trim_end());
            if !status.watch {
                return Ok(Exit::Done);
            }
            tokio::time::sleep(WATCH).await;
        }
    })
}

/// Asks the broker to leave; none running is as good.
pub(super) fn stop() -> Result<Exit, Failure> {
    super::block_on(async {
        let stopped = Admin::new(super::paths()?).stop().await?;
        render::line(if stopped {
            "the broker has left"
        } else {
            "no broker was running"
        });
        Ok(Exit::Done)
    })
}

fn picture(report: &Value) -> String {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let sessions = report["sessions"].as_array().map_or(&[][..], Vec::as_slice);
    let head = format!(
        "longwire {}: broker {} up {}, {} KB, {} ports, {} sessions\n",
        report["version"].as_str().unwrap_or("?"),
        number(&report["pid"]),
        span(number(&report["uptime"])),
        number(&report["rss"]) / 1024,
        number(&report["ports"]),
        sessions.len(),
    );
    if sessions.is_empty() {
        return head;
    }
    let words = [
        "session", "state", "clients", "received", "sent", "queued", "un-acked", "dropped", "outbox",
        "rtt us",
    ];
    let mut rows = vec![words.map(str::to_owned).to_vec()];
    for session in sessions {
        let text = |key: &str| session[key].as_str().unwrap_or("?").to_owned();
        let count = |key: &str| number(&session[key]).to_string();
        rows.push(vec![
            text("session"),
            if session["insecure"] == true {
                format!("{} (insecure)", text("state"))
            } else {
                text("state")
            },
            count("clients"),
            number(&session["received"]["messages"]).to_string(),
            number(&session["sent"]["messages"]).to_string(),
            count("queued"),
            count("unacknowledged"),
            count("dropped"),
            count("outbox"),
            session["rtt"]["p50"]
                .as_u64()
                .map_or_else(|| "-".to_owned(), |rtt| rtt.to_string()),
        ]);
    }
    head + &render::table(&rows)
}

/// Milliseconds for people.
fn span(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_session_has_its_line() {
        let session = json!({"session": "s1", "state": "open", "clients": 1, "received": {"messages": 42}});
        let report =
            json!({"version": "1.2.3", "uptime": 61_000, "ports": 2, "rss": 8192, "sessions": [session]});
        let picture = picture(&report);
        assert!(
            picture.starts_with("longwire 1.2.3: broker 0 up 1 min, 8 KB, 2 ports, 1 sessions\n"),
            "{picture}"
        );
        assert!(
            picture
                .lines()
                .any(|line| line.starts_with("s1") && line.contains("open") && line.contains("42"))
        );
    }
}
