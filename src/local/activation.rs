//! Socket activation: the listening socket that systemd passes to the process it starts (`sd_listen_fds(3)`).
//!
//! It knows nothing of units; those are in `installer/package/systemd`.

use std::io;
use std::os::fd::FromRawFd as _;
use std::os::unix::net::UnixListener as Socket;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::FdFlags;
use tokio::net::UnixListener;

use super::endpoint::Endpoint;

/// The descriptor of the first socket that is passed.
const FIRST: i32 = 3;

/// The socket that was passed for this endpoint; on the first call only.
///
/// # Errors
/// When a socket was passed that is not the endpoint's, or cannot be used.
pub(super) fn socket(endpoint: &Endpoint) -> io::Result<Option<UnixListener>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    let is_passed = number("LISTEN_PID") == Some(std::process::id()) && number("LISTEN_FDS") == Some(1);
    if !is_passed || TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(None);
    }
    let socket = first()?;
    rustix::io::fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    if address.as_pathname() != Some(endpoint.address()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "the service manager passed a socket at {:?}",
                address.as_pathname()
            ),
        ));
    }
    UnixListener::from_std(socket).map(Some)
}

#[expect(unsafe_code, reason = "takes over a descriptor that was passed by number")]
fn first() -> io::Result<Socket> {
    // Whether there is such a descriptor at all.
    rustix::fs::fstat(
        // SAFETY: only borrowed for this call, which fails if it is not open.
        unsafe { std::os::fd::BorrowedFd::borrow_raw(FIRST) },
    )?;
    // SAFETY: the variables say that it was passed to this process; `socket` asks once, and nothing else owns it.
    Ok(unsafe { Socket::from_raw_fd(FIRST) })
}
