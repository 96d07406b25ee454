//! The only caller of the system clock: awake time, boot time, wall time.
//!
//! It keeps no timers and decides nothing; its caller compares two readings to detect that the machine slept.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One look at the clocks. The two spans start at an arbitrary moment and never go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockReading {
    /// Time the machine was awake.
    pub awake: Duration,
    /// Time since boot, sleep included.
    pub boot: Duration,
    /// Milliseconds since 1970, for display only.
    pub wall: u64,
}

impl ClockReading {
    /// The time now.
    pub fn now() -> Self {
        let (awake, boot) = spans();
        let boot = boot + pretended_sleep();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            awake,
            boot,
            wall: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// How long the machine slept between an earlier reading and this one.
    pub fn slept_since(&self, earlier: &Self) -> Duration {
        let boot = self.boot.saturating_sub(earlier.boot);
        boot.saturating_sub(self.awake.saturating_sub(earlier.awake))
    }
}

/// For tests: the file that `LONGWIRE_SLEPT_MS` names has the time that the machine has slept, in milliseconds.
#[cfg(debug_assertions)]
fn pretended_sleep() -> Duration {
    use std::path::PathBuf;
    use std::sync::OnceLock;

    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let file = FILE.get_or_init(|| std::env::var_os("LONGWIRE_SLEPT_MS").map(PathBuf::from));
    let text = file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
    Duration::from_millis(text.and_then(|text| text.trim().parse().ok()).unwrap_or(0))
}

/// Nothing, in a release build.
#[cfg(not(debug_assertions))]
const fn pretended_sleep() -> Duration {
    Duration::ZERO
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn spans() -> (Duration, Duration) {
    use rustix::time::ClockId;
    (clock(ClockId::Monotonic), clock(ClockId::Boottime))
}

#[cfg(target_vendor = "apple")]
fn spans() -> (Duration, Duration) {
    // Here `Instant` stands still while the machine sleeps, and the monotonic clock does not.
    (since_start(), clock(rustix::time::ClockId::Monotonic))
}

#[cfg(all(
    unix,
    not(any(target_os = "linux", target_os = "android", target_vendor = "apple"))
))]
fn spans() -> (Duration, Duration) {
    // No clock of these systems is known to count sleep: the machine never seems to sleep.
    let awake = clock(rustix::time::ClockId::Monotonic);
    (awake, awake)
}

#[cfg(unix)]
fn clock(id: rustix::time::ClockId) -> Duration {
    let time = rustix::time::clock_gettime(id);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

#[cfg(target_vendor = "apple")]
fn since_start() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

#[cfg(windows)]
#[expect(unsafe_code, reason = "two system calls that fill a number")]
fn spans() -> (Duration, Duration) {
    use windows_sys::Win32::System::WindowsProgramming::{QueryInterruptTime, QueryUnbiasedInterruptTime};
    let (mut awake, mut boot) = (0u64, 0u64);
    // SAFETY: both write one `u64` through a pointer to a live local variable, in units of 100 ns.
    unsafe {
        QueryUnbiasedInterruptTime(&mut awake);
        QueryInterruptTime(&mut boot);
    }
    (
        Duration::from_nanos(awake.saturating_mul(100)),
        Duration::from_nanos(boot.saturating_mul(100)),
    )
}

/// Which boot of the machine this is: a text that differs after the next one. Empty if it is unknown.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn machine_boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

/// Which boot of the machine this is: a text that differs after the next one. Empty if it is unknown.
#[cfg(target_vendor = "apple")]
#[expect(unsafe_code, reason = "asks the kernel for a text")]
pub fn machine_boot() -> String {
    let mut text = [0u8; 64];
    let mut length = text.len();
    // SAFETY: the name ends in zero; the buffer is live and its length is passed along.
    let asked = unsafe {
        libc::sysctlbyname(
            c"kern.bootsessionuuid".as_ptr(),
            text.as_mut_ptr().cast(),
            &mut length,
            std::ptr::null_mut(),
            0,
        )
    };
    let text = if asked == 0 {
        &text[..length.min(text.len())]
    } else {
        &[]
    };
    String::from_utf8_lossy(text).trim_end_matches('\0').to_owned()
}

/// Which boot of the machine this is: a text that differs after the next one. Empty if it is unknown.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub fn machine_boot() -> String {
    // No id is known here. The moment of the boot, to the minute, serves: a clock that is set makes it look like
    // another boot, which is the safe mistake.
    let now = ClockReading::now();
    let booted = now.wall / 1000 - now.boot.as_secs().min(now.wall / 1000);
    format!("booted-{}", (booted + 30) / 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_is_the_difference_of_boot_time_and_awake_time() {
        let before = ClockReading {
            awake: Duration::from_secs(10),
            boot: Duration::from_secs(100),
            wall: 0,
        };
        let after = ClockReading {
            awake: Duration::from_secs(11),
            boot: Duration::from_secs(161),
            wall: 0,
        };
        assert_eq!(after.slept_since(&before), Duration::from_secs(60));
        assert_eq!(before.slept_since(&after), Duration::ZERO);
    }

    #[test]
    fn the_boot_id_is_stable() {
        assert!(!machine_boot().is_empty());
        assert_eq!(machine_boot(), machine_boot());
    }

    #[test]
    fn clocks_are_monotonic() {
        let first = ClockReading::now();
        let second = ClockReading::now();
        assert!(second.awake >= first.awake && second.boot >= first.boot);
        assert!(second.wall > 1_600_000_000_000);
    }
}
