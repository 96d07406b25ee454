//! What a person types at `longwire connect`: messages, and commands that begin with a slash.
//!
//! It sends and prints nothing. The history is in memory only: what is typed may be secret.

use super::json_text::is_json;

/// Lines remembered.
const MAX_HISTORY: usize = 1000;

/// What `/help` shows.
pub(super) const HELP: &str = "\
/binary BASE64      send bytes
/json TEXT          send JSON, after checking that it is valid
/ping               measure the round trips to broker and server
/status             show the session's counters
/reconnect          reconnect now
/close [CODE WHY]   close the connection and exit
/history            show entered lines; !! and !N send one again
/quit               exit (as at the end of input)
//...               send a line that begins with a slash";

/// What a line means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum InputLine {
    Nothing,
    Text(String),
    Binary(String),
    Ping,
    Status,
    Reconnect,
    Close(Option<(u16, String)>),
    Help,
    /// To be shown.
    History(String),
    /// What is wrong with the line.
    Wrong(String),
}

/// What was typed before.
#[derive(Debug, Default)]
pub(super) struct History(Vec<String>);

impl History {
    /// Reads a line, and remembers it.
    pub(super) fn read(&mut self, line: &str) -> InputLine {
        let line = match line.strip_prefix('!') {
            Some(which) => match self.recall(which) {
                Some(recalled) => recalled,
                None => {
                    return InputLine::Wrong(format!(
                        "nothing like !{which} was typed; /history shows what was"
                    ));
                }
            },
            None => line.to_owned(),
        };
        if line.is_empty() {
            return InputLine::Nothing;
        }
        if self.0.last() != Some(&line) {
            if self.0.len() == MAX_HISTORY {
                self.0.remove(0);
            }
            self.0.push(line.clone());
        }
        self.meaning(&line)
    }

    fn recall(&self, which: &str) -> Option<String> {
        if which == "!" {
            return self.0.last().cloned();
        }
        let number: usize = which.parse().ok()?;
        self.0.get(number.checked_sub(1)?).cloned()
    }

    fn meaning(&self, line: &str) -> InputLine {
        let Some(command) = line.strip_prefix('/') else {
            return InputLine::Text(line.to_owned());
        };
        if command.starts_with('/') {
            return InputLine::Text(command.to_owned());
        }
        let (word, rest) = command.split_once(' ').unwrap_or((command, ""));
        let rest = rest.trim();
        match word {
            "binary" if !rest.is_empty() => InputLine::Binary(rest.to_owned()),
            "json" => match is_json(rest) {
                true => InputLine::Text(rest.to_owned()),
                false => InputLine::Wrong("that is not valid JSON; nothing was sent".to_owned()),
            },
            "ping" => InputLine::Ping,
            "status" => InputLine::Status,
            "reconnect" => InputLine::Reconnect,
            "close" | "quit" => close(rest),
            "help" | "?" => InputLine::Help,
            "history" => {
                let lines = self
                    .0
                    .iter()
                    .zip(1..)
                    .map(|(line, number)| format!("{number:>5}  {line}"));
                InputLine::History(lines.collect::<Vec<_>>().join("\n"))
            }
            _ => InputLine::Wrong(format!(
                "there is no command /{word}; /help lists them, // sends a slash"
            )),
        }
    }
}

fn close(rest: &str) -> InputLine {
    if rest.is_empty() {
        return InputLine::Close(None);
    }
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    match code.parse() {
        Ok(code) => InputLine::Close(Some((code, reason.to_owned()))),
        Err(_) => InputLine::Wrong("write it as /close 1000 why".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_messages_and_slashes_are_commands() {
        let mut history = History::default();
        let mut read = |line: &str| history.read(line);
        assert_eq!(read("hello"), InputLine::Text("hello".to_owned()));
        assert_eq!(read(""), InputLine::Nothing);
        assert_eq!(read("//etc"), InputLine::Text("/etc".to_owned()));
        assert_eq!(read("/binary AAE="), InputLine::Binary("AAE=".to_owned()));
        assert_eq!(read("/json {\"a\": 1}"), InputLine::Text("{\"a\": 1}".to_owned()));
        assert!(matches!(read("/json {a"), InputLine::Wrong(_)));
        assert!(matches!(read("/nonsense"), InputLine::Wrong(_)));
        assert_eq!(
            read("/close 4000 enough of it"),
            InputLine::Close(Some((4000, "enough of it".to_owned())))
        );
        assert_eq!(read("/quit"), InputLine::Close(None));
        assert!(matches!(read("/close now"), InputLine::Wrong(_)));
    }

    #[test]
    fn entered_lines_can_be_sent_again() {
        let mut history = History::default();
        history.read("one");
        history.read("two");
        assert_eq!(history.read("!1"), InputLine::Text("one".to_owned()));
        assert_eq!(history.read("!!"), InputLine::Text("one".to_owned()));
        assert!(matches!(history.read("!9"), InputLine::Wrong(_)));
        assert!(matches!(history.read("!0"), InputLine::Wrong(_)));
        let InputLine::History(shown) = history.read("/history") else {
            panic!()
        };
        assert!(
            shown.starts_with("    1  one\n    2  two\n    3  one\n    4  /history"),
            "{shown}"
        );
    }
}
