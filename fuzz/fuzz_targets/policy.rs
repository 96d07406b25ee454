//! Any URL and any pattern of `allow`: read or refused, and a URL is never allowed by a pattern of another host.
//!
//! The first line is the pattern, the rest the URL.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use longwire::core::policy::parse_url;

fuzz_target!(|text: &str| {
    let (pattern, url) = text.split_once('\n').unwrap_or(("wss://*", text));
    let settings = format!(
        "[default]\nallow = [{}]\n",
        serde_json::to_string(pattern).unwrap()
    );
    let Ok(settings) = longwire::settings::parse(&settings, Path::new("/nonexistent")) else {
        return;
    };
    let rule = settings.rules.of("chrome-extension://a/");
    let Ok(url) = parse_url(url, rule) else { return };
    assert!(matches!(url.scheme(), "ws" | "wss" | "http" | "https"));
    // A pattern that names one host is read as a URL is: that host and no other.
    let named = pattern
        .split_once("://")
        .filter(|(_, rest)| !rest.contains('*') && !rest.starts_with("loopback"));
    if let Some((_, rest)) = named {
        let named = url::Url::parse(&format!("wss://{rest}")).unwrap();
        assert_eq!(named.host_str(), url.host_str(), "{pattern} allows {url}");
    }
});
