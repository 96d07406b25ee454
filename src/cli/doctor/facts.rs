//! The facts that doctor has gathered, as plain data for `judge`.
//!
//! Nothing here reads or judges; a fact may well be that something could not be read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use installer::browsers::{Family, Sandboxed, Scope, System};
use installer::lookup::{Neighbour, Seen};
use installer::manifest::{self, AcceptedManifest, ExtensionId};
use installer::policy::{Policy, Ruling};

use super::program::ProgramKind;
use crate::transport::probe::DialStep;
use crate::wire::record::ErrorInfo;

/// Everything.
#[derive(Debug)]
pub(super) struct Facts {
    /// The host's name.
    pub(super) name: String,
    /// This program's version.
    pub(super) version: String,
    /// The extensions asked for with `--extension`.
    pub(super) asked: Vec<ExtensionId>,
    pub(super) browsers: Vec<BrowserFacts>,
    /// Browsers that run with a folder of their own.
    pub(super) running: Vec<RunningBrowser>,
    pub(super) programs: Vec<ProgramFacts>,
    pub(super) launches: Vec<LaunchFacts>,
    pub(super) broker: BrokerFacts,
    pub(super) folders: FolderFacts,
    pub(super) receipt: ReceiptFacts,
    pub(super) settings: SettingsFacts,
    /// Set where the desktop takes its proxies from a script and the settings name none.
    pub(super) pac: Option<PacFacts>,
    pub(super) dial: Option<DialFacts>,
}

/// A proxy configuration script that a desktop is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PacFacts {
    pub(super) desktop: &'static str,
    /// `None`: it is looked for on the network (WPAD).
    pub(super) url: Option<String>,
}

/// A browser that is on this machine, or a folder that Longwire was registered in.
#[derive(Debug, Clone)]
pub(super) struct BrowserFacts {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) family: Family,
    pub(super) system: System,
    /// Its user data folder, if that was given to `install`.
    pub(super) folder: Option<PathBuf>,
    /// The sandbox it runs in, if that is the only copy of it here.
    pub(super) sandboxed: Option<Sandboxed>,
    /// The manifest inside the sandbox, if there is one.
    pub(super) inside: Option<Seen>,
    /// For each of its profile folders, the manifests in the order it reads them.
    pub(super) chains: Vec<Vec<Seen>>,
    pub(super) policy: Policy,
    pub(super) neighbours: Vec<Neighbour>,
}

/// A browser that runs with a folder of its own.
#[derive(Debug, Clone)]
pub(super) struct RunningBrowser {
    /// The name of its program.
    pub(super) program: String,
    pub(super) family: Family,
    pub(super) folder: PathBuf,
    /// Is there a manifest in that folder?
    pub(super) has_manifest: bool,
}

/// What a browser makes of the manifests it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ManifestLookup<'a> {
    Nothing,
    /// A manifest that it takes.
    Good(&'a Seen, AcceptedManifest),
    /// It stops at one that it rejects.
    Bad(&'a Seen, String),
}

impl BrowserFacts {
    /// Is there a manifest inside its sandbox, with a program of its own?
    pub(super) fn is_served_inside(&self) -> bool {
        let copies = self
            .sandboxed
            .as_ref()
            .and_then(|one| one.serving.as_ref()?.copy.as_ref());
        self.inside.is_some() && copies.is_some()
    }

    /// What the browser makes of one of its chains. Chromium takes the first manifest there is, good or bad; Firefox
    /// goes on to the next one after a bad one.
    pub(super) fn found<'a>(&self, name: &str, chain: &'a [Seen]) -> ManifestLookup<'a> {
        let user_counts = self.policy.ruling(name) != Ruling::SystemOnly;
        let mut first_bad = None;
        for seen in chain
            .iter()
            .filter(|seen| user_counts || seen.scope == Scope::System)
        {
            let checked = seen.text.clone().and_then(|text| {
                let folder = seen.path.parent().unwrap_or(Path::new(""));
                manifest::judge(self.family, self.system, name, folder, &text)
            });
            match (checked, self.family) {
                (Ok(accepted), _) => return ManifestLookup::Good(seen, accepted),
                (Err(why), Family::Chromium) => return ManifestLookup::Bad(seen, why),
                (Err(why), Family::Firefox | Family::App) => {
                    first_bad.get_or_insert((seen, why));
                }
            }
        }
        first_bad.map_or(ManifestLookup::Nothing, |(seen, why)| {
            ManifestLookup::Bad(seen, why)
        })
    }

    /// Who may call by one of its chains: where a manifest does not name an extension, Firefox goes on to the next.
    pub(super) fn callers(&self, name: &str, chain: &[Seen]) -> Vec<String> {
        let entries = |chain| match self.found(name, chain) {
            ManifestLookup::Good(_, accepted) => accepted.entries,
            _ => Vec::new(),
        };
        match self.family {
            Family::Chromium => entries(chain),
            Family::Firefox | Family::App => chain.chunks(1).flat_map(entries).collect(),
        }
    }
}

/// A program that a manifest names.
#[derive(Debug, Clone)]
pub(super) struct ProgramFacts {
    pub(super) path: PathBuf,
    /// What kind of file it is, or why it cannot be read.
    pub(super) kind: Result<ProgramKind, String>,
    /// May this user run it?
    pub(super) executable: bool,
    /// Does it lie on a file system on which nothing may be started?
    pub(super) noexec: bool,
    /// May everybody change it?
    pub(super) open_to_all: bool,
    /// Does root look, and could another user have written it? Then it is not started.
    pub(super) owned_by_other: bool,
    /// Did the system mark it as downloaded, to be refused?
    pub(super) quarantined: bool,
    /// The output of `--version`, if it is a Longwire.
    pub(super) version: Option<String>,
}

/// A host started as a browser starts it.
#[derive(Debug, Clone)]
pub(super) struct LaunchFacts {
    pub(super) program: PathBuf,
    pub(super) family: Family,
    pub(super) took: Duration,
    pub(super) end: Launched,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Launched {
    /// It was welcomed by a broker, and ended when its pipes were closed unless it `lingers`.
    Welcomed { version: String, lingers: bool },
    /// The system refused to start it.
    NotStarted(String),
    /// It ended before it sent a valid frame; with its exit and the last line of its stderr.
    Ended { exit: String, stderr: String },
    /// It sent something that is no frame.
    Garbled(String),
    /// It reported that no broker can be reached.
    NoBroker(String),
    /// It sent no valid frame in time; with the last line of its stderr.
    Silent(String),
}

/// The broker and the way to it.
#[derive(Debug, Clone)]
pub(super) struct BrokerFacts {
    /// The folder of its socket, if there is one.
    pub(super) folder: Option<PathFacts>,
    /// Its socket, if there is one.
    pub(super) socket: Option<PathFacts>,
    /// The process that listens at the socket, if the system reports it.
    pub(super) process: Option<i32>,
    /// Whether it ran before doctor came.
    pub(super) ran: bool,
    /// Its status, if it answers.
    pub(super) answer: Result<Option<BrokerAnswer>, String>,
    /// The whole answer.
    pub(super) status: Option<serde_json::Value>,
}

/// The broker's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BrokerAnswer {
    pub(super) version: String,
    pub(super) pid: u64,
}

/// A file or folder, and who may use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PathFacts {
    pub(super) path: PathBuf,
    /// Is it this user's own?
    pub(super) own: bool,
    /// Is it a folder?
    pub(super) folder: bool,
    /// Permission bits; `None` where there are none.
    pub(super) mode: Option<u32>,
}

/// Longwire's own folders.
#[derive(Debug, Clone)]
pub(super) struct FolderFacts {
    /// Set when `LONGWIRE_HOME` moves them.
    pub(super) moved: Option<PathBuf>,
    pub(super) logs: PathBuf,
    /// Why nothing can be written there.
    pub(super) logs_problem: Option<Unwritable>,
    pub(super) state: PathBuf,
    pub(super) state_problem: Option<Unwritable>,
    /// Bytes that journals take.
    pub(super) journals: u64,
    /// Bytes that they may take.
    pub(super) quota: u64,
    /// Bytes free on the disk.
    pub(super) free: Option<u64>,
}

/// Why a folder cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unwritable {
    /// Something else lies in its place, or in the place of one above it.
    NoFolder(PathBuf),
    /// This folder, or the one in which it would be made, is closed to this user.
    Closed(PathBuf, String),
    /// The file system of this folder is mounted so that nothing on it can be written.
    ReadOnly(PathBuf),
    /// It does not exist, and this folder, another's or the system's, is where it would be made.
    OwnedByOther(PathBuf, String),
}

/// What `install` has noted, so that it can be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReceiptFacts {
    pub(super) path: PathBuf,
    /// Why it cannot be used.
    pub(super) problem: Option<String>,
    /// Whose it is: this user's, or that of all users.
    pub(super) scope: Scope,
}

/// The settings files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SettingsFacts {
    /// The user's, or the one that cannot be used.
    pub(super) path: PathBuf,
    /// Is there one?
    pub(super) there: bool,
    /// Why it cannot be used.
    pub(super) problem: Option<String>,
    /// How the system refused to have it read.
    pub(super) unread: Option<std::io::ErrorKind>,
    /// The command that mends a file which must not be read.
    pub(super) fix: Option<String>,
    /// Files with passwords that other users can read.
    pub(super) exposed: Vec<PathBuf>,
    /// The administrator's, if there is one.
    pub(super) above: Option<PathBuf>,
    /// Hosts whose certificate is not checked.
    pub(super) insecure: Vec<String>,
}

/// A server that was dialled.
#[derive(Debug)]
pub(super) struct DialFacts {
    /// Without query and credentials.
    pub(super) shown: String,
    /// The steps, or why the broker would not even try.
    pub(super) steps: Result<Vec<DialStep>, ErrorInfo>,
}
