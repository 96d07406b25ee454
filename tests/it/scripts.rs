//! The helpers of `scripts`: what they install, what they print where they may not, and how they count skipped tests.
//!
//! Package managers are stand-ins that write down how they were called. Nothing is installed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::write_program;

/// What the helpers themselves need.
const TOOLS: &[&str] = &[
    "bash", "cat", "dirname", "env", "grep", "id", "mktemp", "rm", "sed", "sort", "tee", "tr", "wc",
];

/// A machine with the basic tools and these package managers.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn with(managers: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for tool in TOOLS {
            let there = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(tool));
            let there = there.iter().find(|path| path.exists()).unwrap();
            symlink(there, folder.path().join(tool)).unwrap();
        }
        let calls = folder.path().join("calls");
        for manager in managers {
            let stand_in = match *manager {
                // Runs the command as root does.
                "sudo" => "#!/bin/bash\nexec \"$@\"\n".to_owned(),
                _ => format!("#!/bin/bash\necho \"{manager} $*\" >>'{}'\n", calls.display()),
            };
            write_program(&folder.path().join(manager), stand_in.as_bytes());
        }
        Self { folder }
    }

    /// Runs lines of a script that has the helpers.
    fn run(&self, lines: &str, variables: &[(&str, &str)]) -> Output {
        let library = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/lib.sh");
        // Behind the helpers, which add folders of their own.
        let script = format!(
            ". '{}'; PATH='{}'; {lines}",
            library.display(),
            self.folder.path().display()
        );
        Command::new("/bin/bash")
            .args(["-c", &script])
            .env_clear()
            .env("PATH", self.folder.path())
            .env("HOME", self.folder.path())
            .env("LONGWIRE_SKIPPED_TESTS", self.skipped())
            .envs(variables.iter().copied())
            .output()
            .unwrap()
    }

    fn skipped(&self) -> PathBuf {
        self.folder.path().join("skipped")
    }

    /// How the package managers were called.
    fn calls(&self) -> String {
        fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn debian_packages_are_installed_and_named() {
    let machine = Machine::with(&["apt-get", "sudo"]);
    let output = machine.run("debian no-such-command first second", &[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stdout), "installing Debian packages: first second\n");
    assert!(
        machine
            .calls()
            .contains("install -y --no-install-recommends first second")
    );
}

#[test]
fn without_apt_the_packages_of_fedora_and_arch_are_named() {
    for (managers, hint) in [
        (&["dnf"][..], "hint: sudo dnf install gcc make golang firefox\n"),
        (
            &["pacman"],
            "hint: sudo pacman -S --needed base-devel go firefox\n",
        ),
        (
            &[],
            "Fedora: gcc make golang firefox; Arch: base-devel go firefox\n",
        ),
    ] {
        let machine = Machine::with(managers);
        let output = machine.run(
            "debian no-such-command build-essential golang-go firefox-esr",
            &[],
        );
        let printed = text(&output.stderr);
        assert!(!output.status.success() && printed.ends_with(hint), "{printed}");
        assert!(printed.contains("`no-such-command` is missing"), "{printed}");
        assert_eq!(machine.calls(), "");
    }
}

#[test]
fn no_install_lists_missing_packages_and_installs_nothing() {
    let machine = Machine::with(&["apt-get", "sudo", "npm", "python3", "node", "cargo"]);
    let folder = machine.folder.path().display().to_string();
    for (helper, missing) in [
        ("debian no-such-command first".to_owned(), "`no-such-command`"),
        (format!("node_packages '{folder}'"), "the npm packages of"),
        (
            format!("python_packages '{folder}/venv' '{folder}/list'"),
            "the Python packages of",
        ),
    ] {
        let output = machine.run(&format!("flags --no-install; {helper}"), &[]);
        let printed = text(&output.stderr);
        assert!(
            !output.status.success() && printed.contains(missing),
            "{helper}: {printed}"
        );
        assert!(
            printed.contains("--no-install") && printed.contains("\nhint: "),
            "{printed}"
        );
    }
    assert!(
        !machine.calls().contains("install") && !machine.calls().contains(" ci "),
        "{}",
        machine.calls()
    );
}

#[test]
fn skipped_tests_are_listed_and_fail_if_ci_is_set() {
    let machine = Machine::with(&[]);
    let lines = "section 'some tests' echo '﹣ one of Node (0.1ms) # no Firefox'; skip 'a part' 'no network'; summary";
    let run = |variables: &[(&str, &str)]| {
        fs::write(machine.skipped(), "proxies::one: no proxy\n").unwrap();
        machine.run(lines, variables)
    };
    let output = run(&[]);
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{printed}");
    assert!(
        printed.contains("\n3 skipped because this machine cannot run them:\n"),
        "{printed}"
    );
    for line in [
        "  a part: no network\n",
        "  proxies::one: no proxy\n",
        "  one of Node (0.1ms) # no Firefox\n",
    ] {
        assert!(printed.contains(line), "{printed}");
    }
    let output = run(&[("CI", "true")]);
    assert!(!output.status.success(), "{output:?}");
    assert!(text(&output.stdout).contains("CI is set"), "{output:?}");

    let none = machine.run("section 'some tests' echo fine; summary", &[("CI", "true")]);
    assert!(none.status.success(), "{none:?}");
    assert!(text(&none.stdout).contains("\nno test was skipped\n"), "{none:?}");
}
