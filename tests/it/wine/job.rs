//! Browsers put their hosts into a job that ends with them: the broker leaves the job if that is allowed.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::Machine;
use crate::support::host::HostProcess;
use crate::support::{ORIGIN, SOON};

/// A host in a job; `breakaway` or `closed`. When its stdin ends, so do the host's and the job.
fn host_in_job(machine: &Machine, kind: &str) -> HostProcess {
    let starter = PathBuf::from(std::env::var_os("LONGWIRE_WINE_JOB").expect("LONGWIRE_WINE_JOB"));
    let mut command: Command = machine.run(&starter);
    command
        .arg(kind)
        .arg(&machine.program)
        .arg(ORIGIN)
        .stderr(Stdio::null());
    HostProcess::spawn(command)
}

#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn the_broker_leaves_the_job_of_the_browser() {
    let machine = Machine::new();
    let mut host = host_in_job(&machine, "breakaway");
    let first = host.hello()["broker"].clone();
    host.close();
    host.wait(SOON);
    let mut next = machine.host();
    assert_eq!(next.hello()["broker"], first, "the same broker keeps running");
}

#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn a_host_works_in_a_job_without_breakaway() {
    let machine = Machine::new();
    let mut host = host_in_job(&machine, "closed");
    host.hello();
    host.ping("p");
    host.close();
    host.wait(SOON);
    machine.host().hello();
}
