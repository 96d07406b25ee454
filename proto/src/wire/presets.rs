//! Options for well-known servers, selectable by name: data, not code.
//!
//! It knows no server itself; `presets.json` does. An option of the session's own always wins.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Names and options.
const PRESETS: &str = include_str!("presets.json");

/// The options of a preset as they stand in the data, by name.
type PresetFields = BTreeMap<String, Box<RawValue>>;

/// The options that this name stands for, or the names there are.
pub(super) fn preset(name: &str) -> Result<PresetFields, String> {
    let mut presets: BTreeMap<String, PresetFields> =
        serde_json::from_str(PRESETS).map_err(|error| error.to_string())?;
    presets.remove(name).ok_or_else(|| {
        let names: Vec<String> = presets.into_keys().collect();
        format!("there is none named `{name}`; known: {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::super::options::{CloseClass, Options};
    use super::*;

    fn options(json: &str) -> Options {
        let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
        let (options, ignored) = Options::from_json(&raw).unwrap();
        assert_eq!(ignored, Vec::<String>::new());
        options
    }

    #[test]
    fn every_preset_uses_existing_options() {
        let presets: BTreeMap<String, PresetFields> = serde_json::from_str(PRESETS).unwrap();
        assert_eq!(
            presets.keys().map(String::as_str).collect::<Vec<_>>(),
            [
                "ably",
                "centrifugo",
                "discord",
                "graphql-transport-ws",
                "phoenix",
                "pusher",
                "signalr"
            ]
        );
        for name in presets.keys() {
            let preset = options(&format!(r#"{{"preset":"{name}"}}"#));
            assert_ne!(preset, Options::default(), "{name}");
        }
    }

    #[test]
    fn every_preset_heartbeat_is_shorter_than_proxy_idle_timeouts() {
        let presets: BTreeMap<String, PresetFields> = serde_json::from_str(PRESETS).unwrap();
        for name in presets.keys() {
            let preset = options(&format!(r#"{{"preset":"{name}"}}"#));
            let interval = preset.heartbeat.map(|heartbeat| heartbeat.interval);
            assert!(interval.is_some_and(|interval| interval < 50_000), "{name}");
        }
    }

    #[test]
    fn session_options_override_presets_and_close_codes_are_merged() {
        let mine = options(
            r#"{"closeCodes":{"4004":"stop","4999":"stop"},"format":"text","preset":"discord","heartbeat":false}"#,
        );
        assert!(!mine.json && mine.heartbeat.is_none());
        for (code, class) in [
            (4001, Some(CloseClass::Retry)),
            (4004, Some(CloseClass::Stop)),
            (4010, Some(CloseClass::Stop)),
            (4014, Some(CloseClass::Stop)),
            (4015, None),
            (4999, Some(CloseClass::Stop)),
        ] {
            assert_eq!(mine.close_codes.get(&code), class.as_ref(), "{code}");
        }
    }

    #[test]
    fn a_single_close_code_overrides_its_range() {
        let centrifugo = options(r#"{"preset":"centrifugo"}"#);
        assert_eq!(centrifugo.close_codes.get(&3005), Some(&CloseClass::Auth));
        assert_eq!(centrifugo.close_codes.get(&3006), Some(&CloseClass::Retry));
    }

    #[test]
    fn an_unknown_preset_error_lists_the_known_presets() {
        let raw: Box<RawValue> = serde_json::from_str(r#"{"preset":"x"}"#).unwrap();
        let error = Options::from_json(&raw).unwrap_err();
        assert!(
            error.message.contains("option `preset`") && error.message.contains("phoenix"),
            "{}",
            error.message
        );
    }
}
