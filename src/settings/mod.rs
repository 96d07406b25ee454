//! The settings file: one TOML file of the user's, read into rules for the core, and whom and how the transport trusts.
//!
//! It applies nothing and watches nothing. What a key means stands in `keys`, how the file is read in `read`.

mod keys;
mod read;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::core::rules::Rules;
use crate::paths::Paths;

pub use keys::sample;
pub use read::parse;

/// The file's name in the configuration folder.
const FILE: &str = "settings.toml";

/// The environment variable that sets after how many idle seconds the broker leaves.
pub const IDLE: &str = "LONGWIRE_IDLE_SECONDS";

/// Everything the settings say, defaults included.
#[derive(Debug)]
pub struct Settings {
    pub broker: Broker,
    pub journal: Journal,
    pub tls: Tls,
    pub proxy: Proxy,
    /// What extensions may do, and how fast the broker dials.
    pub rules: Rules,
    /// Each key as it stands now, in the sample's order, for people.
    pub entries: Vec<Entry>,
}

/// The broker itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// How long it stays when nothing needs it.
    pub idle: Duration,
}

/// Bounds of journals, in bytes. Read at the broker's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    pub session: u64,
    pub origin: u64,
    pub total: u64,
    /// How many one extension may have.
    pub journals: usize,
}

/// Whom to trust beyond the system's verifier, and who we are.
#[derive(Debug, Default)]
pub struct Tls {
    pub extra_roots: Vec<CertificateDer<'static>>,
    pub client: Option<Client>,
    /// Hosts whose certificate is not checked.
    pub insecure_hosts: Vec<String>,
}

/// A client certificate, its key, and for whom they are.
pub struct Client {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
    pub hosts: Vec<String>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Client({} certificates, for {:?})",
            self.chain.len(),
            self.hosts
        )
    }
}

/// Through which proxy.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Proxy {
    /// `system`, `none`, or a URL, which may hold a password.
    pub url: String,
    /// Hosts that are dialled directly, in the syntax of `NO_PROXY`.
    pub except: Vec<String>,
    /// For proxies whose URL holds no credentials: `host:port`, user, password.
    pub credentials: Vec<(String, String, String)>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("except", &self.except)
            .finish_non_exhaustive()
    }
}

/// One key, its value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As in `default.allow` or `extension."<origin>".allow`.
    pub name: String,
    /// As TOML; passwords are replaced by `***`.
    pub value: String,
    pub source: Source,
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// This line of the file.
    Line(usize),
    /// This environment variable.
    Environment(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Line(line) => write!(f, "line {line}"),
            Self::Environment(name) => write!(f, "environment {name}"),
        }
    }
}

/// Something wrong in the file. Line and column count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub line: usize,
    pub column: usize,
    pub message: String,
}

impl Fault {
    /// Where it is in this file, and what it is.
    pub fn told(&self, path: &Path) -> String {
        format!(
            "{}:{}:{}: {}",
            path.display(),
            self.line,
            self.column,
            self.message
        )
    }
}

/// Why the settings cannot be used. They are used as a whole or not at all.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file is there and cannot be read.
    #[error("cannot read the settings in {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The file can be read, and something in it cannot be used.
    #[error("{}", shown(path, faults))]
    Faults { path: PathBuf, faults: Vec<Fault> },
}

fn shown(path: &Path, faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(|fault| fault.told(path)).collect();
    lines.join("; ")
}

/// Where the file lies, whether it is there or not.
pub fn path(paths: &Paths) -> PathBuf {
    paths.config().join(FILE)
}

/// Reads the settings of this user; without a file, the defaults.
///
/// # Errors
/// The file cannot be read, or something in it cannot be used: what, with line and column.
pub fn load(paths: &Paths) -> Result<Settings, SettingsError> {
    let path = path(paths);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(SettingsError::Read { path, source }),
    };
    let mut settings =
        parse(&text, paths.config()).map_err(|faults| SettingsError::Faults { path, faults })?;
    settings.heed_environment(std::env::var(IDLE).ok().as_deref());
    Ok(settings)
}

impl Settings {
    /// Lets the environment overrule the file.
    fn heed_environment(&mut self, idle: Option<&str>) {
        let Some(seconds) = idle.and_then(|text| text.parse().ok()) else {
            return;
        };
        self.broker.idle = Duration::from_secs(seconds);
        for entry in &mut self.entries {
            if entry.name == "broker.idle-minutes" {
                entry.value = format!("{:?}", self.broker.idle.as_secs_f64() / 60.0);
                entry.source = Source::Environment(IDLE);
            }
        }
    }
}
