//! Apps that use the SDK for Node.js: the path of their manifest, and its complete removal.

use serde_json::{Value, json as value};

use super::{Home, ID, NAME, json, manifests};

const APP: &str = "com.example.editor";

#[test]
fn an_app_is_registered_in_longwires_own_folder_and_removed() {
    let home = Home::new();
    let before = home.tree();
    home.done(&["install", "--app", APP]);
    let path = home.path(".local/state/longwire/apps").join(NAME);
    let manifest = json(&path);
    assert_eq!(manifest["allowed_apps"], value!([APP]));
    assert_eq!(manifest["type"], "stdio");
    home.done(&["install", "--app", "app://com.example.other"]);
    assert_eq!(json(&path)["allowed_apps"], value!([APP, "com.example.other"]));
    home.done(&["uninstall"]);
    assert_eq!(home.tree(), before);
}

#[test]
fn an_app_and_an_extension_are_registered_side_by_side() {
    let home = Home::new().with(&[".config/chromium"]);
    home.done(&["install", "--app", APP, "--extension", ID]);
    let [apps, browser] = manifests(&home)
        .try_into()
        .map_err(|all| format!("{all:?}"))
        .unwrap();
    let (browser, apps) = if browser.starts_with(home.path(".config")) {
        (browser, apps)
    } else {
        (apps, browser)
    };
    assert_eq!(json(&browser).get("allowed_apps"), None);
    assert_eq!(json(&apps).get("allowed_origins"), None);
    let origin = Value::from(format!("chrome-extension://{ID}/"));
    assert_eq!(json(&browser)["allowed_origins"], value!([origin]));
}

#[test]
fn for_all_users_the_manifest_is_in_the_system_folder() {
    let home = Home::new();
    home.for_all(&["install", "--app", APP, "--system"]);
    let manifest = json(&home.root().join("etc/longwire/apps").join(NAME));
    assert_eq!(manifest["allowed_apps"], value!([APP]));
}

#[test]
fn an_invalid_app_id_is_refused_with_the_expected_form() {
    let output = Home::new().run(&["install", "--app", "my app"]);
    assert_eq!(output.status.code(), Some(2));
    let stdout = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stdout.contains("com.example.editor"), "{stdout}");
}
