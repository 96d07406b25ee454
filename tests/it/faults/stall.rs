//! A step of the broker that waits until the test lets it go on.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::scratch::Scratch;

/// The step waits for a writer of this pipe.
pub(super) struct Stall(PathBuf);

impl Stall {
    /// In brokers of this scratch home; `step` is a point that `src/crash.rs` knows.
    pub(super) fn at(step: &str) -> (Self, Scratch) {
        let scratch = Scratch::new();
        let fifo = scratch.folder().join("stall");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
        let scratch = scratch.with("LONGWIRE_STALL_AT", format!("{step}:{}", fifo.display()));
        (Self(fifo), scratch)
    }

    /// The step is done as often as it comes, as long as this lives.
    pub(super) fn go_on(&self) -> File {
        OpenOptions::new().read(true).write(true).open(&self.0).unwrap()
    }
}
