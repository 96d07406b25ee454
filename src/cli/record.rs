//! `longwire record FILE ORIGIN`: acts as the host that a browser starts, and records every frame of the port.
//!
//! It forwards every byte unchanged. The file is redacted (`redact`) unless the user disables that. One thread a
//! direction: neither ever waits for the other, and the port ends when the host ends.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use serde_json::{Value, json};

use crate::host::HostCaller;
use crate::version;
use crate::wire::frame::{FROM_BROWSER, Frames, Taken};

use super::args::RecordArgs;
use super::error::{Exit, Failure};
use super::redact::Redactor;
use super::render;

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;

/// Frames that may wait to be written down.
const MAX_WAITING_FRAMES: usize = 256;

/// Ports recorded at once under one name.
const MAX_FILES: usize = 1000;

/// What happened on the pipes.
enum PortEvent {
    Frame {
        from: &'static str,
        json: Vec<u8>,
    },
    /// The host has closed its side.
    Over,
}

/// Serves the port to its end.
pub(super) fn run(record: &RecordArgs) -> Result<Exit, Failure> {
    let cannot_write =
        |error: io::Error| Failure::because(format!("cannot write {}", record.file.display()), &error);
    let all: Vec<OsString> = std::iter::once("longwire")
        .chain(record.host.iter().map(String::as_str))
        .map(OsString::from)
        .collect();
    if !matches!(HostCaller::from_args(&all), Some(Ok(_))) {
        let arguments = record.host.join(" ");
        return Err(Failure::new(format!(
            "`{arguments}` is not an argument that browsers pass to a host"
        ))
        .hint("longwire record --help")
        .exit(Exit::Usage));
    }
    let (path, mut file) = create(&record.file).map_err(cannot_write)?;
    if path != record.file {
        render::note(&format!(
            "another port writes {}: this one writes {}",
            record.file.display(),
            path.display()
        ));
    }
    let arguments: Vec<_> = record
        .host
        .iter()
        .map(|argument| without_folder(argument))
        .collect();
    let head = json!({
        "longwire": "record", "version": version::own(), "arguments": arguments, "redacted": !record.payloads,
    });
    writeln!(file, "{head}")
        .and_then(|()| file.flush())
        .map_err(cannot_write)?;
    let mut host = start(record)?;
    let (sender, events) = sync_channel(MAX_WAITING_FRAMES);
    if let (Some(up), Some(down)) = (host.stdin.take(), host.stdout.take()) {
        let up_sender = sender.clone();
        std::thread::spawn(move || forward("extension", io::stdin(), up, &up_sender));
        std::thread::spawn(move || {
            forward("broker", down, render::PortStdout, &sender);
            let _ = sender.send(PortEvent::Over);
        });
    }
    let noted = note(&events, &mut file, record.payloads);
    // The port goes on when the disk is full: it is the browser's, and not ours to end.
    while noted.is_err() && matches!(events.recv(), Ok(PortEvent::Frame { .. })) {}
    let ended = host
        .wait()
        .map_err(|error| Failure::because("the host has exited", &error))?;
    noted.map_err(cannot_write)?;
    Ok(if ended.success() { Exit::Done } else { Exit::Failed })
}

/// An argument as it is recorded: the path of a manifest is private.
fn without_folder(argument: &str) -> &str {
    let path = Path::new(argument);
    let file = path.file_name().and_then(|file| file.to_str());
    match file {
        Some(file) if path.is_absolute() && file.ends_with(".json") => file,
        _ => argument,
    }
}

/// The file, empty and locked. While another port writes it, the next free one beside it: `port-2.jsonl`.
fn create(wanted: &Path) -> io::Result<(PathBuf, BufWriter<File>)> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    for number in 1..=MAX_FILES {
        let path = numbered(wanted, number);
        let file = options.open(&path)?;
        match file.try_lock() {
            Ok(()) => {
                // A pipe or a terminal has no length.
                if file.metadata()?.is_file() {
                    file.set_len(0)?;
                }
                return Ok((path, BufWriter::new(file)));
            }
            Err(TryLockError::WouldBlock) => {}
            // What cannot be locked cannot be shared either.
            Err(TryLockError::Error(_)) => return Ok((path, BufWriter::new(file))),
        }
    }
    Err(io::Error::other(format!(
        "{MAX_FILES} ports are already being recorded there"
    )))
}

/// The path with a number before its extension, from the second on.
fn numbered(path: &Path, number: usize) -> PathBuf {
    if number == 1 {
        return path.to_path_buf();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(extension) => format!("{stem}-{number}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{number}"),
    };
    path.with_file_name(name)
}

fn start(record: &RecordArgs) -> Result<Child, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::because("cannot find the path of this program", &error))?;
    Command::new(program)
        .args(&record.host)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::because("cannot start a host", &error))
}

/// Forwards the bytes, and passes every whole frame to the recorder. Ends when either side has gone.
fn forward(
    from: &'static str,
    mut source: impl Read,
    mut target: impl Write,
    events: &SyncSender<PortEvent>,
) {
    let mut frames = Frames::new(FROM_BROWSER);
    let mut chunk = vec![0; READ_BYTES];
    while let Ok(count @ 1..) = source.read(&mut chunk) {
        let passed = target.write_all(&chunk[..count]).and_then(|()| target.flush());
        frames.push(&chunk[..count]);
        while let Some(taken) = frames.take() {
            let Taken::Frame(json) = taken else { continue };
            let json = json.to_vec();
            if events.send(PortEvent::Frame { from, json }).is_err() {
                return;
            }
        }
        if passed.is_err() {
            return;
        }
    }
}

/// Writes frames down until the host has closed its side.
fn note(events: &Receiver<PortEvent>, file: &mut impl Write, payloads: bool) -> io::Result<()> {
    let since = Instant::now();
    let mut redactor = Redactor::default();
    while let Ok(PortEvent::Frame { from, json }) = events.recv() {
        let mut frame = serde_json::from_slice(&json).unwrap_or_else(|_| json!({"bytes": json.len()}));
        if !payloads {
            redactor.redact(&mut frame);
        }
        let at = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let line: Value = json!({"at": at, "from": from, "frame": frame});
        // Whoever kills the browser wants the last frames too.
        writeln!(file, "{line}").and_then(|()| file.flush())?;
    }
    Ok(())
}
