//! Detects that the process which started this one has exited.
//!
//! A browser that crashes may leave its end of the pipes to a child of its own: end of file alone is not enough.

/// Returns when the parent has exited; never, if that cannot be detected.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) async fn exited() {
    use rustix::process::{PidfdFlags, getppid, pidfd_open};
    let parent = getppid();
    let watched = parent
        .and_then(|parent| pidfd_open(parent, PidfdFlags::empty()).ok())
        // It may have gone before it was opened, and its number may be another's by now.
        .filter(|_| getppid() == parent)
        .and_then(readable);
    match watched {
        Some(handle) => drop(handle.readable().await),
        None => adopted(parent).await,
    }
}

/// Returns when the parent has exited; never, if that cannot be detected.
#[cfg(target_vendor = "apple")]
#[expect(unsafe_code, reason = "registers one event with the kernel")]
pub(super) async fn exited() {
    use rustix::event::kqueue::{Event, EventFilter, EventFlags, ProcessEvents, kevent, kqueue};
    use rustix::process::getppid;

    let parent = getppid();
    let watch = |pid| {
        let queue = kqueue().ok()?;
        let filter = EventFilter::Proc {
            pid,
            flags: ProcessEvents::EXIT,
        };
        let event = Event::new(filter, EventFlags::ADD, std::ptr::null_mut());
        let mut none: [Event; 0] = [];
        // SAFETY: the event names a process, no descriptor that could be closed.
        unsafe { kevent(&queue, &[event], &mut none, None) }.ok()?;
        readable(queue)
    };
    match parent.and_then(watch).filter(|_| getppid() == parent) {
        Some(queue) => drop(queue.readable().await),
        None => adopted(parent).await,
    }
}

/// Returns when the parent has exited; never, if that cannot be detected.
#[cfg(all(
    unix,
    not(any(target_os = "linux", target_os = "android", target_vendor = "apple"))
))]
pub(super) async fn exited() {
    adopted(rustix::process::getppid()).await;
}

/// Waits for a descriptor that becomes readable once, when what it stands for has ended.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
#[expect(unsafe_code, reason = "registers a descriptor with the runtime")]
fn readable(handle: std::os::fd::OwnedFd) -> Option<tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>> {
    // SAFETY: the descriptor is owned, and owned by nothing else until it is closed with the registration.
    unsafe { tokio::io::unix::AsyncFd::register_with_interest(handle, tokio::io::Interest::READABLE) }.ok()
}

/// Returns when another process has taken the parent's place: where the system has no better way.
#[cfg(unix)]
async fn adopted(parent: Option<rustix::process::Pid>) {
    use std::time::Duration;
    while rustix::process::getppid() == parent {
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
}

/// Returns when the parent has exited; never, if that cannot be detected.
#[cfg(windows)]
pub(super) async fn exited() {
    let waited = tokio::task::spawn_blocking(|| wait_for(parent()?)).await;
    if !matches!(waited, Ok(Some(()))) {
        std::future::pending::<()>().await;
    }
}

#[cfg(windows)]
#[expect(unsafe_code, reason = "walks a snapshot of the processes")]
fn parent() -> Option<u32> {
    use windows_sys::Win32::Foundation::{CloseHandle, INVALID_HANDLE_VALUE};
    use windows_sys::Win32::System::Diagnostics::ToolHelp::{
        CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
    };

    let me = std::process::id();
    // SAFETY: the entry is plain numbers and text, live, and says its size; the handle is closed once.
    unsafe {
        let snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
        if snapshot == INVALID_HANDLE_VALUE {
            return None;
        }
        let mut entry: PROCESSENTRY32W = std::mem::zeroed();
        entry.dwSize = u32::try_from(size_of::<PROCESSENTRY32W>()).unwrap_or(0);
        let mut parent = None;
        let mut more = Process32FirstW(snapshot, &mut entry);
        while more != 0 && parent.is_none() {
            parent = (entry.th32ProcessID == me).then_some(entry.th32ParentProcessID);
            more = Process32NextW(snapshot, &mut entry);
        }
        CloseHandle(snapshot);
        parent
    }
}

#[cfg(windows)]
#[expect(unsafe_code, reason = "waits for a process handle")]
fn wait_for(process: u32) -> Option<()> {
    use windows_sys::Win32::Foundation::CloseHandle;
    use windows_sys::Win32::System::Threading::{
        INFINITE, OpenProcess, PROCESS_SYNCHRONIZE, WaitForSingleObject,
    };

    // SAFETY: no pointers; the handle is closed once.
    unsafe {
        let handle = OpenProcess(PROCESS_SYNCHRONIZE, 0, process);
        if handle.is_null() {
            return None;
        }
        WaitForSingleObject(handle, INFINITE);
        CloseHandle(handle);
    }
    Some(())
}
