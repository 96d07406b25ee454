//! The browser's pipes, reserved for frames.
//!
//! stdout is duplicated away and points at stderr from then on, so that no stray print can corrupt the stream. It
//! parses no frame.

use std::fs::File;
use std::io::{self, Write as _};

#[cfg(unix)]
pub(super) use unix::{FrameInput, FrameOutput, take};
#[cfg(windows)]
pub use windows::prevent_inheritance;
#[cfg(windows)]
pub(super) use windows::{FrameInput, FrameOutput, take};

/// A file written to from another thread: what is no pipe cannot be waited for.
#[derive(Debug)]
pub(crate) struct ThreadedStdout(Option<File>);

impl ThreadedStdout {
    async fn write(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        let mut file = self.0.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let (file, written) = tokio::task::spawn_blocking(move || {
            let written = file.write_all(&bytes).and_then(|()| file.flush());
            (file, written)
        })
        .await?;
        self.0 = Some(file);
        written
    }
}

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
    use std::os::unix::net;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::FileType;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Stdin};
    use tokio::net::{UnixStream, unix::pipe};

    use super::ThreadedStdout;

    /// Where frames come from.
    #[derive(Debug)]
    pub(crate) enum FrameInput {
        Pipe(pipe::Receiver),
        Socket(UnixStream),
        /// A terminal or a file.
        Other(Stdin),
    }

    /// Where frames go.
    #[derive(Debug)]
    pub(crate) enum FrameOutput {
        Pipe(pipe::Sender),
        Socket(UnixStream),
        /// A terminal or a file.
        Other(ThreadedStdout),
    }

    /// Takes both.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub(crate) fn take() -> io::Result<(FrameInput, FrameOutput)> {
        let stdout = rustix::stdio::stdout().try_clone_to_owned()?;
        rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
        let stdin = rustix::stdio::stdin().try_clone_to_owned()?;
        let input = match kind(stdin.as_fd())? {
            FileType::Fifo => FrameInput::Pipe(pipe::Receiver::from_owned_fd(stdin)?),
            FileType::Socket => FrameInput::Socket(socket(stdin)?),
            _ => FrameInput::Other(tokio::io::stdin()),
        };
        let output = match kind(stdout.as_fd())? {
            FileType::Fifo => FrameOutput::Pipe(pipe::Sender::from_owned_fd(stdout)?),
            FileType::Socket => FrameOutput::Socket(socket(stdout)?),
            _ => FrameOutput::Other(ThreadedStdout(Some(File::from(stdout)))),
        };
        Ok((input, output))
    }

    fn kind(descriptor: BorrowedFd<'_>) -> io::Result<FileType> {
        Ok(FileType::from_raw_mode(rustix::fs::fstat(descriptor)?.st_mode))
    }

    fn socket(descriptor: OwnedFd) -> io::Result<UnixStream> {
        let socket = net::UnixStream::from(descriptor);
        socket.set_nonblocking(true)?;
        UnixStream::from_std(socket)
    }

    impl FrameInput {
        /// Reads what is there; 0 when the browser has closed it. Cancelling it loses nothing.
        pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self {
                Self::Pipe(pipe) => pipe.read(buffer).await,
                Self::Socket(socket) => socket.read(buffer).await,
                Self::Other(stdin) => stdin.read(buffer).await,
            }
        }

        /// Whether the browser has closed it, whatever is still unread.
        pub(crate) fn is_hung_up(&self) -> bool {
            let descriptor = match self {
                Self::Pipe(pipe) => pipe.as_fd(),
                Self::Socket(socket) => socket.as_fd(),
                Self::Other(_) => return false,
            };
            let mut asked = [PollFd::from_borrowed_fd(descriptor, hang_up())];
            let now = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            poll(&mut asked, Some(&now)).is_ok() && asked[0].revents().intersects(hang_up())
        }
    }

    fn hang_up() -> PollFlags {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return PollFlags::HUP | PollFlags::RDHUP;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        PollFlags::HUP
    }

    impl FrameOutput {
        /// Writes whole frames. Not to be cancelled: a torn frame ends the port.
        pub(crate) async fn write(&mut self, frames: &[u8]) -> io::Result<()> {
            match self {
                Self::Pipe(pipe) => pipe.write_all(frames).await,
                Self::Socket(socket) => socket.write_all(frames).await,
                Self::Other(file) => file.write(frames.to_vec()).await,
            }
        }
    }
}

#[cfg(windows)]
mod windows {
    use std::fs::File;
    use std::io::{self, Read as _};
    use std::os::windows::io::{AsHandle as _, AsRawHandle as _};

    use tokio::sync::mpsc::{Receiver, Sender, channel};
    use windows_sys::Win32::Foundation::{HANDLE_FLAG_INHERIT, SetHandleInformation};
    use windows_sys::Win32::System::Console::{STD_OUTPUT_HANDLE, SetStdHandle};

    use super::ThreadedStdout;

    /// The most that is read at once.
    const CHUNK_BYTES: usize = 64 << 10;

    /// How many chunks are read ahead, so that the end is seen while earlier data is not taken yet.
    const MAX_CHUNKS: usize = 4;

    /// Where frames come from. A thread reads the pipe: while it waits there, asking the pipe anything would wait as well.
    #[derive(Debug)]
    pub(crate) struct FrameInput {
        chunks: Receiver<Vec<u8>>,
        /// What has come and was not taken yet.
        unread: Vec<u8>,
    }

    /// Where frames go.
    #[derive(Debug)]
    pub(crate) struct FrameOutput(ThreadedStdout);

    /// Takes both. The browser's pipes cannot be waited for, so other threads read and write them.
    ///
    /// # Errors
    /// When the system has no handles left.
    pub(crate) fn take() -> io::Result<(FrameInput, FrameOutput)> {
        let stdout = io::stdout().as_handle().try_clone_to_owned()?;
        point_stdout_at_stderr();
        let (sender, chunks) = channel(MAX_CHUNKS);
        let stdin = File::from(io::stdin().as_handle().try_clone_to_owned()?);
        std::thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(move || read(stdin, &sender))?;
        let unread = Vec::new();
        Ok((
            FrameInput { chunks, unread },
            FrameOutput(ThreadedStdout(Some(File::from(stdout)))),
        ))
    }

    /// Passes on what is read, until the end or until the receiver is dropped.
    fn read(mut stdin: File, chunks: &Sender<Vec<u8>>) {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match stdin.read(&mut chunk) {
                Err(problem) if problem.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    if chunks.blocking_send(chunk[..count].to_vec()).is_err() {
                        return;
                    }
                }
            }
        }
    }

    #[expect(unsafe_code, reason = "sets a standard handle of this process")]
    fn point_stdout_at_stderr() {
        // SAFETY: the handle of stderr lives as long as the process.
        unsafe { SetStdHandle(STD_OUTPUT_HANDLE, io::stderr().as_raw_handle().cast()) };
    }

    /// Keeps the standard handles out of processes that are started from here, unless one is passed on by name. Otherwise
    /// they would inherit all three, and a broker would hold the pipes of a browser or a shell open that wait for their end.
    #[expect(unsafe_code, reason = "clears a flag of the standard handles")]
    pub fn prevent_inheritance() {
        for handle in [
            io::stdin().as_raw_handle(),
            io::stdout().as_raw_handle(),
            io::stderr().as_raw_handle(),
        ] {
            if !handle.is_null() {
                // SAFETY: a standard handle of this process, which lives as long as it.
                unsafe { SetHandleInformation(handle.cast(), HANDLE_FLAG_INHERIT, 0) };
            }
        }
    }

    impl FrameInput {
        /// Reads what is there; 0 when the browser has closed it. Cancelling it loses nothing.
        pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.unread.is_empty() {
                match self.chunks.recv().await {
                    Some(chunk) => self.unread = chunk,
                    None => return Ok(0),
                }
            }
            let count = self.unread.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.unread[..count]);
            self.unread.drain(..count);
            Ok(count)
        }

        /// Whether the browser has closed it, whatever is still unread.
        pub(crate) fn is_hung_up(&self) -> bool {
            self.chunks.is_closed()
        }
    }

    impl FrameOutput {
        /// Writes whole frames. Not to be cancelled: a torn frame ends the port.
        pub(crate) async fn write(&mut self, frames: &[u8]) -> io::Result<()> {
            self.0.write(frames.to_vec()).await
        }
    }
}
