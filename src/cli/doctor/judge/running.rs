//! Judges what runs: the host as a browser starts it, the broker, and the folders they need.
//!
//! Whether a browser finds the host is judged in `browser`.

use std::io::ErrorKind;
use std::path::Path;

use installer::browsers::Scope;

use super::super::facts::{
    BrokerFacts, Facts, FolderFacts, LaunchFacts, Launched, PathFacts, ReceiptFacts, SettingsFacts,
    Unwritable,
};
use super::super::finding::Finding;
use super::{commands, quoted, sudo};

/// The mode of a folder that only its owner may enter.
const FOLDER_MODE: u32 = 0o700;
/// Below this the disk counts as full, in bytes.
const MIN_FREE_BYTES: u64 = 64 << 20;

/// One finding for each host that was started.
pub(super) fn launches(facts: &Facts) -> Vec<Finding> {
    if facts.launches.is_empty() {
        let finding = Finding::about("launch", "a browser can start the host and reach the broker");
        return vec![finding.skip("no browser has a program to start")];
    }
    let several = facts.launches.len() > 1;
    let mut seen: Vec<String> = Vec::new();
    let findings = facts.launches.iter().map(|launch| {
        let id = if several {
            format!("launch.{}", launch.family.title().to_lowercase())
        } else {
            "launch".to_owned()
        };
        let again = seen.iter().filter(|other| **other == id).count();
        seen.push(id.clone());
        let id = if again == 0 {
            id
        } else {
            format!("{id}-{}", again + 1)
        };
        one_launch(id, launch, &facts.broker)
    });
    findings.collect()
}

fn one_launch(id: String, launch: &LaunchFacts, broker: &BrokerFacts) -> Finding {
    let title = format!(
        "a {} browser can start the host and reach the broker",
        launch.family.title()
    );
    let finding = Finding::about(id, title).or(format!(
        "the host does not work as a {} browser starts it",
        launch.family.title()
    ));
    let program = launch.program.display();
    let by_hand = format!(
        "{} chrome-extension://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/{}",
        quoted(&launch.program),
        commands::NO_INPUT
    );
    match &launch.end {
        Launched::Welcomed { lingers: true, .. } => finding
            .warn(format!("{program} does not exit when its pipes are closed"))
            .fix("longwire stop"),
        Launched::Welcomed { version, .. } => finding.pass(format!(
            "{program}: welcomed by broker {version} after {} ms",
            launch.took.as_millis()
        )),
        Launched::NotStarted(why) => finding
            .fail(format!("{program} cannot be started: {why}"))
            .fix(by_hand),
        Launched::Ended { exit, stderr } if stderr.is_empty() => finding
            .fail(format!("{program} exited without output ({exit})"))
            .fix(by_hand),
        Launched::Ended { exit, stderr } => finding
            .fail(format!("{program} exited ({exit}): {stderr}"))
            .fix(by_hand),
        Launched::Garbled(why) => finding
            .fail(format!("{program} does not use native messaging: {why}"))
            .fix(by_hand),
        Launched::NoBroker(why) => finding
            .fail(format!("{program} runs, but: {why}"))
            .fix("longwire broker"),
        Launched::Silent(stderr) => {
            let printed = if stderr.is_empty() {
                String::new()
            } else {
                format!(": {stderr}")
            };
            let waited = launch.took.as_millis();
            finding
                .fail(format!(
                    "{program} sent no valid message within {waited} ms{printed}"
                ))
                .fix(end(broker))
        }
    }
}

/// The broker, its socket and the folder of it.
pub(super) fn broker(facts: &Facts) -> Vec<Finding> {
    let broker = &facts.broker;
    let mut findings = vec![answers(facts, broker)];
    if let Some(folder) = &broker.folder {
        findings.push(closed(
            Finding::about(
                "run-folder",
                "only this user can enter the broker's runtime folder",
            )
            .or("the broker's runtime folder is not private"),
            folder,
            FOLDER_MODE,
        ));
    }
    if let Some(socket) = &broker.socket {
        findings.push(closed(
            Finding::about("socket", "only this user can use the broker's socket")
                .or("the broker's socket is not private"),
            socket,
            0o600,
        ));
    }
    findings
}

fn answers(facts: &Facts, broker: &BrokerFacts) -> Finding {
    let finding = Finding::about("broker", "the broker answers and has this version")
        .or("the broker does not answer, or has another version");
    match &broker.answer {
        Err(why) => finding.fail(why.clone()).fix(end(broker)),
        Ok(None) if facts.launches.is_empty() => finding.skip("not running; the first host starts it"),
        Ok(None) => finding.skip("not running, although a host was started"),
        Ok(Some(answer)) if answer.version != facts.version => finding
            .warn(format!(
                "it has version {} (process {}); this is {}",
                answer.version, answer.pid, facts.version
            ))
            .fix("longwire stop"),
        Ok(Some(answer)) if broker.ran => {
            finding.pass(format!("version {}, process {}", answer.version, answer.pid))
        }
        Ok(Some(answer)) => finding.pass(format!("version {}, started for this check", answer.version)),
    }
}

/// The command that ends the broker. One that does not answer handles no request to exit either, and no signal for it.
fn end(broker: &BrokerFacts) -> String {
    match broker.process {
        Some(process) if broker.answer.is_err() => commands::kill(process),
        _ => "longwire stop".to_owned(),
    }
}

/// Is it this user's own, and closed to others?
fn closed(finding: Finding, place: &PathFacts, wanted: u32) -> Finding {
    let shown = place.path.display();
    if !place.own {
        return finding
            .fail(format!("{shown} belongs to another user"))
            .fix(format!(
                "{}{}",
                sudo(Scope::System),
                commands::remove_all(&place.path)
            ));
    }
    if wanted == FOLDER_MODE && !place.folder {
        let aside = place.path.with_added_extension("aside");
        return finding
            .fail(format!("{shown} is not a folder"))
            .fix(commands::move_aside(&place.path, &aside));
    }
    match place.mode {
        Some(mode) if mode & 0o077 != 0 => finding
            .warn(format!(
                "{shown} has mode {mode:o}, which allows access for others"
            ))
            .fix(format!("chmod {wanted:o} {}", quoted(&place.path))),
        Some(mode) => finding.pass(format!("{shown}, mode {mode:o}")),
        None => finding.pass(shown.to_string()),
    }
}

/// Without its receipt a registration can neither be changed nor taken back.
pub(super) fn receipt(receipt: &ReceiptFacts) -> Finding {
    let finding = Finding::about("receipt", "registrations can be changed and removed")
        .or("registrations cannot be changed or removed");
    match &receipt.problem {
        Some(problem) => {
            let aside = receipt.path.with_added_extension("aside");
            finding.fail(problem.clone()).fix(format!(
                "{}{}",
                sudo(receipt.scope),
                commands::move_aside(&receipt.path, &aside)
            ))
        }
        None => finding.pass(receipt.path.display().to_string()),
    }
}

/// The settings files, which a broker uses as a whole or not at all.
pub(super) fn settings(settings: &SettingsFacts) -> Finding {
    let finding = Finding::about("settings", "the settings file can be used");
    let exposed = settings.exposed.first();
    let finding = match (&settings.problem, exposed) {
        (Some(_), _) => finding.or("the settings file cannot be used"),
        (None, Some(_)) => finding.or("others can read passwords in the settings"),
        (None, None) => finding.or("the settings disable certificate checks"),
    };
    let edit = edit(settings);
    match (&settings.problem, exposed) {
        (Some(problem), _) => {
            let fix = match (&settings.fix, settings.unread) {
                (Some(fix), _) => fix.clone(),
                (None, Some(ErrorKind::PermissionDenied)) if cfg!(unix) => own(&settings.path, "u+rw"),
                _ => edit,
            };
            finding.fail(problem.clone()).fix(fix)
        }
        (None, Some(file)) => {
            let is_above = settings.above.as_ref() == Some(file);
            let fix = if is_above {
                format!("sudoedit {}", quoted(file))
            } else {
                format!("chmod go-r {}", quoted(file))
            };
            finding
                .warn(format!(
                    "{} contains passwords, and other users can read it",
                    file.display()
                ))
                .fix(fix)
        }
        _ if !settings.insecure.is_empty() => finding
            .warn(format!(
                "certificates of {} are not checked (`insecure-hosts`): anyone on the network path can read the traffic",
                settings.insecure.join(", ")
            ))
            .fix(edit),
        _ => finding.pass(used(settings)),
    }
}

/// Which files hold.
fn used(settings: &SettingsFacts) -> String {
    let above = settings.above.as_ref().map(|path| path.display().to_string());
    let own = settings.there.then(|| settings.path.display().to_string());
    match (above, own) {
        (None, None) => "there is none; using defaults".to_owned(),
        (Some(above), Some(own)) => format!("{above} of the administrator, then {own}"),
        (Some(above), None) => format!("{above} of the administrator"),
        (None, Some(own)) => own,
    }
}

/// Opens the settings file.
pub(super) fn edit(settings: &SettingsFacts) -> String {
    let editor = if cfg!(windows) {
        "notepad"
    } else {
        "\"${EDITOR:-vi}\""
    };
    let is_above = settings.above.as_ref() == Some(&settings.path);
    let editor = if is_above && cfg!(unix) {
        "sudoedit"
    } else {
        editor
    };
    format!("{editor} {}", quoted(&settings.path))
}

/// Makes something over to the user, with these rights.
fn own(path: &Path, rights: &str) -> String {
    let path = quoted(path);
    format!("sudo chown \"$(id -u)\" {path} && chmod {rights} {path}")
}

/// Logs, journals, the disk.
pub(super) fn folders(folders: &FolderFacts) -> Vec<Finding> {
    let mut findings = vec![
        writable(
            Finding::about("logs", "the log folder can be written").or("the log folder cannot be written"),
            &folders.logs,
            folders.logs_problem.as_ref(),
            "; the broker runs without a log",
        ),
        writable(
            Finding::about("state", "the folder of stored sessions can be written")
                .or("the folder of stored sessions cannot be written"),
            &folders.state,
            folders.state_problem.as_ref(),
            "; durable sessions stay in memory only",
        ),
        disk(folders),
    ];
    if let Some(moved) = &folders.moved {
        let finding = Finding::about("home", "browsers' hosts use the same folders as this command");
        findings.push(finding.pass(format!(
            "LONGWIRE_HOME moves them to {}; start the browser with the same variable",
            moved.display()
        )));
    }
    findings
}

fn writable(finding: Finding, folder: &Path, problem: Option<&Unwritable>, then: &str) -> Finding {
    match problem {
        None => finding.pass(folder.display().to_string()),
        Some(Unwritable::NoFolder(path)) => {
            let aside = path.with_added_extension("aside");
            finding
                .warn(format!("{} is not a folder{then}", path.display()))
                .fix(commands::move_aside(path, &aside))
        }
        Some(Unwritable::Closed(path, why)) => {
            let quoted = quoted(path);
            let fix = if cfg!(windows) {
                format!("icacls {quoted} /grant \"%USERNAME%\":F")
            } else {
                own(path, "u+rwx")
            };
            finding
                .warn(format!("{} cannot be written ({why}){then}", path.display()))
                .fix(fix)
        }
        Some(Unwritable::ReadOnly(path)) => finding
            .warn(format!(
                "the file system of {} is mounted read-only{then}",
                path.display()
            ))
            .fix(format!(
                "set LONGWIRE_HOME to a folder that can be written, for the browser too; `findmnt -T {}` shows how it is mounted",
                quoted(path)
            )),
        // Never a folder of the system's: only what is Longwire's own is made over to the user.
        Some(Unwritable::OwnedByOther(path, why)) => {
            let (shown, quoted) = (path.display(), quoted(folder));
            let fix = if cfg!(windows) {
                format!("mkdir {quoted}")
            } else {
                format!("sudo install -d -m 700 -o \"$(id -u)\" {quoted}")
            };
            finding
                .warn(format!("it cannot be created in {shown} ({why}){then}"))
                .fix(fix)
        }
    }
}

fn disk(folders: &FolderFacts) -> Finding {
    let finding = Finding::about("disk", "there is enough disk space for sessions")
        .or("there is little disk space for sessions");
    let state = folders.state.display();
    let used = format!(
        "journals use {} of {}",
        size(folders.journals),
        size(folders.quota)
    );
    if let Some(free) = folders.free.filter(|free| *free < MIN_FREE_BYTES) {
        return finding
            .warn(format!("{} free on the disk of {state}; {used}", size(free)))
            .fix(commands::disk_space(&folders.state));
    }
    if folders.journals >= folders.quota / 10 * 9 {
        return finding
            .warn(format!("{used}: further durable sessions stay in memory only"))
            .fix("longwire status");
    }
    match folders.free {
        Some(free) => finding.pass(format!("{used}, {} free", size(free))),
        None => finding.pass(used),
    }
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..0x400 => format!("{bytes} B"),
        0x400..0x10_0000 => format!("{} KiB", bytes >> 10),
        0x10_0000..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}
