//! Settings files: what each means, and where each fault is.

use std::time::Duration;

use super::super::sample;
use super::*;

fn read(text: &str) -> Settings {
    parse(text, Path::new("/nowhere")).unwrap()
}

fn faults(text: &str) -> Vec<(usize, usize, String)> {
    let faults = parse(text, Path::new("/nowhere")).unwrap_err();
    faults
        .into_iter()
        .map(|fault| (fault.line, fault.column, fault.message))
        .collect()
}

#[test]
fn no_file_the_sample_and_the_uncommented_sample_are_equivalent() {
    let nothing = read("");
    assert_eq!(nothing.rules, Rules::default());
    assert_eq!(nothing.broker.idle, Duration::from_secs(600));
    assert_eq!(
        (nothing.journal.session, nothing.journal.total),
        (128 << 20, 1 << 30)
    );
    let sample = sample();
    assert_eq!(read(&sample).entries, nothing.entries);
    let every = sample
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => rest,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n");
    let every = read(&every);
    assert_eq!(every.rules.default, nothing.rules.default);
    assert_eq!(every.rules.extensions.len(), 1, "the example at the end");
    assert_eq!(every.entries.len(), nothing.entries.len() + 1);
    for (given, default) in every.entries.iter().zip(&nothing.entries) {
        assert_eq!((&given.name, &given.value), (&default.name, &default.value));
        assert_ne!(given.source, SettingSource::Default, "{}", given.name);
    }
}

#[test]
fn the_documentation_contains_the_sample() {
    let page = include_str!("../../../docs/SETTINGS.md");
    assert!(
        page.contains(&sample()),
        "put this into docs/SETTINGS.md:\n{}",
        sample()
    );
}

#[test]
fn an_extension_table_overrides_only_its_own_keys() {
    let settings = read(
        "[default]\nsessions = 3\nallow = []\n\
         [extension.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\nallow = [\"wss://a\"]\n\
         [extension.\"add-on@example.org\"]\nenabled = false\n",
    );
    let of = |origin| settings.rules.of(origin);
    assert_eq!(of("chrome-extension://bbbb/").sessions, 3);
    assert!(of("chrome-extension://bbbb/").allow.is_empty());
    let named = of("chrome-extension://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/");
    assert_eq!((named.sessions, named.allow.len()), (3, 1));
    assert!(!of("add-on@example.org").enabled);
    assert_eq!(
        settings.entry("default.sessions"),
        Some(("3", SettingSource::Line(2)))
    );
    assert_eq!(
        settings.entry("default.enabled"),
        Some(("true", SettingSource::Default))
    );
    assert_eq!(
        settings.entry("extension.\"add-on@example.org\".enabled"),
        Some(("false", SettingSource::Line(7)))
    );
}

#[test]
fn an_allow_list_permits_matching_proxies_unless_own_proxy_is_false() {
    let own_proxy = |text: &str| {
        let settings = read(text);
        let shown = settings
            .entry("default.own-proxy")
            .map(|(value, _)| value.to_owned());
        let held = settings.rules.of("chrome-extension://bbbb/").own_proxy;
        assert_eq!(shown, Some(held.to_string()), "{text}");
        held
    };
    assert!(!own_proxy(""));
    assert!(own_proxy("[default]\nallow = [\"ws://*\", \"wss://*\"]"));
    assert!(!own_proxy(
        "[default]\nallow = [\"ws://loopback\"]\nown-proxy = false"
    ));
    assert!(!own_proxy("[default]\nallow = [\"wss://*\", \"ws://loopback\"]"));
    assert!(own_proxy("[default]\nown-proxy = true"));
    let named = "[default]\nown-proxy = false\n[extension.aaaa]\nallow = [\"wss://a\"]";
    assert!(!read(named).rules.of("aaaa").own_proxy, "the default applies");
}

#[test]
fn every_error_has_line_and_column() {
    for (text, line, column, words) in [
        ("[broker]\nidle-minutes = \"x\"", 2, 16, "whole number from 1"),
        (
            "[broker]\n\n  idle = 3",
            3,
            3,
            "unknown key `idle`; known: idle-minutes",
        ),
        ("[brokre]", 1, 2, "unknown section `brokre`"),
        ("broker = 1", 1, 10, "is a section"),
        ("[broker]\nidle-minutes = ", 2, 16, ""),
        ("[default]\nallow = [\"*.example.com\"]", 2, 9, "it has no scheme"),
        ("[default]\nallow = \"wss://a\"", 2, 9, "a list of strings"),
        ("[default]\nenabled = 1", 2, 11, "`true` or `false`"),
        ("[extension]\na = 1", 2, 5, "[extension.\"a\"]"),
        ("[tls]\nca-files = [\"no.pem\"]", 2, 12, "/nowhere/no.pem"),
        ("[tls]\nclient-key = \"a\"", 2, 14, "must be set together"),
        ("[proxy]\nurl = \"ftp://a\"", 2, 7, "`http://` or `socks5://`"),
    ] {
        let faults = faults(text);
        let (at_line, at_column, message) = &faults[0];
        assert_eq!((*at_line, *at_column), (line, column), "{text}: {message}");
        assert!(message.contains(words), "{text}: {message}");
    }
    let several = faults("[default]\nenabled = 1\n[broker]\nidle-minutes = 0\n[x]");
    assert_eq!(several.iter().map(|fault| fault.0).collect::<Vec<_>>(), [2, 4, 5]);
}

#[test]
fn passwords_are_neither_shown_nor_repeated() {
    let settings =
        read("[proxy]\nurl = \"http://me:canary@proxy:1\"\ncredentials = [\"me:can@ary@proxy:1\"]\n");
    assert_eq!(
        settings.proxy.credentials[0],
        ("proxy:1".into(), "me".into(), "can@ary".into())
    );
    assert_eq!(
        settings.entry("proxy.url").unwrap().0,
        "\"http://me:***@proxy:1\""
    );
    assert!(!format!("{settings:?}").contains("can"), "{settings:?}");
    let faults = faults("[proxy]\ncredentials = [\"canary\"]\nurl = \"canary\"\n");
    assert!(
        faults.iter().all(|fault| !fault.2.contains("canary")),
        "{faults:?}"
    );
}

#[test]
fn the_environment_overrides_the_file() {
    let mut settings = read("[broker]\nidle-minutes = 5\n");
    settings.heed_environment(Some("nonsense"));
    assert_eq!(settings.broker.idle, Duration::from_secs(300));
    settings.heed_environment(Some("90"));
    assert_eq!(settings.broker.idle, Duration::from_secs(90));
    let (value, source) = settings.entry("broker.idle-minutes").unwrap();
    assert_eq!(
        (value, source.to_string().as_str()),
        ("1.5", "environment LONGWIRE_IDLE_SECONDS")
    );
}
