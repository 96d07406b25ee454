//! `longwire logs`: the brokers' log: its path, the last lines, and new ones.
//!
//! It reads files; no broker is needed and none is asked.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use super::args::LogsArgs;
use super::error::{Exit, Failure};
use super::render;
use super::text::harmless;

/// The levels, gravest first.
const LEVELS: [&str; 5] = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];

/// Shows what was logged.
pub(super) fn run(logs: &LogsArgs) -> Result<Exit, Failure> {
    let folder = super::paths()?.logs().to_path_buf();
    if logs.path {
        render::line(&folder.display().to_string());
        return Ok(Exit::Done);
    }
    let files = files(&folder);
    if files.is_empty() && !logs.follow {
        return Err(Failure::new(format!("no log in {}", folder.display()))
            .hint("the broker writes it when it runs; see `longwire status`"));
    }
    let mut filter = LineFilter::new(logs.level.as_deref());
    let mut lines = Vec::new();
    let mut reading = None;
    for file in &files {
        let mut open = OpenLog::open(file).map_err(|error| cannot_read(file, &error))?;
        open.lines(|line| lines.extend(filter.take(line)))
            .map_err(|error| cannot_read(file, &error))?;
        reading = Some(open);
        let surplus = lines.len().saturating_sub(logs.lines);
        lines.drain(..surplus);
    }
    lines.push(String::new());
    if !render::give(lines.join("\n").as_bytes()) || !logs.follow {
        return Ok(Exit::Done);
    }
    follow(&folder, reading, &mut filter)
}

fn cannot_read(file: &Path, error: &io::Error) -> Failure {
    Failure::because(format!("cannot read {}", file.display()), error)
}

/// Continues with new lines, from day to day, until the output is closed.
fn follow(folder: &Path, mut reading: Option<OpenLog>, filter: &mut LineFilter) -> Result<Exit, Failure> {
    loop {
        if let Some(open) = &mut reading {
            let mut fresh = String::new();
            open.lines(|line| {
                if let Some(line) = filter.take(line) {
                    fresh.push_str(&line);
                    fresh.push('\n');
                }
            })
            .map_err(|error| cannot_read(&open.path, &error))?;
            if !fresh.is_empty() && !render::give(fresh.as_bytes()) {
                return Ok(Exit::Done);
            }
        }
        let current = reading.as_ref().map(|open| &open.path);
        if let Some(next) = files(folder)
            .into_iter()
            .find(|file| current.is_none_or(|current| file > current))
        {
            reading = Some(OpenLog::open(&next).map_err(|error| cannot_read(&next, &error))?);
        } else if render::is_abandoned() {
            return Ok(Exit::Done);
        } else {
            std::thread::sleep(render::STDOUT_CHECK_INTERVAL);
        }
    }
}

/// The log files, oldest first: their names are dates.
fn files(folder: &Path) -> Vec<PathBuf> {
    let is_log = |path: &PathBuf| {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        name.starts_with("broker") && name.ends_with(".log")
    };
    let mut files: Vec<PathBuf> = folder
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(is_log)
        .collect();
    files.sort();
    files
}

/// A log file, read line by line as it grows.
struct OpenLog {
    path: PathBuf,
    file: BufReader<File>,
    /// A line whose end is not written yet.
    begun: Vec<u8>,
}

impl OpenLog {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_path_buf(),
            file: BufReader::new(File::open(path)?),
            begun: Vec::new(),
        })
    }

    /// Gives every whole line that is there.
    fn lines(&mut self, mut give: impl FnMut(&str)) -> io::Result<()> {
        while self.file.read_until(b'\n', &mut self.begun)? > 0 {
            if self.begun.last() == Some(&b'\n') {
                give(String::from_utf8_lossy(&self.begun).trim_end_matches(['\n', '\r']));
                self.begun.clear();
            }
        }
        Ok(())
    }
}

/// Lets through what is grave enough.
struct LineFilter {
    least: Option<usize>,
    /// Lines without a level belong to the one before.
    passing: bool,
}

impl LineFilter {
    fn new(level: Option<&str>) -> Self {
        let least = level.and_then(|level| LEVELS.iter().position(|known| known.eq_ignore_ascii_case(level)));
        Self {
            least,
            passing: least.is_none(),
        }
    }

    fn take(&mut self, line: &str) -> Option<String> {
        let word = line.split_whitespace().nth(1).unwrap_or_default();
        if let (Some(least), Some(level)) = (self.least, LEVELS.iter().position(|known| *known == word)) {
            self.passing = level <= least;
        }
        self.passing.then(|| harmless(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn lines_below_the_minimum_level_are_filtered_out() {
        let mut filter = LineFilter::new(Some("warn"));
        let lines = [
            "2026-01-01T00:00:00Z  INFO longwire: up",
            "2026-01-01T00:00:01Z  WARN longwire: odd",
            "  and a second line",
            "2026-01-01T00:00:02Z DEBUG longwire: detail",
            "2026-01-01T00:00:03Z ERROR longwire: broken",
        ];
        let passed: Vec<_> = lines.iter().filter(|line| filter.take(line).is_some()).collect();
        assert_eq!(passed, [&lines[1], &lines[2], &lines[4]]);
        let mut all = LineFilter::new(None);
        assert!(lines.iter().all(|line| all.take(line).is_some()));
    }

    #[test]
    fn a_line_is_shown_once_it_is_complete() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("broker.2026-01-01.log");
        let mut writing = File::create(&path).unwrap();
        let mut reading = OpenLog::open(&path).unwrap();
        let seen = |reading: &mut OpenLog| {
            let mut lines = Vec::new();
            reading.lines(|line| lines.push(line.to_owned())).unwrap();
            lines
        };
        writing.write_all(b"one\ntw").unwrap();
        assert_eq!(seen(&mut reading), ["one"]);
        writing.write_all(b"o\n").unwrap();
        assert_eq!(seen(&mut reading), ["two"]);
        assert_eq!(files(scratch.path()), [path]);
    }
}
