//! Looks at everything: registrations, programs, hosts, the broker, folders, a server.
//!
//! It only reads, with one exception that it takes back: the host it starts may start a broker, as it would for a
//! browser. It judges nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use installer::browsers::{BROWSERS, Family, Scope};
use installer::environment::Environment;
use installer::error::InstallError;
use installer::lookup;
use installer::manifest::{ExtensionId, HostName};
use installer::plan::USER_DATA_DIR;
use installer::policy::Policy;
use installer::receipt::Receipt;

use super::facts::{
    BrokerAnswer, BrokerFacts, BrowserFacts, DialFacts, Facts, FolderFacts, LaunchFacts, ManifestLookup,
    PathFacts, ProgramFacts, ReceiptFacts, SettingsFacts,
};
use super::{files, launch, pac, processes};
use crate::broker::live_settings;
use crate::cli::admin::Admin;
use crate::cli::args::TrustArgs;
use crate::cli::error::Failure;
use crate::cli::install::state;
use crate::core::io::{ProxyChoice, Target, TransportKind};
use crate::core::policy;
use crate::journal::Quota;
use crate::local::{self, Endpoint};
use crate::paths::Paths;
use crate::settings::{self, Settings, SettingsError};
use crate::transport::Network;
use crate::wire::code::Code;
use crate::wire::record::ErrorInfo;

/// The longest that any one check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// Hosts started at most: one a program and family is enough, and there are seldom more than two.
const MAX_LAUNCHES: usize = 6;
/// Largest message accepted from a dialled server, in bytes.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

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
            // The command is told apart from it.
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
    let facts = |folder: &Path, receipt: &Result<Receipt, InstallError>, for_all| ReceiptFacts {
        path: folder.join(installer::receipt::FILE),
        problem: receipt
            .as_ref()
            .err()
            .map(|problem| match std::error::Error::source(problem) {
                Some(source) => format!("{problem}: {source}"),
                None => problem.to_string(),
            }),
        for_all,
    };
    let of_all = Receipt::read(shared);
    // What is closed to this user is no fault.
    if own.is_ok() && matches!(of_all, Err(InstallError::Receipt { .. })) {
        facts(shared, &of_all, true)
    } else {
        facts(folder, own, false)
    }
}

/// Every browser of the table that is here, and every other folder the receipt names.
fn browsers(env: &Environment, name: &HostName, receipt: &Receipt) -> Vec<BrowserFacts> {
    let mut found = Vec::new();
    for browser in BROWSERS {
        let sandboxed = browser.sandboxed(env);
        let chains = lookup::chains(env, browser, name);
        let is_here = browser.found(env).is_some();
        if !is_here && sandboxed.is_none() {
            continue;
        }
        // The manifest of one that is served through a portal lies where that of an ordinary copy would.
        let has_program = env.program(browser.on(env.system).programs).is_some();
        let sandboxed =
            sandboxed.filter(|sandboxed| !is_here || (sandboxed.is_served_outside() && !has_program));
        let inside = sandboxed.as_ref().and_then(|sandboxed| {
            let serving = sandboxed.serving.as_ref()?;
            lookup::see(&serving.hosts.join(name.file()), Scope::User)
        });
        found.push(BrowserFacts {
            name: browser.name.to_owned(),
            title: browser.title.to_owned(),
            family: browser.family,
            system: env.system,
            folder: None,
            sandboxed,
            inside,
            chains,
            policy: Policy::of(env, browser),
            neighbours: lookup::neighbours(env, browser, name),
        });
    }
    let elsewhere = receipt.manifests.iter().filter(|registered| {
        registered.name == name.to_string() && registered.browsers.iter().any(|one| one == USER_DATA_DIR)
    });
    for (index, registered) in elsewhere.enumerate() {
        let name = match index {
            0 => USER_DATA_DIR.to_owned(),
            more => format!("{USER_DATA_DIR}-{}", more + 1),
        };
        let folder = registered.path.parent().and_then(Path::parent);
        found.push(BrowserFacts {
            name,
            title: "a Chromium with --user-data-dir".to_owned(),
            family: Family::Chromium,
            system: env.system,
            folder: folder.map(Path::to_path_buf),
            sandboxed: None,
            inside: None,
            chains: vec![lookup::see(&registered.path, Scope::User).into_iter().collect()],
            policy: Policy::default(),
            neighbours: Vec::new(),
        });
    }
    found
}

/// What apps find that use the SDK for Node.js, if any is registered.
fn apps(env: &Environment, name: &HostName, state: &Path) -> Option<BrowserFacts> {
    let chain = lookup::apps(env, state, name);
    if chain.is_empty() {
        return None;
    }
    Some(BrowserFacts {
        name: "apps".to_owned(),
        title: "apps".to_owned(),
        family: Family::App,
        system: env.system,
        folder: None,
        sandboxed: None,
        inside: None,
        chains: vec![chain],
        policy: Policy::default(),
        neighbours: Vec::new(),
    })
}

/// A program as a browser would start it.
struct Wanted {
    program: PathBuf,
    family: Family,
    manifest: PathBuf,
    entry: String,
}

fn wanted_programs(name: &str, browsers: &[BrowserFacts]) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for browser in browsers {
        for chain in &browser.chains {
            if let ManifestLookup::Good(seen, accepted) = browser.found(name, chain) {
                wanted.push(Wanted {
                    program: accepted.program,
                    family: browser.family,
                    manifest: seen.path.clone(),
                    entry: accepted.entries.into_iter().next().unwrap_or_default(),
                });
            }
        }
    }
    wanted
}

async fn programs(name: &str, wanted: &[Wanted], browsers: &[BrowserFacts]) -> Vec<ProgramFacts> {
    let named = wanted.iter().map(|wanted| wanted.program.clone());
    let mut programs = Vec::new();
    for path in unique(named.chain(inside(name, browsers))) {
        let facts = files::program(&path);
        programs.push(ProgramFacts {
            version: version(&facts).await,
            ..facts
        });
    }
    programs
}

/// The programs that manifests inside sandboxes name. They are looked at, and not started outside.
fn inside(name: &str, browsers: &[BrowserFacts]) -> Vec<PathBuf> {
    let all = browsers
        .iter()
        .filter_map(|browser| match browser.found(name, browser.inside.as_slice()) {
            ManifestLookup::Good(_, accepted) => Some(accepted.program),
            _ => None,
        });
    all.collect()
}

fn unique<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    all.fold(Vec::new(), |mut unique, one| {
        if !unique.contains(&one) {
            unique.push(one);
        }
        unique
    })
}

/// What a Longwire says of its version; other programs are not asked.
async fn version(program: &ProgramFacts) -> Option<String> {
    let is_longwire = program.path.file_stem().is_some_and(|stem| stem == "longwire");
    if !is_longwire || !program.executable || program.owned_by_other {
        return None;
    }
    let asked = tokio::process::Command::new(&program.path)
        .arg("--version")
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(CHECK_TIMEOUT, asked).await.ok()?.ok()?;
    let output = String::from_utf8(output.stdout).ok()?;
    output.trim().strip_prefix("longwire ").map(str::to_owned)
}

async fn launches(wanted: &[Wanted], runnable: impl Fn(&Path) -> bool) -> Vec<LaunchFacts> {
    let mut once: Vec<&Wanted> = Vec::new();
    for one in wanted.iter().filter(|one| runnable(&one.program)) {
        let again = once
            .iter()
            .any(|other| (&other.program, other.family) == (&one.program, one.family));
        if !again && once.len() < MAX_LAUNCHES {
            once.push(one);
        }
    }
    let all = once
        .iter()
        .map(|one| launch::launch(&one.program, one.family, &one.manifest, &one.entry, CHECK_TIMEOUT));
    join_all(all).await
}

/// Looks at the broker without making any folder.
async fn broker(admin: &Admin, paths: &Paths) -> BrokerFacts {
    let Some(folder) = run_folder(paths) else {
        return BrokerFacts {
            folder: None,
            socket: None,
            process: None,
            ran: false,
            answer: Ok(None),
            status: None,
        };
    };
    let endpoint = Endpoint::of(paths).ok();
    let socket = endpoint
        .as_ref()
        .and_then(|endpoint| files::place(endpoint.address()));
    let (answer, status) = match admin.status().await {
        Ok(status) => {
            let answer = status.as_ref().map(|status| BrokerAnswer {
                version: status["version"].as_str().unwrap_or("?").to_owned(),
                pid: status["pid"].as_u64().unwrap_or_default(),
            });
            (Ok(answer), status)
        }
        Err(failure) => (Err(failure.in_one_line()), None),
    };
    // Only one that does not answer has to be named.
    let process = match endpoint.filter(|_| answer.is_err()) {
        Some(endpoint) => local::connect(&endpoint)
            .await
            .ok()
            .and_then(|stream| i32::try_from(local::peer_process(&stream)?).ok()),
        None => None,
    };
    BrokerFacts {
        folder: Some(folder),
        socket,
        process,
        ran: !matches!(answer, Ok(None)),
        answer,
        status,
    }
}

/// The folder that hosts use, if it is there already.
fn run_folder(paths: &Paths) -> Option<PathFacts> {
    for folder in paths.run_candidates() {
        let there = files::place(folder);
        let can_be_created = folder
            .parent()
            .is_some_and(|parent| files::writing_problem(parent).is_none());
        if there.is_some() || can_be_created {
            return there;
        }
    }
    None
}

/// Asks the broker that was started for doctor's host to leave, unless somebody has come to it since.
async fn leave_as_found(admin: &Admin) {
    if let Ok(Some(status)) = admin.status().await {
        let idle = status["ports"].as_u64().is_none_or(|ports| ports <= 1)
            && status["sessions"].as_array().is_none_or(Vec::is_empty);
        if idle {
            // It leaves by itself, if not now.
            let _ = admin.stop().await;
        }
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

/// The settings with which a server is dialled: those of the file, and what the command line trusts.
fn trusting(
    settings: Result<Settings, SettingsError>,
    trust: &TrustArgs,
    url: &str,
    paths: &Paths,
) -> Result<Option<Settings>, Failure> {
    // A broker whose settings are broken dials nothing; the server may be well all the same.
    let defaults = || settings::parse("", paths.config()).ok();
    let mut settings = settings.ok().or_else(defaults);
    if let Some(settings) = &mut settings {
        trust.add_to(settings, url)?;
    }
    Ok(settings)
}

/// Dials a server as a session would, with the time of each step.
async fn dial(text: &str, what: &DoctorRequest, settings: Option<Settings>) -> DialFacts {
    let rules = settings
        .as_ref()
        .map(|settings| settings.rules.clone())
        .unwrap_or_default();
    let rule = match what.asked.first() {
        Some(id) => rules.of(&id.entry()),
        None => &rules.default,
    };
    let url = match policy::parse_url(text, rule) {
        Ok(url) => url,
        Err(problem) => {
            let shown = match url::Url::parse(text) {
                Ok(mut url) => {
                    url.set_fragment(None);
                    policy::shown_url(&url)
                }
                // Whatever stands before an `@` may be a password.
                Err(_) => {
                    let bare = text.split(['?', '#']).next().unwrap_or_default();
                    bare.rsplit('@').next().unwrap_or_default().to_owned()
                }
            };
            return DialFacts {
                shown,
                steps: Err(problem),
            };
        }
    };
    let shown = policy::shown_url(&url);
    let target = Target {
        jar: None,
        origin: None,
        url,
        subprotocols: Vec::new(),
        headers: what.headers.clone(),
        connect_timeout: CHECK_TIMEOUT,
        proxy: ProxyChoice::System,
        compression: false,
        json: false,
        max_message: MAX_MESSAGE_BYTES,
        transport: TransportKind::WebSocket,
    };
    let network = settings.map(live_settings::network).unwrap_or_default();
    let steps = match Network::new(network) {
        Ok(network) => Ok(network.probe(&target, CHECK_TIMEOUT).await),
        Err(error) => Err(ErrorInfo::new(Code::Proxy, error.to_string())),
    };
    DialFacts { shown, steps }
}
