//! What people see: the only file that prints.
//!
//! stdout is for what was asked for, stderr for everything else. It decides nothing.
#![allow(dead_code, reason = "the commands follow")]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing is this file's one duty"
)]

use std::io::{IsTerminal as _, Write as _};

use serde::Serialize;

use super::error::{Exit, Failure};

/// Prints a line that was asked for.
pub(crate) fn line(text: &str) {
    // A closed pipe (`longwire status | head`) is no failure of ours.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints one JSON document and nothing else.
pub(crate) fn json(document: &impl Serialize) {
    match serde_json::to_string_pretty(document) {
        Ok(text) => line(&text),
        Err(error) => eprintln!("error: the document could not be written as JSON: {error}"),
    }
}

/// Prints what happens, beside what was asked for.
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// Prints a failure with its causes and hints.
pub(crate) fn failure(failure: &Failure) -> Exit {
    eprintln!("error: {}", failure.message);
    for cause in &failure.causes {
        eprintln!("  caused by: {cause}");
    }
    for hint in &failure.hints {
        eprintln!("hint: {hint}");
    }
    failure.exit
}

/// Prints a usage error or help as clap has written it.
pub(crate) fn usage(error: &clap::Error) -> Exit {
    let _ = error.print();
    if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Done
    }
}

/// Clears the terminal for the next picture; does nothing in a pipe.
pub(crate) fn clear() {
    if std::io::stdout().is_terminal() {
        print!("\x1b[H\x1b[2J");
        let _ = std::io::stdout().flush();
    }
}

/// Lines up columns: the first is left-aligned, the others right-aligned.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                if column == 0 {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [
            vec!["a".to_owned(), "1".to_owned()],
            vec!["bcd".to_owned(), "234".to_owned()],
        ];
        assert_eq!(table(&rows), "a      1\nbcd  234\n");
    }
}
