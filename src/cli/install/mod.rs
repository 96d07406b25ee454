//! `longwire install` and `longwire uninstall`: show the plan, then execute it.
//!
//! Locations and rollback are the installer's; this has folders and exit codes. The text that is printed is in `output`,
//! failures in `failure`.

mod failure;
mod output;

use std::path::{Path, PathBuf};

use installer::browsers::{Browser, Scope};
use installer::environment::Environment;
use installer::lock::InstallLock;
use installer::manifest::{ExtensionId, HostName};
use installer::plan::{self, Choice, InstallPaths, Plan, PlanStep};
use installer::receipt::{self, Receipt};

use super::args::{InstallArgs, RegistrationArgs, UninstallArgs};
use super::error::{Exit, Failure};
use super::startable::{self, Unstartable};
use super::{render, root_guard, version_guard};
use crate::paths::Paths;

use self::failure::{refused, wrong};
use self::output::{Documents, InstallReport, closing, describe};

pub(super) use self::failure::advise;

/// Where the paths stand; what does not fit into a line goes on there.
const INDENT: usize = 11;

/// Registers extensions with browsers.
pub(crate) fn install(args: &InstallArgs) -> Result<Exit, Failure> {
    let mut extensions = extensions(&args.extensions)?;
    for app in &args.apps {
        extensions.push(ExtensionId::parse_app(app).map_err(wrong)?);
    }
    let (env, paths, mut choice) = prepare("install", &args.registration)?;
    choice.sandboxed = args.sandboxed;
    let lock = lock(&env, &choice, &args.registration)?;
    let mut plan = plan::install(&env, &paths, &choice, &extensions).map_err(|problem| advise(&problem))?;
    if choice.scope == Scope::User && cfg!(unix) && std::env::var_os("SUDO_USER").is_some() {
        let note = "this registers root's own browsers; for yours omit sudo, for all users add --system";
        plan.notes.push(note.to_owned());
    }
    version_guard::spare_newer(&mut plan);
    check_place(&plan)?;
    let exit = carry_out("install", &args.registration, &plan)?;
    if !args.registration.dry_run {
        check_start(&plan.program)?;
    }
    // From here on another `uninstall` may take the program away.
    drop(lock);
    if !args.registration.dry_run {
        renew_broker(&plan.program, &args.registration);
    }
    Ok(exit)
}

/// Refuses a folder in which the system starts no programs, before anything is written.
fn check_place(plan: &Plan) -> Result<(), Failure> {
    if !startable::is_noexec(&plan.program) {
        return Ok(());
    }
    let problem = Unstartable::NoExec;
    Err(Failure::new(format!(
        "{}; nothing was changed",
        problem.describe(&plan.program)
    ))
    .hint(problem.hint()))
}

/// Starts the program where the browsers will: what the system has against it, they would only say as "host has exited".
fn check_start(program: &Path) -> Result<(), Failure> {
    // What is installed for another root is not there for this one.
    if !program.exists() {
        return Ok(());
    }
    startable::try_start(program).map_err(|problem| {
        let why = format!("it is registered, but {}", problem.describe(program));
        Failure::new(why).hint(problem.hint())
    })
}

/// The ids as they were given: one or several in each argument.
pub(super) fn extensions(given: &[String]) -> Result<Vec<ExtensionId>, Failure> {
    let ids = given.iter().flat_map(|ids| {
        let mut several: Vec<_> = ids.split([',', ' ']).filter(|id| !id.is_empty()).collect();
        if several.is_empty() {
            // Nothing at all is no id, and is reported as one.
            several.push(ids);
        }
        several
    });
    ids.map(ExtensionId::parse)
        .collect::<Result<_, _>>()
        .map_err(wrong)
}

/// Has an older broker that runs make room for this version. When that fails, the next host sees to it.
fn renew_broker(program: &Path, args: &RegistrationArgs) {
    let renewed = super::block_on(async {
        let paths = super::paths()?;
        // No folder, no broker; and one that is made now would be left behind.
        if !paths
            .run_candidates()
            .first()
            .is_some_and(|folder| folder.is_dir())
        {
            return Ok(false);
        }
        let renewed = crate::host::renew_broker(&paths, program).await;
        renewed.map_err(Failure::new)
    });
    match renewed {
        Ok(true) if !args.json => {
            render::line("The older broker has been replaced; its sessions continue.");
        }
        Ok(_) => {}
        Err(failure) => render::note(&format!(
            "the running broker was not replaced: {}",
            failure.message
        )),
    }
}

/// Takes registrations back.
pub(crate) fn uninstall(args: &UninstallArgs) -> Result<Exit, Failure> {
    let (env, paths, choice) = prepare("uninstall", &args.registration)?;
    let _lock = lock(&env, &choice, &args.registration)?;
    if !args.all {
        let plan = uninstall_plan(&env, &paths, &choice)?;
        return carry_out("uninstall", &args.registration, &plan);
    }
    let receipt = Receipt::read(&paths.state).map_err(|problem| advise(&problem))?;
    let registered = receipt.manifests.iter().map(|registered| &registered.name);
    let keys = receipt.keys.iter().map(|registered| &registered.name);
    let mut names: Vec<&String> = registered.chain(keys).collect();
    names.sort();
    names.dedup();
    let mut choices = names
        .into_iter()
        .map(|name| {
            let name = HostName::parse(name).map_err(|problem| advise(&problem))?;
            Ok(Choice {
                name,
                ..choice.clone()
            })
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    if choices.is_empty() {
        // What an install without a receipt has left has the usual name.
        choices.push(choice);
    }
    let mut plans = Vec::new();
    for choice in &choices {
        // Each by what the one before has left.
        let plan = uninstall_plan(&env, &paths, choice)?;
        perform("uninstall", &args.registration, &plan)?;
        plans.push(plan);
    }
    if args.registration.json {
        render::json(&Documents {
            action: "uninstall",
            dry_run: args.registration.dry_run,
            changed: plans.iter().any(|plan| !plan.steps.is_empty()),
            hosts: &plans,
        });
    }
    Ok(Exit::Done)
}

/// Keeps others from changing registrations between what is read and what is written. A dry run writes nothing.
fn lock(env: &Environment, choice: &Choice, args: &RegistrationArgs) -> Result<Option<InstallLock>, Failure> {
    if args.dry_run {
        return Ok(None);
    }
    let folder = match choice.scope {
        Scope::User => &env.home,
        Scope::System => &env.root,
    };
    InstallLock::acquire(folder)
        .map(Some)
        .map_err(|problem| advise(&problem))
}

fn uninstall_plan(env: &Environment, paths: &InstallPaths, choice: &Choice) -> Result<Plan, Failure> {
    let mut plan = plan::uninstall(env, paths, choice).map_err(|problem| advise(&problem))?;
    let receipt = paths.state.join(receipt::FILE);
    let is_last = plan.steps.contains(&PlanStep::RemoveFile { path: receipt });
    // The broker's own, which install has not made.
    let kept = ["logs", "journal"].map(|folder| paths.state.join(folder));
    if is_last && kept.iter().any(|folder| folder.exists()) {
        let state = paths.state.display();
        plan.notes
            .push(format!("logs and stored sessions stay in {state}"));
    }
    Ok(plan)
}

fn prepare(action: &str, args: &RegistrationArgs) -> Result<(Environment, InstallPaths, Choice), Failure> {
    let name = HostName::parse(&args.name).map_err(wrong)?;
    let browsers = args
        .browsers
        .iter()
        .map(|name| Browser::named(name))
        .collect::<Result<Vec<_>, _>>()
        .map_err(wrong)?;
    let user_data_dir = args
        .user_data_dir
        .as_ref()
        .map(std::path::absolute)
        .transpose()
        .map_err(|error| Failure::because("the user data folder cannot be resolved", &error))?;
    let scope = if args.system { Scope::System } else { Scope::User };
    let env = Environment::from_env().map_err(|problem| advise(&problem))?;
    let paths = InstallPaths {
        program: std::env::current_exe()
            .map_err(|error| Failure::because("cannot find the path of this program", &error))?,
        state: state(scope, &env.root)?,
    };
    let choice = Choice {
        name,
        browsers,
        scope,
        sandboxed: false,
        user_data_dir,
    };
    check_owners(action, &env, &paths, &choice)?;
    Ok((env, paths, choice))
}

/// Root registers nothing in what belongs to another user, and goes by no install record of theirs.
fn check_owners(
    action: &str,
    env: &Environment,
    paths: &InstallPaths,
    choice: &Choice,
) -> Result<(), Failure> {
    let record = paths.state.join(receipt::FILE);
    let mut folders = vec![paths.state.as_path(), record.as_path()];
    if choice.scope == Scope::User {
        folders.extend([env.home.as_path(), env.config.as_path()]);
    }
    folders.extend(choice.user_data_dir.as_deref());
    let hosts = choice
        .user_data_dir
        .as_ref()
        .map(|folder| folder.join("NativeMessagingHosts"));
    folders.extend(hosts.as_deref());
    let ids = if action == "install" {
        " --extension <id>"
    } else {
        ""
    };
    root_guard::check(&folders, &format!("longwire {action}{ids}"))
}

/// Where the receipt and the copy of the program lie: for all users somewhere all users can read.
pub(crate) fn state(scope: Scope, root: &Path) -> Result<PathBuf, Failure> {
    let paths =
        Paths::from_env().map_err(|error| Failure::because("Longwire's folders are unknown", &error))?;
    Ok(match scope {
        Scope::System if paths.home().is_none() => for_all(root),
        Scope::User | Scope::System => paths.state().to_path_buf(),
    })
}

fn for_all(root: &Path) -> PathBuf {
    if cfg!(windows) {
        std::env::var_os("ProgramFiles")
            .map_or_else(|| PathBuf::from(r"C:\Program Files"), PathBuf::from)
            .join("Longwire")
    } else if cfg!(target_os = "macos") {
        root.join("Library/Application Support/Longwire")
    } else {
        root.join("opt/longwire")
    }
}

/// Does what is planned, and prints it.
fn carry_out(action: &str, args: &RegistrationArgs, plan: &Plan) -> Result<Exit, Failure> {
    perform(action, args, plan)?;
    if args.json {
        render::json(&InstallReport {
            action,
            dry_run: args.dry_run,
            changed: !plan.steps.is_empty(),
            plan,
        });
    }
    Ok(Exit::Done)
}

/// Executes the plan, and prints the result.
fn perform(action: &str, args: &RegistrationArgs, plan: &Plan) -> Result<(), Failure> {
    if !args.json {
        for line in describe(action, plan) {
            render::folded(&line, INDENT);
        }
    }
    if !args.dry_run {
        undisturbed(|| installer::apply::apply(&plan.steps))
            .map_err(|problem| refused(action, args, &problem))?;
    }
    if !args.json {
        render::line(closing(action, args, plan));
    }
    Ok(())
}

/// Does it without being interrupted: it ends soon, and half of it is no state to be left in.
fn undisturbed<T>(work: impl FnOnce() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let _inside = runtime.as_ref().ok().map(tokio::runtime::Runtime::enter);
    // Whoever listens to signals is not ended by them.
    #[cfg(unix)]
    let _deaf = runtime.is_ok().then(|| {
        use tokio::signal::unix::{SignalKind, signal};
        [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ]
        .map(signal)
    });
    #[cfg(windows)]
    let _deaf = runtime.is_ok().then(tokio::signal::windows::ctrl_c);
    work()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_signal_does_not_interrupt_a_running_change() {
        let own = rustix::process::getpid();
        let signal = rustix::process::Signal::HUP;
        assert_eq!(
            undisturbed(|| rustix::process::kill_process(own, signal).map(|()| 7)),
            Ok(7)
        );
    }
}
