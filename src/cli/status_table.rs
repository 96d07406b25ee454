//! What `longwire status` looks like: a line about the broker, a line for each session.
//!
//! It asks nobody and prints nothing. What does not fit the terminal is left out, the least telling column first.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::render::{self, Terminal, harmless};

/// Characters of a name where there is a terminal: a quarter of its width, within these bounds.
const NAME: (usize, usize) = (12, 40);

/// A report some time ago, to count rates from.
pub(super) type Before<'a> = Option<(&'a Value, Duration)>;

/// One column of the table.
struct Column {
    head: &'static str,
    /// Those with the highest number go first when there is no room; 0 always stays.
    rank: u8,
    left: bool,
    cells: Vec<String>,
}

/// The picture of a report. Without a terminal it has every column and no colour.
pub(super) fn picture(report: &Value, before: Before<'_>, terminal: Option<Terminal>) -> String {
    let sessions = report["sessions"].as_array().map_or(&[][..], Vec::as_slice);
    let mut picture = head(report, sessions.len());
    if let Some((earlier, span)) = before {
        let rate =
            |way: &str, what: &str| rate(&report["total"][way][what], &earlier["total"][way][what], span);
        let _ = write!(
            picture,
            "in {}/s, {}/s; out {}/s, {}/s",
            count(rate("received", "messages")),
            bytes(rate("received", "bytes")),
            count(rate("sent", "messages")),
            bytes(rate("sent", "bytes")),
        );
        picture.push('\n');
    }
    if sessions.is_empty() {
        return cut_lines(&picture, terminal);
    }
    let mut columns = columns(
        sessions,
        before,
        terminal.map(|terminal| (terminal.columns / 4).clamp(NAME.0, NAME.1)),
    );
    if let Some(terminal) = terminal {
        fit(&mut columns, terminal.columns);
    }
    let room = terminal
        .filter(|_| before.is_some())
        .map(|terminal| terminal.rows.saturating_sub(5).max(1));
    let shown = room.unwrap_or(sessions.len()).min(sessions.len());
    picture = cut_lines(&picture, terminal);
    draw(
        &mut picture,
        &columns,
        shown,
        terminal.is_some_and(|terminal| terminal.colour),
    );
    if shown < sessions.len() {
        let _ = writeln!(picture, "and {} more", sessions.len() - shown);
    }
    picture
}

fn head(report: &Value, sessions: usize) -> String {
    let number = |key: &str| report[key].as_u64().unwrap_or(0);
    let plural = |count: u64, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    format!(
        "longwire {}: broker {} up {}, {}, {}, {}\n",
        report["version"].as_str().unwrap_or("?"),
        number("pid"),
        span(number("uptime")),
        bytes(number("rss")),
        plural(number("ports"), "port"),
        plural(sessions as u64, "session"),
    )
}

fn columns(sessions: &[Value], before: Before<'_>, room: Option<usize>) -> Vec<Column> {
    let column = |head, rank, left, cell: &dyn Fn(&Value) -> String| Column {
        head,
        rank,
        left,
        cells: sessions.iter().map(cell).collect(),
    };
    let number = |value: &Value| count(value.as_u64().unwrap_or(0));
    let name = |text: &Value| {
        let text = harmless(text.as_str().unwrap_or("?"));
        room.map_or_else(|| text.clone(), |room| cut(&text, room))
    };
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
    let trip = |value: &Value| value.as_u64().map_or_else(|| "-".to_owned(), micros);
    let mut columns = vec![
        column("session", 0, true, &|session| name(&session["session"])),
        column("state", 0, true, &|session| {
            let state = name(&session["state"]);
            if session["insecure"] == true {
                state + " (insecure)"
            } else {
                state
            }
        }),
        column("in", 1, false, &|session| {
            number(&session["received"]["messages"])
        }),
        column("out", 2, false, &|session| number(&session["sent"]["messages"])),
    ];
    if before.is_some() {
        columns.insert(3, column("in/s", 1, false, &|session| speed(session, "received")));
        columns.push(column("out/s", 2, false, &|session| speed(session, "sent")));
    }
    columns.extend([
        column("queued", 3, false, &|session| number(&session["queued"])),
        column("un-acked", 6, false, &|session| {
            number(&session["unacknowledged"])
        }),
        column("lost", 4, false, &|session| number(&session["dropped"])),
        column("outbox", 4, false, &|session| number(&session["outbox"])),
        column("rtt", 3, false, &|session| trip(&session["rtt"]["p50"])),
        column("rtt p99", 8, false, &|session| trip(&session["rtt"]["p99"])),
        column("again", 3, false, &|session| number(&session["reconnects"])),
        column("clients", 7, false, &|session| number(&session["clients"])),
        column("bytes in", 8, false, &|session| {
            bytes(session["received"]["bytes"].as_u64().unwrap_or(0))
        }),
        column("bytes out", 8, false, &|session| {
            bytes(session["sent"]["bytes"].as_u64().unwrap_or(0))
        }),
        column("kept in", 9, true, &|session| name(&session["durability"])),
        column("url", 10, true, &|session| {
            harmless(session["url"].as_str().unwrap_or("-"))
        }),
    ]);
    columns
}

/// Whose session it is, and which.
fn key(session: &Value) -> [String; 3] {
    ["origin", "profile", "session"].map(|part| session[part].to_string())
}

fn width(column: &Column) -> usize {
    let cells = column.cells.iter().map(|cell| wide(cell));
    cells.max().unwrap_or(0).max(column.head.len())
}

/// Columns that a terminal gives this text.
fn wide(text: &str) -> usize {
    text.chars().map(render::columns).sum()
}

/// Takes columns out until the table is no wider than the terminal.
fn fit(columns: &mut Vec<Column>, most: usize) {
    loop {
        let total: usize = columns.iter().map(|column| width(column) + 2).sum();
        if total <= most + 2 {
            return;
        }
        let Some(rank) = columns
            .iter()
            .map(|column| column.rank)
            .max()
            .filter(|rank| *rank > 0)
        else {
            // Nothing to take out any more: the names are cut.
            let over = total - most - 2;
            if let Some(first) = columns.first_mut() {
                let room = width(first).saturating_sub(over).max(4);
                for cell in &mut first.cells {
                    *cell = cut(cell, room);
                }
            }
            return;
        };
        if let Some(at) = columns.iter().rposition(|column| column.rank == rank) {
            columns.remove(at);
        }
    }
}

fn draw(picture: &mut String, columns: &[Column], rows: usize, colour: bool) {
    let widths: Vec<usize> = columns.iter().map(width).collect();
    let mut line = |cell: &dyn Fn(&Column) -> String, paint: &dyn Fn(&Column, String) -> String| {
        let mut text = String::new();
        for (column, &width) in columns.iter().zip(&widths) {
            let cell = cell(column);
            let room = " ".repeat(width.saturating_sub(wide(&cell)));
            let padded = if column.left { cell + &room } else { room + &cell };
            text.push_str(&paint(column, padded));
            text.push_str("  ");
        }
        picture.push_str(text.trim_end());
        picture.push('\n');
    };
    let bold = |_: &Column, text: String| {
        if colour {
            format!("\x1b[1m{text}\x1b[0m")
        } else {
            text
        }
    };
    line(&|column| column.head.to_owned(), &bold);
    for row in 0..rows {
        let paint = |column: &Column, text: String| match shade(text.trim()) {
            Some(shade) if colour && column.head == "state" => format!("\x1b[{shade}m{text}\x1b[0m"),
            _ => text,
        };
        line(
            &|column| column.cells.get(row).cloned().unwrap_or_default(),
            &paint,
        );
    }
}

/// The colour of a state.
fn shade(state: &str) -> Option<u8> {
    match state {
        // Nobody checks the server's certificate.
        _ if state.ends_with("(insecure)") => Some(31),
        "open" => Some(32),
        "connecting" | "waiting" => Some(33),
        "failed" | "unauthorized" => Some(31),
        "paused" | "closed" => Some(2),
        _ => None,
    }
}

fn cut_lines(text: &str, terminal: Option<Terminal>) -> String {
    match terminal {
        Some(terminal) => text.lines().fold(String::new(), |all, line| {
            all + &cut(line, terminal.columns) + "\n"
        }),
        None => text.to_owned(),
    }
}

fn cut(text: &str, most: usize) -> String {
    if wide(text) <= most {
        return text.to_owned();
    }
    let mut column = 0;
    let fits = |character: &char| {
        column += render::columns(*character);
        column < most
    };
    text.chars().take_while(fits).collect::<String>() + "…"
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

/// A count for people: exact up to 99,999.
fn count(number: u64) -> String {
    match number {
        0..100_000 => number.to_string(),
        100_000..10_000_000 => format!("{}k", number / 1000),
        _ => format!("{}M", number / 1_000_000),
    }
}

/// Bytes for people.
pub(super) fn bytes(number: u64) -> String {
    let units = ["B", "KB", "MB", "GB", "TB"];
    let mut unit = 0;
    let mut tenths = u128::from(number) * 10;
    while tenths >= 10_240 && unit + 1 < units.len() {
        tenths /= 1024;
        unit += 1;
    }
    if unit == 0 || tenths >= 100 {
        format!("{} {}", tenths / 10, units[unit])
    } else {
        format!("{}.{} {}", tenths / 10, tenths % 10, units[unit])
    }
}

/// Microseconds for people.
fn micros(number: u64) -> String {
    match number {
        0..1000 => format!("{number} us"),
        1000..10_000 => format!("{}.{} ms", number / 1000, number % 1000 / 100),
        10_000..10_000_000 => format!("{} ms", number / 1000),
        _ => format!("{} s", number / 1_000_000),
    }
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

    fn report(received: u64) -> Value {
        let session = json!({
            "session": "s1", "origin": "o", "profile": "p", "state": "open", "clients": 1, "queued": 7,
            "received": {"messages": received, "bytes": received * 2048}, "rtt": {"p50": 1234, "p99": 20_000},
            "reconnects": 3, "durability": "disk", "url": "wss://example.com/a/rather/long/path/to/somewhere",
        });
        json!({
            "version": "1.2.3", "uptime": 61_000, "ports": 2, "rss": 8192, "sessions": [session],
            "total": {"received": {"messages": received, "bytes": received * 2048}},
        })
    }

    fn terminal(columns: usize, colour: bool) -> Option<Terminal> {
        Some(Terminal {
            columns,
            rows: 24,
            colour,
        })
    }

    #[test]
    fn every_session_has_its_line() {
        let picture = picture(&report(42), None, None);
        assert!(
            picture.starts_with("longwire 1.2.3: broker 0 up 1 min, 8.0 KB, 2 ports, 1 session\n"),
            "{picture}"
        );
        let line = picture.lines().find(|line| line.starts_with("s1")).unwrap();
        for part in ["open", "42", "1.2 ms", "disk", "84 KB", "/to/somewhere"] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }

    #[test]
    fn rates_are_counted_from_the_report_before() {
        let before = report(40);
        let picture = picture(&report(340), Some((&before, Duration::from_secs(2))), None);
        assert!(
            picture.contains("in 150/s, 300 KB/s; out 0/s, 0 B/s"),
            "{picture}"
        );
        let (heads, cells) = (picture.lines().nth(2).unwrap(), picture.lines().nth(3).unwrap());
        assert!(heads.contains("in/s") && cells.contains(" 150 "), "{picture}");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_the_wider_one_shows_more() {
        let before = report(1);
        let mut lengths = Vec::new();
        for columns in [20, 40, 80, 120, 200] {
            let seen = picture(
                &report(9),
                Some((&before, Duration::from_secs(1))),
                terminal(columns, false),
            );
            let widest = seen.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= columns, "{columns}:\n{seen}");
            assert!(seen.contains("s1") && seen.contains("open"), "{seen}");
            lengths.push(widest);
        }
        assert!(lengths.is_sorted() && lengths[4] > 120, "{lengths:?}");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let mut report = report(1);
        report["sessions"][0]["session"] = json!("日本語セッション日本語セッション");
        let seen = picture(&report, None, terminal(80, false));
        let lines: Vec<_> = seen.lines().skip(1).collect();
        let at = |line: &str, word: &str| wide(&line[..line.find(word).unwrap()]);
        assert_eq!(at(lines[0], "state"), at(lines[1], "open"), "{seen}");
        assert!(lines.iter().all(|line| wide(line) <= 80), "{seen}");
    }

    #[test]
    fn colour_is_for_terminals_that_want_it() {
        assert!(picture(&report(1), None, terminal(80, true)).contains("\x1b[32mopen"));
        for plain in [terminal(80, false), None] {
            assert!(!picture(&report(1), None, plain).contains('\x1b'));
        }
    }

    #[test]
    fn names_cannot_command_the_terminal() {
        let mut report = report(1);
        report["sessions"][0]["session"] = json!("\u{9b}2J\u{1b}]0;x");
        assert!(!picture(&report, None, terminal(80, false)).contains(['\u{1b}', '\u{9b}']));
    }
}
