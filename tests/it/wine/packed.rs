//! The MSI: its contents, its tables, and its installation by wine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Machine, finish, on_windows};

const ID: &str = "cfgjijgalloanpinpjgfgakgkbhlgcka";

fn text(command: &mut Command) -> String {
    let output = finish(command);
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).replace('\r', "")
}

/// The packages of this program.
fn packages(machine: &Machine) -> PathBuf {
    let into = machine.folder.path().join("packages");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/release");
    text(
        Command::new(script)
            .args(["--quick", "--program"])
            .arg(&machine.program)
            .arg("--into")
            .arg(&into),
    );
    into
}

fn version(name: &str) -> String {
    name.replace("VERSION", env!("CARGO_PKG_VERSION"))
}

#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn the_package_contains_its_files_and_uninstalls_completely() {
    let machine = Machine::new();
    let packages = packages(&machine);
    let msi = packages.join(version("longwire-VERSION-x64.msi"));

    let unpacked = machine.folder.path().join("unpacked");
    text(Command::new("msiextract").arg("-C").arg(&unpacked).arg(&msi));
    let program = fs::read(unpacked.join("Longwire/longwire.exe")).unwrap();
    assert!(
        program == fs::read(&machine.program).unwrap(),
        "the program, byte for byte"
    );

    let table = |name: &str| text(Command::new("msiinfo").arg("export").arg(&msi).arg(name));
    assert!(table("Environment").contains("=-*PATH\t[~];[INSTALLFOLDER]\tProgram"));
    assert!(table("Property").contains(&version("ProductVersion\tVERSION\n")));
    assert!(table("Property").contains("SecureCustomProperties\tEXTENSIONS;"));
    let actions = table("CustomAction");
    assert!(
        actions.contains("\tLongwire\tinstall --system --extension \"[EXTENSIONS]\""),
        "{actions}"
    );
    let order = table("InstallExecuteSequence");
    let at = |action: &str| {
        let line = order
            .lines()
            .find(|line| line.starts_with(&format!("{action}\t")));
        let line = line.unwrap_or_else(|| panic!("no {action} in {order}"));
        line.rsplit('\t').next().unwrap().parse::<u32>().unwrap()
    };
    assert!(
        at("InstallFiles") < at("Register") && at("Unregister") < at("RemoveFiles"),
        "{order}"
    );
    assert!(at("RemoveExistingProducts") < at("InstallInitialize"), "{order}");

    let installed = PathBuf::from(std::env::var_os("WINEPREFIX").unwrap())
        .join("drive_c/Program Files/Longwire/longwire.exe");
    let run = |verb: &str, more: &[&str]| {
        let mut command = machine.run(Path::new("msiexec"));
        text(command.args([verb, &on_windows(&msi), "/qn"]).args(more));
    };
    run("/i", &[&format!("EXTENSIONS={ID}")]);
    assert!(installed.exists());
    run("/x", &[]);
    assert!(!installed.exists());

    let winget = fs::read_to_string(packages.join("Longwire.Longwire.installer.yaml")).unwrap();
    assert!(winget.contains("ProductCode: '{"), "{winget}");
    let scoop = fs::read_to_string(packages.join("longwire.json")).unwrap();
    let scoop: serde_json::Value = serde_json::from_str(&scoop).unwrap();
    assert_eq!(scoop["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(scoop["architecture"]["64bit"]["hash"].as_str().unwrap().len(), 64);
}
