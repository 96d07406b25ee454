//! Text for terminals: its width, line breaks, and characters that must be escaped.
//!
//! It prints nothing; `render` does.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Columns that a terminal gives this text; it has no codes for colours.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// Breaks a line between words; what goes on below begins `indent` columns from the left. A word that no line can hold
/// is left to the terminal.
pub(crate) fn fold(text: &str, indent: usize, columns: usize) -> String {
    let indent = " ".repeat(indent);
    let options = textwrap::Options::new(columns)
        .subsequent_indent(&indent)
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit);
    textwrap::fill(text, options)
}

/// The text, cut to this many columns with an ellipsis at its end.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut used = 0;
    let fits = |character: &char| {
        used += character.width().unwrap_or(0);
        used < columns
    };
    text.chars().take_while(fits).collect::<String>() + "…"
}

/// Text from outside, with escapes for what a terminal would take for commands or would show in another order.
pub(crate) fn harmless(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => plain.push(character),
            _ if character.is_control() || is_bidi(character) => plain.extend(character.escape_default()),
            _ => plain.push(character),
        }
    }
    plain
}

/// Text that may hold line ends and codes of ours, with escapes for the control characters of C1 and the bidirectional
/// ones: none of our own text has them.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if is_hidden(character) {
            plain.extend(character.escape_default());
        } else {
            plain.push(character);
        }
    }
    Cow::Owned(plain)
}

/// A control character of C1 or DEL, or one that changes the direction of text.
const fn is_hidden(character: char) -> bool {
    matches!(character, '\u{7f}'..='\u{9f}') || is_bidi(character)
}

/// JSON text, with escapes for the control characters of C1 and the bidirectional ones. They stand in strings only,
/// so that it means the same.
pub(crate) fn harmless_json(json: &str) -> String {
    let mut plain = String::with_capacity(json.len());
    for character in json.chars() {
        if is_hidden(character) {
            plain.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            plain.push(character);
        }
    }
    plain
}

/// Whether it changes the direction of the text around it, or breaks a line where JSON does not.
const fn is_bidi(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Lines up columns: the first is left-aligned, the others right-aligned.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| width(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(widest).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate();
        let cells: Vec<String> = cells
            .map(|(column, (cell, widest))| {
                pad(
                    cell,
                    *widest,
                    if column == 0 { Align::Left } else { Align::Right },
                )
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// On which side of its column a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// The text with blanks up to this width.
pub(crate) fn pad(text: &str, columns: usize, align: Align) -> String {
    let room = " ".repeat(columns.saturating_sub(width(text)));
    match align {
        Align::Left => text.to_owned() + &room,
        Align::Right => room + text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_in_untrusted_text_are_escaped() {
        assert_eq!(harmless("a\x1b[2Jb\n\té"), "a\\u{1b}[2Jb\\n\té");
        assert_eq!(harmless("\u{9b}31m\u{85}"), "\\u{9b}31m\\u{85}");
        assert_eq!(harmless("gpj.\u{202e}exe\u{2066}"), "gpj.\\u{202e}exe\\u{2066}");
    }

    #[test]
    fn own_escape_codes_remain_and_hidden_characters_are_escaped() {
        assert_eq!(visible("\x1b[1mbold\x1b[0m\n"), "\x1b[1mbold\x1b[0m\n");
        assert_eq!(visible("a\u{9b}2J\u{202e}b"), "a\\u{9b}2J\\u{202e}b");
    }

    #[test]
    fn json_with_escaped_control_characters_has_the_same_value() {
        let value = serde_json::json!({"\u{9b}k": "a\u{202e}b\u{2069}\u{7f}é日"});
        let plain = harmless_json(&value.to_string());
        assert!(
            !plain.contains(['\u{9b}', '\u{202e}', '\u{2069}', '\u{7f}']),
            "{plain}"
        );
        assert!(plain.contains("é日"));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&plain).unwrap(), value);
    }

    #[test]
    fn long_lines_are_wrapped_between_words() {
        assert_eq!(
            fold("  verb  one two three", 8, 15),
            "  verb  one two\n        three"
        );
        assert_eq!(fold("fits", 8, 15), "fits");
        // What no line holds is left to the terminal.
        assert_eq!(
            fold("  verb  /a/very/long/path (x)", 8, 15),
            "  verb\n        /a/very/long/path\n        (x)"
        );
        assert_eq!(
            fold("\x1b[1;31mFAIL\x1b[0m  a b", 2, 9),
            "\x1b[1;31mFAIL\x1b[0m  a b"
        );
    }

    #[test]
    fn wide_characters_take_two_columns_and_combining_ones_none() {
        assert_eq!(width("日本e\u{301}"), 5);
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 6), "日本語");
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [
            vec!["a".to_owned(), "1".to_owned()],
            vec!["bcd".to_owned(), "234".to_owned()],
        ];
        assert_eq!(table(&rows), "a      1\nbcd  234\n");
    }
}
