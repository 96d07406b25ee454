//! Hardening of host and broker: no core files, and no debuggers.
//!
//! Both hold credentials. It must run before threads start; where the system refuses, the process goes on without.

/// Writes no core file, and lets no process of this user attach. A build for development can be debugged if
/// `LONGWIRE_DEBUGGABLE` is set.
#[cfg(unix)]
pub fn apply() {
    use rustix::process::{Resource, Rlimit, setrlimit};

    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(problem) = setrlimit(Resource::Core, none) {
        tracing::debug!(%problem, "core dumps stay enabled");
    }
    if !(cfg!(debug_assertions) && std::env::var_os("LONGWIRE_DEBUGGABLE").is_some()) {
        deny_attaching();
    }
}

/// Keeps programs of the same user from reading this process's memory and environment.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn deny_attaching() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};

    if let Err(problem) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::debug!(%problem, "other processes may attach to this one");
    }
}

/// macOS protects signed programs with the hardened runtime instead.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
pub const fn deny_attaching() {}

/// Windows has no such switch for a process of the same user.
#[cfg(windows)]
pub const fn apply() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    #[test]
    fn the_process_is_not_dumpable() {
        super::apply();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        super::deny_attaching();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
