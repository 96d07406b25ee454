//! Every key of the settings file: its kind, its default, what it says to people, and where its value goes.
//!
//! It reads no file. The sample is made of this table, so that neither can know a key that the other does not.

use std::fmt::Write as _;
use std::time::Duration;

use crate::core::rules::{HostPattern, Pattern, Rule};

use super::{Settings, Source};

/// A value as the file holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Number(u64),
    Switch(bool),
    Text(String),
    List(Vec<String>),
}

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// From, to.
    Number(u64, u64),
    Switch,
    Text,
    List,
}

/// A key of the whole broker.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// As TOML.
    pub(super) default: &'static str,
    pub(super) about: &'static str,
    pub(super) set: fn(&mut Draft, Value) -> Result<(), String>,
}

/// A key of `[default]` and of each `[extension."..."]`.
pub(super) struct RuleKey {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) default: &'static str,
    pub(super) about: &'static str,
    pub(super) set: fn(&mut Rule, Value) -> Result<(), String>,
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
    pub(super) proxy: super::Proxy,
}

/// Puts a value into a field of the same kind. The reader has checked the kind.
macro_rules! into {
    ($kind:ident, $($field:tt)+) => {
        |draft, value| {
            if let Value::$kind(value) = value {
                draft.$($field)+ = value.try_into().map_err(|_| "it is too large".to_owned())?;
            }
            Ok(())
        }
    };
}

/// Sections in their order, with what is said about each.
pub(super) const SECTIONS: &[(&str, &str)] = &[
    ("broker", "The background process that holds the connections."),
    ("memory", "What the broker may hold in memory."),
    (
        "journal",
        "Sessions with `durability: \"disk\"`. Read when the broker starts.",
    ),
    (
        "tls",
        "Whom to trust beyond the operating system's certificates. Paths are relative to this file.",
    ),
    (
        "proxy",
        "How the internet is reached, unless a session names a proxy of its own.",
    ),
    (
        DEFAULT,
        "What every extension may do that has no section of its own.",
    ),
];

/// The section of extensions that are not named.
pub(super) const DEFAULT: &str = "default";
/// The section of those that are.
pub(super) const EXTENSION: &str = "extension";

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "broker.idle-minutes",
        kind: Kind::Number(1, 10_080),
        default: "10",
        about: "Minutes the broker stays when no browser is connected and no session is held.\n\
                LONGWIRE_IDLE_SECONDS overrules it.",
        set: into!(Number, idle_minutes),
    },
    Key {
        name: "broker.dials-per-second",
        kind: Kind::Number(1, 1000),
        default: "4",
        about: "Dials a second to other machines, of all extensions together.",
        set: into!(Number, per_second),
    },
    Key {
        name: "broker.dial-burst",
        kind: Kind::Number(1, 1000),
        default: "16",
        about: "Sessions that were just opened may dial this often at once; redials after a loss never do.",
        set: into!(Number, burst),
    },
    Key {
        name: "memory.total",
        kind: Kind::Number(64, 1_048_576),
        default: "1024",
        about: "Megabytes that the broker may hold for all extensions together. When there is no more, the extension that holds most\n\
                loses its oldest messages first, with a gap.",
        set: into!(Number, memory_total),
    },
    Key {
        name: "journal.session-megabytes",
        kind: Kind::Number(1, 65_536),
        default: "128",
        about: "The most one session may take on disk. A session that needs more goes on in memory, and says so.",
        set: into!(Number, session_megabytes),
    },
    Key {
        name: "journal.extension-megabytes",
        kind: Kind::Number(1, 1_048_576),
        default: "512",
        about: "The most all sessions of one extension may take on disk together.",
        set: into!(Number, extension_megabytes),
    },
    Key {
        name: "journal.extension-journals",
        kind: Kind::Number(1, 1_000_000),
        default: "1000",
        about: "Sessions that one extension may have on disk. Further ones go on in memory, and say so.",
        set: into!(Number, extension_journals),
    },
    Key {
        name: "journal.total-megabytes",
        kind: Kind::Number(1, 1_048_576),
        default: "1024",
        about: "The most all sessions may take on disk together.",
        set: into!(Number, total_megabytes),
    },
    Key {
        name: "tls.ca-files",
        kind: Kind::List,
        default: "[]",
        about: "PEM files with certificate authorities to trust as well.",
        set: into!(List, ca_files),
    },
    Key {
        name: "tls.client-certificate",
        kind: Kind::Text,
        default: "\"\"",
        about: "A PEM file with our own certificate and its chain, for servers that ask.",
        set: into!(Text, client_certificate),
    },
    Key {
        name: "tls.client-key",
        kind: Kind::Text,
        default: "\"\"",
        about: "The PEM file with its private key.",
        set: into!(Text, client_key),
    },
    Key {
        name: "tls.client-hosts",
        kind: Kind::List,
        default: "[]",
        about: "The hosts that are shown this certificate, without port; nobody else is.",
        set: into!(List, client_hosts),
    },
    Key {
        name: "tls.insecure-hosts",
        kind: Kind::List,
        default: "[]",
        about: "Hosts, without port, whose certificate is not checked at all. Anybody on the way can read and change\n\
                what is said to them. `longwire status` shows such sessions.",
        set: into!(List, insecure_hosts),
    },
    Key {
        name: "proxy.url",
        kind: Kind::Text,
        default: "\"system\"",
        about: "\"system\": HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY; without them the settings of macOS or\n\
                Windows. Proxy scripts (PAC) and GNOME's and KDE's settings are not read: name the proxy here.\n\
                \"none\": no proxy. Or a proxy: \"http://user:password@proxy.example:3128\", \"socks5://proxy.example\".",
        set: |draft, value| {
            let Value::Text(url) = value else { return Ok(()) };
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
        kind: Kind::List,
        default: "[]",
        about: "With a proxy named in `url`: hosts that are dialled directly, as NO_PROXY has them: [\"intranet.example\",\n\
                \"*.corp.example\", \"10.0.0.0/8\", \"10.*\", \"host.example:8443\", \"[fd00::1]\"]. A name stands for\n\
                what is below it too. This machine is always dialled directly.",
        set: into!(List, proxy.except),
    },
    Key {
        name: "proxy.credentials",
        kind: Kind::List,
        default: "[]",
        about: "For proxies whose URL holds none: \"user:password@proxy.example:3128\".",
        set: |draft, value| {
            let Value::List(list) = value else { return Ok(()) };
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
];

pub(super) const RULES: &[RuleKey] = &[
    RuleKey {
        name: "enabled",
        kind: Kind::Switch,
        default: "true",
        about: "Whether it may use Longwire at all.",
        set: into!(Switch, enabled),
    },
    RuleKey {
        name: "allow",
        kind: Kind::List,
        default: "[\"wss://*\", \"ws://loopback\"]",
        about: "The URLs it may dial: scheme://host[:port][/path]. scheme: ws, wss or *; http and https mean the same.\n\
                host: a name or address, *.name (it and what is below it), *, or loopback (this machine). port: any if it\n\
                is missing. path: exact, or with /* at its end all below; any if it is missing. Link-local addresses and\n\
                clouds' metadata services are never dialled, whatever name leads there.",
        set: |rule, value| {
            if let Value::List(list) = value {
                let read = |text: &String| Pattern::parse(text).map_err(|why| format!("`{text}`: {why}"));
                rule.allow = list.iter().map(read).collect::<Result<_, _>>()?;
            }
            Ok(())
        },
    },
    RuleKey {
        name: "any-origin",
        kind: Kind::Switch,
        default: "false",
        about: "Whether it may send an Origin header other than its own, and so pass for a web page.",
        set: into!(Switch, any_origin),
    },
    RuleKey {
        name: "own-proxy",
        kind: Kind::Switch,
        default: "false",
        about: "Whether its sessions may name a proxy of their own. `allow` must cover the proxy's host and port too.\n\
                Where it is not set, only a list in `allow` other than the default lets them.",
        set: into!(Switch, own_proxy),
    },
    RuleKey {
        name: "local-names",
        kind: Kind::List,
        default: "[]",
        about: "Names beside localhost that may lead to this machine or to a link-local address, as in\n\
                [\"myapp.test\", \"*.dev.example\"]. Any other name that does is not dialled.",
        set: |rule, value| {
            if let Value::List(list) = value {
                let read = |text: &String| HostPattern::parse(text).map_err(|why| format!("`{text}`: {why}"));
                rule.local_names = list.iter().map(read).collect::<Result<_, _>>()?;
            }
            Ok(())
        },
    },
    RuleKey {
        name: "profiles",
        kind: Kind::Number(1, 100_000),
        default: "32",
        about: "Browser profiles it may hold sessions in.",
        set: into!(Number, profiles),
    },
    RuleKey {
        name: "sessions",
        kind: Kind::Number(1, 100_000),
        default: "256",
        about: "Sessions it may hold in one browser profile.",
        set: into!(Number, sessions),
    },
    RuleKey {
        name: "megabytes",
        kind: Kind::Number(1, 1_048_576),
        default: "256",
        about: "Memory that all its sessions in all profiles may take together: messages that wait for it and for its servers,\n\
                requests, subscriptions, rules, names, and the sessions themselves. Beyond that messages are lost with a gap, and\n\
                requests for more are refused.",
        set: |rule, value| {
            if let Value::Number(megabytes) = value {
                rule.bytes = usize::try_from(megabytes << 20).unwrap_or(usize::MAX);
            }
            Ok(())
        },
    },
    RuleKey {
        name: "dials-per-minute",
        kind: Kind::Number(1, 60_000),
        default: "120",
        about: "Dials to other machines in the long run; some thirty may come at once.",
        set: into!(Number, dials_per_minute),
    },
    RuleKey {
        name: "loopback-ports-per-minute",
        kind: Kind::Number(1, 65_535),
        default: "16",
        about: "Ports of this machine it may dial in a minute that it has not dialled within the last hour; further dials wait.",
        set: into!(Number, loopback_ports_per_minute),
    },
];

/// A file with every key, commented out, at its default.
pub fn sample() -> String {
    let mut out = String::from(
        "# Longwire's settings. Every key is here with its default; remove the `#` before those you change.\n\
         # `longwire config` shows what holds and where it came from; `longwire config --reload` makes a running\n\
         # broker read this file again.\n",
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
        "\n# One extension, by its Chromium id or its Firefox add-on id. Keys that are missing are those of [default].\n\
         #[extension.\"cfgjijgalloanpinpjgfgakgkbhlgcka\"]\n\
         #allow = [\"wss://*.example.com\"]\n",
    );
    out
}

impl Settings {
    /// The value of a key, for people and tests.
    pub fn entry(&self, name: &str) -> Option<(&str, Source)> {
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
