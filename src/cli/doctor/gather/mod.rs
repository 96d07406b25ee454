//! Looks at everything: registrations, programs, hosts, the broker, folders, a server.
//!
//! It only reads, with one exception that it takes back: the host it starts may start a broker, as it would for a
//! browser. It evaluates nothing.

mod broker;
mod browsers;
mod dial;
mod programs;

use std::path::Path;
use std::time::Duration;

use installer::browsers::Scope;
use installer::environment::Environment;
use installer::error::InstallError;
use installer::manifest::{ExtensionId, HostName};
use installer::receipt::Receipt;

use super::facts::{BrokerFacts, Facts, FolderFacts, LaunchFacts, ProgramFacts, ReceiptFacts, SettingsFacts};
use super::{files, pac, processes};
use crate::cli::admin::Admin;
use crate::cli::args::TrustArgs;
use crate::cli::error::Failure;
use crate::cli::install::state;
use crate::journal::Quota;
use crate::paths::Paths;
use crate::settings::{self, Settings, SettingsError};
use broker::{broker, leave_as_found};
use browsers::{apps, browsers};
use dial::{dial, trusting};
use programs::{Wanted, launches, programs, wanted_programs};

/// The longest that any one check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// What is to be looked at.
#[derive(Debug)]
pub(super) struct DoctorRequest {
    pub(super) name: HostName,
    pub(super) asked: Vec<ExtensionId>,
    pub(super) url: Option<String>,
    /// Sent to that URL.
    pub(super) headers: Vec<(String, String)>,
}

/// Looks at all of it.
pub(super) async fn gather(what: &DoctorRequest, trust: &TrustArgs, paths: &Paths) -> Result<Facts, Failure> {
    let env = Environment::from_env()
        .map_err(|error| Failure::because("cannot find the browsers' folders", &error))?;
    let name = what.name.to_string();
    let settings = settings::load(paths);
    let receipt = Receipt::read(paths.state());
    let shared = state(Scope::System, &env.root)?;
    let receipts = receipts(&receipt, paths.state(), &shared);
    let mut browsers = browsers(&env, &what.name, &receipt.unwrap_or_default());
    browsers.extend(apps(&env, &what.name, paths.state()));
    let wanted = wanted_programs(&name, &browsers);
    let programs = programs(&name, &wanted, &browsers).await;
    let (launches, broker) = launches_and_broker(&wanted, &programs, paths).await;
    Ok(Facts {
        name,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        asked: what.asked.clone(),
        browsers,
        running: processes::running(&what.name),
        programs,
        launches,
        broker,
        folders: folders(paths, settings.as_ref().ok()),
        receipt: receipts,
        settings: settings_facts(&settings, paths),
        pac: match &settings {
            Ok(settings) if settings.proxy.url == "system" => pac::script(&env.config).await,
            _ => None,
        },
        dial: match &what.url {
            Some(url) => Some(dial(url, what, trusting(settings, trust, url, paths)?).await),
            None => None,
        },
    })
}

/// Starts the programs as browsers do, and looks at the broker before and after.
async fn launches_and_broker(
    wanted: &[Wanted],
    programs: &[ProgramFacts],
    paths: &Paths,
) -> (Vec<LaunchFacts>, BrokerFacts) {
    let runnable = |path: &Path| {
        let found = programs.iter().find(|program| program.path == path);
        found.is_some_and(|program| program.kind.is_ok() && program.executable && !program.owned_by_other)
    };
    let admin = Admin::new(paths.clone());
    let before = broker(&admin, paths).await;
    let launches = launches(wanted, runnable).await;
    if before.answer.is_err() {
        return (launches, before);
    }
    let after = broker(&admin, paths).await;
    if !before.ran && after.ran {
        leave_as_found(&admin).await;
    }
    // What was there before says more than what a host has repaired in passing.
    let broker = BrokerFacts {
        folder: before.folder.or(after.folder),
        socket: before.socket.or(after.socket),
        ran: before.ran,
        ..after
    };
    (launches, broker)
}

fn settings_facts(settings: &Result<Settings, SettingsError>, paths: &Paths) -> SettingsFacts {
    let error = settings.as_ref().err();
    let path = error.map_or_else(|| settings::path(paths), |error| error.path().to_path_buf());
    let above = settings::administrators_path();
    let read = settings.as_ref().ok();
    SettingsFacts {
        there: path.exists(),
        path,
        problem: error.map(|error| match error {
            // The command is distinguished from it.
            SettingsError::Refused { path, problem, .. } => format!("{}: {problem}", path.display()),
            _ => in_one_line(error),
        }),
        unread: match error {
            Some(SettingsError::Read { source, .. }) => Some(source.kind()),
            _ => None,
        },
        fix: match error {
            Some(SettingsError::Refused { fix, .. }) => Some(fix.clone()),
            _ => None,
        },
        exposed: read.map_or_else(Vec::new, |settings| settings.exposed.clone()),
        above: above.exists().then_some(above),
        insecure: read.map_or_else(Vec::new, |settings| settings.tls.insecure_hosts.clone()),
    }
}

/// The user's receipt, unless only that of all users is broken.
fn receipts(own: &Result<Receipt, InstallError>, folder: &Path, shared: &Path) -> ReceiptFacts {
    let facts = |folder: &Path, receipt: &Result<Receipt, InstallError>, scope| ReceiptFacts {
        path: folder.join(installer::receipt::FILE),
        problem: receipt
            .as_ref()
            .err()
            .map(|problem| match std::error::Error::source(problem) {
                Some(source) => format!("{problem}: {source}"),
                None => problem.to_string(),
            }),
        scope,
    };
    let of_all = Receipt::read(shared);
    // What is closed to this user is no fault.
    if own.is_ok() && matches!(of_all, Err(InstallError::Receipt { .. })) {
        facts(shared, &of_all, Scope::System)
    } else {
        facts(folder, own, Scope::User)
    }
}

fn folders(paths: &Paths, settings: Option<&Settings>) -> FolderFacts {
    let journals = paths.state().join("journal");
    FolderFacts {
        moved: paths.home().map(Path::to_path_buf),
        logs: paths.logs().to_path_buf(),
        logs_problem: files::writing_problem(paths.logs()),
        state: paths.state().to_path_buf(),
        state_problem: files::writing_problem(paths.state()),
        journals: files::size(&journals),
        quota: settings.map_or_else(|| Quota::default().total, |settings| settings.journal.total),
        free: files::free(paths.state()),
    }
}

/// An error and what caused it.
fn in_one_line(error: &SettingsError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
