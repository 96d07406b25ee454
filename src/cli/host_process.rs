//! A host process as a browser starts it, and the frames through its pipes.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::protocol_client::ProtocolClient;
use crate::paths;
use crate::wire::frame::FROM_BROWSER;

/// The pipes of a host.
pub(crate) type HostClient = ProtocolClient<ChildStdout, ChildStdin>;

/// A host process and its pipes. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct HostProcess {
    host: Child,
    client: HostClient,
}

/// The command that starts `program` as browsers do: in its own folder, with pipes.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    if let Some(folder) = program.parent() {
        command.current_dir(folder);
    }
    command
}

/// The client on the pipes of a host; frames have at most `max_frame` bytes.
///
/// # Errors
/// When its pipes were taken before.
pub(crate) fn client(host: &mut Child, max_frame: usize) -> io::Result<HostClient> {
    match (host.stdin.take(), host.stdout.take()) {
        (Some(stdin), Some(stdout)) => Ok(ProtocolClient::new(stdout, stdin, max_frame)),
        _ => Err(io::Error::other("the host has no pipes")),
    }
}

impl HostProcess {
    /// Starts `program` with these arguments, perhaps in a home of its own.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(program: &Path, arguments: &[&str], home: Option<&OsStr>) -> io::Result<Self> {
        let mut command = command(program);
        command.args(arguments).stderr(Stdio::null());
        if let Some(home) = home {
            command.env(paths::HOME, home);
        }
        // ^C is handled here: the host is still needed to close the session.
        #[cfg(unix)]
        command.process_group(0);
        #[cfg(windows)]
        command.creation_flags(windows_sys::Win32::System::Threading::CREATE_NEW_PROCESS_GROUP);
        let mut host = command.spawn()?;
        let client = client(&mut host, FROM_BROWSER)?;
        Ok(Self { host, client })
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// When the host has exited.
    pub(crate) async fn send(&mut self, frame: &Value) -> io::Result<()> {
        self.client.send(frame).await
    }

    /// Introduces itself, see [`ProtocolClient::hello`].
    ///
    /// # Errors
    /// When the host has exited.
    pub(crate) async fn hello(&mut self, client: &str, profile: Option<&str>) -> io::Result<()> {
        self.client.hello(client, profile).await
    }

    /// The next frame; `None` when the host has closed the port. Cancelling it loses nothing.
    ///
    /// # Errors
    /// When the pipe fails or what came is no frame.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Value>> {
        self.client.next().await.map_err(|error| error.of("the host"))
    }

    /// Ends the host without a warning.
    ///
    /// # Errors
    /// When the process cannot be killed.
    pub(crate) async fn kill(mut self) -> io::Result<()> {
        self.host.kill().await
    }
}
