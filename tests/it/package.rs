//! The packages: their contents, and that their installer registers nothing by itself.
//!
//! `scripts/release --try` installs them for real; that needs root and is not for every check.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::program;

const ID: &str = "cfgjijgalloanpinpjgfgakgkbhlgcka";

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn printed(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_script_can_be_parsed() {
    let scripts = [
        "install.sh",
        "try",
        "deb/config",
        "deb/postinst",
        "deb/prerm",
        "deb/postrm",
    ];
    for script in scripts.map(|name| source("installer/package").join(name)) {
        let text = fs::read_to_string(&script).unwrap();
        let shell = if text.starts_with("#!/bin/sh\n") {
            "sh"
        } else {
            "bash"
        };
        printed(Command::new(shell).arg("-n").arg(&script));
    }
    printed(Command::new("bash").arg("-n").arg(source("scripts/release")));
}

/// There is no PowerShell here: `scripts/check` installs a parser of its grammar.
#[test]
fn the_windows_installer_script_can_be_parsed() {
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("powershell-venv/bin/python");
    if !python.exists() {
        crate::skip::skip("the parser of PowerShell is not installed");
        return;
    }
    let parse = |script: &Path| {
        let mut command = Command::new(&python);
        command
            .arg(source("tests/fixtures/powershell/parse.py"))
            .arg(script);
        command.output().unwrap()
    };
    let installer = source("installer/package/install.ps1");
    let parsed = parse(&installer);
    assert!(parsed.status.success(), "{parsed:?}");
    // The parser does find what is wrong.
    let scratch = tempfile::tempdir().unwrap();
    let broken = scratch.path().join("broken.ps1");
    let text = fs::read_to_string(&installer).unwrap();
    fs::write(&broken, text.trim_end().trim_end_matches('}')).unwrap();
    assert_eq!(parse(&broken).status.code(), Some(1));
}

/// What cannot be run here must at least agree with the program.
#[test]
fn the_installers_of_other_systems_use_existing_options() {
    let windows = fs::read_to_string(source("installer/package/windows/longwire.wxs")).unwrap();
    let formula = fs::read_to_string(source("installer/package/homebrew/longwire.rb")).unwrap();
    let powershell = fs::read_to_string(source("installer/package/install.ps1")).unwrap();
    for (text, line) in [
        (
            &windows,
            r#""install --system --extension &quot;[EXTENSIONS]&quot;""#,
        ),
        (&windows, r#""uninstall --system --all""#),
        (&formula, r#""man", "--folder", man1"#),
        (&powershell, "@('--extension', $id)"),
        (&powershell, "@('uninstall', '--all')"),
    ] {
        assert!(text.contains(line), "{line}");
    }
    // What an installer passes in one argument.
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join(".config/chromium")).unwrap();
    fs::create_dir_all(home.path().join(".mozilla")).unwrap();
    for (ids, count) in [
        (format!("{ID} other@example.org"), 2),
        (format!("{ID},, {ID}"), 1),
    ] {
        let mut command = Command::new(program());
        command.env_clear().env("HOME", home.path());
        command.args(["install", "--dry-run", "--json", "--extension", &ids]);
        let plan: serde_json::Value = serde_json::from_str(&printed(&mut command)).unwrap();
        let manifests = plan["manifests"].as_array().unwrap();
        assert_eq!(manifests.len(), count, "{plan:#}");
        assert!(
            manifests
                .iter()
                .all(|one| one["extensions"].as_array().unwrap().len() == 1)
        );
    }
}

#[test]
fn packages_contain_the_expected_files_and_register_nothing_by_themselves() {
    for tool in ["dpkg-deb", "rpmbuild", "cargo"] {
        if Command::new(tool).arg("--version").output().is_err() {
            crate::skip::skip(&format!("{tool} cannot be run"));
            return;
        }
    }
    let scratch = tempfile::tempdir().unwrap();
    let into = scratch.path().join("packages");
    printed(
        Command::new(source("scripts/release"))
            .args(["--quick", "--program"])
            .arg(program())
            .arg("--into")
            .arg(&into)
            .current_dir(scratch.path()),
    );
    let built: Vec<String> = fs::read_dir(&into)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let ending = |end: &str| {
        let found = built.iter().find(|name| name.ends_with(end));
        into.join(found.unwrap_or_else(|| panic!("no {end} in {built:?}")))
    };

    let deb = ending(".deb");
    let control = printed(Command::new("dpkg-deb").arg("-f").arg(&deb));
    assert!(
        control.contains(&format!("Version: {}\n", env!("CARGO_PKG_VERSION"))),
        "{control}"
    );
    let depends = format!("Depends: libc6 (>= {}), ", newest_glibc(program()));
    assert!(control.contains(&depends), "{depends} in {control}");
    let listed = printed(Command::new("dpkg-deb").arg("-c").arg(deb));
    for line in listed.lines() {
        assert!(line.contains(" root/root "), "{line}");
        assert!(
            line.starts_with("drwxr-xr-x") || line.starts_with("-rw"),
            "{line}"
        );
        assert!(
            !line[..10].ends_with("w-") && !line[..10].ends_with("wx"),
            "open to all: {line}"
        );
    }
    for path in [
        "./usr/bin/longwire",
        "./usr/share/doc/longwire/copyright",
        "./usr/share/doc/longwire/changelog.gz",
        "./usr/share/man/man1/longwire.1.gz",
        "./usr/lib/systemd/user/longwire.socket",
        "./usr/share/man/man1/longwire-doctor.1.gz",
        "./usr/share/bash-completion/completions/longwire",
        "./usr/share/zsh/vendor-completions/_longwire",
        "./usr/share/fish/vendor_completions.d/longwire.fish",
    ] {
        assert!(
            listed.lines().any(|line| line.ends_with(path)),
            "{path} in {listed}"
        );
    }

    let rpm = printed(Command::new("rpm").arg("-qpl").arg(ending(".rpm")));
    for path in [
        "/usr/bin/longwire",
        "/usr/share/doc/longwire/README.md",
        "/usr/share/man/man1/longwire-doctor.1.gz",
        "/usr/share/zsh/site-functions/_longwire",
    ] {
        assert!(rpm.lines().any(|line| line == path), "{path} in {rpm}");
    }
    let formula = fs::read_to_string(ending(".rb")).unwrap();
    for blank in ["@URL@", "@SHA256@", "@FILE@", "@HOMEPAGE@"] {
        assert!(!formula.contains(blank), "{blank} in {formula}");
    }
    is_a_bill_of_materials(&ending(".cdx.json"));
    let sums = fs::read_to_string(into.join("SHA256SUMS")).unwrap();
    assert_eq!(
        sums.lines().count(),
        built.len() - 1,
        "one for each package: {sums}"
    );
    printed(
        Command::new("sha256sum")
            .args(["-c", "SHA256SUMS"])
            .current_dir(&into),
    );

    printed(
        Command::new("tar")
            .arg("-xzf")
            .arg(ending(&format!("-linux-{}.tar.gz", std::env::consts::ARCH)))
            .arg("-C")
            .arg(scratch.path()),
    );
    let unpacked = fs::read_dir(scratch.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.join("install.sh").exists())
        .unwrap();
    install_and_remove(scratch.path(), &unpacked);
}

/// The newest version of glibc whose symbols a program needs.
fn newest_glibc(program: &Path) -> String {
    let symbols = printed(Command::new("objdump").arg("-T").arg(program));
    let versions = symbols.split(['(', ')', ' ']).filter_map(|word| {
        let version = word.strip_prefix("GLIBC_")?;
        let numbers: Vec<u32> = version.split('.').map_while(|part| part.parse().ok()).collect();
        Some((numbers, version))
    });
    let (_, newest) = versions.max().expect("a program of glibc");
    newest.to_owned()
}

/// CycloneDX: the program, each crate with its checksum, and edges between components that are there.
fn is_a_bill_of_materials(path: &Path) {
    let bill: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(
        (&bill["bomFormat"], &bill["specVersion"]),
        (&"CycloneDX".into(), &"1.5".into())
    );
    assert_eq!(bill["metadata"]["component"]["name"], "longwire");
    let components = bill["components"].as_array().unwrap();
    for crates in ["rustls", "tokio", "longwire-proto"] {
        assert!(components.iter().any(|each| each["name"] == crates), "{crates}");
    }
    assert!(
        components.iter().all(|each| each["name"] != "proptest"),
        "tests are not in the program"
    );
    for each in components
        .iter()
        .filter(|each| !each["name"].as_str().unwrap().starts_with("longwire"))
    {
        assert_eq!(
            each["hashes"][0]["content"].as_str().map(str::len),
            Some(64),
            "{each}"
        );
        assert!(each["licenses"][0]["expression"].is_string(), "{each}");
    }
    let mut known: Vec<&str> = components
        .iter()
        .map(|each| each["bom-ref"].as_str().unwrap())
        .collect();
    known.push(bill["metadata"]["component"]["bom-ref"].as_str().unwrap());
    for edge in bill["dependencies"].as_array().unwrap() {
        let ends = edge["dependsOn"].as_array().unwrap().iter().chain([&edge["ref"]]);
        for end in ends {
            assert!(known.contains(&end.as_str().unwrap()), "{end}");
        }
    }
}

/// What others may write to in these folders; of the test's own making are the home and its browser's folder.
fn writable_by_others(folders: &[&Path]) -> String {
    let there = folders.iter().filter(|folder| folder.exists());
    let found = Command::new("find")
        .args(there)
        .args(["-perm", "/022", "!", "-type", "l"])
        .output()
        .unwrap();
    String::from_utf8(found.stdout).unwrap()
}

fn install_and_remove(scratch: &Path, unpacked: &Path) {
    let (home, root) = (scratch.join("a home"), scratch.join("root"));
    fs::create_dir_all(home.join(".config/chromium")).unwrap();
    let script = |args: &[&str]| -> Output {
        // Whatever the caller lets others do with new files.
        Command::new("sh")
            .args(["-c", "umask 000; exec \"$@\"", "sh"])
            .arg(unpacked.join("install.sh"))
            .args(args)
            .arg("--prefix")
            .arg(home.join("prefix"))
            .env_clear()
            .env("HOME", &home)
            .env("PATH", "/usr/bin:/bin")
            .env("XDG_RUNTIME_DIR", scratch)
            // As root it registers for all users.
            .env("LONGWIRE_ROOT", &root)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    let manifests = || {
        let found = printed(
            Command::new("find")
                .args([&home, scratch])
                .args(["-name", "com.longwire.bridge.json"]),
        );
        found.lines().count()
    };
    let made_before = writable_by_others(&[&home, &root]);
    let installed = home.join("prefix/bin/longwire");
    let without_ids = script(&[]);
    assert!(
        without_ids.status.success() && installed.exists(),
        "{without_ids:?}"
    );
    let unanswered = script(&["--extension", ID]);
    assert!(unanswered.status.success(), "{unanswered:?}");
    assert!(
        String::from_utf8(unanswered.stdout)
            .unwrap()
            .contains("Nothing was registered")
    );
    assert_eq!(manifests(), 0);
    let manual = home.join("prefix/share/man/man1/longwire-doctor.1.gz");
    assert!(manual.exists(), "manual pages come along");
    let wrong = script(&["--extension", "a b"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    let agreed = script(&["--extension", ID, "--yes"]);
    assert!(agreed.status.success() && manifests() > 0, "{agreed:?}");
    let theirs = writable_by_others(&[&home, &root]);
    assert_eq!(theirs, made_before, "others may write to what was installed");
    let removed = script(&["--uninstall"]);
    assert!(removed.status.success() && manifests() == 0, "{removed:?}");
    assert!(!installed.exists());
    let left = printed(
        Command::new("find")
            .arg(home.join("prefix"))
            .args(["-mindepth", "1"]),
    );
    assert_eq!(left, "");
}
