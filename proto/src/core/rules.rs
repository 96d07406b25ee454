//! What the settings file allows: to every extension, and to some by name.
//!
//! Plain data with its defaults. Who reads the file is `settings`; who asks is `policy`, `dials` and the hub.

use std::collections::BTreeMap;

pub use super::pattern::{HostPattern, Pattern};

/// The rules of one broker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// For extensions that are not named.
    pub default: ExtensionRule,
    /// By origin, without a slash at the end.
    pub extensions: BTreeMap<String, ExtensionRule>,
    pub dials: DialRule,
    /// Bytes that all extensions together may take.
    pub memory: MemoryRule,
}

/// What one extension may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtensionRule {
    /// It may use Longwire at all.
    pub enabled: bool,
    /// It may dial URLs that fit any of these.
    pub allow: Vec<Pattern>,
    /// It may send an `Origin` other than its own.
    pub any_origin: bool,
    /// It may name a proxy of its own, if `allow` covers that too.
    pub own_proxy: bool,
    /// Names beside `localhost` that may lead to this machine or a link-local address.
    pub local_names: Vec<HostPattern>,
    /// Profiles it may hold sessions in.
    pub profiles: usize,
    /// Sessions in one profile.
    pub sessions: usize,
    /// Bytes that all its sessions take together, in all profiles, fixed costs included.
    pub bytes: usize,
    /// Dials to other machines.
    pub dials_per_minute: u32,
    /// Ports of this machine that are new to it.
    pub loopback_ports_per_minute: u32,
}

/// How much the whole broker may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryRule {
    /// Bytes of everything.
    pub total: usize,
}

impl MemoryRule {
    /// Bytes that sessions may take together; the rest is for what is on its way.
    pub const fn sessions(self) -> usize {
        self.total / 4 * 3
    }

    /// Bytes of what has begun to come and is not whole.
    pub const fn on_the_way(self) -> usize {
        self.total / 4
    }
}

impl Default for MemoryRule {
    fn default() -> Self {
        Self { total: 1 << 30 }
    }
}

/// How fast the whole broker dials other machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DialRule {
    /// Dials a second in the long run.
    pub per_second: u32,
    /// Sessions that were just opened may take this many dials at once; redials never do.
    pub burst: u32,
}

impl Default for ExtensionRule {
    fn default() -> Self {
        let pattern = |text| Pattern::parse(text).ok();
        Self {
            enabled: true,
            allow: ["wss://*", "ws://loopback"]
                .into_iter()
                .filter_map(pattern)
                .collect(),
            any_origin: false,
            own_proxy: false,
            local_names: Vec::new(),
            profiles: 32,
            sessions: 256,
            bytes: 256 << 20,
            dials_per_minute: 120,
            loopback_ports_per_minute: 16,
        }
    }
}

impl Default for DialRule {
    fn default() -> Self {
        Self {
            per_second: 4,
            burst: 16,
        }
    }
}

impl Rules {
    /// The rule for an extension.
    pub fn of(&self, origin: &str) -> &ExtensionRule {
        self.extensions
            .get(origin.trim_end_matches('/'))
            .unwrap_or(&self.default)
    }
}
