//! Plans for the systems on which the tests do not run: where manifests and keys would go.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::{Choice, InstallPaths, PlanStep, install, uninstall};
use crate::browsers::{BROWSERS, Base, ManifestSource, Scope, System};
use crate::environment::Environment;
use crate::manifest::{ExtensionId, HostName};

const ID: &str = "cfgjijgalloanpinpjgfgakgkbhlgcka";

/// A machine of this system on which every browser has a profile.
fn full(system: System) -> (tempfile::TempDir, Environment, InstallPaths) {
    let scratch = tempfile::tempdir().unwrap();
    let mut env = Environment::within(scratch.path());
    env.system = system;
    for place in BROWSERS.iter().flat_map(|browser| browser.on(system).user) {
        fs::create_dir_all(env.resolve(place.sign)).unwrap();
    }
    let program = scratch.path().join("downloads/longwire");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::write(&program, "a program").unwrap();
    let paths = InstallPaths {
        program,
        state: env.home.join("state"),
    };
    (scratch, env, paths)
}

fn choice(scope: Scope) -> Choice {
    Choice {
        name: HostName::parse("com.longwire.bridge").unwrap(),
        browsers: Vec::new(),
        scope,
        sandboxed: false,
        user_data_dir: None,
    }
}

fn ids() -> Vec<ExtensionId> {
    [ID, "a@b"]
        .iter()
        .map(|id| ExtensionId::parse(id).unwrap())
        .collect()
}

#[test]
fn on_macos_every_browser_gets_a_manifest_in_its_own_folder() {
    let (_scratch, env, paths) = full(System::MacOs);
    for scope in [Scope::User, Scope::System] {
        let plan = install(&env, &paths, &choice(scope), &ids()).unwrap();
        let planned: BTreeSet<PathBuf> = plan.manifests.iter().map(|one| one.path.clone()).collect();
        for browser in BROWSERS {
            for hosts in browser.places(&env, scope) {
                let ManifestSource::Folder(base_folder) = hosts else {
                    panic!("{} has keys on macOS", browser.name);
                };
                assert!([Base::Support, Base::Root].contains(&base_folder.base));
                let path = env.resolve(base_folder).join("com.longwire.bridge.json");
                assert!(planned.contains(&path), "{}: {}", browser.name, path.display());
            }
        }
    }
    let support = env.home.join("Library/Application Support");
    let plan = install(&env, &paths, &choice(Scope::User), &ids()).unwrap();
    for inside in [
        "Google/Chrome/NativeMessagingHosts",
        "Microsoft Edge Canary/NativeMessagingHosts",
        "Arc/User Data/NativeMessagingHosts",
        "Mozilla/NativeMessagingHosts",
    ] {
        let path = support.join(inside).join("com.longwire.bridge.json");
        assert!(plan.manifests.iter().any(|one| one.path == path), "{inside}");
    }
}

#[test]
fn on_windows_two_files_and_one_key_per_vendor_are_written() {
    let (_scratch, env, paths) = full(System::Windows);
    for (scope, root, views) in [(Scope::User, "HKCU", 1), (Scope::System, "HKLM", 2)] {
        let plan = install(&env, &paths, &choice(scope), &ids()).unwrap();
        assert_eq!(plan.manifests.len(), 2, "one a family: {:#?}", plan.manifests);
        let keys: Vec<_> = plan
            .steps
            .iter()
            .filter_map(|step| match step {
                PlanStep::SetKey { key, value } => Some((key.clone(), value.clone())),
                _ => None,
            })
            .collect();
        let unique: BTreeSet<_> = keys.iter().map(|(key, _)| key).collect();
        assert_eq!(unique.len(), keys.len(), "each key once");
        for (vendor, family) in [
            (r"Google\Chrome", "chromium"),
            ("Chromium", "chromium"),
            (r"Microsoft\Edge", "chromium"),
            (r"BraveSoftware\Brave-Browser", "chromium"),
            ("Vivaldi", "chromium"),
            ("Mozilla", "firefox"),
            ("Thunderbird", "firefox"),
        ] {
            let tail = format!(r"\{vendor}\NativeMessagingHosts\com.longwire.bridge");
            let of_vendor: Vec<_> = keys.iter().filter(|(key, _)| key.ends_with(&tail)).collect();
            assert_eq!(of_vendor.len(), views, "{vendor}: {of_vendor:#?}");
            for (key, value) in of_vendor {
                assert!(
                    key.starts_with(root) && value.contains(family),
                    "{key} -> {value}"
                );
            }
        }
        let program = paths.state.join("bin").join("longwire.exe");
        assert_eq!(plan.program, program);
    }
}

#[test]
fn a_replaced_registry_key_is_restored() {
    use crate::receipt::{KeyRegistration, Receipt};
    let (_scratch, env, paths) = full(System::Windows);
    let key = |name: &str, before: Option<&str>| KeyRegistration {
        name: "com.longwire.bridge".into(),
        key: name.into(),
        browsers: vec!["chrome".into()],
        before: before.map(str::to_owned),
    };
    let receipt = Receipt {
        keys: vec![key("HKCU\\a", Some("C:\\old.json")), key("HKCU\\b", None)],
        keys_above: vec!["HKCU\\above".into()],
        ..Receipt::default()
    };
    fs::create_dir_all(&paths.state).unwrap();
    fs::write(
        paths.state.join(crate::receipt::FILE),
        receipt.text(&paths.state).unwrap(),
    )
    .unwrap();
    let plan = uninstall(&env, &paths, &choice(Scope::User)).unwrap();
    assert!(plan.steps.contains(&PlanStep::RemoveEmptyKey {
        key: "HKCU\\above".into()
    }));
    assert!(plan.steps.contains(&PlanStep::SetKey {
        key: "HKCU\\a".into(),
        value: "C:\\old.json".into()
    }));
    assert!(plan.steps.contains(&PlanStep::RemoveKey {
        key: "HKCU\\b".into()
    }));
}

#[test]
fn a_program_in_a_package_location_is_not_copied() {
    let (_scratch, env, mut paths) = full(System::Linux);
    for (folder, copied) in [
        (env.root.join("usr/bin"), false),
        (env.root.join("opt/longwire/bin"), false),
        (env.home.join(".cargo/bin"), false),
        (env.home.join("Downloads"), true),
    ] {
        paths.program = folder.join("longwire");
        let plan = install(&env, &paths, &choice(Scope::User), &ids()).unwrap();
        assert_eq!(plan.program != paths.program, copied, "{}", folder.display());
    }
    // What one user has is not for all.
    paths.program = env.home.join(".cargo/bin/longwire");
    let plan = install(&env, &paths, &choice(Scope::System), &ids()).unwrap();
    assert_ne!(plan.program, paths.program);
}

#[test]
fn on_windows_a_program_installed_by_the_script_is_not_copied() {
    let (_scratch, env, mut paths) = full(System::Windows);
    paths.program = env.local.join("Programs").join("Longwire").join("longwire.exe");
    let plan = install(&env, &paths, &choice(Scope::User), &ids()).unwrap();
    assert_eq!(plan.program, paths.program);
    let plan = install(&env, &paths, &choice(Scope::System), &ids()).unwrap();
    assert_ne!(plan.program, paths.program);
}

#[test]
fn a_versioned_homebrew_folder_is_not_registered() {
    let (_scratch, env, paths) = full(System::MacOs);
    let named = |program: &str| {
        let paths = InstallPaths {
            program: env.root.join(program),
            state: paths.state.clone(),
        };
        fs::create_dir_all(paths.program.parent().unwrap()).unwrap();
        fs::write(&paths.program, "a program").unwrap();
        let plan = install(&env, &paths, &choice(Scope::User), &ids()).unwrap();
        plan.program
    };
    assert_eq!(
        named("opt/homebrew/bin/longwire"),
        env.root.join("opt/homebrew/bin/longwire")
    );
    let versioned = named("opt/homebrew/Cellar/longwire/0.1.0/bin/longwire");
    assert_eq!(versioned, paths.state.join("bin/longwire"));
}
