//! Named pipes: open to this user only, never from another machine.
//!
//! It takes no locks; who may bind is decided by who holds the broker's lock.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::AsRawHandle as _;
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::windows::named_pipe::{
    ClientOptions, NamedPipeClient, NamedPipeServer, PipeMode, ServerOptions,
};
use tokio::sync::Mutex;
use windows_sys::Win32::Foundation::{
    CloseHandle, ERROR_ACCESS_DENIED, ERROR_FILE_NOT_FOUND, ERROR_PIPE_BUSY, HANDLE, LocalFree,
};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{
    GetTokenInformation, PSECURITY_DESCRIPTOR, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::System::Pipes::{GetNamedPipeClientProcessId, GetNamedPipeServerProcessId};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, OpenProcess, OpenProcessToken, PROCESS_QUERY_LIMITED_INFORMATION,
};

use super::endpoint::{Endpoint, LocalError};

/// How long a caller waits for an instance of the pipe. None is free for a moment behind another caller, and while the broker
/// shuts down.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Pause between two attempts.
const BUSY_INTERVAL: Duration = Duration::from_millis(10);

/// One connection.
#[derive(Debug)]
pub enum Stream {
    /// The broker's end.
    Server(NamedPipeServer),
    /// The host's end.
    Client(NamedPipeClient),
}

/// Its reading half.
pub type ReadHalf = tokio::io::ReadHalf<Stream>;
/// Its writing half.
pub type WriteHalf = tokio::io::WriteHalf<Stream>;

/// The process at the other end, if the system reports it.
#[expect(unsafe_code, reason = "two system calls on handles")]
pub fn peer_process(stream: &Stream) -> Option<u32> {
    let mut process = 0u32;
    // SAFETY: the handle belongs to a live pipe; the id is written to a live local variable.
    let answered = unsafe {
        match stream {
            Stream::Server(pipe) => GetNamedPipeClientProcessId(pipe.as_raw_handle().cast(), &mut process),
            Stream::Client(pipe) => GetNamedPipeServerProcessId(pipe.as_raw_handle().cast(), &mut process),
        }
    };
    (answered != 0).then_some(process)
}

/// Both halves of a connection.
pub fn split(stream: Stream) -> (ReadHalf, WriteHalf) {
    tokio::io::split(stream)
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Server(pipe) => Pin::new(pipe).poll_read(cx, buf),
            Self::Client(pipe) => Pin::new(pipe).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Server(pipe) => Pin::new(pipe).poll_write(cx, buf),
            Self::Client(pipe) => Pin::new(pipe).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Server(pipe) => Pin::new(pipe).poll_flush(cx),
            Self::Client(pipe) => Pin::new(pipe).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Server(pipe) => Pin::new(pipe).poll_shutdown(cx),
            Self::Client(pipe) => Pin::new(pipe).poll_shutdown(cx),
        }
    }
}

/// Meets the broker.
///
/// # Errors
/// `Absent` when no process listens, `Busy` when none accepts, `Foreign` when another user's process listens.
pub async fn connect(endpoint: &Endpoint) -> Result<Stream, LocalError> {
    let code = |error: &io::Error| error.raw_os_error().and_then(|code| u32::try_from(code).ok());
    let mut waited = Duration::ZERO;
    let opened = loop {
        match ClientOptions::new().open(endpoint.address()) {
            Err(problem) if code(&problem) == Some(ERROR_PIPE_BUSY) && waited < BUSY_TIMEOUT => {
                tokio::time::sleep(BUSY_INTERVAL).await;
                waited += BUSY_INTERVAL;
            }
            opened => break opened,
        }
    };
    let pipe = opened.map_err(|source| match code(&source) {
        Some(ERROR_FILE_NOT_FOUND) => LocalError::Absent(endpoint.clone()),
        Some(ERROR_PIPE_BUSY) => LocalError::Busy(endpoint.clone()),
        Some(ERROR_ACCESS_DENIED) => LocalError::OwnedByOther {
            endpoint: endpoint.clone(),
            user: "access denied".to_owned(),
        },
        _ => io_error("connect to", endpoint, source),
    })?;
    let stream = Stream::Client(pipe);
    let server = peer_user(&stream).map_err(|source| io_error("ask who is at", endpoint, source))?;
    let me = user_of(None).map_err(|source| io_error("ask who may use", endpoint, source))?;
    if server != me {
        return Err(LocalError::OwnedByOther {
            endpoint: endpoint.clone(),
            user: server,
        });
    }
    Ok(stream)
}

fn io_error(what: &'static str, endpoint: &Endpoint, source: io::Error) -> LocalError {
    LocalError::Io {
        what,
        endpoint: endpoint.clone(),
        source,
    }
}

/// Where the broker waits for ports.
#[derive(Debug)]
pub struct Listener {
    endpoint: Endpoint,
    user: String,
    /// The instance that the next caller will meet.
    next: Mutex<Option<NamedPipeServer>>,
}

impl Listener {
    /// Makes the first instance of the pipe.
    ///
    /// # Errors
    /// `Taken` when the pipe exists already.
    pub async fn bind(endpoint: &Endpoint) -> Result<Self, LocalError> {
        let user = user_of(None).map_err(|source| io_error("ask who may use", endpoint, source))?;
        match instance(endpoint, &user, PipeInstance::First) {
            Ok(first) => Ok(Self {
                endpoint: endpoint.clone(),
                user,
                next: Mutex::new(Some(first)),
            }),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(LocalError::Taken(endpoint.clone()))
            }
            Err(source) => Err(io_error("bind", endpoint, source)),
        }
    }

    /// The next connection. The pipe's descriptor keeps other users out.
    ///
    /// # Errors
    /// When the system has no handles or memory left; worth another try after a while.
    pub async fn accept(&self) -> io::Result<Stream> {
        let mut next = self.next.lock().await;
        let pipe = match next.take() {
            Some(pipe) => pipe,
            None => instance(&self.endpoint, &self.user, PipeInstance::Further)?,
        };
        let pipe = next.insert(pipe);
        pipe.connect().await?;
        // The next instance is made before this one is handed out, so that a caller always finds one.
        let fresh = instance(&self.endpoint, &self.user, PipeInstance::Further)?;
        next.replace(fresh)
            .map(Stream::Server)
            .ok_or_else(|| io::Error::other("no pipe instance"))
    }

    /// A pipe cannot be removed by others.
    pub fn is_in_place(&self) -> bool {
        true
    }

    /// The pipe goes with its last instance.
    pub fn withdraw(&self) {}
}

/// Which instance of the pipe is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PipeInstance {
    /// Refused if the pipe exists already.
    First,
    Further,
}

/// One instance of the pipe, open to `user` only.
#[expect(unsafe_code, reason = "a security descriptor is passed by pointer")]
fn instance(endpoint: &Endpoint, user: &str, which: PipeInstance) -> io::Result<NamedPipeServer> {
    let text: Vec<u16> = format!("D:P(A;;GA;;;{user})").encode_utf16().chain([0]).collect();
    let mut descriptor: PSECURITY_DESCRIPTOR = ptr::null_mut();
    // SAFETY: `text` ends in zero; the descriptor is allocated by the system and freed below.
    let made = unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            text.as_ptr(),
            SDDL_REVISION_1,
            &mut descriptor,
            ptr::null_mut(),
        )
    };
    if made == 0 {
        return Err(io::Error::last_os_error());
    }
    let mut attributes = SECURITY_ATTRIBUTES {
        nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(0),
        lpSecurityDescriptor: descriptor,
        bInheritHandle: 0,
    };
    // SAFETY: `attributes` and the descriptor in it are valid until this call returns.
    let pipe = unsafe {
        ServerOptions::new()
            .first_pipe_instance(which == PipeInstance::First)
            .reject_remote_clients(true)
            .pipe_mode(PipeMode::Byte)
            .create_with_security_attributes_raw(
                endpoint.address(),
                ptr::from_mut(&mut attributes).cast::<c_void>(),
            )
    };
    // SAFETY: allocated by the conversion above, not used any more.
    unsafe { LocalFree(descriptor) };
    pipe
}

/// The user whose process is at the other end, as a SID.
#[expect(unsafe_code, reason = "opens a process")]
fn peer_user(stream: &Stream) -> io::Result<String> {
    let peer = peer_process(stream).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: no pointers; the handle is closed by `Owned`.
    let process = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, peer) };
    if process.is_null() {
        return Err(io::Error::last_os_error());
    }
    user_of(Some(&Owned(process)))
}

/// Closes its handle.
struct Owned(HANDLE);

impl Drop for Owned {
    #[expect(unsafe_code, reason = "closes a handle of our own")]
    fn drop(&mut self) {
        // SAFETY: the handle came from an opening call and is closed once.
        unsafe { CloseHandle(self.0) };
    }
}

/// The user of a process, or of this one, as a SID.
#[expect(unsafe_code, reason = "reads a process token")]
fn user_of(process: Option<&Owned>) -> io::Result<String> {
    let mut token: HANDLE = ptr::null_mut();
    // SAFETY: the pseudo handle needs no closing; the token is closed by `Owned`.
    let opened = unsafe {
        let process = process.map_or_else(|| GetCurrentProcess(), |process| process.0);
        OpenProcessToken(process, TOKEN_QUERY, &mut token)
    };
    if opened == 0 {
        return Err(io::Error::last_os_error());
    }
    let token = Owned(token);
    // A SID has at most 68 bytes; words of 8 bytes keep the structure aligned.
    let mut buffer = [0u64; 32];
    let mut used = 0u32;
    // SAFETY: the buffer is live, aligned, and its size in bytes is passed along.
    let read = unsafe {
        GetTokenInformation(
            token.0,
            TokenUser,
            buffer.as_mut_ptr().cast(),
            u32::try_from(size_of_val(&buffer)).unwrap_or(0),
            &mut used,
        )
    };
    if read == 0 {
        return Err(io::Error::last_os_error());
    }
    let mut text: *mut u16 = ptr::null_mut();
    // SAFETY: the call above filled the buffer with a TOKEN_USER whose SID lies in the same buffer.
    if unsafe { ConvertSidToStringSidW((*buffer.as_ptr().cast::<TOKEN_USER>()).User.Sid, &mut text) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system wrote a string that ends in zero; it is copied, then freed once.
    let sid = unsafe {
        let length = (0..).take_while(|at| *text.add(*at) != 0).count();
        let sid = String::from_utf16_lossy(std::slice::from_raw_parts(text, length));
        LocalFree(text.cast());
        sid
    };
    Ok(sid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::Paths;

    #[tokio::test]
    async fn each_end_of_a_pipe_knows_the_peer_process() {
        let scratch = tempfile::tempdir().unwrap();
        let endpoint = Endpoint::of(&Paths::within(scratch.path().to_path_buf())).unwrap();
        assert!(matches!(connect(&endpoint).await, Err(LocalError::Absent(_))));
        let listener = Listener::bind(&endpoint).await.unwrap();
        let (client, server) = tokio::join!(connect(&endpoint), listener.accept());
        let (client, server) = (client.unwrap(), server.unwrap());
        assert_eq!(peer_process(&server), Some(std::process::id()));
        assert_eq!(peer_process(&client), Some(std::process::id()));
    }
}
