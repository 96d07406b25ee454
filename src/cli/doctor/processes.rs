//! Browsers of this user that run with a folder of their own, as development tools start them.
//!
//! It reads the system's list of processes, and evaluates nothing. On Windows manifests are found through the registry,
//! whatever the folder: nothing is looked for there.

use std::path::{Path, PathBuf};

use installer::browsers::{Family, Scope};
use installer::lookup;
use installer::manifest::HostName;

use super::facts::RunningBrowser;

/// Arguments that name the folder.
const CHROMIUM_FOLDER: &str = "--user-data-dir";
const FIREFOX_FOLDERS: [&str; 2] = ["-profile", "--profile"];

/// Those that run now.
pub(super) fn running(name: &HostName) -> Vec<RunningBrowser> {
    let mut found: Vec<RunningBrowser> = Vec::new();
    for arguments in command_lines() {
        if let Some(browser) = browser(&arguments, name)
            && !found.iter().any(|other| other.folder == browser.folder)
        {
            found.push(browser);
        }
    }
    found.sort_by(|one, other| one.folder.cmp(&other.folder));
    found
}

/// The browser that this is the command line of, if it is one with a folder of its own.
fn browser(arguments: &[String], name: &HostName) -> Option<RunningBrowser> {
    let program = Path::new(arguments.first()?).file_name()?.to_str()?;
    // Children of a browser carry its folder too.
    if arguments
        .iter()
        .any(|argument| argument.starts_with("--type=") || argument == "-contentproc")
    {
        return None;
    }
    let (family, folder) = if let Some(folder) = folder(arguments, &[CHROMIUM_FOLDER]) {
        (Family::Chromium, folder)
    } else if program.contains("firefox") {
        (Family::Firefox, folder(arguments, &FIREFOX_FOLDERS)?)
    } else {
        return None;
    };
    let manifest = folder.join("NativeMessagingHosts").join(name.file());
    folder.is_dir().then(|| RunningBrowser {
        program: program.to_owned(),
        family,
        has_manifest: lookup::see(&manifest, Scope::User).is_some(),
        folder,
    })
}

/// The value of one of these arguments, behind `=` or as the next one.
fn folder(arguments: &[String], names: &[&str]) -> Option<PathBuf> {
    let mut rest = arguments.iter().skip(1);
    while let Some(argument) = rest.next() {
        for name in names {
            if argument == name {
                return rest.next().map(PathBuf::from);
            }
            if let Some(value) = argument
                .strip_prefix(name)
                .and_then(|value| value.strip_prefix('='))
            {
                return Some(PathBuf::from(value));
            }
        }
    }
    None
}

/// The command lines of this user's processes that have the same home.
#[cfg(target_os = "linux")]
fn command_lines() -> Vec<Vec<String>> {
    use std::os::unix::fs::MetadataExt as _;

    let uid = rustix::process::geteuid().as_raw();
    let home = std::env::var("HOME").unwrap_or_default();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter(|entry| {
        let name = entry.file_name();
        let is_process = name
            .to_str()
            .is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        is_process && entry.metadata().is_ok_and(|found| found.uid() == uid)
    });
    processes
        .filter_map(|entry| {
            let environment = std::fs::read(entry.path().join("environ")).ok()?;
            // With another home the browser looks for manifests elsewhere, and is none of ours.
            if !words(&environment).contains(&format!("HOME={home}")) {
                return None;
            }
            let arguments = words(&std::fs::read(entry.path().join("cmdline")).ok()?);
            (!arguments.is_empty()).then_some(arguments)
        })
        .collect()
}

/// Texts that each end with a zero. Chromium puts blanks between the arguments of a renamed process.
#[cfg(target_os = "linux")]
fn words(bytes: &[u8]) -> Vec<String> {
    let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

/// `ps` puts blanks between arguments: a folder with a blank in its name is not recognised.
#[cfg(target_os = "macos")]
fn command_lines() -> Vec<Vec<String>> {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let asked = std::process::Command::new("/bin/ps")
        .args(["-ww", "-U", &uid, "-o", "command="])
        .output();
    let text = asked.map_or_else(|_| Vec::new(), |output| output.stdout);
    String::from_utf8_lossy(&text)
        .lines()
        .map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .filter(|arguments| !arguments.is_empty())
        .collect()
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
const fn command_lines() -> Vec<Vec<String>> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A command line whose `DIR` is this folder, which may have blanks.
    fn line(text: &str, folder: &str) -> Vec<String> {
        text.split(' ').map(|word| word.replace("DIR", folder)).collect()
    }

    #[test]
    fn a_browser_with_its_own_user_data_folder_is_recognised() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().to_str().unwrap();
        let name = HostName::parse("com.longwire.bridge").unwrap();
        let seen = |text: &str| browser(&line(text, folder), &name);
        for text in [
            "/usr/lib/chromium/chromium --user-data-dir=DIR --headless=new",
            "/opt/google/chrome/chrome --user-data-dir DIR",
        ] {
            let found = seen(text).unwrap();
            assert_eq!(
                (found.family, found.has_manifest),
                (Family::Chromium, false),
                "{text}"
            );
        }
        let firefox = seen("/usr/lib/firefox-esr/firefox-esr -profile DIR").unwrap();
        assert_eq!(firefox.family, Family::Firefox);
        for other in [
            "/usr/lib/chromium/chromium --type=renderer --user-data-dir=DIR",
            "/usr/lib/firefox-esr/firefox-esr -contentproc -profile DIR",
            "/usr/lib/chromium/chromium",
            "/usr/bin/tool -profile DIR",
            "/usr/lib/chromium/chromium --user-data-dir=/does/not/exist",
        ] {
            assert!(seen(other).is_none(), "{other}");
        }
        std::fs::create_dir(scratch.path().join("NativeMessagingHosts")).unwrap();
        let manifest = scratch.path().join("NativeMessagingHosts").join(name.file());
        std::fs::write(manifest, "{}").unwrap();
        assert!(seen("chromium --user-data-dir=DIR").unwrap().has_manifest);
    }
}
