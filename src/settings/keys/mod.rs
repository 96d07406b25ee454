//! Every key of the settings file: its kind, its default, its description, and where its value goes.
//!
//! It reads no file. The keys of extensions are in `extension`. The sample is made of this table, so that neither can know a key that the other does not.

use std::fmt::Write as _;
use std::time::Duration;

pub(super) use self::extension::RULES;
use crate::core::rules::ExtensionRule;

use super::{SettingSource, Settings};

/// A value as the file holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SettingValue {
    Number(u64),
    Switch(bool),
    Text(String),
    List(Vec<String>),
}

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SettingKind {
    /// From, to.
    Number(u64, u64),
    Switch,
    Text,
    List,
}

/// A key of the whole broker.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: SettingKind,
    /// As TOML.
    pub(super) default: &'static str,
    pub(super) about: &'static str,
    pub(super) set: fn(&mut Draft, SettingValue) -> Result<(), String>,
}

/// A key of `[default]` and of each `[extension."..."]`.
pub(super) struct RuleKey {
    pub(super) name: &'static str,
    pub(super) kind: SettingKind,
    pub(super) default: &'static str,
    pub(super) about: &'static str,
    pub(super) set: fn(&mut ExtensionRule, SettingValue) -> Result<(), String>,
}

/// What is known while the file is read: values that are checked together, and paths that are not read yet.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) idle_minutes: u64,
    pub(super) per_second: u64,
    pub(super) burst: u64,
    pub(super) memory_total: u64,
    pub(super) session_megabytes: u64,
    pub(super) extension_megabytes: u64,
    pub(super) extension_journals: u64,
    pub(super) total_megabytes: u64,
    pub(super) ca_files: Vec<String>,
    pub(super) client_certificate: String,
    pub(super) client_key: String,
    pub(super) client_hosts: Vec<String>,
    pub(super) insecure_hosts: Vec<String>,
    pub(super) proxy: super::ProxySection,
    pub(super) update: super::UpdateSection,
}

/// Puts a value into a field of the same kind. The reader has checked the kind.
macro_rules! into {
    ($kind:ident, $($field:tt)+) => {
        |draft, value| {
            if let SettingValue::$kind(value) = value {
                draft.$($field)+ = value.try_into().map_err(|_| "it is too large".to_owned())?;
            }
            Ok(())
        }
    };
}

mod extension;

/// Sections in their order, with their descriptions.
pub(super) const SECTIONS: &[(&str, &str)] = &[
    ("broker", "The background process that keeps the connections."),
    ("memory", "Memory limits of the broker."),
    (
        "journal",
        "Sessions with `durability: \"disk\"`. Read when the broker starts.",
    ),
    (
        "tls",
        "Certificates in addition to those of the operating system. Paths are relative to this file.",
    ),
    ("proxy", "The proxy for sessions that do not set their own."),
    (
        "update",
        "Where `longwire update --check` looks for newer versions. Nothing is checked or installed automatically.",
    ),
    (
        DEFAULT,
        "Permissions and limits of every extension without a section of its own.",
    ),
];

/// The section of extensions that are not named.
pub(super) const DEFAULT: &str = "default";

/// The section of those that are.
pub(super) const EXTENSION: &str = "extension";

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "broker.idle-minutes",
        kind: SettingKind::Number(1, 10_080),
        default: "10",
        about: "Minutes until the broker exits while no browser is connected and no session is held.\n\
                LONGWIRE_IDLE_SECONDS overrides it.",
        set: into!(Number, idle_minutes),
    },
    Key {
        name: "broker.dials-per-second",
        kind: SettingKind::Number(1, 1000),
        default: "4",
        about: "Rate limit: dials a second to other machines, for all extensions together.",
        set: into!(Number, per_second),
    },
    Key {
        name: "broker.dial-burst",
        kind: SettingKind::Number(1, 1000),
        default: "16",
        about: "Burst size for sessions that were just opened; redials after a loss have no burst.",
        set: into!(Number, burst),
    },
    Key {
        name: "memory.total",
        kind: SettingKind::Number(64, 1_048_576),
        default: "1024",
        about: "Megabytes of memory for all extensions together. When they are used up, the extension that uses most\n\
                loses its oldest messages first, reported as a gap.",
        set: into!(Number, memory_total),
    },
    Key {
        name: "journal.session-megabytes",
        kind: SettingKind::Number(1, 65_536),
        default: "128",
        about: "Maximum disk space of one session. A session that needs more continues in memory and reports it.",
        set: into!(Number, session_megabytes),
    },
    Key {
        name: "journal.extension-megabytes",
        kind: SettingKind::Number(1, 1_048_576),
        default: "512",
        about: "Maximum disk space of all sessions of one extension.",
        set: into!(Number, extension_megabytes),
    },
    Key {
        name: "journal.extension-journals",
        kind: SettingKind::Number(1, 1_000_000),
        default: "1000",
        about: "Maximum number of sessions on disk for one extension. Further ones continue in memory and report it.",
        set: into!(Number, extension_journals),
    },
    Key {
        name: "journal.total-megabytes",
        kind: SettingKind::Number(1, 1_048_576),
        default: "1024",
        about: "Maximum disk space of all sessions.",
        set: into!(Number, total_megabytes),
    },
    Key {
        name: "tls.ca-files",
        kind: SettingKind::List,
        default: "[]",
        about: "PEM files with additional certificate authorities.",
        set: into!(List, ca_files),
    },
    Key {
        name: "tls.client-certificate",
        kind: SettingKind::Text,
        default: "\"\"",
        about: "A PEM file with a client certificate and its chain, for servers that request one.",
        set: into!(Text, client_certificate),
    },
    Key {
        name: "tls.client-key",
        kind: SettingKind::Text,
        default: "\"\"",
        about: "The PEM file with its private key.",
        set: into!(Text, client_key),
    },
    Key {
        name: "tls.client-hosts",
        kind: SettingKind::List,
        default: "[]",
        about: "Hosts, without port, that receive this certificate. No other host does.",
        set: into!(List, client_hosts),
    },
    Key {
        name: "tls.insecure-hosts",
        kind: SettingKind::List,
        default: "[]",
        about: "Hosts, without port, whose certificates are not checked. Anyone on the network path can read and change\n\
                their traffic. `longwire status` marks such sessions.",
        set: into!(List, insecure_hosts),
    },
    Key {
        name: "proxy.url",
        kind: SettingKind::Text,
        default: "\"system\"",
        about: "\"system\": HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY; without them the settings of macOS or\n\
                Windows. Proxy scripts (PAC) and the settings of GNOME and KDE are not supported: set the proxy here.\n\
                \"none\": no proxy. Or a proxy: \"http://user:password@proxy.example:3128\", \"socks5://proxy.example\".",
        set: |draft, value| {
            let SettingValue::Text(url) = value else {
                return Ok(());
            };
            if !matches!(url.as_str(), "system" | "none") {
                let scheme = url::Url::parse(&url).map(|url| url.scheme().to_owned());
                if !matches!(scheme.as_deref(), Ok("http" | "socks5" | "socks5h" | "socks")) {
                    return Err("it must be `system`, `none`, or an `http://` or `socks5://` URL".to_owned());
                }
            }
            draft.proxy.url = url;
            Ok(())
        },
    },
    Key {
        name: "proxy.except",
        kind: SettingKind::List,
        default: "[]",
        about: "With a proxy set in `url`: hosts to dial directly, in the form of NO_PROXY: [\"intranet.example\",\n\
                \"*.corp.example\", \"10.0.0.0/8\", \"10.*\", \"host.example:8443\", \"[fd00::1]\"]. A name includes its\n\
                subdomains. This machine is always dialled directly.",
        set: into!(List, proxy.except),
    },
    Key {
        name: "proxy.credentials",
        kind: SettingKind::List,
        default: "[]",
        about: "For proxies whose URL has no credentials: \"user:password@proxy.example:3128\".",
        set: |draft, value| {
            let SettingValue::List(list) = value else {
                return Ok(());
            };
            for (index, text) in list.iter().enumerate() {
                let parts = text.rsplit_once('@').and_then(|(who, place)| {
                    let (user, password) = who.split_once(':')?;
                    let port: u16 = place.rsplit_once(':')?.1.parse().ok()?;
                    (port > 0).then(|| (place.to_ascii_lowercase(), user.to_owned(), password.to_owned()))
                });
                // The text may be a password: it is not repeated.
                let why = || format!("element {}: it must be `user:password@host:port`", index + 1);
                draft.proxy.credentials.push(parts.ok_or_else(why)?);
            }
            Ok(())
        },
    },
    Key {
        name: "update.index",
        kind: SettingKind::Text,
        default: "\"\"",
        about: "The URL of the signed index; its signature is at the same URL with `.minisig` behind it. Without one, that of\n\
                the package, if it has one.",
        set: |draft, value| {
            let SettingValue::Text(url) = value else {
                return Ok(());
            };
            if !url.is_empty() && !super::is_index_url(&url) {
                return Err("it is no https: URL (http: is for this machine only)".to_owned());
            }
            draft.update.index = url;
            Ok(())
        },
    },
    Key {
        name: "update.key",
        kind: SettingKind::Text,
        default: "\"\"",
        about: "The minisign public key that signs the index, in base64: the second line of a `.pub` file.",
        set: |draft, value| {
            if let SettingValue::Text(key) = value {
                draft.update.key = key;
            }
            Ok(())
        },
    },
];

/// A file with every key, commented out, at its default.
pub fn sample() -> String {
    let mut out = String::from(
        "# Longwire's settings. Lists every key with its default; remove the `#` before those you change.\n\
         # `longwire config` shows the effective settings and where each value comes from; `longwire config --reload`\n\
         # makes a running broker read this file again.\n",
    );
    let comment = |out: &mut String, text: &str| {
        for line in text.lines() {
            let _ = writeln!(out, "# {line}");
        }
    };
    for (section, about) in SECTIONS {
        out.push('\n');
        comment(&mut out, about);
        let _ = writeln!(out, "[{section}]");
        let keys = KEYS.iter().filter_map(|key| {
            let name = key.name.strip_prefix(section)?.strip_prefix('.')?;
            Some((name, key.default, key.about))
        });
        let rules = RULES
            .iter()
            .filter(|_| *section == DEFAULT)
            .map(|key| (key.name, key.default, key.about));
        for (name, default, about) in keys.chain(rules) {
            out.push('\n');
            comment(&mut out, about);
            let _ = writeln!(out, "#{name} = {default}");
        }
    }
    out.push_str(
        "\n# One extension, by its Chromium id or its Firefox add-on id. Missing keys are those of [default].\n\
         #[extension.\"cfgjijgalloanpinpjgfgakgkbhlgcka\"]\n\
         #allow = [\"wss://*.example.com\"]\n",
    );
    out
}

impl Settings {
    /// The value of a key, for people and tests.
    pub fn entry(&self, name: &str) -> Option<(&str, SettingSource)> {
        let entry = self.entries.iter().find(|entry| entry.name == name)?;
        Some((&entry.value, entry.source))
    }
}

impl Draft {
    /// Minutes as a span.
    pub(super) const fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_minutes * 60)
    }
}
