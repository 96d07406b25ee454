//! The keys of `[default]` and of each `[extension."..."]`: what an extension may do, and how much.

use super::{RuleKey, SettingKind, SettingValue};
use crate::core::rules::{HostPattern, Pattern};

pub(in crate::settings) const RULES: &[RuleKey] = &[
    RuleKey {
        name: "enabled",
        kind: SettingKind::Switch,
        default: "true",
        about: "Whether the extension may use Longwire.",
        set: into!(Switch, enabled),
    },
    RuleKey {
        name: "allow",
        kind: SettingKind::List,
        default: "[\"wss://*\", \"ws://loopback\"]",
        about: "The URLs it may dial: scheme://host[:port][/path]. scheme: ws, wss or *; http and https are equivalent.\n\
                host: a name or address, *.name (the name and its subdomains), *, or loopback (this machine). port: any if\n\
                missing. path: exact, or with a trailing /* everything below; any if missing. Link-local addresses and the\n\
                metadata services of clouds are never dialled, under any host name.",
        set: |rule, value| {
            if let SettingValue::List(list) = value {
                let read = |text: &String| Pattern::parse(text).map_err(|why| format!("`{text}`: {why}"));
                rule.allow = list.iter().map(read).collect::<Result<_, _>>()?;
            }
            Ok(())
        },
    },
    RuleKey {
        name: "any-origin",
        kind: SettingKind::Switch,
        default: "false",
        about: "Whether it may send an Origin header other than its own, and so impersonate a web page.",
        set: into!(Switch, any_origin),
    },
    RuleKey {
        name: "own-proxy",
        kind: SettingKind::Switch,
        default: "false",
        about: "Whether its sessions may use a proxy of their own. `allow` must cover the proxy's host and port too.\n\
                If this key is not set, sessions may do so only with an `allow` list other than the default.",
        set: into!(Switch, own_proxy),
    },
    RuleKey {
        name: "local-names",
        kind: SettingKind::List,
        default: "[]",
        about: "Names other than localhost that may resolve to this machine or to a link-local address, such as\n\
                [\"myapp.test\", \"*.dev.example\"]. Any other name that does is not dialled.",
        set: |rule, value| {
            if let SettingValue::List(list) = value {
                let read = |text: &String| HostPattern::parse(text).map_err(|why| format!("`{text}`: {why}"));
                rule.local_names = list.iter().map(read).collect::<Result<_, _>>()?;
            }
            Ok(())
        },
    },
    RuleKey {
        name: "profiles",
        kind: SettingKind::Number(1, 100_000),
        default: "32",
        about: "Maximum number of browser profiles with sessions.",
        set: into!(Number, profiles),
    },
    RuleKey {
        name: "sessions",
        kind: SettingKind::Number(1, 100_000),
        default: "256",
        about: "Maximum number of sessions in one browser profile.",
        set: into!(Number, sessions),
    },
    RuleKey {
        name: "megabytes",
        kind: SettingKind::Number(1, 1_048_576),
        default: "256",
        about: "Memory for all its sessions in all profiles: messages that wait for it and for its servers, requests,\n\
                subscriptions, rules, names, and the sessions themselves. Beyond that, messages are dropped with a gap and\n\
                requests for more are refused.",
        set: |rule, value| {
            if let SettingValue::Number(megabytes) = value {
                rule.bytes = usize::try_from(megabytes << 20).unwrap_or(usize::MAX);
            }
            Ok(())
        },
    },
    RuleKey {
        name: "dials-per-minute",
        kind: SettingKind::Number(1, 60_000),
        default: "120",
        about: "Rate limit: dials to other machines a minute, with a burst of about thirty.",
        set: into!(Number, dials_per_minute),
    },
    RuleKey {
        name: "loopback-ports-per-minute",
        kind: SettingKind::Number(1, 65_535),
        default: "16",
        about: "Rate limit: new ports of this machine a minute. A port is new if it was not dialled within the last hour.\n\
                Further dials wait.",
        set: into!(Number, loopback_ports_per_minute),
    },
];
