//! The local socket or pipe between host and broker: one stream a port, between processes of one user.
//!
//! It knows no frames. Only this user's processes get through, and both sides check that; there is no TCP port.

#[cfg(unix)]
mod activation;
mod endpoint;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

pub use endpoint::{Endpoint, LocalError};
#[cfg(unix)]
pub use unix::{Listener, ReadHalf, Stream, WriteHalf, connect, peer_process, split};
#[cfg(windows)]
pub use windows::{Listener, ReadHalf, Stream, WriteHalf, connect, peer_process, split};
