//! Registrations, programs, policies and sandboxes of browsers.

use super::*;

#[test]
fn registration_problems_have_findings() {
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
fn an_unregistered_browser_is_not_a_problem_if_another_is_registered() {
    let mut facts = healthy();
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
fn chromium_fails_at_a_bad_manifest_and_firefox_reads_the_next() {
    for (family, verdict) in [
        (Family::Chromium, Verdict::Fail),
        (Family::Firefox, Verdict::Pass),
    ] {
        let id = if family == Family::Firefox { "a@b" } else { ID };
        let mut bad = seen(family, Scope::User, &[id]);
        bad.text = Ok("nonsense".into());
        let mut facts = healthy();
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
    let mut facts = healthy();
    let mut bad = seen(Family::Chromium, Scope::User, &[ID]);
    bad.text = Err("cannot be read".into());
    facts.browsers[0].chains.push(vec![bad]);
    assert_eq!(finding(&facts, "manifest.chromium").verdict, Verdict::Fail);
}

#[test]
fn each_program_that_browsers_start_has_its_own_finding() {
    let mut facts = healthy();
    let mut other = facts.launches[0].clone();
    other.program = "/opt/other/longwire".into();
    other.end = Launched::Silent(String::new());
    facts.launches.push(other);
    assert_eq!(finding(&facts, "launch.chromium").verdict, Verdict::Pass);
    assert_eq!(finding(&facts, "launch.chromium-2").verdict, Verdict::Fail);
}

#[test]
fn missing_origins_have_findings() {
    let asked = |id: &str| {
        let mut facts = healthy();
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
fn unusable_programs_have_findings() {
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
fn blocking_policies_have_findings() {
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
    let mut facts = healthy();
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
    let mut facts = healthy();
    facts.browsers[0].neighbours = vec![neighbour(OTHER)];
    assert_eq!(finding(&facts, "rival.chromium").verdict, Verdict::Pass);
}

#[test]
fn sandboxed_browsers_have_findings() {
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
    let mut facts = healthy();
    facts.browsers[0].sandboxed = Some(sandboxed("Flatpak", true));
    facts.browsers[0].inside = facts.browsers[0].chains[0].pop();
    assert_eq!(finding(&facts, "sandbox.chromium").verdict, Verdict::Pass);
}
