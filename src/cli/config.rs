//! `longwire config`: shows the settings and where each value comes from, and makes the broker reload them.
//!
//! It changes no file.

use std::path::Path;

use serde_json::{Value, json};

use crate::settings::{self, SettingSource, Settings, SettingsError};

use super::admin::Admin;
use super::args::ConfigArgs;
use super::error::{Exit, Failure};
use super::render;

/// Shows the settings, or what the flags ask for.
pub(super) fn run(config: &ConfigArgs) -> Result<Exit, Failure> {
    if config.sample {
        render::line(settings::sample().trim_end());
        return Ok(Exit::Done);
    }
    let paths = super::paths()?;
    let path = settings::path(&paths);
    if config.path {
        render::line(&path.display().to_string());
        return Ok(Exit::Done);
    }
    let settings = match settings::load(&paths) {
        Ok(settings) => settings,
        Err(error) if config.json => {
            render::json(&faults(&error));
            return Ok(Exit::Failed);
        }
        Err(error) => return Err(failure(&error)),
    };
    if config.reload {
        return reload();
    }
    let above = settings::administrators_path();
    if config.json {
        render::json(&document(&path, &above, &settings));
    } else {
        render::line(picture(&path, &above, &settings).trim_end());
    }
    Ok(Exit::Done)
}

fn reload() -> Result<Exit, Failure> {
    super::block_on(async {
        match Admin::new(super::paths()?).reload().await? {
            None => render::line("the broker is not running; it reads the file when it starts"),
            Some(answer) if answer["type"] == "ok" => render::line("the broker has reloaded the settings"),
            Some(answer) => {
                let why = answer["message"].as_str().unwrap_or("no reason was given");
                return Err(Failure::new(format!("the broker keeps its old settings: {why}")));
            }
        }
        Ok(Exit::Done)
    })
}

fn failure(error: &SettingsError) -> Failure {
    let mut failure = Failure::new("the settings cannot be used");
    match error {
        SettingsError::Read { .. } => Failure::because(failure.message, error),
        SettingsError::Refused { path, problem, fix } => {
            failure.causes = vec![format!("{}: {problem}", path.display())];
            failure.hint(fix)
        }
        SettingsError::Faults { path, faults } => {
            failure.causes = faults.iter().map(|fault| fault.located(path)).collect();
            failure.hint("longwire config --sample")
        }
    }
}

fn faults(error: &SettingsError) -> Value {
    let faults = match error {
        SettingsError::Faults { faults, .. } => faults
            .iter()
            .map(|fault| json!({"line": fault.line, "column": fault.column, "message": fault.message}))
            .collect(),
        SettingsError::Read { source, .. } => vec![json!({"message": source.to_string()})],
        SettingsError::Refused { problem, fix, .. } => vec![json!({"message": problem, "fix": fix})],
    };
    json!({"path": error.path(), "faults": faults})
}

fn document(path: &Path, above: &Path, settings: &Settings) -> Value {
    let entries: Vec<Value> = settings
        .entries
        .iter()
        .map(|entry| {
            // Numbers, switches, and texts and lists without odd characters read the same in TOML and JSON.
            let value = serde_json::from_str(&entry.value).unwrap_or_else(|_| json!(entry.value));
            let mut entry_json = json!({"key": entry.name, "value": value});
            match entry.source {
                SettingSource::Default => entry_json["source"] = json!("default"),
                SettingSource::Line(line) => {
                    entry_json["source"] = json!("file");
                    entry_json["line"] = json!(line);
                }
                SettingSource::Administrator(line) => {
                    entry_json["source"] = json!("administrator");
                    entry_json["line"] = json!(line);
                }
                SettingSource::Environment(name) => {
                    entry_json["source"] = json!("environment");
                    entry_json["variable"] = json!(name);
                }
            }
            entry_json
        })
        .collect();
    let above = json!({"path": above, "exists": above.exists()});
    json!({"path": path, "exists": path.exists(), "administrator": above, "settings": entries})
}

/// Where the sources stand at most; longer values push theirs away.
const MAX_KEY_COLUMNS: usize = 60;

fn picture(path: &Path, above: &Path, settings: &Settings) -> String {
    let there = if path.exists() {
        ""
    } else {
        " (not found: using defaults)"
    };
    let mut text = format!("{}{there}\n", path.display());
    if above.exists() {
        text.push_str(&format!(
            "{} (the administrator's; users cannot override it)\n",
            above.display()
        ));
    }
    text.push('\n');
    let names = settings.entries.iter().map(|entry| entry.name.len());
    let width = names.max().unwrap_or(0);
    let lines = settings.entries.iter();
    let lines: Vec<_> = lines
        .map(|entry| format!("{:width$} = {}", entry.name, entry.value))
        .collect();
    let longest = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let column = longest.min(MAX_KEY_COLUMNS);
    for (line, entry) in lines.iter().zip(&settings.entries) {
        text.push_str(&format!("{line:<column$}  # {}\n", entry.source));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_names_its_source() {
        let text = "[default]\nallow = [\"wss://a\"]\nsessions = 7\n";
        let settings = settings::parse(text, Path::new("/")).unwrap();
        let document = document(Path::new("/x/settings.toml"), Path::new("/none"), &settings);
        let entries = document["settings"].as_array().unwrap();
        let of = |key: &str| entries.iter().find(|entry| entry["key"] == key).unwrap();
        assert_eq!(
            *of("default.allow"),
            json!({"key": "default.allow", "value": ["wss://a"], "source": "file", "line": 2})
        );
        assert_eq!(of("default.sessions")["value"], 7);
        assert_eq!(of("proxy.url")["source"], "default");
        let picture = picture(Path::new("/x/settings.toml"), Path::new("/none"), &settings);
        let is_expected = |line: &str| line.starts_with("default.sessions ") && line.ends_with("# line 3");
        assert!(picture.lines().any(is_expected), "{picture}");
    }
}
