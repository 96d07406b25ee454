//! Any text as a native messaging manifest, a host's name and an extension's id: understood or refused.
#![no_main]

use installer::manifest::{self, ExtensionId, HostName};
use installer::types::Family;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for family in [Family::Chromium, Family::Firefox] {
        let entries = manifest::entries(family, text);
        assert!(entries.iter().map(String::len).sum::<usize>() <= text.len());
    }
    let _ = manifest::program(text);
    let _ = manifest::is_described_as_ours(text);
    if let Ok(name) = HostName::parse(text) {
        assert!(name.file().len() <= text.len() + 16 && !name.file().contains('/'));
    }
    if let Ok(id) = ExtensionId::parse(text) {
        assert!(id.entry().len() <= text.len() + 64);
    }
});
