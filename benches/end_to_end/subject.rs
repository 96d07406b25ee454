//! The subjects: Longwire's host, and hosts as people would otherwise write them.
//!
//! The others are in `benches/rivals`; `scripts/bench` sets by environment variables which of them can run here.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::broker::{Broker, program};

/// The extension of all measures but those that need several.
const ORIGIN: &str = "chrome-extension://abcdefghijklmnopabcdefghijklmnop/";

/// A native messaging host.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    program: PathBuf,
    script: Option<PathBuf>,
    home: Option<PathBuf>,
    /// The origin of the extension that starts it.
    origin: &'static str,
    /// Takes messages from the extension as well.
    pub(crate) both_ways: bool,
}

impl Subject {
    /// Ours, with this broker behind it.
    pub(crate) fn longwire(broker: &Broker) -> Self {
        Self::longwire_of(broker, ORIGIN)
    }

    /// The same, started by the extension with this origin.
    pub(crate) fn longwire_of(broker: &Broker, origin: &'static str) -> Self {
        Self {
            name: "longwire",
            program: program().into(),
            script: None,
            home: Some(broker.home().to_owned()),
            origin,
            both_ways: true,
        }
    }

    /// Those that can run here.
    pub(crate) fn rivals() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/rivals");
        [
            ("C relay", "BENCH_RELAY", None, false),
            ("Node host", "BENCH_NODE", Some("host.mjs"), true),
            ("Python host", "BENCH_PYTHON", Some("host.py"), true),
        ]
        .into_iter()
        .filter_map(|(name, variable, script, both_ways)| {
            let program = std::env::var_os(variable)?;
            Some(Self {
                name,
                program: program.into(),
                script: script.map(|script| folder.join(script)),
                home: None,
                origin: ORIGIN,
                both_ways,
            })
        })
        .collect()
    }

    /// Starts it as Chromium does.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(script) = &self.script {
            command.arg(script);
        }
        if let Some(home) = &self.home {
            command.env("LONGWIRE_HOME", home);
        }
        command.arg(self.origin);
        command
    }
}
