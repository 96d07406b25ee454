//! A real broker in a folder of its own.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use longwire::local::Endpoint;
use longwire::paths::Paths;
use tempfile::TempDir;

/// The program that is measured: this build, or the one that `BENCH_LONGWIRE` names, to compare two.
pub(crate) fn program() -> OsString {
    std::env::var_os("BENCH_LONGWIRE").unwrap_or_else(|| env!("CARGO_BIN_EXE_longwire").into())
}

/// A broker in a folder of its own; both end with this.
pub(crate) struct Broker {
    home: TempDir,
    process: Option<Child>,
}

impl Broker {
    /// Starts one, and waits until its door is open.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, with more in its environment.
    pub(crate) fn start_with(environment: &[(&str, &OsStr)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let process = Command::new(program())
            .arg("broker")
            .env("LONGWIRE_HOME", home.path())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let endpoint = Endpoint::of(&Paths::within(home.path().to_owned())).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while !endpoint.address().exists() {
            assert!(Instant::now() < deadline, "the broker does not come up");
            std::thread::yield_now();
        }
        Self {
            home,
            process: Some(process),
        }
    }

    /// Just the folder: the first host starts the broker.
    pub(crate) fn none_yet() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            process: None,
        }
    }

    /// Asks whoever is the broker of this folder to leave.
    pub(crate) fn stop(self) {
        let stop = Command::new(program())
            .arg("stop")
            .env("LONGWIRE_HOME", self.home.path())
            .output()
            .unwrap();
        assert!(stop.status.success(), "{stop:?}");
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Processor time so far.
    pub(crate) fn cpu(&self) -> Duration {
        self.process.as_ref().map_or(Duration::ZERO, cpu)
    }

    /// Resident memory, in kB.
    pub(crate) fn resident(&self) -> u64 {
        self.process.as_ref().map_or(0, resident)
    }

    /// How often it has gone to sleep so far.
    pub(crate) fn wakeups(&self) -> u64 {
        self.process.as_ref().map_or(0, wakeups)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Processor time that the threads of a process have taken so far; zero where the system does not say.
pub(crate) fn cpu(process: &Child) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.id()));
    let nanos = tasks.into_iter().flatten().flatten().filter_map(|task| {
        let schedstat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        schedstat.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// Resident memory of a process, in kB; zero where the system does not say.
pub(crate) fn resident(process: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// How often the threads of a process have gone to sleep so far; zero where the system does not say.
pub(crate) fn wakeups(process: &Child) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.id()));
    tasks
        .into_iter()
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok())
        .filter_map(|status| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            line?.trim().parse::<u64>().ok()
        })
        .sum()
}
