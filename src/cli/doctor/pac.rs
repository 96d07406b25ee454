//! Whether the desktop uses a proxy script (PAC), which Longwire does not run.
//!
//! It asks the desktop's own tools, and changes nothing.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use super::facts::PacFacts;

/// How long a tool of the desktop's may take.
const TOOL_TIMEOUT: Duration = Duration::from_secs(3);

/// The script that this desktop is set to, if any.
pub(super) async fn script(config: &Path) -> Option<PacFacts> {
    if cfg!(windows) {
        let key = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Internet Settings";
        return windows(&run("reg", &["query", key, "/v", "AutoConfigURL"]).await?);
    }
    if cfg!(target_os = "macos") {
        return macos(&run("scutil", &["--proxy"]).await?);
    }
    let schema = "org.gnome.system.proxy";
    if let Some(mode) = run("gsettings", &["get", schema, "mode"]).await
        && mode.trim() == "'auto'"
    {
        let url = run("gsettings", &["get", schema, "autoconfig-url"]).await;
        return gnome(&mode, &url.unwrap_or_default());
    }
    kde(&std::fs::read_to_string(config.join("kioslaverc")).ok()?)
}

async fn run(tool: &str, arguments: &[&str]) -> Option<String> {
    let asked = tokio::process::Command::new(tool)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(TOOL_TIMEOUT, asked).await.ok()?.ok()?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(stdout)
}

fn found(desktop: &'static str, url: &str) -> Option<PacFacts> {
    Some(PacFacts {
        desktop,
        url: Some(url.trim().to_owned()).filter(|url| !url.is_empty()),
    })
}

fn gnome(mode: &str, url: &str) -> Option<PacFacts> {
    if mode.trim() != "'auto'" {
        return None;
    }
    found("GNOME", url.trim().trim_matches('\''))
}

/// KDE: 2 is a script, 3 a script that is looked for on the network.
fn kde(file: &str) -> Option<PacFacts> {
    let section = file
        .lines()
        .skip_while(|line| line.trim() != "[Proxy Settings]")
        .skip(1)
        .take_while(|line| !line.starts_with('['));
    let value = |wanted: &str| {
        section.clone().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.split('[').next()?.trim() == wanted).then(|| value.trim())
        })
    };
    match value("ProxyType")? {
        "2" => found("KDE", value("Proxy Config Script").unwrap_or_default()),
        "3" => found("KDE", ""),
        _ => None,
    }
}

/// A line `AutoConfigURL    REG_SZ    http://...`.
fn windows(output: &str) -> Option<PacFacts> {
    let line = output
        .lines()
        .find(|line| line.trim().starts_with("AutoConfigURL"))?;
    found("Windows", line.split_once("REG_SZ")?.1).filter(|pac| pac.url.is_some())
}

fn macos(output: &str) -> Option<PacFacts> {
    let value = |wanted: &str| {
        output.lines().find_map(|line| {
            let (key, value) = line.split_once(" : ")?;
            (key.trim() == wanted).then(|| value.trim())
        })
    };
    let is_set = |name| value(name) == Some("1");
    if is_set("ProxyAutoConfigEnable") {
        return found("macOS", value("ProxyAutoConfigURLString").unwrap_or_default());
    }
    if is_set("ProxyAutoDiscoveryEnable") {
        return found("macOS", "");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(found: Option<PacFacts>) -> Option<Option<String>> {
        found.map(|found| found.url)
    }

    #[test]
    fn the_proxy_settings_of_every_desktop_are_parsed() {
        let here = Some(Some("http://pac.test/p.pac".to_owned()));
        assert_eq!(url(gnome("'auto'\n", "'http://pac.test/p.pac'\n")), here);
        assert_eq!(url(gnome("'auto'", "''")), Some(None), "found on the network");
        assert_eq!(url(gnome("'manual'", "'http://pac.test/p.pac'")), None);

        let kioslaverc = |kind| {
            format!(
                "[Other]\nProxyType=2\n\n[Proxy Settings][$Version]\nx=1\n[Proxy Settings]\nProxy Config Script[$e]=http://pac.test/p.pac\nProxyType={kind}\n[More]\n"
            )
        };
        assert_eq!(url(kde(&kioslaverc(2))), here);
        assert_eq!(url(kde(&kioslaverc(3))), Some(None));
        assert_eq!(url(kde(&kioslaverc(1))), None);
        assert_eq!(url(kde("[Other]\nProxyType=2\n")), None);

        let output = "\r\nHKEY_CURRENT_USER\\Software\\...\r\n    AutoConfigURL    REG_SZ    http://pac.test/p.pac\r\n";
        assert_eq!(url(windows(output)), here);
        assert_eq!(url(windows("ERROR: not found")), None);

        let output = "<dictionary> {\n  ProxyAutoConfigEnable : 1\n  ProxyAutoConfigURLString : http://pac.test/p.pac\n}\n";
        assert_eq!(url(macos(output)), here);
        assert_eq!(url(macos("  ProxyAutoDiscoveryEnable : 1\n")), Some(None));
        assert_eq!(
            url(macos("  ProxyAutoConfigEnable : 0\n  HTTPEnable : 1\n")),
            None
        );
    }
}
