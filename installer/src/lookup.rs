//! What a browser finds when an extension calls a host: the manifests it reads, in its order, and its neighbours.
//!
//! It only reads files and keys; `manifest::judge` checks them.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::browsers::{Browser, ManifestSource};
use crate::environment::Environment;
use crate::manifest::{self, HostName};
use crate::registry;
use crate::types::{Scope, System};

/// Manifests above this are not read, in bytes; real ones have a few hundred.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// A manifest that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The file.
    pub path: PathBuf,
    /// The registry key that leads to it, on Windows.
    pub key: Option<String>,
    /// For whom it is.
    pub scope: Scope,
    /// Its contents, or why it cannot be read.
    pub text: Result<String, String>,
    /// May everybody change it?
    pub open_to_all: bool,
}

/// Another host for one of these extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Its name, as its file is called.
    pub name: String,
    /// Its manifest.
    pub path: PathBuf,
    /// For whom it is.
    pub scope: Scope,
    /// The program it starts, if it names one.
    pub program: Option<PathBuf>,
    /// Who may call it, as it stands there.
    pub entries: Vec<String>,
}

/// Where the SDK for Node.js finds the manifest of apps; `state` is Longwire's own folder.
pub fn apps_folder(env: &Environment, state: &Path, scope: Scope) -> PathBuf {
    match (scope, env.system) {
        (Scope::User, _) => state.join("apps"),
        (Scope::System, System::Linux) => env.root.join("etc/longwire/apps"),
        (Scope::System, System::MacOs) => env.root.join("Library/Application Support/longwire/apps"),
        (Scope::System, System::Windows) => PathBuf::from(r"C:\ProgramData\longwire\apps"),
    }
}

/// The manifests that the SDK for Node.js reads, in the order it reads them.
pub fn apps(env: &Environment, state: &Path, name: &HostName) -> Vec<Seen> {
    [Scope::User, Scope::System]
        .into_iter()
        .filter_map(|scope| see(&apps_folder(env, state, scope).join(name.file()), scope))
        .collect()
}

/// The manifests of a host that this browser would read. One chain for each profile folder the browser keeps (channels
/// have their own); in a chain, the order in which they are read.
pub fn chains(env: &Environment, browser: &Browser, name: &HostName) -> Vec<Vec<Seen>> {
    if env.system == System::Windows {
        return vec![keys(env, browser, name)];
    }
    let system: Vec<PathBuf> = for_all(env, browser);
    let user = browser.places(env, Scope::User).into_iter();
    user.filter_map(|hosts| match hosts {
        ManifestSource::Folder(base_folder) => Some(env.resolve(base_folder)),
        ManifestSource::Key(_) => None,
    })
    .map(|folder| {
        let own = see(&folder.join(name.file()), Scope::User);
        let shared = system
            .iter()
            .filter_map(|folder| see(&folder.join(name.file()), Scope::System));
        own.into_iter().chain(shared).collect()
    })
    .collect()
}

/// The manifest at this place, if there is one.
pub fn see(path: &Path, scope: Scope) -> Option<Seen> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) => {
            // A link that leads nowhere is there, and cannot be read; so is what lies in a closed folder.
            let nothing =
                path.symlink_metadata().is_err() && error.kind() != std::io::ErrorKind::PermissionDenied;
            return (!nothing).then(|| Seen {
                path: path.to_path_buf(),
                key: None,
                scope,
                text: Err(error.to_string()),
                open_to_all: false,
            });
        }
    };
    Some(Seen {
        path: path.to_path_buf(),
        key: None,
        scope,
        text: read(path),
        open_to_all: open_to_all(&found),
    })
}

/// The manifests of other hosts in the folders this browser reads.
pub fn neighbours(env: &Environment, browser: &Browser, name: &HostName) -> Vec<Neighbour> {
    let mut found: Vec<Neighbour> = Vec::new();
    for (path, scope) in others(env, browser) {
        let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else {
            continue;
        };
        let is_new = !found.iter().any(|other| other.path == path);
        if stem == name.to_string() || !is_new {
            continue;
        }
        let text = read(&path).unwrap_or_default();
        found.push(Neighbour {
            name: stem.to_owned(),
            program: manifest::program(&text),
            entries: manifest::entries(browser.family, &text),
            path,
            scope,
        });
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// Every manifest in the folders and below the keys that this browser reads.
fn others(env: &Environment, browser: &Browser) -> Vec<(PathBuf, Scope)> {
    if env.system == System::Windows {
        let vendors = vendors(env, browser);
        return [Scope::User, Scope::System]
            .into_iter()
            .flat_map(|scope| {
                vendors
                    .iter()
                    .flat_map(move |vendor| registry::hosts(scope, vendor))
                    .map(move |key| (key, scope))
            })
            .filter_map(|(key, scope)| Some((PathBuf::from(registry::read(&key)?), scope)))
            .collect();
    }
    let user = browser.places(env, Scope::User).into_iter();
    let user = user.filter_map(|hosts| match hosts {
        ManifestSource::Folder(base_folder) => Some((env.resolve(base_folder), Scope::User)),
        ManifestSource::Key(_) => None,
    });
    let shared = for_all(env, browser).into_iter();
    user.chain(shared.map(|folder| (folder, Scope::System)))
        .filter_map(|(folder, scope)| Some((fs::read_dir(folder).ok()?, scope)))
        .flat_map(|(entries, scope)| entries.flatten().map(move |entry| (entry.path(), scope)))
        .filter(|(path, _)| path.extension().is_some_and(|extension| extension == "json"))
        .collect()
}

/// The folders for all users, whether they are there or not.
fn for_all(env: &Environment, browser: &Browser) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for place in browser.on(env.system).system {
        if let ManifestSource::Folder(base_folder) = place.hosts {
            let folder = env.resolve(base_folder);
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
    }
    folders
}

fn vendors(env: &Environment, browser: &Browser) -> Vec<&'static str> {
    let mut vendors: Vec<&'static str> = Vec::new();
    for place in browser.on(env.system).user {
        if let ManifestSource::Key(vendor) = place.hosts
            && !vendors.contains(&vendor)
        {
            vendors.push(vendor);
        }
    }
    vendors
}

/// The user's keys are read before everybody's.
fn keys(env: &Environment, browser: &Browser, name: &HostName) -> Vec<Seen> {
    let mut seen = Vec::new();
    for scope in [Scope::User, Scope::System] {
        for vendor in vendors(env, browser) {
            for key in registry::keys(scope, vendor, name) {
                let Some(value) = registry::read(&key) else {
                    continue;
                };
                let path = PathBuf::from(value);
                let text = read(&path);
                seen.push(Seen {
                    path,
                    key: Some(key),
                    scope,
                    text,
                    open_to_all: false,
                });
            }
        }
    }
    seen
}

/// The contents of a manifest, or why it cannot be read. A pipe is not: it might never end.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let found = fs::metadata(path).map_err(|error| error.to_string())?;
    if !found.is_file() && !found.is_dir() {
        return Err("it is not a file".to_owned());
    }
    File::open(path)
        .and_then(|file| file.take(MAX_MANIFEST_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_MANIFEST_BYTES {
        return Err("it is too large for a manifest".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

#[cfg(unix)]
fn open_to_all(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    found.mode() & 0o002 != 0
}

#[cfg(windows)]
fn open_to_all(_: &fs::Metadata) -> bool {
    false
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "com.longwire.bridge";

    fn setup() -> (tempfile::TempDir, Environment, HostName) {
        let scratch = tempfile::tempdir().unwrap();
        let env = Environment::within(scratch.path());
        (scratch, env, HostName::parse(NAME).unwrap())
    }

    fn write_manifest(folder: &Path, name: &str, text: &str) -> PathBuf {
        fs::create_dir_all(folder).unwrap();
        let path = folder.join(format!("{name}.json"));
        fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn the_users_manifest_is_read_before_the_system_manifest() {
        let (_scratch, env, name) = setup();
        let chromium = Browser::named("chromium").unwrap();
        assert_eq!(chains(&env, chromium, &name), [vec![]]);
        let all = write_manifest(
            &env.root.join("etc/chromium/native-messaging-hosts"),
            NAME,
            "for all",
        );
        let own = write_manifest(&env.config.join("chromium/NativeMessagingHosts"), NAME, "own");
        let [chain] = &chains(&env, chromium, &name)[..] else {
            panic!("one profile folder, one chain");
        };
        let order: Vec<_> = chain.iter().map(|seen| (&seen.path, seen.scope)).collect();
        assert_eq!(order, [(&own, Scope::User), (&all, Scope::System)]);
        assert_eq!(chain[0].text.as_deref(), Ok("own"));
    }

    #[test]
    fn each_channel_has_its_own_lookup_chain() {
        let (_scratch, env, name) = setup();
        let brave = Browser::named("brave").unwrap();
        for channel in ["Brave-Browser", "Brave-Browser-Beta"] {
            fs::create_dir_all(env.config.join("BraveSoftware").join(channel)).unwrap();
        }
        write_manifest(
            &env.config
                .join("BraveSoftware/Brave-Browser/NativeMessagingHosts"),
            NAME,
            "{}",
        );
        let found: Vec<_> = chains(&env, brave, &name).iter().map(Vec::len).collect();
        assert_eq!(found, [1, 0]);
    }

    #[test]
    fn a_dangling_symlink_is_found_and_unreadable() {
        let (scratch, ..) = setup();
        let link = scratch.path().join("a.json");
        assert_eq!(see(&link, Scope::User), None);
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert!(see(&link, Scope::User).unwrap().text.is_err());
    }

    #[test]
    fn a_fifo_is_refused_without_blocking() {
        let (scratch, ..) = setup();
        let pipe = scratch.path().join("a.json");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert_eq!(
            see(&pipe, Scope::User).unwrap().text,
            Err("it is not a file".to_owned())
        );
    }

    #[test]
    fn neighbours_are_hosts_with_another_name() {
        let (_scratch, env, name) = setup();
        let firefox = Browser::named("firefox").unwrap();
        let folder = env.home.join(".mozilla/native-messaging-hosts");
        write_manifest(&folder, NAME, "{}");
        let text = r#"{"name":"org.old","path":"/opt/old","allowed_extensions":["a@b"]}"#;
        let path = write_manifest(&folder, "org.old", text);
        let found = neighbours(&env, firefox, &name);
        assert_eq!(
            found,
            [Neighbour {
                name: "org.old".into(),
                path,
                scope: Scope::User,
                program: Some("/opt/old".into()),
                entries: vec!["a@b".into()],
            }]
        );
    }
}
