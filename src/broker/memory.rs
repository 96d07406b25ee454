//! How much memory this process holds.
//!
//! For display only; where the system does not report it, it is 0.

/// Resident bytes of this process.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok())
        .unwrap_or(0);
    pages * rustix::param::page_size() as u64
}

/// Resident bytes of this process.
#[cfg(target_vendor = "apple")]
#[expect(unsafe_code, reason = "asks the kernel for this task's memory")]
pub(super) fn resident() -> u64 {
    // SAFETY: the structure is plain numbers, live, and of the size that the flavour asks for.
    unsafe {
        let mut usage: libc::rusage_info_v2 = std::mem::zeroed();
        let asked = libc::proc_pid_rusage(
            libc::getpid(),
            libc::RUSAGE_INFO_V2,
            std::ptr::from_mut(&mut usage).cast(),
        );
        if asked == 0 { usage.ri_resident_size } else { 0 }
    }
}

/// Resident bytes of this process.
#[cfg(windows)]
#[expect(unsafe_code, reason = "asks the kernel for this process's memory")]
pub(super) fn resident() -> u64 {
    use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
    use windows_sys::Win32::System::Threading::GetCurrentProcess;

    let size = u32::try_from(size_of::<PROCESS_MEMORY_COUNTERS>()).unwrap_or(0);
    // SAFETY: the structure is plain numbers, live, and its size is passed along.
    unsafe {
        let mut counters: PROCESS_MEMORY_COUNTERS = std::mem::zeroed();
        counters.cb = size;
        if K32GetProcessMemoryInfo(GetCurrentProcess(), &mut counters, size) == 0 {
            0
        } else {
            counters.WorkingSetSize as u64
        }
    }
}

/// Resident bytes of this process.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple", windows)))]
pub(super) fn resident() -> u64 {
    0
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn resident_memory_is_plausible() {
        let resident = super::resident();
        assert!((100_000..100_000_000_000).contains(&resident), "{resident}");
    }
}
