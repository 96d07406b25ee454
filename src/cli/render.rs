//! Output: the only file that prints.
//!
//! stdout is for what was asked for, stderr for everything else. It decides nothing.

use std::io::{IsTerminal as _, Write as _};
use std::sync::OnceLock;
use std::time::Duration;

use serde::Serialize;

use super::error::{Exit, Failure};
use super::text::{fold, harmless, harmless_json, visible};

/// Prints a line that was asked for.
pub(crate) fn line(text: &str) {
    text_line(text);
}

/// Prints a line that was asked for; `false` when stdout is closed (`longwire tail s | head`).
pub(crate) fn text_line(text: &str) -> bool {
    give(format!("{}\n", visible(text)).as_bytes())
}

/// Prints a line; on a terminal one that is too long goes on below, so far from the left.
pub(crate) fn folded(text: &str, indent: usize) {
    match terminal() {
        Some(terminal) => line(&fold(text, indent, terminal.columns)),
        None => line(text),
    }
}

/// Prints one JSON document and nothing else.
pub(crate) fn json(document: &impl Serialize) {
    match serde_json::to_string_pretty(document) {
        Ok(text) => line(&harmless_json(&text)),
        Err(error) => to_stderr(&format!(
            "error: the document could not be written as JSON: {error}\n"
        )),
    }
}

/// Prints what happens, beside what was asked for.
pub(crate) fn note(text: &str) {
    to_stderr(&format!("{}\n", plain(text)));
}

/// Prints to stderr as far as that is possible: there is nowhere to report that it is closed or its disk full.
fn to_stderr(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Asks a question whose answer is yes or no, and waits for a line; anything but yes is no.
pub(crate) fn ask(question: &str) -> bool {
    to_stderr(question);
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// Text that may hold what came from outside, line by line without what commands a terminal.
fn plain(text: &str) -> String {
    text.lines().map(harmless).collect::<Vec<_>>().join("\n")
}

/// Prints a failure with its causes and hints.
pub(crate) fn failure(failure: &Failure) -> Exit {
    to_stderr(&format!("error: {}\n", plain(&failure.message)));
    for cause in &failure.causes {
        to_stderr(&format!("  caused by: {}\n", plain(cause)));
    }
    for hint in &failure.hints {
        to_stderr(&format!("hint: {}\n", plain(hint)));
    }
    failure.exit
}

/// Prints a usage error or help as clap has written it.
pub(crate) fn usage(error: &clap::Error) -> Exit {
    let printed = error.print();
    if error.use_stderr() {
        return Exit::Usage;
    }
    if let Err(error) = printed {
        remember(&error);
    }
    Exit::Done
}

/// Why something that was asked for could not be printed: a full disk, not a reader who has seen enough.
static UNPRINTED: OnceLock<String> = OnceLock::new();

fn remember(error: &std::io::Error) {
    if error.kind() != std::io::ErrorKind::BrokenPipe {
        let _ = UNPRINTED.set(error.to_string());
    }
}

/// A command that is done, unless what it had to say could not be printed.
pub(crate) fn closing(exit: Exit) -> Exit {
    match UNPRINTED.get() {
        Some(problem) if exit == Exit::Done => failure(&Failure {
            causes: vec![problem.clone()],
            ..Failure::new("cannot write to stdout")
        }),
        _ => exit,
    }
}

/// Prints bytes of our own as they are; `false` when stdout is closed.
pub(crate) fn give(bytes: &[u8]) -> bool {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => true,
        Err(error) => {
            remember(&error);
            false
        }
    }
}

/// How often code that waits for something to print checks whether stdout is closed: [`is_abandoned`].
pub(crate) const STDOUT_CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// Whether whoever read stdout has gone, asked without printing. A terminal or a file never goes.
#[cfg(unix)]
pub(crate) fn is_abandoned() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdout = std::io::stdout();
    // Asked for room: with nothing asked for, macOS does not look at the pipe at all.
    let mut asked = [PollFd::new(&stdout, PollFlags::OUT)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut asked, Some(&at_once)).is_ok() && asked[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

/// On Windows a pipe's writer learns it only when it writes: the next line ends it.
#[cfg(not(unix))]
pub(crate) fn is_abandoned() -> bool {
    false
}

/// stdout for the bytes of a port that passes through this process.
#[derive(Debug)]
pub(crate) struct PortStdout;

impl std::io::Write for PortStdout {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        std::io::stdout().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stdout().flush()
    }
}

/// The terminal that stdout is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    pub(crate) colour: bool,
}

/// The terminal that stdout is; `None` for a pipe or a file.
pub(crate) fn terminal() -> Option<Terminal> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    let (columns, rows) = terminal_size::terminal_size().map_or((80, 24), |(width, height)| {
        (usize::from(width.0), usize::from(height.0))
    });
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    // The old Windows console shows the codes instead of colours.
    let knows = cfg!(unix) || is_set("WT_SESSION");
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let colour = knows && !is_dumb && !is_set("NO_COLOR");
    Some(Terminal {
        columns,
        rows,
        colour,
    })
}

/// A picture that is painted over itself. The cursor comes back when this is dropped.
#[derive(Debug)]
pub(crate) struct Screen(());

impl Screen {
    /// Clears the terminal and hides its cursor.
    pub(crate) fn enter() -> Self {
        give(b"\x1b[?25l\x1b[2J");
        Self(())
    }

    /// Paints the picture from the top; `false` when the terminal has gone.
    pub(crate) fn paint(&self, picture: &str) -> bool {
        let mut bytes = String::from("\x1b[H");
        for line in visible(picture).lines() {
            bytes.push_str(line);
            bytes.push_str("\x1b[K\r\n");
        }
        bytes.push_str("\x1b[J");
        give(bytes.as_bytes())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give(b"\x1b[?25h");
    }
}
