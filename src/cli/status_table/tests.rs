//! Tests of `status_table`.

use super::super::text::width;
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
fn every_session_has_a_line() {
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
fn rates_are_computed_from_the_previous_report() {
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
fn lines_fit_the_terminal_and_a_wider_one_shows_more() {
    let before = report(1);
    let mut lengths = Vec::new();
    for columns in [24, 40, 80, 120, 200] {
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
    let at = |line: &str, word: &str| width(&line[..line.find(word).unwrap()]);
    assert_eq!(at(lines[0], "state"), at(lines[2], "open"), "{seen}");
    assert!(lines.iter().all(|line| width(line) <= 80), "{seen}");
}

#[test]
fn only_terminals_with_colour_get_colour() {
    assert!(picture(&report(1), None, terminal(80, true)).contains("\x1b[32mopen"));
    for plain in [terminal(80, false), None] {
        assert!(!picture(&report(1), None, plain).contains('\x1b'));
    }
}

#[test]
fn control_characters_in_names_are_escaped() {
    let mut report = report(1);
    report["sessions"][0]["session"] = json!("\u{9b}2J\u{1b}]0;x");
    assert!(!picture(&report, None, terminal(80, false)).contains(['\u{1b}', '\u{9b}']));
}

#[test]
fn memory_is_shown_with_limits_and_sorted_by_size() {
    let mut report = report(1);
    let extension =
        |number: u64| json!({"origin": format!("ext-{number}"), "held": number << 20, "limit": 256 << 20});
    let extensions: Vec<Value> = (1..=8).map(extension).collect();
    report["memory"] = json!({"held": 36 << 20, "limit": 1 << 30, "extensions": extensions});
    let seen = picture(&report, None, terminal(80, false));
    let lines: Vec<&str> = seen.lines().skip(1).take(7).collect();
    assert_eq!(lines[0], "memory 36 MB of 1.0 GB");
    assert_eq!(lines[1], "  8.0 MB of 256 MB: ext-8");
    assert_eq!(lines[6], "  and 3 more");
    assert!(picture(&report, None, None).contains("  1.0 MB of 256 MB: ext-1\n"));
}

/// Two extensions, one of them with a session that cannot connect.
fn failing_report() -> Value {
    let mut report = report(12_345);
    let mut down = report["sessions"][0].clone();
    down["session"] = json!("orders");
    down["origin"] = json!("chrome-extension://cfgjijgalloanpinpjgfgakgkbhlgcka/");
    down["state"] = json!("waiting");
    down["unacknowledged"] = json!(4096);
    down["retryIn"] = json!(12_345);
    down["error"] =
        json!({"code": "refused", "message": "nobody listens at 127.0.0.1:8080", "retry": "later"});
    report["sessions"].as_array_mut().unwrap().push(down);
    report
}

#[test]
fn eighty_columns_show_waiting_messages_and_errors() {
    let before = failing_report();
    for before in [None, Some((&before, Duration::from_secs(1)))] {
        let seen = picture(&failing_report(), before, terminal(80, false));
        for part in [
            "queued",
            "un-acked",
            "4096",
            "refused: nobody listens at 127.0.0.1:8080",
        ] {
            assert!(seen.contains(part), "{part}:\n{seen}");
        }
        assert!(seen.contains("next attempt in 12 s"), "{seen}");
        assert!(
            seen.contains("chrome-extension://cfgjijgalloanpinpjgfgakgkbhlgcka/ (profile p)"),
            "{seen}"
        );
        assert!(!seen.contains("bytes"), "{seen}");
        assert!(seen.lines().all(|line| width(line) <= 80), "{seen}");
    }
}

#[test]
fn without_a_terminal_every_field_is_on_the_session_line() {
    let seen = picture(&failing_report(), None, None);
    let line = seen.lines().find(|line| line.starts_with("orders")).unwrap();
    for part in [
        "cfgjijgalloanpinpjgfgakgkbhlgcka",
        "in 12 s",
        "refused: nobody listens",
        "4096",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[test]
fn an_earlier_failure_of_an_open_session_is_not_shown() {
    let mut report = failing_report();
    report["sessions"][1]["state"] = json!("open");
    assert!(!picture(&report, None, terminal(80, false)).contains("refused"));
}

#[test]
fn a_small_terminal_shows_the_number_of_hidden_sessions() {
    let mut report = report(1);
    let one = report["sessions"][0].clone();
    report["sessions"] = Value::Array(vec![one; 50]);
    let before = report.clone();
    let seen = picture(
        &report,
        Some((&before, Duration::from_secs(1))),
        terminal(80, false),
    );
    assert!(seen.lines().count() < 24, "{seen}");
    assert!(seen.contains("and 32 more"), "{seen}");
}
