//! Browsers: their family, whether they are installed, and where they look for host manifests.
//!
//! The data is in `table`, its types in `model`. Folders and programs show whether a browser is installed. It writes nothing.

mod entries;
mod model;
mod table;

use std::path::PathBuf;

use crate::environment::Environment;
use crate::error::InstallError;

pub use crate::types::{Base, BaseFolder, Family, Scope, System};
pub use model::{Browser, Location, Locations, ManifestSource, Sandboxed, Serving};
pub use table::BROWSERS;

impl Browser {
    /// The row of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(name: &str) -> Result<&'static Self, InstallError> {
        BROWSERS
            .iter()
            .find(|browser| browser.name == name)
            .ok_or_else(|| InstallError::UnknownBrowser {
                name: name.to_owned(),
            })
    }

    /// What shows that the browser is on this machine: a folder of its own, or its program.
    pub fn found(&self, env: &Environment) -> Option<PathBuf> {
        let locations = self.on(env.system);
        locations
            .user
            .iter()
            .map(|place| env.resolve(place.sign))
            .find(|sign| sign.is_dir())
            .or_else(|| env.program(locations.programs))
    }

    /// Where it would look: every place of which there is a sign, or else its own. Each once.
    pub fn places(&self, env: &Environment, scope: Scope) -> Vec<ManifestSource> {
        let locations = self.on(env.system);
        let all = match scope {
            Scope::User => locations.user,
            Scope::System => locations.system,
        };
        let mut hosts: Vec<ManifestSource> = Vec::new();
        let signed = all.iter().filter(|place| env.resolve(place.sign).is_dir());
        for place in signed {
            if !hosts.contains(&place.hosts) {
                hosts.push(place.hosts);
            }
        }
        if hosts.is_empty() {
            // Without a sign: the browser's own, with all that stands beside it under the same sign.
            let first = all.first().map(|place| place.sign);
            hosts.extend(
                all.iter()
                    .filter(|place| Some(place.sign) == first)
                    .map(|place| place.hosts),
            );
            hosts.dedup();
        }
        hosts
    }

    /// A copy of it that runs inside Flatpak or Snap, if there is one.
    pub fn sandboxed(&self, env: &Environment) -> Option<Sandboxed> {
        if env.system != System::Linux {
            return None;
        }
        let flatpak = self.flatpak.map(|id| env.home.join(".var/app").join(id));
        if let Some(folder) = flatpak.filter(|folder| folder.is_dir()) {
            // Inside, `~/.config` is the folder's `config`; other folders in the home lie in it as they are called.
            let hosts = self.linux.user.first().and_then(|place| match place.hosts {
                ManifestSource::Folder(base_folder) if base_folder.base == Base::Config => {
                    Some(folder.join("config").join(base_folder.path))
                }
                ManifestSource::Folder(base_folder) => Some(folder.join(base_folder.path)),
                ManifestSource::Key(_) => None,
            });
            return Some(Sandboxed {
                by: "Flatpak",
                serving: hosts.map(|hosts| Serving {
                    hosts,
                    copy: Some(folder.join("data/longwire/longwire")),
                }),
                folder,
            });
        }
        let folder = self.snap.map(|id| env.home.join("snap").join(id))?;
        let serving = match self.name {
            "chromium" => Some(Serving {
                hosts: folder.join("common/chromium/NativeMessagingHosts"),
                copy: Some(folder.join("common/longwire/longwire")),
            }),
            // A portal outside reads the usual manifest and starts the usual program.
            "firefox" => self.linux.user.first().and_then(|place| match place.hosts {
                ManifestSource::Folder(base_folder) => Some(Serving {
                    hosts: env.resolve(base_folder),
                    copy: None,
                }),
                ManifestSource::Key(_) => None,
            }),
            // Nobody has traced where these look.
            _ => None,
        };
        folder.is_dir().then_some(Sandboxed {
            by: "Snap",
            serving,
            folder,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;

    /// The names scripts rely on.
    const NAMES: &[&str] = &[
        "chrome",
        "chrome-beta",
        "chrome-dev",
        "chrome-canary",
        "chrome-for-testing",
        "chromium",
        "edge",
        "edge-beta",
        "edge-dev",
        "edge-canary",
        "brave",
        "vivaldi",
        "opera",
        "arc",
        "yandex",
        "firefox",
        "librewolf",
        "waterfox",
        "floorp",
        "zen",
        "thunderbird",
    ];

    #[test]
    fn every_browser_name_has_exactly_one_row() {
        let rows: Vec<_> = BROWSERS.iter().map(|browser| browser.name).collect();
        assert_eq!(rows, NAMES);
    }

    #[test]
    fn the_table_is_complete_and_uses_each_systems_own_bases() {
        for browser in BROWSERS {
            for system in [System::Linux, System::MacOs, System::Windows] {
                let locations = browser.on(system);
                let missing = system == System::Linux && ["arc", "edge-canary"].contains(&browser.name);
                assert_eq!(
                    locations.user.is_empty(),
                    missing,
                    "{} on {system:?}",
                    browser.name
                );
                assert_eq!(
                    locations.system.is_empty(),
                    missing,
                    "{} on {system:?}",
                    browser.name
                );
                for place in locations.user.iter().chain(locations.system) {
                    let (ManifestSource::Folder(BaseFolder { base, .. }), System::Linux | System::MacOs) =
                        (place.hosts, system)
                    else {
                        assert!(matches!(place.hosts, ManifestSource::Key(_)) && system == System::Windows);
                        continue;
                    };
                    let allowed: &[Base] = match system {
                        System::Linux => &[Base::Config, Base::Home, Base::Root],
                        System::MacOs => &[Base::Support, Base::Root],
                        System::Windows => &[],
                    };
                    assert!(
                        allowed.contains(&base),
                        "{} on {system:?}: {base:?}",
                        browser.name
                    );
                }
            }
        }
    }

    /// An installer that registers for all users runs as the system, in whose profile no browser has a folder.
    #[test]
    fn on_windows_each_family_is_detected_without_a_profile() {
        let mut seen = BTreeSet::new();
        for browser in BROWSERS {
            for program in browser.on(System::Windows).programs {
                assert!(program.ends_with(".exe") && seen.insert(program), "{program}");
            }
        }
        for program in ["chrome.exe", "msedge.exe", "firefox.exe"] {
            assert!(seen.contains(&program), "{program}");
        }
    }

    #[test]
    fn a_browser_is_detected_only_by_its_folder_or_its_program() {
        let scratch = tempfile::tempdir().unwrap();
        let env = Environment::within(scratch.path());
        let found = || -> BTreeSet<_> {
            BROWSERS
                .iter()
                .filter(|browser| browser.found(&env).is_some())
                .map(|browser| browser.name)
                .collect()
        };
        assert_eq!(found(), BTreeSet::new());
        fs::create_dir_all(env.config.join("microsoft-edge-dev")).unwrap();
        assert_eq!(found(), BTreeSet::from(["edge-dev"]));
        fs::create_dir_all(scratch.path().join("bin")).unwrap();
        fs::write(scratch.path().join("bin/firefox-esr"), "").unwrap();
        assert_eq!(found(), BTreeSet::from(["edge-dev", "firefox"]));
    }

    #[test]
    fn chromes_folder_is_read_once_for_opera() {
        let scratch = tempfile::tempdir().unwrap();
        let env = Environment::within(scratch.path());
        let opera = Browser::named("opera").unwrap();
        let chromes = vec![ManifestSource::Folder(BaseFolder {
            base: Base::Config,
            path: "google-chrome/NativeMessagingHosts",
        })];
        assert_eq!(opera.places(&env, Scope::User), chromes);
        fs::create_dir_all(env.config.join("opera")).unwrap();
        fs::create_dir_all(env.config.join("opera-gx")).unwrap();
        assert_eq!(opera.places(&env, Scope::User), chromes);
    }

    #[test]
    fn each_channel_with_a_profile_is_registered() {
        let scratch = tempfile::tempdir().unwrap();
        let env = Environment::within(scratch.path());
        let brave = Browser::named("brave").unwrap();
        assert_eq!(brave.places(&env, Scope::User).len(), 1);
        for channel in ["Brave-Browser-Beta", "Brave-Browser-Nightly"] {
            fs::create_dir_all(env.config.join("BraveSoftware").join(channel)).unwrap();
        }
        assert_eq!(brave.places(&env, Scope::User).len(), 2);
    }
}
