//! The log: a rolling file and stderr, never stdout.
//!
//! It redacts nothing after the fact: callers never log payloads, query strings or credentials. A log folder that
//! cannot be written is never fatal.

use std::fs;
use std::io;
use std::path::Path;

use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The environment variable that sets the level, such as `debug` or `longwire::broker=trace`.
pub const LEVEL: &str = "LONGWIRE_LOG";

/// Days of log files kept.
const MAX_LOG_FILES: usize = 7;

/// Logs to stderr only; for the host and the command line. Without `LONGWIRE_LOG` warnings and errors show.
///
/// Here `LONGWIRE_LOG` is a plain level: filters by module cost memory that a host does not have.
pub fn to_stderr() {
    let level = std::env::var(LEVEL).ok().and_then(|level| level.parse().ok());
    let layer = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false)
        .with_filter(level.unwrap_or(LevelFilter::WARN));
    // A second subscriber is refused; then the first one goes on, which is what is wanted.
    let _ = tracing_subscriber::registry().with(layer).try_init();
}

/// Where the broker's log goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogOutput {
    Folder,
    FolderAndStderr,
}

/// Logs to daily files in `folder`, and to stderr if `output` says so or the folder cannot be written.
/// Without `LONGWIRE_LOG`, or with one that cannot be read, it logs `info` and above.
pub fn to_folder(folder: &Path, output: LogOutput) {
    let (wanted, unread) = wanted();
    let file = open(folder);
    let problem = file.as_ref().err().map(ToString::to_string);
    let show = output == LogOutput::FolderAndStderr || file.is_err();
    let to_file = file.ok().map(|file| {
        fmt::layer()
            .with_writer(file)
            .with_ansi(false)
            .with_filter(wanted.clone())
    });
    let to_stderr = show.then(|| {
        fmt::layer()
            .with_writer(io::stderr)
            .with_ansi(false)
            .with_filter(wanted)
    });
    let _ = tracing_subscriber::registry()
        .with(to_file)
        .with(to_stderr)
        .try_init();
    if let Some(problem) = problem {
        tracing::warn!(folder = %folder.display(), %problem, "cannot write a log file: logging to stderr only");
    }
    if let Some(problem) = unread {
        tracing::warn!(%problem, "{LEVEL} is not a level or MODULE=LEVEL,...: logging at info");
    }
}

/// Sends panics to the log; a detached broker has no terminal to show them on.
pub fn panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        tracing::error!(place = ?info.location().map(ToString::to_string), "panicked");
        before(info);
    }));
}

/// What `LONGWIRE_LOG` asks for, and what was wrong with it. No regular expressions, unlike in many programs: they
/// would cost more code than all the rest of logging.
fn wanted() -> (Targets, Option<String>) {
    let usual = Targets::new().with_default(LevelFilter::INFO);
    match std::env::var(LEVEL).ok().filter(|text| !text.is_empty()) {
        None => (usual, None),
        Some(text) => match text.parse() {
            Ok(targets) => (targets, None),
            Err(problem) => (usual, Some(problem.to_string())),
        },
    }
}

fn open(folder: &Path) -> io::Result<RollingFileAppender> {
    create(folder)?;
    RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("broker")
        .filename_suffix("log")
        .max_log_files(MAX_LOG_FILES)
        .build(folder)
        .map_err(io::Error::other)
}

fn create(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
