//! Divides the file descriptors of this process among their uses.
//!
//! It opens nothing.

use super::connections::Limits;

/// Descriptors of the broker's own: log, locks, the listener, the runtime.
const RESERVED_DESCRIPTORS: usize = 40;

/// The share of each use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Descriptors {
    pub(super) connections: Limits,
    /// Journals' files open at a time.
    pub(super) journals: usize,
    /// Active dials. One by HTTP may have three connections; most have one.
    pub(super) dials: usize,
}

impl Descriptors {
    /// Divides the descriptors that this process may open.
    pub(super) fn of_this_process() -> Self {
        #[cfg(unix)]
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        #[cfg(windows)]
        let limit: Option<u64> = None;
        Self::of(limit.map_or(65_536, |limit| usize::try_from(limit).unwrap_or(usize::MAX)))
    }

    fn of(limit: usize) -> Self {
        let limit = limit.saturating_sub(RESERVED_DESCRIPTORS).min(65_536);
        let pending = (limit / 16).clamp(4, 256);
        let ports = (limit / 4).clamp(8, 4096);
        let journals = (limit / 16).clamp(4, 256);
        Self {
            connections: Limits {
                pending,
                pending_per_process: (pending / 4).clamp(2, 16),
                ports,
                ports_per_process: (ports / 4).clamp(4, 64),
                ports_per_extension: (ports / 2).clamp(4, 256),
            },
            journals,
            // Connecting by name needs one more for a moment.
            dials: limit.saturating_sub(pending + ports + journals).max(8) * 9 / 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_do_not_exceed_the_descriptor_limit() {
        for limit in [256, 1024, 4096, 65_536, usize::MAX] {
            let shares = Descriptors::of(limit);
            let taken =
                shares.connections.pending + shares.connections.ports + shares.journals + shares.dials;
            assert!(taken + RESERVED_DESCRIPTORS <= limit, "{limit}: {shares:?}");
            assert!(shares.dials >= limit.min(65_536) / 3, "{limit}: {shares:?}");
        }
    }
}
