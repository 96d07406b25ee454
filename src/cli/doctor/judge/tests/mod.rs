//! Judgements on made-up facts: each guard of a finding has a fact here that would be misjudged without it.

mod running;

use std::path::PathBuf;
use std::time::Duration;

use installer::browsers::{Family, Sandboxed, Scope, Serving, System};
use installer::lookup::{Neighbour, Seen};
use installer::manifest::{ExtensionId, HostName, Manifest};
use installer::policy::Policy;

use super::super::facts::{
    BrokerAnswer, BrokerFacts, BrowserFacts, DialFacts, Facts, FolderFacts, LaunchFacts, Launched, PathFacts,
    ProgramFacts, ReceiptFacts, SettingsFacts, Unwritable,
};
use super::super::finding::{DoctorReport, Finding, Verdict};
use super::super::program::ProgramKind;
use super::judge;

const ID: &str = "cfgjijgalloanpinpjgfgakgkbhlgcka";
const OTHER: &str = "abcdefghijklmnopabcdefghijklmnop";
const PROGRAM: &str = "/opt/longwire/longwire";

fn seen(family: Family, scope: Scope, ids: &[&str]) -> Seen {
    let name = HostName::parse("com.longwire.bridge").unwrap();
    let entries = ids
        .iter()
        .map(|id| ExtensionId::parse(id).unwrap().entry())
        .collect();
    let text = Manifest::new(family, &name, PROGRAM.as_ref(), entries)
        .unwrap()
        .text();
    Seen {
        path: format!("/{scope:?}/com.longwire.bridge.json").into(),
        key: None,
        scope,
        text: Ok(text),
        open_to_all: false,
    }
}

fn browser(name: &str, family: Family, chain: Vec<Seen>) -> BrowserFacts {
    BrowserFacts {
        name: name.into(),
        title: name.into(),
        family,
        system: System::Linux,
        folder: None,
        sandboxed: None,
        inside: None,
        chains: vec![chain],
        policy: Policy::default(),
        neighbours: Vec::new(),
    }
}

/// A machine on which all is well.
pub(super) fn well() -> Facts {
    let version = "1.2.3".to_owned();
    let place = |path: &str, mode| {
        Some(PathFacts {
            path: path.into(),
            own: true,
            folder: mode == 0o700,
            mode: Some(mode),
        })
    };
    Facts {
        name: "com.longwire.bridge".into(),
        version: version.clone(),
        asked: Vec::new(),
        browsers: vec![browser(
            "chromium",
            Family::Chromium,
            vec![seen(Family::Chromium, Scope::User, &[ID])],
        )],
        running: Vec::new(),
        programs: vec![ProgramFacts {
            path: PROGRAM.into(),
            kind: Ok(ProgramKind::Script {
                interpreter: "/bin/sh".into(),
            }),
            executable: true,
            noexec: false,
            open_to_all: false,
            owned_by_other: false,
            quarantined: false,
            version: Some(version.clone()),
        }],
        launches: vec![LaunchFacts {
            program: PROGRAM.into(),
            family: Family::Chromium,
            took: Duration::from_millis(20),
            end: Launched::Welcomed {
                version: version.clone(),
                lingers: false,
            },
        }],
        broker: BrokerFacts {
            folder: place("/run/longwire", 0o700),
            socket: place("/run/longwire/broker.sock", 0o600),
            process: None,
            ran: true,
            answer: Ok(Some(BrokerAnswer { version, pid: 7 })),
            status: None,
        },
        folders: FolderFacts {
            moved: None,
            logs: "/logs".into(),
            logs_problem: None,
            state: "/state".into(),
            state_problem: None,
            journals: 0,
            quota: 1 << 30,
            free: Some(1 << 40),
        },
        receipt: ReceiptFacts {
            path: "/installed.json".into(),
            problem: None,
            for_all: false,
        },
        settings: SettingsFacts {
            path: "/settings.toml".into(),
            there: false,
            problem: None,
            unread: None,
            fix: None,
            exposed: Vec::new(),
            above: None,
            insecure: Vec::new(),
        },
        pac: None,
        dial: None,
    }
}

fn finding(facts: &Facts, id: &str) -> Finding {
    let findings = judge(facts);
    let found = findings.iter().find(|finding| finding.id == id);
    found
        .unwrap_or_else(|| panic!("no `{id}` in {findings:#?}"))
        .clone()
}

/// Judges a machine with one thing wrong: that finding alone is not passed, and has a fix.
fn only(id: &str, verdict: Verdict, fix: &str, change: impl FnOnce(&mut Facts)) {
    let mut facts = well();
    change(&mut facts);
    let found = finding(&facts, id);
    assert_eq!(found.verdict, verdict, "{found:#?}");
    assert!(
        found.fix.as_ref().is_some_and(|text| text.contains(fix)),
        "{found:#?}"
    );
    assert_eq!(DoctorReport::of(judge(&facts)).verdict, verdict);
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let findings = judge(&well());
    let odd: Vec<_> = findings
        .iter()
        .filter(|one| one.verdict != Verdict::Pass)
        .collect();
    assert!(odd.is_empty(), "{odd:#?}");
    let mut ids: Vec<_> = findings.iter().map(|one| &one.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), findings.len(), "ids are unique");
}

#[test]
fn apps_are_registrations_too() {
    let mut facts = well();
    facts.browsers.clear();
    let text = format!(
        r#"{{"name":"{}","description":"d","path":"/usr/bin/longwire","type":"stdio","allowed_apps":["com.example.editor"]}}"#,
        facts.name
    );
    let mut app = seen(Family::Chromium, Scope::User, &[ID]);
    app.text = Ok(text);
    let mut apps = well().browsers.remove(0);
    apps.name = "apps".to_owned();
    apps.title = "apps".to_owned();
    apps.family = Family::App;
    apps.chains = vec![vec![app]];
    facts.browsers.push(apps);
    let registered = finding(&facts, "registered");
    assert_eq!(
        (registered.verdict, registered.detail.as_str()),
        (Verdict::Pass, "apps")
    );
    facts.browsers[0].chains[0][0].text = Ok("{".into());
    let broken = finding(&facts, "manifest.apps");
    assert_eq!(broken.verdict, Verdict::Fail);
    let fix = broken.fix.unwrap();
    assert!(
        fix.starts_with("longwire install --app ") && !fix.contains("--browser"),
        "{fix}"
    );
}

#[test]
fn an_extension_that_needs_a_newer_program_is_named() {
    only(
        "capabilities",
        Verdict::Fail,
        "longwire update --check",
        |facts| {
            let status = facts
                .broker
                .status
                .get_or_insert_with(|| serde_json::json!({"sessions": []}));
            status["unmet"] = serde_json::json!([{"origin": ID, "needs": ["teleport"]}]);
        },
    );
}

#[test]
fn registrations() {
    only("registered", Verdict::Warn, "install --extension <id>", |facts| {
        facts.browsers.clear();
        facts.programs.clear();
        facts.launches.clear();
    });
    only("registered", Verdict::Fail, "install --extension <id>", |facts| {
        facts.browsers[0].chains = vec![vec![]];
    });
    only(
        "manifest.chromium",
        Verdict::Fail,
        &format!("--extension {ID} --browser chromium"),
        |facts| {
            facts.asked = vec![ExtensionId::parse(ID).unwrap()];
            facts.browsers[0].chains[0][0].text = Ok("{".into());
        },
    );
    only("manifest.chromium", Verdict::Warn, "chmod o-w", |facts| {
        facts.browsers[0].chains[0][0].open_to_all = true;
    });
    only(
        "manifest.chromium",
        Verdict::Warn,
        "uninstall --browser chromium",
        |facts| {
            let mut other = seen(Family::Chromium, Scope::System, &[ID]);
            other.text = other
                .text
                .map(|text| text.replace(PROGRAM, "/opt/other/longwire"));
            facts.browsers[0].chains[0].push(other);
        },
    );
}

#[test]
fn a_browser_without_a_registration_is_no_fault_when_another_has_one() {
    let mut facts = well();
    facts
        .browsers
        .push(browser("vivaldi", Family::Chromium, Vec::new()));
    let found = finding(&facts, "manifest.vivaldi");
    assert_eq!(found.verdict, Verdict::Skip);
    assert_eq!(
        found.fix.unwrap(),
        format!("longwire install --extension {ID} --browser vivaldi")
    );
    assert_eq!(DoctorReport::of(judge(&facts)).verdict, Verdict::Pass);
}

#[test]
fn chromium_stops_at_a_bad_manifest_and_firefox_goes_on() {
    for (family, verdict) in [
        (Family::Chromium, Verdict::Fail),
        (Family::Firefox, Verdict::Pass),
    ] {
        let id = if family == Family::Firefox { "a@b" } else { ID };
        let mut bad = seen(family, Scope::User, &[id]);
        bad.text = Ok("nonsense".into());
        let mut facts = well();
        facts.browsers = vec![browser(
            "b",
            family,
            vec![bad, seen(family, Scope::System, &[id])],
        )];
        assert_eq!(finding(&facts, "manifest.b").verdict, verdict, "{family:?}");
    }
}

#[test]
fn the_worst_of_several_profile_folders_is_reported() {
    let mut facts = well();
    let mut bad = seen(Family::Chromium, Scope::User, &[ID]);
    bad.text = Err("cannot be read".into());
    facts.browsers[0].chains.push(vec![bad]);
    assert_eq!(finding(&facts, "manifest.chromium").verdict, Verdict::Fail);
}

#[test]
fn each_program_that_browsers_start_has_a_finding_of_its_own() {
    let mut facts = well();
    let mut other = facts.launches[0].clone();
    other.program = "/opt/other/longwire".into();
    other.end = Launched::Silent(String::new());
    facts.launches.push(other);
    assert_eq!(finding(&facts, "launch.chromium").verdict, Verdict::Pass);
    assert_eq!(finding(&facts, "launch.chromium-2").verdict, Verdict::Fail);
}

#[test]
fn origins() {
    let asked = |id: &str| {
        let mut facts = well();
        facts.asked = vec![ExtensionId::parse(id).unwrap()];
        facts
    };
    assert_eq!(finding(&asked(ID), "origin.chromium").verdict, Verdict::Pass);
    let found = finding(&asked(OTHER), "origin.chromium");
    assert_eq!(found.verdict, Verdict::Fail);
    assert_eq!(
        found.fix.unwrap(),
        format!("longwire install --extension {OTHER} --browser chromium")
    );
}

#[test]
fn programs() {
    only("program.chromium", Verdict::Fail, "install", |facts| {
        facts.programs[0].kind = Err("no such file".into());
    });
    only(
        "program.chromium",
        Verdict::Fail,
        "chmod 755 /opt/longwire/longwire",
        |facts| {
            facts.programs[0].executable = false;
        },
    );
    only("program.chromium", Verdict::Fail, "findmnt", |facts| {
        // As the system has it: nothing there may be executed, whatever the mode.
        facts.programs[0].executable = false;
        facts.programs[0].noexec = true;
    });
    only("program.chromium", Verdict::Fail, "install", |facts| {
        facts.programs[0].kind = Ok(ProgramKind::Unknown);
    });
    only("program.chromium", Verdict::Fail, "quarantine", |facts| {
        facts.programs[0].quarantined = true;
    });
    only("program.chromium", Verdict::Warn, "chmod o-w", |facts| {
        facts.programs[0].open_to_all = true
    });
    only("program.chromium", Verdict::Warn, "install", |facts| {
        facts.programs[0].version = Some("0.0.1".into());
    });
}

#[test]
fn policies() {
    let policy = |user_level, blocklist: &[&str]| Policy {
        blocklist: blocklist.iter().map(|entry| (*entry).to_owned()).collect(),
        user_level,
        sources: vec!["/etc/p.json".into()],
        ..Policy::default()
    };
    only(
        "policy.chromium",
        Verdict::Fail,
        "NativeMessagingAllowlist",
        |facts| {
            facts.browsers[0].policy = policy(None, &["*"]);
        },
    );
    only("policy.chromium", Verdict::Fail, "--system", |facts| {
        facts.browsers[0].policy = policy(Some(false), &[]);
    });
    let mut facts = well();
    facts.browsers[0].policy = policy(Some(false), &[]);
    facts.browsers[0].chains[0].push(seen(Family::Chromium, Scope::System, &[ID]));
    assert_eq!(finding(&facts, "policy.chromium").verdict, Verdict::Pass);
    assert_eq!(finding(&facts, "manifest.chromium").verdict, Verdict::Pass);
}

#[test]
fn other_hosts_matter_only_for_the_same_extension() {
    let neighbour = |id: &str| Neighbour {
        name: "org.old".into(),
        path: "/n/org.old.json".into(),
        scope: Scope::User,
        program: Some(PathBuf::from("/opt/old")),
        entries: vec![format!("chrome-extension://{id}/")],
    };
    only("rival.chromium", Verdict::Warn, "rm /n/org.old.json", |facts| {
        facts.browsers[0].neighbours = vec![neighbour(ID)];
    });
    let mut facts = well();
    facts.browsers[0].neighbours = vec![neighbour(OTHER)];
    assert_eq!(finding(&facts, "rival.chromium").verdict, Verdict::Pass);
}

#[test]
fn sandboxes() {
    let sandboxed = |by, serving: bool| Sandboxed {
        by,
        folder: "/home/u/app".into(),
        serving: serving.then(|| Serving {
            hosts: "/home/u/app/hosts".into(),
            copy: None,
        }),
    };
    only("sandbox.brave", Verdict::Warn, "system package", |facts| {
        let mut brave = browser("brave", Family::Chromium, Vec::new());
        brave.sandboxed = Some(sandboxed("Snap", false));
        facts.browsers.push(brave);
    });
    only("sandbox.brave", Verdict::Warn, "--browser brave", |facts| {
        let mut brave = browser("brave", Family::Chromium, Vec::new());
        brave.sandboxed = Some(sandboxed("Flatpak", true));
        facts.browsers.push(brave);
    });
    let mut facts = well();
    facts.browsers[0].sandboxed = Some(sandboxed("Flatpak", true));
    facts.browsers[0].inside = facts.browsers[0].chains[0].pop();
    assert_eq!(finding(&facts, "sandbox.chromium").verdict, Verdict::Pass);
}
