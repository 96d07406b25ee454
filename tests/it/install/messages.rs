//! The output before and after, for people and for scripts.

use serde_json::Value;

use super::{EVERY_BROWSER, Home, ID};

#[test]
fn a_dry_run_shows_every_path_and_touches_nothing() {
    let home = Home::new().with(EVERY_BROWSER);
    let before = home.tree();
    let shown = home.done(&["install", "--extension", ID, "--dry-run"]);
    assert_eq!(home.tree(), before);
    home.done(&["install", "--extension", ID]);
    for path in home.tree().keys().filter(|path| !before.contains_key(*path)) {
        assert!(
            shown.contains(path.to_str().unwrap()),
            "not shown: {}",
            path.display()
        );
    }
    let installed = home.tree();
    let shown = home.done(&["uninstall", "--dry-run"]);
    assert_eq!(home.tree(), installed);
    for path in installed.keys().filter(|path| !before.contains_key(*path)) {
        assert!(
            shown.contains(path.to_str().unwrap()),
            "not shown: {}",
            path.display()
        );
    }
}

#[test]
fn json_is_one_document() {
    let home = Home::new().with(&[".config/chromium", ".mozilla"]);
    let text = home.done(&["install", "--extension", ID, "--dry-run", "--json"]);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["action"], "install");
    assert_eq!(document["dryRun"], true);
    assert_eq!(document["manifests"][0]["change"], "create");
    assert_eq!(document["manifests"][0]["browsers"][0], "chromium");
    assert_eq!(document["skipped"][0]["browser"], "firefox");
    let text = home.done(&["uninstall", "--json"]);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["changed"], false);
}

#[test]
fn all_names_are_reported_in_one_document() {
    let home = Home::new().with(&[".config/chromium"]);
    let before = home.tree();
    let names = ["com.longwire.bridge", "com.semantest.bridge"];
    for name in names {
        home.done(&["install", "--extension", ID, "--name", name]);
    }
    let report = |args: &[&str]| -> Value {
        let text = home.done(&[&["uninstall", "--all", "--json"], args].concat());
        serde_json::from_str(&text).unwrap()
    };
    let installed = home.tree();
    for (args, is_dry) in [(&["--dry-run"][..], true), (&[], false)] {
        assert_eq!(home.tree(), installed);
        let document = report(args);
        assert_eq!(document["action"], "uninstall");
        assert_eq!(document["dryRun"], is_dry);
        assert_eq!(document["changed"], true);
        let hosts = document["hosts"].as_array().unwrap();
        assert_eq!(hosts.len(), names.len());
        for (host, name) in hosts.iter().zip(names) {
            assert_eq!(host["name"], name);
            assert_eq!(host["manifests"][0]["change"], "remove");
        }
    }
    assert_eq!(home.tree(), before);
    let document = report(&[]);
    assert_eq!(document["changed"], false);
    assert_eq!(document["hosts"][0]["name"], names[0]);
}
