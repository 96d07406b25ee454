//! The bundle for a bug report: findings, counters, the end of the log, without what is private.
//!
//! It hides folders of the user, paths and queries of URLs, names of sessions and profiles. It sends nothing anywhere.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::facts::Facts;
use super::finding::DoctorReport;
use super::show::{self, Selection, Style};
use crate::paths::Paths;

/// Lines of the log that are shown.
const MAX_LOG_LINES: usize = 60;
/// Bytes of the log's end that are read.
const MAX_LOG_BYTES: u64 = 64 << 10;
/// Texts of the status that say nothing about the user.
const PLAIN: &[&str] = &["type", "state", "version", "durability", "protocol", "code"];
/// What stands in the place of what is hidden.
const HIDDEN: &str = "(hidden)";

/// Everything, as Markdown.
pub(super) fn bundle(facts: &Facts, document: &DoctorReport, paths: &Paths) -> String {
    let mut text = String::from("## longwire doctor --report\n\n");
    text.push_str(&format!(
        "longwire {}, {} on {}{}\n\n",
        facts.version,
        std::env::consts::OS,
        std::env::consts::ARCH,
        release().map_or_else(String::new, |release| format!(", {release}"))
    ));
    text.push_str("### Findings\n\n```\n");
    for line in show::lines(&without_sessions(document), Selection::All, Style::Plain) {
        text.push_str(&line);
        text.push('\n');
    }
    text.push_str("```\n\n### Status\n\n```json\n");
    match &facts.broker.status {
        Some(status) => {
            let shown = serde_json::to_string_pretty(&without_names(status, None)).unwrap_or_default();
            text.push_str(&shown);
        }
        None => text.push_str("no broker"),
    }
    text.push_str("\n```\n\n### End of the log\n\n```\n");
    for line in log(paths.logs()) {
        text.push_str(&line);
        text.push('\n');
    }
    text.push_str("```\n");
    redact(&text, &private(paths))
}

/// What the system calls itself.
fn release() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}

/// Folders that name the user, the longest first, and what stands in their place.
fn private(paths: &Paths) -> Vec<(String, &'static str)> {
    let mut private: Vec<(String, &'static str)> = Vec::new();
    if let Some(home) = paths.home() {
        private.push((home.display().to_string(), "$LONGWIRE_HOME"));
    }
    for variable in ["HOME", "USERPROFILE"] {
        if let Some(home) = std::env::var_os(variable) {
            private.push((PathBuf::from(home).display().to_string(), "~"));
        }
    }
    private.retain(|(folder, _)| folder.len() > 1);
    private.sort_by_key(|(folder, _)| std::cmp::Reverse(folder.len()));
    private
}

/// Hides folders, and of URLs all but scheme and host.
fn redact(text: &str, private: &[(String, &str)]) -> String {
    let mut text = text.to_owned();
    for (folder, instead) in private {
        text = text.replace(folder, instead);
    }
    for scheme in ["ws://", "wss://", "http://", "https://"] {
        text = without_paths(&text, scheme);
    }
    text
}

fn without_paths(text: &str, scheme: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(scheme) {
        let (before, found) = rest.split_at(at + scheme.len());
        clean.push_str(before);
        let end = found
            .find(|c: char| c.is_whitespace() || "\"'`<>)]},;".contains(c))
            .unwrap_or(found.len());
        let (address, after) = found.split_at(end);
        let whole = address.find(['/', '?', '#']).unwrap_or(address.len());
        let host = address[..whole].rsplit('@').next().unwrap_or_default();
        clean.push_str(host);
        if whole < address.len() {
            clean.push_str("/...");
        }
        rest = after;
    }
    clean.push_str(rest);
    clean
}

/// The findings, without the names of sessions, extensions and profiles.
fn without_sessions(document: &DoctorReport) -> DoctorReport {
    let mut findings = document.findings.clone();
    for finding in findings
        .iter_mut()
        .filter(|finding| finding.id.starts_with("session."))
    {
        finding.id = format!("session.{HIDDEN}");
        let state = finding.title.rsplit_once(") is ").map_or("?", |(_, state)| state);
        finding.title = format!("session {HIDDEN} is {state}");
    }
    DoctorReport {
        verdict: document.verdict,
        findings,
    }
}

/// A line of the log, without the names of sessions and profiles.
fn without_log_names(line: &str) -> String {
    let mut line = line.to_owned();
    for key in [" session=\"", " profile=\""] {
        if let Some(start) = line.find(key).map(|at| at + key.len()) {
            let mut is_escaped = false;
            let end = line[start..].find(|character| {
                let is_end = character == '"' && !is_escaped;
                is_escaped = character == '\\' && !is_escaped;
                is_end
            });
            line.replace_range(start..end.map_or(line.len(), |end| start + end), HIDDEN);
        }
    }
    line
}

/// Numbers stay, and texts that say nothing about the user.
fn without_names(value: &Value, key: Option<&str>) -> Value {
    match value {
        Value::String(_) if key.is_none_or(|key| !PLAIN.contains(&key)) => HIDDEN.into(),
        Value::Array(all) => all.iter().map(|one| without_names(one, key)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), without_names(value, Some(key))))
            .collect(),
        other => other.clone(),
    }
}

/// The last lines of the newest log file.
fn log(folder: &Path) -> Vec<String> {
    use std::io::{Read as _, Seek as _, SeekFrom};

    let newest = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(".log"))
        .max_by_key(fs::DirEntry::file_name);
    let Some(newest) = newest else {
        return vec!["no log".to_owned()];
    };
    let mut bytes = Vec::new();
    let read = fs::File::open(newest.path()).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(MAX_LOG_BYTES)))?;
        file.take(MAX_LOG_BYTES).read_to_end(&mut bytes)
    });
    if let Err(error) = read {
        return vec![error.to_string()];
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let last = &lines[lines.len().saturating_sub(MAX_LOG_LINES)..];
    last.iter().map(|line| without_log_names(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn urls_are_reduced_to_scheme_and_host() {
        let text =
            "dialled wss://user:secret@example.org:8443/token/abc?key=1, then (ws://[::1]:9) and https://x";
        assert_eq!(
            redact(text, &[]),
            "dialled wss://example.org:8443/..., then (ws://[::1]:9) and https://x"
        );
    }

    #[test]
    fn the_users_folders_are_redacted() {
        let private = [
            ("/home/ann/lw".to_owned(), "$LONGWIRE_HOME"),
            ("/home/ann".to_owned(), "~"),
        ];
        assert_eq!(
            redact("/home/ann/lw/run and /home/ann/.config", &private),
            "$LONGWIRE_HOME/run and ~/.config"
        );
    }

    #[test]
    fn session_names_are_redacted_and_numbers_are_not() {
        let status =
            json!({"version": "1", "sessions": [{"session": "my bank", "state": "open", "queued": 3}]});
        assert_eq!(
            without_names(&status, None),
            json!({"version": "1", "sessions": [{"session": HIDDEN, "state": "open", "queued": 3}]})
        );
    }
}
