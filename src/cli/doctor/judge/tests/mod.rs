//! Judgements on made-up facts: each guard of a finding has a fact here that would be misjudged without it.

mod browser;
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
pub(super) fn healthy() -> Facts {
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
            scope: Scope::User,
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
    let mut facts = healthy();
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
fn a_healthy_installation_has_only_passing_findings() {
    let findings = judge(&healthy());
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
fn apps_count_as_registrations() {
    let mut facts = healthy();
    facts.browsers.clear();
    let text = format!(
        r#"{{"name":"{}","description":"d","path":"/usr/bin/longwire","type":"stdio","allowed_apps":["com.example.editor"]}}"#,
        facts.name
    );
    let mut app = seen(Family::Chromium, Scope::User, &[ID]);
    app.text = Ok(text);
    let mut apps = healthy().browsers.remove(0);
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
