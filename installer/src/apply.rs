//! Executes a plan: each step atomically; if one fails, the earlier ones are rolled back.
//!
//! It decides nothing and prints nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::error::InstallError;
use crate::plan::PlanStep;
use crate::receipt::Previous;
use crate::registry;

/// How to take one step back.
enum Undo {
    RemoveFile(PathBuf),
    RemoveFolder(PathBuf),
    Put(PathBuf, Previous),
    Rename { from: PathBuf, to: PathBuf },
    Key(String, Option<String>),
}

/// Carries out the steps, all or none.
///
/// # Errors
/// The step that failed; what had been done before is undone, or named if it could not be.
pub fn apply(steps: &[PlanStep]) -> Result<(), InstallError> {
    let mut done = Vec::new();
    for step in steps {
        if let Err(problem) = take(step, &mut done) {
            let left: Vec<_> = done
                .into_iter()
                .rev()
                .filter_map(|undo| back(undo).err())
                .collect();
            return Err(if left.is_empty() {
                problem
            } else {
                InstallError::HalfUndone {
                    left,
                    source: Box::new(problem),
                }
            });
        }
    }
    for undo in done {
        if let Undo::Rename { from, .. } = undo {
            // The older program; on Windows it may still be running, and the next install removes it.
            let _ = fs::remove_file(from);
        }
    }
    Ok(())
}

fn take(step: &PlanStep, done: &mut Vec<Undo>) -> Result<(), InstallError> {
    match step {
        PlanStep::MakeFolder { path, mode } => {
            match folder_builder(*mode).create(path) {
                Ok(()) => done.push(Undo::RemoveFolder(path.clone())),
                // Somebody was faster.
                Err(_) if path.is_dir() => return Ok(()),
                Err(error) => return Err(InstallError::disk("make the folder", path)(error)),
            }
            set_mode(path, *mode)
        }
        PlanStep::WriteFile { path, text, mode } => {
            let undo = undo_of(path)?;
            write(path, *mode, |file| file.write_all(text.as_bytes()))?;
            done.push(undo);
            Ok(())
        }
        PlanStep::RestoreFile { path, before } => {
            let undo = undo_of(path)?;
            put(path, before)?;
            done.push(undo);
            Ok(())
        }
        PlanStep::PlaceProgram { from, path } => place(from, path, done),
        PlanStep::RemoveFile { path } => {
            let undo = undo_of(path)?;
            match fs::remove_file(path) {
                Ok(()) => done.push(undo),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(InstallError::disk("remove", path)(error)),
            }
            Ok(())
        }
        PlanStep::SetKey { key, value } => {
            let undo = Undo::Key(key.clone(), registry::read(key));
            registry::write(key, value)?;
            done.push(undo);
            Ok(())
        }
        PlanStep::RemoveKey { key } => {
            let undo = Undo::Key(key.clone(), registry::read(key));
            registry::remove(key)?;
            done.push(undo);
            Ok(())
        }
        PlanStep::RemoveEmptyKey { key } => {
            // Like a folder: what somebody has put into it stays, and so does the key.
            registry::remove_empty(key);
            Ok(())
        }
        PlanStep::RemoveProgram { path } => remove_program(path),
        PlanStep::RemoveFolder { path } => {
            // Somebody may have put something into it: then it stays.
            let _ = fs::remove_dir(path);
            Ok(())
        }
    }
}

fn undo_of(path: &Path) -> Result<Undo, InstallError> {
    Ok(match Previous::read(path)? {
        Some(before) => Undo::Put(path.to_path_buf(), before),
        None => Undo::RemoveFile(path.to_path_buf()),
    })
}

/// Takes one step back; what could not be is named.
fn back(undo: Undo) -> Result<(), String> {
    let named = |path: &Path| path.display().to_string();
    match undo {
        Undo::RemoveFile(path) => fs::remove_file(&path).map_err(|_| named(&path)),
        Undo::RemoveFolder(path) => fs::remove_dir(&path).map_err(|_| named(&path)),
        Undo::Put(path, before) => put(&path, &before).map_err(|_| named(&path)),
        Undo::Rename { from, to } => {
            let back = fs::rename(&from, &to).map_err(|_| named(&to));
            // Renaming one link of a file over another leaves both.
            let _ = fs::remove_file(from);
            back
        }
        Undo::Key(key, Some(value)) => registry::write(&key, &value).map_err(|_| key),
        Undo::Key(key, None) => registry::remove(&key).map_err(|_| key),
    }
}

fn put(path: &Path, before: &Previous) -> Result<(), InstallError> {
    match before {
        Previous::Text { text, mode } => write(path, *mode, |file| file.write_all(text.as_bytes())),
        Previous::Link(target) => {
            let beside = beside(path, "new");
            link(target, &beside).map_err(InstallError::disk("link", path))?;
            fs::rename(&beside, path).map_err(InstallError::disk("restore", path))
        }
    }
}

#[cfg(unix)]
fn link(target: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(windows)]
fn link(target: &Path, path: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, path)
}

/// Puts the program in its place in one step; the older one is kept until everything is done.
fn place(from: &Path, path: &Path, done: &mut Vec<Undo>) -> Result<(), InstallError> {
    let mut source = File::open(from).map_err(InstallError::disk("read", from))?;
    let exists = path.symlink_metadata().is_ok();
    let old = beside(path, "old");
    let _ = fs::remove_file(&old);
    if exists && cfg!(windows) {
        // A running program cannot be replaced there, but it can be moved.
        fs::rename(path, &old).map_err(InstallError::disk("move", path))?;
        done.push(Undo::Rename {
            from: old,
            to: path.to_path_buf(),
        });
    } else if exists {
        fs::hard_link(path, &old)
            .or_else(|_| fs::copy(path, &old).map(drop))
            .map_err(InstallError::disk("keep a copy of", path))?;
        done.push(Undo::Rename {
            from: old,
            to: path.to_path_buf(),
        });
    }
    write(path, 0o755, |file| io::copy(&mut source, file).map(drop))?;
    if !exists {
        done.push(Undo::RemoveFile(path.to_path_buf()));
    }
    Ok(())
}

#[cfg(not(windows))]
fn remove_program(path: &Path) -> Result<(), InstallError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(InstallError::disk("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// A running program cannot be removed on Windows; it is moved to where the system clears up.
#[cfg(windows)]
fn remove_program(path: &Path) -> Result<(), InstallError> {
    let away = std::env::temp_dir().join(format!("longwire-removed-{}.exe", std::process::id()));
    fs::remove_file(path)
        .or_else(|_| fs::rename(path, away))
        .map_err(InstallError::disk("remove", path))
}

/// Writes a file beside its place and moves it there.
fn write(path: &Path, mode: u32, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), InstallError> {
    let new = beside(path, "new");
    let _ = fs::remove_file(&new);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    // From its first moment, whatever the umask says.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode & 0o700);
    let written = options
        .open(&new)
        .and_then(|mut file| {
            fill(&mut file)?;
            file.sync_all()
        })
        .map_err(InstallError::disk("write", path))
        .and_then(|()| set_mode(&new, mode))
        .and_then(|()| fs::rename(&new, path).map_err(InstallError::disk("write", path)));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

/// A name of our own in the same folder.
fn beside(path: &Path, what: &str) -> PathBuf {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{file}.{}.{what}", std::process::id()))
}

/// Makes folders that are open to nobody else before their mode is set.
#[cfg(unix)]
fn folder_builder(mode: u32) -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, mode & 0o700);
    builder
}

#[cfg(windows)]
fn folder_builder(_: u32) -> fs::DirBuilder {
    fs::DirBuilder::new()
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> Result<(), InstallError> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(InstallError::disk("set the mode of", path))
}

#[cfg(windows)]
fn set_mode(_: &Path, _: u32) -> Result<(), InstallError> {
    Ok(())
}
