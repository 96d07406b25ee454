//! Any bytes as what the installer remembers: read, or refused. What was read is written and read the same.
#![no_main]

use installer::receipt::Receipt;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("installed.json"), bytes).unwrap();
    let Ok(receipt) = Receipt::read(folder.path()) else {
        return;
    };
    let text = receipt.text(folder.path()).unwrap();
    std::fs::write(folder.path().join("installed.json"), &text).unwrap();
    let again = Receipt::read(folder.path()).unwrap();
    assert_eq!(again.text(folder.path()).unwrap(), text);
    assert!(
        text.len() <= 64 * bytes.len() + 4096,
        "{} bytes of {}",
        text.len(),
        bytes.len()
    );
});
