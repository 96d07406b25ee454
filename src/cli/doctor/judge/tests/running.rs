//! Findings about hosts, the broker, settings, folders and servers.

use super::*;
use crate::transport::DialError;
use crate::transport::probe::{DialPhase, DialStep, StepEnd};

#[test]
fn misbehaving_hosts_have_findings() {
    let ends = [
        (
            Launched::NotStarted("no".into()),
            Verdict::Fail,
            "chrome-extension://aaaa",
        ),
        (
            Launched::Ended {
                exit: "exit status: 1".into(),
                stderr: String::new(),
            },
            Verdict::Fail,
            "chrome-extension://aaaa",
        ),
        (
            Launched::Garbled("text".into()),
            Verdict::Fail,
            "chrome-extension://aaaa",
        ),
        (Launched::NoBroker("no".into()), Verdict::Fail, "longwire broker"),
        (Launched::Silent(String::new()), Verdict::Fail, "longwire stop"),
        (
            Launched::Welcomed {
                version: "1".into(),
                lingers: true,
            },
            Verdict::Warn,
            "longwire stop",
        ),
    ];
    for (end, verdict, fix) in ends {
        only("launch", verdict, fix, |facts| facts.launches[0].end = end);
    }
}

#[test]
fn problems_of_the_broker_and_its_paths_are_reported() {
    only("broker", Verdict::Fail, "longwire stop", |facts| {
        facts.broker.answer = Err("it does not answer".into());
    });
    only("broker", Verdict::Fail, "kill -9 77", |facts| {
        facts.broker.answer = Err("it does not answer".into());
        facts.broker.process = Some(77);
    });
    only("broker", Verdict::Warn, "longwire stop", |facts| {
        facts.broker.answer = Ok(Some(BrokerAnswer {
            version: "0.9.0".into(),
            pid: 1,
        }));
    });
    only("socket", Verdict::Warn, "chmod 600", |facts| {
        facts.broker.socket.as_mut().unwrap().mode = Some(0o666);
    });
    only("socket", Verdict::Fail, "sudo rm", |facts| {
        facts.broker.socket.as_mut().unwrap().own = false
    });
    only("run-folder", Verdict::Fail, "mv /run/longwire", |facts| {
        facts.broker.folder.as_mut().unwrap().folder = false;
    });
    only("run-folder", Verdict::Warn, "chmod 700", |facts| {
        facts.broker.folder.as_mut().unwrap().mode = Some(0o755);
    });
}

#[test]
fn an_unreadable_install_record_is_reported() {
    only("receipt", Verdict::Fail, "mv /installed.json", |facts| {
        facts.receipt.problem = Some("no JSON".into());
    });
}

#[test]
fn invalid_settings_are_reported() {
    only("settings", Verdict::Fail, "/settings.toml", |facts| {
        facts.settings.problem = Some("line 3".into());
    });
    only("settings", Verdict::Fail, "chmod u+rw /settings.toml", |facts| {
        facts.settings.problem = Some("permission denied".into());
        facts.settings.unread = Some(std::io::ErrorKind::PermissionDenied);
    });
    only("settings", Verdict::Fail, "chmod go-w /settings.toml", |facts| {
        facts.settings.problem = Some("others may write to it".into());
        facts.settings.fix = Some("chmod go-w /settings.toml".into());
    });
}

#[test]
fn passwords_readable_by_others_are_reported() {
    only("settings", Verdict::Warn, "chmod go-r /settings.toml", |facts| {
        facts.settings.exposed = vec!["/settings.toml".into()];
    });
    only("settings", Verdict::Warn, "/etc/settings.toml", |facts| {
        facts.settings.above = Some("/etc/settings.toml".into());
        facts.settings.exposed = vec!["/etc/settings.toml".into()];
    });
}

#[test]
fn settings_with_unchecked_certificates_are_reported() {
    only("settings", Verdict::Warn, "/settings.toml", |facts| {
        facts.settings.insecure = vec!["dev.example".into()];
    });
}

#[test]
fn unusable_folders_and_a_full_disk_are_reported() {
    only("logs", Verdict::Warn, "mv /logs /logs.aside", |facts| {
        facts.folders.logs_problem = Some(Unwritable::NoFolder("/logs".into()));
    });
    only("state", Verdict::Warn, "chmod u+rwx /state", |facts| {
        facts.folders.state_problem = Some(Unwritable::Closed("/state".into(), "read-only".into()));
    });
    only("state", Verdict::Warn, "LONGWIRE_HOME", |facts| {
        facts.folders.state_problem = Some(Unwritable::ReadOnly("/state".into()));
    });
    // The folder of somebody else, or the system's, stays theirs.
    only("logs", Verdict::Warn, "-o \"$(id -u)\" /logs", |facts| {
        facts.folders.logs_problem = Some(Unwritable::OwnedByOther("/".into(), "closed".into()));
    });
    only("disk", Verdict::Warn, "df -h", |facts| {
        facts.folders.free = Some(1 << 20)
    });
    only("disk", Verdict::Warn, "longwire status", |facts| {
        facts.folders.journals = 1 << 30
    });
}

#[test]
fn a_dial_is_reported_phase_by_phase() {
    let step = |phase, end| DialStep {
        phase,
        took: Duration::from_millis(3),
        end,
    };
    let place = crate::transport::Place {
        host: "example.org".into(),
        port: 443,
    };
    let mut facts = healthy();
    facts.dial = Some(DialFacts {
        shown: "wss://example.org/live".into(),
        steps: Ok(vec![
            step(DialPhase::Dns, StepEnd::Done("1.2.3.4".into())),
            step(
                DialPhase::Tcp,
                StepEnd::Failed(DialError::Connect {
                    place,
                    source: std::io::ErrorKind::ConnectionRefused.into(),
                }),
            ),
        ]),
    });
    assert_eq!(finding(&facts, "url.dns").verdict, Verdict::Pass);
    let tcp = finding(&facts, "url.tcp");
    assert_eq!(tcp.verdict, Verdict::Fail);
    assert!(
        tcp.detail.contains("example.org:443") && tcp.detail.contains("3.0 ms"),
        "{tcp:?}"
    );
    for later in ["url.tls", "url.upgrade", "url.message"] {
        assert_eq!(finding(&facts, later).verdict, Verdict::Skip);
    }
    assert!(judge(&facts).iter().all(|one| one.id != "url.proxy"));
}

#[test]
fn paths_in_fixes_can_be_pasted() {
    assert_eq!(super::super::quoted("/a/b-c.d".as_ref()), "/a/b-c.d");
    #[cfg(unix)]
    assert_eq!(
        super::super::quoted("/a b/it's & more".as_ref()),
        r"'/a b/it'\''s & more'"
    );
}
