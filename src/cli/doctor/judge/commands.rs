//! Commands to paste, for the system that doctor runs on.
//!
//! It runs nothing.

use std::path::Path;

use super::quoted;

/// Input that ends at once.
pub(super) const NO_INPUT: &str = if cfg!(windows) { " < NUL" } else { " < /dev/null" };

/// Shows the variables that name a proxy.
pub(super) const PROXY_VARIABLES: &str = if cfg!(windows) {
    "set | findstr /i _proxy"
} else {
    "env | grep -i _proxy"
};

/// Asks the system for the addresses of a name.
pub(super) fn resolve(host: &str) -> String {
    if cfg!(windows) {
        format!("nslookup {host}")
    } else if cfg!(target_os = "macos") {
        format!("dscacheutil -q host -a name {host}")
    } else {
        format!("getent hosts {host}")
    }
}

/// Shows the certificates of the server at `host:port`.
pub(super) fn tls(place: &str) -> String {
    let name = place.rsplit_once(':').map_or(place, |(host, _)| host);
    let name = name.trim_matches(['[', ']']);
    format!("openssl s_client -connect {place} -servername {name}{NO_INPUT}")
}

/// Asks the server of a `ws:` or `wss:` URL over HTTP.
pub(super) fn curl(flag: &str, url: &str) -> String {
    // In PowerShell the bare name is another program.
    let program = if cfg!(windows) { "curl.exe" } else { "curl" };
    format!("{program} {flag} {}", url.replacen("ws", "http", 1))
}

/// Ends a process that handles no request.
pub(super) fn kill(process: i32) -> String {
    if cfg!(windows) {
        format!("taskkill /F /PID {process}")
    } else {
        format!("kill -9 {process}")
    }
}

/// Moves a file or folder away.
pub(super) fn move_aside(path: &Path, aside: &Path) -> String {
    let program = if cfg!(windows) { "move" } else { "mv" };
    format!("{program} {} {}", quoted(path), quoted(aside))
}

/// Removes a file, or a folder and what is in it.
pub(super) fn remove_all(path: &Path) -> String {
    let program = if cfg!(windows) { "rmdir /s" } else { "rm -r" };
    format!("{program} {}", quoted(path))
}

/// Removes files.
pub(super) fn remove(paths: &[&Path]) -> String {
    let program = if cfg!(windows) { "del" } else { "rm" };
    let paths: Vec<_> = paths.iter().map(|path| quoted(path)).collect();
    format!("{program} {}", paths.join(" "))
}

/// Shows how full the disk of a folder is.
pub(super) fn disk_space(folder: &Path) -> String {
    if cfg!(windows) {
        format!("fsutil volume diskfree {}", quoted(folder))
    } else {
        format!("df -h {}", quoted(folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_match_the_current_system() {
        let tls = tls("[::1]:443");
        assert!(
            tls.starts_with("openssl s_client -connect [::1]:443 -servername ::1"),
            "{tls}"
        );
        assert_eq!(tls.ends_with("< NUL"), cfg!(windows), "{tls}");
        assert_eq!(tls.ends_with("< /dev/null"), cfg!(unix), "{tls}");
        assert_eq!(PROXY_VARIABLES.contains("findstr"), cfg!(windows));
        assert!(curl("-i", "wss://a.example/b").ends_with(" -i https://a.example/b"));
        assert_eq!(kill(7).starts_with("taskkill"), cfg!(windows));
    }
}
