//! The administrator's policies about native messaging, for each browser.
//!
//! It reads them as the browsers do and changes nothing. Firefox has no such policies.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::browsers::Browser;
use crate::environment::Environment;
use crate::manifest;
use crate::registry;
use crate::types::{Family, System};

const BLOCKLIST: &str = "NativeMessagingBlocklist";
const ALLOWLIST: &str = "NativeMessagingAllowlist";
const USER_LEVEL: &str = "NativeMessagingUserLevelHosts";

/// Where a browser's policies lie on each system.
struct PolicyLocation {
    browsers: &'static [&'static str],
    /// A folder of JSON files.
    linux: &'static str,
    /// The file of managed preferences, without `.plist`.
    macos: &'static str,
    /// The key below `Software\Policies`.
    windows: &'static str,
}

const POLICY_LOCATIONS: &[PolicyLocation] = &[
    PolicyLocation {
        browsers: &["chrome", "chrome-beta", "chrome-dev", "chrome-canary"],
        linux: "etc/opt/chrome/policies/managed",
        macos: "com.google.Chrome",
        windows: r"Google\Chrome",
    },
    PolicyLocation {
        browsers: &["chrome-for-testing"],
        linux: "etc/opt/chrome_for_testing/policies/managed",
        macos: "com.google.chrome.for.testing",
        windows: r"Google\Chrome for Testing",
    },
    PolicyLocation {
        browsers: &["chromium"],
        linux: "etc/chromium/policies/managed",
        macos: "org.chromium.Chromium",
        windows: "Chromium",
    },
    PolicyLocation {
        browsers: &["edge", "edge-beta", "edge-dev", "edge-canary"],
        linux: "etc/opt/edge/policies/managed",
        macos: "com.microsoft.Edge",
        windows: r"Microsoft\Edge",
    },
    PolicyLocation {
        browsers: &["brave"],
        linux: "etc/brave/policies/managed",
        macos: "com.brave.Browser",
        windows: r"BraveSoftware\Brave",
    },
    PolicyLocation {
        browsers: &["vivaldi"],
        linux: "etc/chromium/policies/managed",
        macos: "com.vivaldi.Vivaldi",
        windows: "Vivaldi",
    },
    PolicyLocation {
        browsers: &["yandex"],
        linux: "etc/opt/yandex/browser/policies/managed",
        macos: "ru.yandex.desktop.yandex-browser",
        windows: r"YandexBrowser",
    },
];

/// The policies of a browser that concern native messaging.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Hosts that are forbidden; `*` is all of them.
    pub blocklist: Vec<String>,
    /// Hosts that are allowed in spite of the blocklist.
    pub allowlist: Vec<String>,
    /// `false`: registrations of one user do not count.
    pub user_level: Option<bool>,
    /// Where all this stands.
    pub sources: Vec<PathBuf>,
}

/// What the policies make of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// Nothing forbids it.
    Free,
    /// Only a registration for all users counts.
    SystemOnly,
    /// It is on the blocklist and not on the allowlist.
    Blocked,
}

impl Policy {
    /// The policies of this browser on this machine.
    pub fn of(env: &Environment, browser: &Browser) -> Self {
        let mut policy = Self::default();
        let home = POLICY_LOCATIONS
            .iter()
            .find(|home| home.browsers.contains(&browser.name));
        let (Some(home), Family::Chromium) = (home, browser.family) else {
            return policy;
        };
        match env.system {
            System::Linux => policy.take_folder(&env.root.join(home.linux)),
            System::MacOs => {
                let managed = env.root.join("Library/Managed Preferences");
                let file = format!("{}.plist", home.macos);
                policy.take_plist(&managed.join(&file));
                if let Some(user) = env.home.file_name() {
                    policy.take_plist(&managed.join(user).join(file));
                }
            }
            System::Windows => {
                for root in ["HKLM", "HKCU"] {
                    policy.take_key(&format!(r"{root}\Software\Policies\{}", home.windows));
                }
            }
        }
        policy
    }

    /// What they make of the host of this name.
    pub fn ruling(&self, name: &str) -> Ruling {
        let listed = |list: &[String]| list.iter().any(|entry| entry == name);
        let blocked = listed(&self.blocklist) || self.blocklist.iter().any(|entry| entry == "*");
        if blocked && !listed(&self.allowlist) {
            Ruling::Blocked
        } else if self.user_level == Some(false) {
            Ruling::SystemOnly
        } else {
            Ruling::Free
        }
    }

    /// Each file of the folder, in the order of their names; a later one wins.
    fn take_folder(&mut self, folder: &Path) {
        let mut files: Vec<PathBuf> = fs::read_dir(folder)
            .into_iter()
            .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
            .collect();
        files.sort();
        for file in files {
            let text = fs::read_to_string(&file).unwrap_or_default();
            if let Ok(said) = manifest::object(Family::Chromium, &text) {
                self.take(&file, &said);
            }
        }
    }

    /// A property list, through the system's own reader of them.
    fn take_plist(&mut self, file: &Path) {
        if !file.is_file() {
            return;
        }
        let read = std::process::Command::new("/usr/bin/plutil")
            .args(["-convert", "json", "-o", "-"])
            .arg(file)
            .output();
        if let Ok(Value::Object(said)) =
            read.map(|read| serde_json::from_slice(&read.stdout).unwrap_or_default())
        {
            self.take(file, &said);
        }
    }

    fn take_key(&mut self, key: &str) {
        let mut said = Map::new();
        for list in [BLOCKLIST, ALLOWLIST] {
            let entries = registry::texts(&format!(r"{key}\{list}"));
            if !entries.is_empty() {
                said.insert(list.to_owned(), Value::from(entries));
            }
        }
        if let Some(number) = registry::number(key, USER_LEVEL) {
            said.insert(USER_LEVEL.to_owned(), Value::from(number != 0));
        }
        self.take(Path::new(key), &said);
    }

    fn take(&mut self, source: &Path, said: &Map<String, Value>) {
        let list = |key: &str| -> Option<Vec<String>> {
            let list = said.get(key)?.as_array()?.iter();
            Some(
                list.filter_map(|entry| entry.as_str().map(str::to_owned))
                    .collect(),
            )
        };
        let (blocklist, allowlist) = (list(BLOCKLIST), list(ALLOWLIST));
        let user_level = said.get(USER_LEVEL).and_then(Value::as_bool);
        if blocklist.is_some() || allowlist.is_some() || user_level.is_some() {
            self.sources.push(source.to_path_buf());
        }
        self.blocklist = blocklist.unwrap_or(std::mem::take(&mut self.blocklist));
        self.allowlist = allowlist.unwrap_or(std::mem::take(&mut self.allowlist));
        self.user_level = user_level.or(self.user_level);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::browsers::BROWSERS;

    fn policy(files: &[(&str, &str)]) -> Policy {
        let scratch = tempfile::tempdir().unwrap();
        let env = Environment::within(scratch.path());
        let folder = env.root.join("etc/chromium/policies/managed");
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        Policy::of(&env, Browser::named("chromium").unwrap())
    }

    #[test]
    fn a_blocked_host_needs_to_be_allowed() {
        let name = "com.longwire.bridge";
        assert_eq!(policy(&[]).ruling(name), Ruling::Free);
        let all = r#"{"NativeMessagingBlocklist":["*"]} // everything"#;
        assert_eq!(policy(&[("a.json", all)]).ruling(name), Ruling::Blocked);
        let other = r#"{"NativeMessagingBlocklist":["com.other"]}"#;
        assert_eq!(policy(&[("a.json", other)]).ruling(name), Ruling::Free);
        let allow = r#"{"NativeMessagingAllowlist":["com.longwire.bridge"]}"#;
        let both = policy(&[("a.json", all), ("b.json", allow), ("c.json", "no JSON")]);
        assert_eq!(both.ruling(name), Ruling::Free);
        assert_eq!(both.sources.len(), 2);
    }

    #[test]
    fn a_policy_may_disable_user_level_registrations() {
        let policies = policy(&[("a.json", r#"{"NativeMessagingUserLevelHosts":false}"#)]);
        assert_eq!(policies.ruling("com.longwire.bridge"), Ruling::SystemOnly);
    }

    #[test]
    fn every_policy_location_belongs_to_known_browsers() {
        for name in POLICY_LOCATIONS.iter().flat_map(|home| home.browsers) {
            let browser = BROWSERS.iter().find(|browser| browser.name == *name);
            assert_eq!(
                browser.map(|browser| browser.family),
                Some(Family::Chromium),
                "{name}"
            );
        }
    }
}
