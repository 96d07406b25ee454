//! The settings: TOML files of the user's and the administrator's, read into rules for the core, and the
//! certificates and proxies of the transport.
//!
//! It applies nothing and watches nothing. The meaning of keys is in `keys`, parsing in `read`, opening files in `file`.

mod file;
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
use read::Layer;
pub use read::parse;

/// The file's name in the configuration folder.
const FILE: &str = "settings.toml";

/// The environment variable that sets after how many idle seconds the broker leaves.
pub const IDLE: &str = "LONGWIRE_IDLE_SECONDS";

/// Everything the settings say, defaults included.
#[derive(Debug)]
pub struct Settings {
    pub broker: BrokerSection,
    pub journal: JournalSection,
    pub tls: TlsSection,
    pub proxy: ProxySection,
    pub update: UpdateSection,
    /// What extensions may do, and how fast the broker dials.
    pub rules: Rules,
    /// Each key as it stands now, in the sample's order, for people.
    pub entries: Vec<SettingEntry>,
    /// Files that hold a password and that other users can read.
    pub exposed: Vec<PathBuf>,
}

/// The broker itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerSection {
    /// How long it stays when nothing needs it.
    pub idle: Duration,
}

/// Bounds of journals, in bytes. Read at the broker's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalSection {
    pub session: u64,
    pub origin: u64,
    pub total: u64,
    /// How many one extension may have.
    pub journals: usize,
}

/// Whom to trust beyond the system's verifier, and who we are.
#[derive(Debug, Default)]
pub struct TlsSection {
    pub extra_roots: Vec<CertificateDer<'static>>,
    pub client: Option<ClientCertSection>,
    /// Hosts whose certificate is not checked.
    pub insecure_hosts: Vec<String>,
}

/// A client certificate, its key, and for whom they are.
pub struct ClientCertSection {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
    pub hosts: Vec<String>,
}

impl fmt::Debug for ClientCertSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ClientCertSection({} certificates, for {:?})",
            self.chain.len(),
            self.hosts
        )
    }
}

/// Where newer versions are announced; empty if not set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpdateSection {
    pub index: String,
    pub key: String,
}

/// Whether an index may be at this URL: its requests must not be visible to others.
pub fn is_index_url(url: &str) -> bool {
    let Ok(url) = url::Url::parse(url) else {
        return false;
    };
    let is_here = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => true,
        "http" => is_here,
        _ => false,
    }
}

/// Through which proxy.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ProxySection {
    /// `system`, `none`, or a URL, which may hold a password.
    pub url: String,
    /// Hosts that are dialled directly, in the syntax of `NO_PROXY`.
    pub except: Vec<String>,
    /// For proxies whose URL holds no credentials: `host:port`, user, password.
    pub credentials: Vec<(String, String, String)>,
}

impl fmt::Debug for ProxySection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxySection")
            .field("except", &self.except)
            .finish_non_exhaustive()
    }
}

/// One key, its value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingEntry {
    /// As in `default.allow` or `extension."<origin>".allow`.
    pub name: String,
    /// As TOML; passwords are replaced by `***`.
    pub value: String,
    pub source: SettingSource,
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingSource {
    /// Nobody set it.
    Default,
    /// This line of the user's file.
    Line(usize),
    /// This line of the administrator's file.
    Administrator(usize),
    /// This environment variable.
    Environment(&'static str),
}

impl fmt::Display for SettingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Line(line) => write!(f, "line {line}"),
            Self::Administrator(line) => write!(f, "administrator, line {line}"),
            Self::Environment(name) => write!(f, "environment {name}"),
        }
    }
}

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// Users cannot override this one.
    Administrator,
    User,
}

/// Something wrong in the file. Line and column count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsFault {
    pub line: usize,
    pub column: usize,
    pub message: String,
}

impl SettingsFault {
    /// Where it is in this file, and what it is.
    pub fn located(&self, path: &Path) -> String {
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
    /// The file is of a type that is not read, or another user may have written it.
    #[error("{}: {problem}; run `{fix}`", path.display())]
    Refused {
        path: PathBuf,
        problem: String,
        /// The command that mends it.
        fix: String,
    },
    /// The file can be read, and something in it cannot be used.
    #[error("{}", shown(path, faults))]
    Faults {
        path: PathBuf,
        faults: Vec<SettingsFault>,
    },
}

impl SettingsError {
    /// The file that it is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::Read { path, .. } | Self::Refused { path, .. } | Self::Faults { path, .. } => path,
        }
    }
}

fn shown(path: &Path, faults: &[SettingsFault]) -> String {
    let lines: Vec<String> = faults.iter().map(|fault| fault.located(path)).collect();
    lines.join("; ")
}

/// Where the user's file lies, whether it is there or not.
pub fn path(paths: &Paths) -> PathBuf {
    paths.config().join(FILE)
}

/// Where the administrator's file lies, whether it is there or not.
pub fn administrators_path() -> PathBuf {
    file::administrators()
}

/// The text of the user's file, empty if there is none.
///
/// # Errors
/// The file cannot be read, or it must not be.
pub fn text(paths: &Paths) -> Result<String, SettingsError> {
    let opened = file::read(&path(paths), Who::User)?;
    Ok(opened.map(|opened| opened.text).unwrap_or_default())
}

/// Writes a settings file that only this user can read.
///
/// # Errors
/// The file is there already, or cannot be written.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    file::write(path, text)
}

/// Reads the settings of this user and of the administrator; without a file, the defaults.
///
/// # Errors
/// A file cannot be read, it must not be, or something in it cannot be used: what, with line and column.
pub fn load(paths: &Paths) -> Result<Settings, SettingsError> {
    let mut files = Vec::new();
    for (who, path) in [
        (Who::Administrator, file::administrators()),
        (Who::User, path(paths)),
    ] {
        if let Some(opened) = file::read(&path, who)? {
            files.push((who, path, opened));
        }
    }
    let layers: Vec<_> = files
        .iter()
        .map(|(who, path, opened)| Layer {
            who: *who,
            text: &opened.text,
            folder: path.parent().unwrap_or(path),
        })
        .collect();
    let mut settings = read::parse_layers(&layers).map_err(|(layer, faults)| SettingsError::Faults {
        path: files.get(layer).map(|file| file.1.clone()).unwrap_or_default(),
        faults,
    })?;
    let exposed = files
        .iter()
        .filter(|(who, _, opened)| opened.is_exposed && settings.has_password_of(*who));
    settings.exposed = exposed.map(|(_, path, _)| path.clone()).collect();
    settings.heed_environment(std::env::var(IDLE).ok().as_deref());
    Ok(settings)
}

impl Settings {
    /// Whether this one's file holds the password of a proxy.
    fn has_password_of(&self, who: Who) -> bool {
        self.entries.iter().any(|entry| {
            let is_of = match entry.source {
                SettingSource::Line(_) => who == Who::User,
                SettingSource::Administrator(_) => who == Who::Administrator,
                SettingSource::Default | SettingSource::Environment(_) => false,
            };
            is_of && entry.name.starts_with("proxy.") && entry.value.contains(read::MASK)
        })
    }

    /// Lets the environment overrule the user's file, not the administrator's.
    fn heed_environment(&mut self, idle: Option<&str>) {
        let Some(seconds) = idle.and_then(|text| text.parse().ok()) else {
            return;
        };
        let source = self.entry("broker.idle-minutes").map(|(_, source)| source);
        if let Some(SettingSource::Administrator(_)) = source {
            return;
        }
        self.broker.idle = Duration::from_secs(seconds);
        for entry in &mut self.entries {
            if entry.name == "broker.idle-minutes" {
                entry.value = format!("{:?}", self.broker.idle.as_secs_f64() / 60.0);
                entry.source = SettingSource::Environment(IDLE);
            }
        }
    }
}
