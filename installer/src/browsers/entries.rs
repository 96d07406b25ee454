//! Constructors for the entries of the table of browsers.

use super::model::{Location, Locations, ManifestSource};
use crate::types::{Base, BaseFolder};

pub(super) const NONE: Locations = Locations {
    programs: &[],
    user: &[],
    system: &[],
};

pub(super) const fn base_folder(base: Base, path: &'static str) -> BaseFolder {
    BaseFolder { base, path }
}

/// A folder of manifests that counts if `sign` exists.
pub(super) const fn folder(base: Base, sign: &'static str, hosts: &'static str) -> Location {
    Location {
        sign: base_folder(base, sign),
        hosts: ManifestSource::Folder(base_folder(base, hosts)),
    }
}

/// Registry keys that count if a folder in the user's profile exists.
pub(super) const fn key(base: Base, sign: &'static str, key: &'static str) -> Location {
    Location {
        sign: base_folder(base, sign),
        hosts: ManifestSource::Key(key),
    }
}

/// `~/.config/<dir>/NativeMessagingHosts`, `~/Library/Application Support/<dir>/NativeMessagingHosts`.
macro_rules! own {
    ($base:ident, $dir:literal) => {
        $crate::browsers::entries::folder(
            $crate::types::Base::$base,
            $dir,
            concat!($dir, "/NativeMessagingHosts"),
        )
    };
}

/// `~/<dir>/native-messaging-hosts`, and the like in `/etc` and `/usr/lib`.
macro_rules! dashed {
    ($base:ident, $dir:literal) => {
        $crate::browsers::entries::folder(
            $crate::types::Base::$base,
            $dir,
            concat!($dir, "/native-messaging-hosts"),
        )
    };
}

pub(super) const fn locations(
    programs: &'static [&'static str],
    user: &'static [Location],
    system: &'static [Location],
) -> Locations {
    Locations {
        programs,
        user,
        system,
    }
}

/// On Windows the same keys serve the user (HKCU) and everybody (HKLM).
pub(super) const fn keys(programs: &'static [&'static str], keys: &'static [Location]) -> Locations {
    locations(programs, keys, keys)
}

pub(super) use {dashed, own};
