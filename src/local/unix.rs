//! Unix sockets: bound without a gap, accessible only to processes of this user.
//!
//! It takes no locks; who may bind is decided by who holds the broker's lock.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use tokio::net::{UnixListener, UnixStream};

use super::activation;
use super::endpoint::{Endpoint, LocalError};

/// One connection.
pub type Stream = UnixStream;
/// Its reading half.
pub type ReadHalf = tokio::net::unix::OwnedReadHalf;
/// Its writing half. Dropping it signals the end to the other side.
pub type WriteHalf = tokio::net::unix::OwnedWriteHalf;

/// Both halves of a connection.
pub fn split(stream: Stream) -> (ReadHalf, WriteHalf) {
    stream.into_split()
}

/// Meets the broker.
///
/// # Errors
/// `Absent` when no process listens, `Foreign` when another user's process does.
pub async fn connect(endpoint: &Endpoint) -> Result<Stream, LocalError> {
    let stream = UnixStream::connect(endpoint.address())
        .await
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                LocalError::Absent(endpoint.clone())
            }
            io::ErrorKind::WouldBlock => LocalError::Busy(endpoint.clone()),
            _ => LocalError::Io {
                what: "connect to",
                endpoint: endpoint.clone(),
                source,
            },
        })?;
    check(endpoint, &stream)?;
    Ok(stream)
}

/// The process that made this connection, if the system reports it.
pub fn peer_process(stream: &Stream) -> Option<u32> {
    u32::try_from(stream.peer_cred().ok()?.pid()?).ok()
}

/// Whether this user's process is at the other end.
fn check(endpoint: &Endpoint, stream: &Stream) -> Result<(), LocalError> {
    let peer = stream.peer_cred().map_err(|source| LocalError::Io {
        what: "ask who is at",
        endpoint: endpoint.clone(),
        source,
    })?;
    if is_ours(peer.uid()) {
        Ok(())
    } else {
        Err(LocalError::OwnedByOther {
            endpoint: endpoint.clone(),
            user: peer.uid().to_string(),
        })
    }
}

fn is_ours(user: u32) -> bool {
    user == rustix::process::geteuid().as_raw()
}

/// Where the broker waits for ports.
#[derive(Debug)]
pub struct Listener {
    inner: UnixListener,
    endpoint: Endpoint,
    /// Device and inode of our socket: a path that leads elsewhere is not ours to remove.
    identity: (u64, u64),
    /// The service manager's socket outlives this process.
    is_inherited: bool,
}

impl Listener {
    /// Takes the socket that systemd has passed, or binds one in the place of one that was left behind.
    ///
    /// The caller holds the broker's lock, so no other process binds at the same time.
    ///
    /// # Errors
    /// `Taken` when a process answers there all the same.
    pub async fn bind(endpoint: &Endpoint) -> Result<Self, LocalError> {
        let failed = |source| LocalError::Io {
            what: "listen at",
            endpoint: endpoint.clone(),
            source,
        };
        if let Some(inner) = activation::socket(endpoint).map_err(failed)? {
            return Ok(Self {
                inner,
                endpoint: endpoint.clone(),
                identity: identity(endpoint.address()).map_err(failed)?,
                is_inherited: true,
            });
        }
        match connect(endpoint).await {
            Err(LocalError::Absent(_)) => {}
            Ok(_) | Err(LocalError::Busy(_)) => return Err(LocalError::Taken(endpoint.clone())),
            Err(error) => return Err(error),
        }
        Self::lay(endpoint).map_err(|source| LocalError::Io {
            what: "bind",
            endpoint: endpoint.clone(),
            source,
        })
    }

    /// Binds beside the final place and moves the socket there: whoever finds it finds it listening and closed to
    /// others, and a stale one is replaced in the same step.
    fn lay(endpoint: &Endpoint) -> io::Result<Self> {
        let beside = endpoint
            .address()
            .with_file_name(format!("b.{}", std::process::id()));
        let _ = fs::remove_file(&beside);
        let inner = UnixListener::bind(&beside)?;
        let laid = fs::set_permissions(&beside, fs::Permissions::from_mode(0o600))
            .and_then(|()| identity(&beside))
            .and_then(|identity| fs::rename(&beside, endpoint.address()).map(|()| identity));
        match laid {
            Ok(identity) => Ok(Self {
                inner,
                endpoint: endpoint.clone(),
                identity,
                is_inherited: false,
            }),
            Err(error) => {
                let _ = fs::remove_file(&beside);
                Err(error)
            }
        }
    }

    /// The next connection of this user's. Others are rejected, and logged.
    ///
    /// # Errors
    /// When the system has no descriptors or memory left; worth another try after a while.
    pub async fn accept(&self) -> io::Result<Stream> {
        loop {
            let (stream, _) = self.inner.accept().await?;
            match check(&self.endpoint, &stream) {
                Ok(()) => return Ok(stream),
                Err(problem) => tracing::warn!(%problem, "rejected a connection of another user"),
            }
        }
    }

    /// Whether our socket is still found at its place; a cleaner of old files may have removed it.
    pub fn is_in_place(&self) -> bool {
        identity(self.endpoint.address()).is_ok_and(|found| found == self.identity)
    }

    /// Removes the socket: no new connections, but earlier ones are still accepted.
    pub fn withdraw(&self) {
        if !self.is_inherited && self.is_in_place() {
            let _ = fs::remove_file(self.endpoint.address());
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::Paths;

    fn endpoint() -> (tempfile::TempDir, Endpoint) {
        let scratch = tempfile::tempdir().unwrap();
        let endpoint = Endpoint::of(&Paths::within(scratch.path().to_path_buf())).unwrap();
        (scratch, endpoint)
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let (_scratch, endpoint) = endpoint();
        drop(std::os::unix::net::UnixListener::bind(endpoint.address()).unwrap());
        assert!(endpoint.address().exists());
        assert!(matches!(connect(&endpoint).await, Err(LocalError::Absent(_))));
        let listener = Listener::bind(&endpoint).await.unwrap();
        assert!(listener.is_in_place());
        let mode = fs::metadata(endpoint.address()).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert!(matches!(
            Listener::bind(&endpoint).await,
            Err(LocalError::Taken(_))
        ));
        listener.withdraw();
        assert!(matches!(connect(&endpoint).await, Err(LocalError::Absent(_))));
    }

    #[tokio::test]
    async fn a_connection_made_before_the_withdrawal_is_accepted() {
        let (_scratch, endpoint) = endpoint();
        let listener = Listener::bind(&endpoint).await.unwrap();
        let _early = connect(&endpoint).await.unwrap();
        listener.withdraw();
        listener.accept().await.unwrap();
    }

    #[tokio::test]
    async fn a_socket_that_replaced_ours_is_not_removed() {
        let (_scratch, endpoint) = endpoint();
        let listener = Listener::bind(&endpoint).await.unwrap();
        fs::remove_file(endpoint.address()).unwrap();
        let _other = std::os::unix::net::UnixListener::bind(endpoint.address()).unwrap();
        assert!(!listener.is_in_place());
        listener.withdraw();
        assert!(endpoint.address().exists());
    }

    #[test]
    fn another_user_is_not_trusted() {
        let me = rustix::process::geteuid().as_raw();
        assert!(is_ours(me));
        assert!(!is_ours(me + 1));
    }
}
