//! Finds the broker, or starts one.
//!
//! Race-free in tmux's order: connect; take the launch lock; connect again; start a broker, wait for its report,
//! connect. A process that does not get the lock tries to connect again. The holder of the lock first asks a broker of an
//! older version to exit; if it stays, the host uses it. It knows no frames but the preamble and that request.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::local::{Endpoint, LocalError, Stream, connect, split};
use crate::paths::{self, Paths, PathsError};
use crate::version;
use crate::wire::frame::{HEADER, framed};
use crate::wire::preamble::{PeerKind, Preamble};

/// How long a broker may take from its start to its report.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause of a host that waits for another one to start the broker.
const LOCK_RETRY_DELAY: (Duration, Duration) = (Duration::from_millis(4), Duration::from_millis(20));

/// How long an older broker may take to exit: it hands its sessions over, and closes its links.
const EXIT_TIMEOUT: Duration = Duration::from_secs(8);

/// How long a host waits for another one to start the broker.
const LOCK_TIMEOUT: Duration = Duration::from_secs(20);

/// The size above which the file of a broker's stderr is begun anew.
const MAX_STDERR_BYTES: u64 = 256 << 10;

/// What a broker keeps of the environment of the browser that happened to start it.
const INHERITED_VARIABLES: &[&str] = &[
    "HOME",
    "PATH",
    "USER",
    "LOGNAME",
    "LANG",
    "TZ",
    "TMPDIR",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "RUST_BACKTRACE",
];

/// What a program needs on Windows to find its user's folders and the system's libraries.
const INHERITED_ON_WINDOWS: &[&str] = &[
    "SystemRoot",
    "SystemDrive",
    "windir",
    "ComSpec",
    "PATHEXT",
    "TEMP",
    "TMP",
    "USERPROFILE",
    "USERNAME",
    "USERDOMAIN",
    "APPDATA",
    "LOCALAPPDATA",
    "ProgramData",
    "ProgramFiles",
    "HOMEDRIVE",
    "HOMEPATH",
    "COMPUTERNAME",
    "NUMBER_OF_PROCESSORS",
    "PROCESSOR_ARCHITECTURE",
];

/// Families of variables that a broker keeps.
const INHERITED_PREFIXES: &[&str] = &["LC_", "XDG_", "LONGWIRE_"];

/// Why no broker was met.
#[derive(Debug, thiserror::Error)]
pub(super) enum LaunchError {
    #[error("cannot find a folder for the broker's socket")]
    Paths(#[from] PathsError),
    #[error("cannot connect to the broker")]
    Local(#[from] LocalError),
    #[error("cannot lock {}", file.display())]
    Lock {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot start {}", program.display())]
    Start {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the broker did not start: {0}")]
    Report(String),
    #[error("another process has been starting a broker for {} s, without success", LOCK_TIMEOUT.as_secs())]
    LockTimeout,
}

/// Finds the broker or starts one; `starting` is awaited before one is started.
///
/// # Errors
/// When there is none and none comes up. Worth a few more tries, after a while.
pub(super) async fn find(paths: &Paths, starting: impl AsyncFnOnce()) -> Result<Stream, LaunchError> {
    let endpoint = Endpoint::of(paths)?;
    let mut waited = Duration::ZERO;
    let lock = loop {
        let wants_lock = if is_older(&endpoint) {
            true
        } else {
            match connect(&endpoint).await {
                Ok(stream) => return Ok(stream),
                Err(LocalError::Absent(_)) => true,
                Err(LocalError::Busy(_)) => false,
                Err(error) => return Err(error.into()),
            }
        };
        if wants_lock && let Some(lock) = try_lock(&endpoint)? {
            break lock;
        }
        if waited >= LOCK_TIMEOUT {
            return Err(LaunchError::LockTimeout);
        }
        let pause = jitter(LOCK_RETRY_DELAY.0, LOCK_RETRY_DELAY.1);
        sleep(pause).await;
        waited += pause;
    };
    // Somebody may have started one, or replaced one, between our look and the lock.
    if is_older(&endpoint) {
        request_exit(&endpoint).await;
    }
    match connect(&endpoint).await {
        Err(LocalError::Absent(_)) => {}
        met => return met.map_err(Into::into),
    }
    starting().await;
    start(paths, program()).await?;
    let met = connect(&endpoint).await;
    drop(lock);
    met.map_err(Into::into)
}

/// Has an older broker leave and starts `program` in its place; `false` when none runs, or it stays.
///
/// # Errors
/// When another process is at it all the time, or the new broker does not come up.
pub(super) async fn renew(paths: &Paths, program: PathBuf) -> Result<bool, LaunchError> {
    let endpoint = Endpoint::of(paths)?;
    let mut waited = Duration::ZERO;
    while is_older(&endpoint) {
        if let Some(_lock) = try_lock(&endpoint)? {
            if !is_older(&endpoint) || !request_exit(&endpoint).await {
                return Ok(false);
            }
            start(paths, program).await?;
            return Ok(true);
        }
        if waited >= LOCK_TIMEOUT {
            return Err(LaunchError::LockTimeout);
        }
        let pause = jitter(LOCK_RETRY_DELAY.0, LOCK_RETRY_DELAY.1);
        sleep(pause).await;
        waited += pause;
    }
    Ok(false)
}

/// Whether the broker that has the place, or had it last, is of an older version than this program.
fn is_older(endpoint: &Endpoint) -> bool {
    std::fs::read_to_string(endpoint.broker_version())
        .is_ok_and(|version| version::is_newer(version::own(), version.trim()))
}

/// Asks a broker to make room, and waits until it has; `false` when none is there, or it stays.
async fn request_exit(endpoint: &Endpoint) -> bool {
    let Ok(stream) = connect(endpoint).await else {
        return false;
    };
    let (mut from, mut to) = split(stream);
    let mut request = framed(&Preamble::new(PeerKind::Admin, None, version::own()).to_json());
    request.extend(framed(br#"{"type":"retire","id":"1"}"#));
    let exited = async {
        to.write_all(&request).await?;
        let mut answer = Vec::new();
        // Its answer that it exits, then the end of the stream when it has.
        while from.read_buf(&mut answer).await? > 0 {
            if answer
                .get(HEADER..)
                .is_some_and(|output| output.starts_with(br#"{"type":"error""#))
            {
                return Ok(false);
            }
        }
        Ok::<_, io::Error>(true)
    };
    let left = timeout(EXIT_TIMEOUT, exited).await;
    match &left {
        // One that ends in the middle of its answer has exited as well.
        Ok(Ok(true) | Err(_)) => {
            tracing::info!("an older broker has been replaced");
            true
        }
        Ok(Ok(false)) => {
            tracing::warn!("an older broker keeps running: it refuses to retire");
            false
        }
        Err(_) => {
            tracing::warn!(
                "an older broker keeps running: it did not exit within {} s",
                EXIT_TIMEOUT.as_secs()
            );
            false
        }
    }
}

fn try_lock(endpoint: &Endpoint) -> Result<Option<File>, LaunchError> {
    let file = endpoint.launch_lock();
    let failed = |source| LaunchError::Lock {
        file: file.clone(),
        source,
    };
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&file)
        .map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Starts a broker and waits until it can be met.
async fn start(paths: &Paths, program: PathBuf) -> Result<(), LaunchError> {
    let mut child = spawn(&program, paths).map_err(|source| LaunchError::Start { program, source })?;
    let mut word = String::new();
    let output = match child.stdout.take() {
        Some(stdout) => {
            timeout(
                START_TIMEOUT,
                BufReader::with_capacity(256, stdout).read_line(&mut word),
            )
            .await
        }
        None => Ok(Ok(0)),
    };
    // It outlives this process; while this one runs, it reaps the other.
    tokio::spawn(async move { child.wait().await });
    match output {
        // Another broker took the place: it is the one to meet.
        Ok(Ok(_)) if matches!(word.trim_end(), "ready" | "taken") => Ok(()),
        Ok(Ok(0)) => Err(LaunchError::Report("it exited without output".to_owned())),
        Ok(Ok(_)) => Err(LaunchError::Report(word.trim_end().to_owned())),
        Ok(Err(error)) => Err(LaunchError::Report(error.to_string())),
        Err(_) => Err(LaunchError::Report(format!(
            "no output within {} s",
            START_TIMEOUT.as_secs()
        ))),
    }
}

/// This program; after an update in its place, the new one.
fn program() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("longwire"));
    match program.to_str().and_then(|text| text.strip_suffix(" (deleted)")) {
        Some(replaced) => PathBuf::from(replaced),
        None => program,
    }
}

fn spawn(program: &Path, paths: &Paths) -> io::Result<Child> {
    let mut command = Command::new(program);
    command
        .args(["broker", "--detached"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr_file(paths.logs()))
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_inherited)))
        .kill_on_drop(false);
    if let Some(home) = paths.home() {
        // Absolute: the broker has another current folder.
        command.env(paths::HOME, home);
    }
    detached(command)
}

fn is_inherited(name: &str) -> bool {
    INHERITED_VARIABLES.contains(&name)
        || INHERITED_PREFIXES.iter().any(|family| name.starts_with(family))
        || (cfg!(windows)
            && INHERITED_ON_WINDOWS
                .iter()
                .any(|inherited| inherited.eq_ignore_ascii_case(name)))
        || (cfg!(windows)
            && INHERITED_VARIABLES
                .iter()
                .any(|inherited| inherited.eq_ignore_ascii_case(name)))
}

/// The broker leaves our session by itself, first of all.
#[cfg(unix)]
fn detached(mut command: Command) -> io::Result<Child> {
    command.spawn()
}

/// Out of the browser's job, which would take the broker down with this process; where the job forbids that, inside.
#[cfg(windows)]
fn detached(mut command: Command) -> io::Result<Child> {
    use windows_sys::Win32::System::Threading::{
        CREATE_BREAKAWAY_FROM_JOB, CREATE_NEW_PROCESS_GROUP, DETACHED_PROCESS,
    };
    let flags = DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP;
    command.creation_flags(flags | CREATE_BREAKAWAY_FROM_JOB);
    command.spawn().or_else(|_| {
        command.creation_flags(flags);
        command.spawn()
    })
}

/// Where a broker's stderr goes: the log has everything else; this is for crashes.
fn stderr_file(logs: &Path) -> Stdio {
    let path = logs.join("broker-stderr.txt");
    let is_long = path.metadata().is_ok_and(|found| found.len() > MAX_STDERR_BYTES);
    let mut options = OpenOptions::new();
    options.create(true).write(true);
    if is_long {
        options.truncate(true);
    } else {
        options.append(true);
    }
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // Without a log folder they are lost; the broker makes the folder when it first comes up.
    options.open(path).map_or_else(|_| Stdio::null(), Stdio::from)
}

/// A span between two, differently each time.
pub(super) fn jitter(min: Duration, max: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    min + (max - min).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_inherits_only_the_environment_it_needs() {
        for inherited in [
            "HOME",
            "XDG_RUNTIME_DIR",
            "LONGWIRE_HOME",
            "LC_ALL",
            "https_proxy",
            "SSL_CERT_FILE",
        ] {
            assert!(is_inherited(inherited), "{inherited}");
        }
        for left in [
            "DBUS_SESSION_BUS_ADDRESS",
            "GOOGLE_API_KEY",
            "LD_PRELOAD",
            "CHROME_WRAPPER",
            "DISPLAY",
        ] {
            assert!(!is_inherited(left), "{left}");
        }
    }
}
