//! A single broker for each user, detached from the process that started it.
//!
//! It serves no port. The claim is a locked file held until exit: the system releases it however the broker ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use crate::local::{Endpoint, LocalError, connect};
use crate::version;

/// What a detached broker prints on its standard output when it accepts connections.
pub const READY: &str = "ready";

/// How long a claim waits for a broker that is about to exit.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why this process cannot be the broker.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another process is.
    #[error("this user's broker is already running at {0}")]
    Taken(Endpoint),
    /// The lock file cannot be used.
    #[error("cannot lock {}", file.display())]
    Lock {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The right to be this user's broker.
#[derive(Debug)]
pub struct Claim {
    /// Kept open: the lock goes when it is closed.
    lock: File,
    path: PathBuf,
}

impl Claim {
    /// Claims the lock, waiting for a broker that no longer answers because it exits.
    ///
    /// # Errors
    /// `Taken` when another broker answers.
    pub async fn take(endpoint: &Endpoint) -> Result<Self, ClaimError> {
        let path = endpoint.broker_lock();
        let failed = |source| ClaimError::Lock {
            file: path.clone(),
            source,
        };
        let lock = open(&path).map_err(failed)?;
        let mut waited = Duration::ZERO;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => return Err(failed(source)),
                Err(TryLockError::WouldBlock) => {}
            }
            let answers = !matches!(connect(endpoint).await, Err(LocalError::Absent(_)));
            if answers || waited >= PROBE_TIMEOUT {
                return Err(ClaimError::Taken(endpoint.clone()));
            }
            let pause = jitter(Duration::from_millis(10), Duration::from_millis(40));
            tokio::time::sleep(pause).await;
            waited += pause;
        }
        state_version(endpoint);
        Ok(Self { lock, path })
    }

    /// Whether the file we hold is still the one that others would lock.
    pub fn is_in_place(&self) -> bool {
        same_file(&self.lock, &self.path)
    }
}

/// Writes the broker's version to a file, for hosts that may be newer. Without the file no host replaces this broker
/// before it exits by itself.
fn state_version(endpoint: &Endpoint) {
    let path = endpoint.broker_version();
    let fresh = path.with_extension("version.new");
    let written = fs::write(&fresh, version::own()).and_then(|()| fs::rename(&fresh, &path));
    if let Err(problem) = written {
        tracing::warn!(%problem, path = %path.display(), "cannot write the broker's version file");
        let _ = fs::remove_file(&path);
    }
}

/// Opens a lock file, making it if missing.
fn open(path: &std::path::Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
}

/// A lock that is held while a broker is being started; `None` when another process is starting one.
pub(super) fn launch_lock(endpoint: &Endpoint) -> Option<File> {
    let lock = open(&endpoint.launch_lock()).ok()?;
    lock.try_lock().ok()?;
    Some(lock)
}

#[cfg(unix)]
fn same_file(held: &File, path: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let (Ok(held), Ok(found)) = (held.metadata(), fs::symlink_metadata(path)) else {
        return false;
    };
    (held.dev(), held.ino()) == (found.dev(), found.ino())
}

#[cfg(windows)]
fn same_file(_held: &File, path: &std::path::Path) -> bool {
    // An open file cannot be removed here.
    fs::symlink_metadata(path).is_ok()
}

/// A span between two, differently each time.
fn jitter(min: Duration, max: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    min + (max - min).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// Detaches from the process that started this one: its session, folder and open files. Call it before anything is opened.
pub fn detach() {
    #[cfg(unix)]
    {
        close_inherited();
        // Fails only for the leader of a process group, which then has its own already.
        let _ = rustix::process::setsid();
    }
    let _ = std::env::set_current_dir(if cfg!(windows) { r"C:\" } else { "/" });
}

/// Closes every file above stderr: browsers are known to leak some of theirs.
#[cfg(unix)]
#[expect(unsafe_code, reason = "closes descriptors that nothing in this process owns")]
fn close_inherited() {
    let folder = if cfg!(any(target_os = "linux", target_os = "android")) {
        "/proc/self/fd"
    } else {
        "/dev/fd"
    };
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let open: Vec<i32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|descriptor| *descriptor > 2)
        .collect();
    for descriptor in open {
        // The one that listed the folder is closed by now.
        if fs::symlink_metadata(format!("{folder}/{descriptor}")).is_ok() {
            // SAFETY: called first of all in `main`, with one thread: no object here owns a descriptor above 2.
            unsafe { rustix::io::close(descriptor) };
        }
    }
}

/// Sets up the process of a broker, however it was started: private files, many descriptors.
pub(super) fn settle_in() {
    #[cfg(unix)]
    {
        use rustix::fs::Mode;
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
        umask(Mode::RWXG | Mode::RWXO);
        let limit = getrlimit(Resource::Nofile);
        let wanted = Rlimit {
            current: limit.maximum.map(|maximum| maximum.min(65_536)).or(Some(65_536)),
            maximum: limit.maximum,
        };
        if limit
            .current
            .is_some_and(|current| Some(current) < wanted.current)
        {
            let _ = setrlimit(Resource::Nofile, wanted);
        }
    }
}

/// Reports the result to the process that started this one, and closes the pipe to it.
pub fn report(word: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{word}");
    let _ = stdout.flush();
    #[cfg(unix)]
    if let Ok(nothing) = OpenOptions::new().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&nothing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::Paths;

    #[tokio::test]
    async fn a_claim_is_released_when_its_holder_drops_it() {
        let scratch = tempfile::tempdir().unwrap();
        let endpoint = Endpoint::of(&Paths::within(scratch.path().to_path_buf())).unwrap();
        let first = Claim::take(&endpoint).await.unwrap();
        assert!(first.is_in_place());
        #[cfg(unix)]
        {
            let _answering = crate::local::Listener::bind(&endpoint).await.unwrap();
            assert!(matches!(Claim::take(&endpoint).await, Err(ClaimError::Taken(_))));
        }
        drop(first);
        let second = Claim::take(&endpoint).await.unwrap();
        fs::remove_file(endpoint.broker_lock()).unwrap();
        assert!(!second.is_in_place());
    }

    #[test]
    fn jitter_stays_within_its_bounds() {
        let (min, max) = (Duration::from_millis(10), Duration::from_millis(40));
        assert!((0..100).all(|_| (min..=max).contains(&jitter(min, max))));
    }
}
