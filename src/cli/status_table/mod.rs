//! The output of `longwire status`: a line about the broker, a line for each session, and below one that is not open
//! why, and when it is tried again.
//!
//! It queries and prints nothing. On a terminal sessions are below their extension, and columns that do not fit are left
//! out, the least important first. Without one every fact is a column.

mod layout;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::render::Terminal;
use super::text::{Align, cut, fold, harmless};
use super::units::{bytes, count, micros, short_span, span};
use layout::{Column, Lines};

/// Extensions whose memory is shown on a terminal: those that hold most.
const MAX_EXTENSIONS: usize = 5;

/// Characters of a name where there is a terminal: a quarter of its width, within these bounds.
const NAME_COLUMNS: (usize, usize) = (12, 40);

/// A report some time ago, to count rates from.
pub(super) type PreviousStatus<'a> = Option<(&'a Value, Duration)>;

/// The picture of a report. Without a terminal it has every column and no colour.
pub(super) fn picture(report: &Value, before: PreviousStatus<'_>, terminal: Option<Terminal>) -> String {
    let sessions = report["sessions"].as_array().map_or(&[][..], Vec::as_slice);
    let mut picture = head(report, sessions.len());
    let max_extensions = terminal.map_or(usize::MAX, |_| MAX_EXTENSIONS);
    picture.push_str(&memory(&report["memory"], max_extensions));
    if let Some((earlier, span)) = before {
        picture.push_str(&total_rates(report, earlier, span));
    }
    picture = cut_lines(&picture, terminal);
    let used = 2 + picture.lines().count();
    let max_rows = terminal
        .filter(|_| before.is_some())
        .map(|terminal| terminal.rows.saturating_sub(used).max(1));
    picture + &table(sessions, before, terminal, max_rows)
}

/// The sessions alone.
pub(super) fn sessions_table(sessions: &[Value], terminal: Option<Terminal>) -> String {
    table(sessions, None, terminal, None)
}

fn head(report: &Value, sessions: usize) -> String {
    let number = |key: &str| report[key].as_u64().unwrap_or(0);
    let plural = |count: u64, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    format!(
        "longwire {}: broker {} up {}, {}, {}, {}\n",
        harmless(report["version"].as_str().unwrap_or("?")),
        number("pid"),
        span(number("uptime")),
        bytes(number("rss")),
        plural(number("ports"), "port"),
        plural(sessions as u64, "session"),
    )
}

/// What is held in memory of what may be: all together, and the extensions that hold most.
fn memory(memory: &Value, max_extensions: usize) -> String {
    let Some(limit) = memory["limit"].as_u64() else {
        return String::new();
    };
    let held = |value: &Value| value["held"].as_u64().unwrap_or(0);
    let mut text = format!("memory {} of {}\n", bytes(held(memory)), bytes(limit));
    let extensions = memory["extensions"].as_array();
    let mut extensions: Vec<&Value> = extensions.into_iter().flatten().collect();
    extensions.sort_by_key(|extension| std::cmp::Reverse(held(extension)));
    let shown = extensions.len().min(max_extensions);
    for extension in extensions.iter().take(max_extensions) {
        let _ = writeln!(
            text,
            "  {} of {}: {}",
            bytes(held(extension)),
            bytes(extension["limit"].as_u64().unwrap_or(0)),
            harmless(extension["origin"].as_str().unwrap_or("?")),
        );
    }
    if extensions.len() > shown {
        let _ = writeln!(text, "  and {} more", extensions.len() - shown);
    }
    text
}

/// A line about all sessions together.
fn total_rates(report: &Value, earlier: &Value, span: Duration) -> String {
    let rate = |way: &str, what: &str| rate(&report["total"][way][what], &earlier["total"][way][what], span);
    format!(
        "in {}/s, {}/s; out {}/s, {}/s\n",
        count(rate("received", "messages")),
        bytes(rate("received", "bytes")),
        count(rate("sent", "messages")),
        bytes(rate("sent", "bytes")),
    )
}

/// The table, in at most `max_rows` lines.
fn table(
    sessions: &[Value],
    before: PreviousStatus<'_>,
    terminal: Option<Terminal>,
    max_rows: Option<usize>,
) -> String {
    if sessions.is_empty() {
        return String::new();
    }
    let mut sessions: Vec<&Value> = sessions.iter().collect();
    if terminal.is_some() {
        sessions.sort_by_cached_key(|session| owner(session));
    }
    let lines = Lines::new(columns(&sessions, before, terminal), terminal);
    let mut picture = lines.head() + "\n";
    let mut used = 1;
    let mut last_owner = None;
    let overflow = match max_rows {
        Some(_) => Overflow::Cut,
        None => Overflow::Fold,
    };
    for (row, session) in sessions.iter().enumerate() {
        let mut block = Vec::new();
        if let Some(terminal) = terminal {
            let owner = owner(session);
            if last_owner.as_ref() != Some(&owner) {
                block.push(lines.dim(&cut(&owner, terminal.columns)));
                last_owner = Some(owner);
            }
        }
        block.push(lines.row(row));
        if let Some(terminal) = terminal {
            block.extend(reason_lines(session, terminal.columns, overflow));
        }
        used += block.len();
        if row > 0 && max_rows.is_some_and(|max_rows| used > max_rows) {
            let _ = writeln!(picture, "and {} more", sessions.len() - row);
            break;
        }
        for line in block {
            picture.push_str(&line);
            picture.push('\n');
        }
    }
    picture
}

/// Whose a session is, as a line above it.
fn owner(session: &Value) -> String {
    let text = |key: &str| harmless(session[key].as_str().unwrap_or("?"));
    format!("{} (profile {})", text("origin"), text("profile"))
}

/// Why a session is not open, if something has gone wrong.
pub(super) fn reason(session: &Value) -> Option<String> {
    if session["state"] == "open" {
        return None;
    }
    let error = &session["error"];
    let code = error["code"].as_str()?;
    Some(harmless(&format!(
        "{code}: {}",
        error["message"].as_str().unwrap_or_default()
    )))
}

/// When a session is tried again, if that is known.
fn next_attempt(session: &Value) -> Option<String> {
    session["retryIn"].as_u64().map(|millis| match millis {
        0..1000 => "now".to_owned(),
        millis => format!("in {}", span(millis)),
    })
}

/// What becomes of a text that is wider than the terminal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Overflow {
    /// Its end is left out: it stays one line.
    Cut,
    /// It goes on in further lines.
    Fold,
}

/// The lines below a session that is not open. Of a text that is cut the next attempt comes first.
fn reason_lines(session: &Value, columns: usize, overflow: Overflow) -> Vec<String> {
    let next = next_attempt(session).map(|when| format!("next attempt {when}"));
    let Some(text) = (match (reason(session), next) {
        (Some(reason), Some(next)) if overflow == Overflow::Cut => Some(format!("{next}; {reason}")),
        (Some(reason), Some(next)) => Some(format!("{reason}; {next}")),
        (reason, next) => reason.or(next),
    }) else {
        return Vec::new();
    };
    let text = format!("  {text}");
    match overflow {
        Overflow::Cut => vec![cut(&text, columns)],
        Overflow::Fold => fold(&text, 4, columns).lines().map(str::to_owned).collect(),
    }
}

fn columns(sessions: &[&Value], before: PreviousStatus<'_>, terminal: Option<Terminal>) -> Vec<Column> {
    let column = |head, rank, align, cell: &dyn Fn(&Value) -> String| {
        let cells = sessions.iter().map(|session| cell(session)).collect();
        Column::new(head, rank, align, cells)
    };
    let max_columns = terminal.map(|terminal| (terminal.columns / 4).clamp(NAME_COLUMNS.0, NAME_COLUMNS.1));
    let number = |value: &Value| count(value.as_u64().unwrap_or(0));
    let name = |text: &Value| {
        let text = harmless(text.as_str().unwrap_or("?"));
        max_columns.map_or_else(|| text.clone(), |max_columns| cut(&text, max_columns))
    };
    let time = |value: &Value| value.as_u64().map_or_else(|| "-".to_owned(), short_span);
    let trip = |value: &Value| value.as_u64().map_or_else(|| "-".to_owned(), micros);
    let mut columns = vec![
        column("session", 0, Align::Left, &|session| name(&session["session"])),
        column("state", 0, Align::Left, &|session| {
            let state = name(&session["state"]);
            let is_insecure = session["insecure"] == true;
            if is_insecure { state + " (insecure)" } else { state }
        }),
    ];
    columns.extend(traffic_columns(sessions, before));
    columns.extend([
        column("queued", 0, Align::Right, &|session| number(&session["queued"])),
        column("un-acked", 0, Align::Right, &|session| {
            number(&session["unacknowledged"])
        }),
        column("oldest", 4, Align::Right, &|session| time(&session["oldest"])),
        column("lost", 2, Align::Right, &|session| number(&session["dropped"])),
        column("outbox", 1, Align::Right, &|session| number(&session["outbox"])),
        column("rtt", 5, Align::Right, &|session| trip(&session["rtt"]["p50"])),
        column("rtt p99", 8, Align::Right, &|session| {
            trip(&session["rtt"]["p99"])
        }),
        column("again", 5, Align::Right, &|session| {
            number(&session["reconnects"])
        }),
        column("clients", 7, Align::Right, &|session| number(&session["clients"])),
        column("bytes in", 11, Align::Right, &|session| {
            bytes(session["received"]["bytes"].as_u64().unwrap_or(0))
        }),
        column("bytes out", 11, Align::Right, &|session| {
            bytes(session["sent"]["bytes"].as_u64().unwrap_or(0))
        }),
        column("kept in", 9, Align::Left, &|session| name(&session["durability"])),
        column("url", 10, Align::Left, &|session| {
            harmless(session["url"].as_str().unwrap_or("-"))
        }),
    ]);
    if terminal.is_none() {
        columns.extend(detail_columns(sessions));
    }
    columns
}

/// What a terminal shows above and below the lines of sessions.
fn detail_columns(sessions: &[&Value]) -> Vec<Column> {
    let column = |head, cell: &dyn Fn(&Value) -> String| {
        let cells = sessions.iter().map(|session| cell(session)).collect();
        Column::new(head, 0, Align::Left, cells)
    };
    let text = |value: &Value| harmless(value.as_str().unwrap_or("-"));
    vec![
        column("origin", &|session| text(&session["origin"])),
        column("profile", &|session| text(&session["profile"])),
        column("next attempt", &|session| {
            next_attempt(session).unwrap_or_else(|| "-".to_owned())
        }),
        column("error", &|session| {
            reason(session).unwrap_or_else(|| "-".to_owned())
        }),
    ]
}

/// Messages in each direction, and their rates if there is something to count from.
fn traffic_columns(sessions: &[&Value], before: PreviousStatus<'_>) -> Vec<Column> {
    let earlier: HashMap<_, _> = before
        .and_then(|(report, _)| report["sessions"].as_array())
        .into_iter()
        .flatten()
        .map(|session| (key(session), session))
        .collect();
    let speed = |session: &Value, way: &str| match (before, earlier.get(&key(session))) {
        (Some((_, span)), Some(earlier)) => {
            count(rate(&session[way]["messages"], &earlier[way]["messages"], span))
        }
        _ => "-".to_owned(),
    };
    let messages = |session: &Value, way: &str| count(session[way]["messages"].as_u64().unwrap_or(0));
    let column = |head, rank, cell: &dyn Fn(&Value) -> String| {
        let cells = sessions.iter().map(|session| cell(session)).collect();
        Column::new(head, rank, Align::Right, cells)
    };
    let mut columns = vec![column("in", 3, &|session| messages(session, "received"))];
    if before.is_some() {
        columns.push(column("in/s", 3, &|session| speed(session, "received")));
    }
    columns.push(column("out", 4, &|session| messages(session, "sent")));
    if before.is_some() {
        columns.push(column("out/s", 4, &|session| speed(session, "sent")));
    }
    columns
}

/// Whose session it is, and which.
fn key(session: &Value) -> [String; 3] {
    ["origin", "profile", "session"].map(|part| session[part].to_string())
}

fn cut_lines(text: &str, terminal: Option<Terminal>) -> String {
    match terminal {
        Some(terminal) => text.lines().fold(String::new(), |all, line| {
            all + &cut(line, terminal.columns) + "\n"
        }),
        None => text.to_owned(),
    }
}

/// What came in a second.
fn rate(now: &Value, before: &Value, span: Duration) -> u64 {
    let more = now
        .as_u64()
        .unwrap_or(0)
        .saturating_sub(before.as_u64().unwrap_or(0));
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1);
    more.saturating_mul(1000).saturating_add(millis / 2) / millis
}

#[cfg(test)]
mod tests;
