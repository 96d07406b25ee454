//! A real Chromium for the demo: started with the example extension, driven over DevTools.
//!
//! It connects to a page of the extension, never to its worker: a debugger there would keep the worker awake.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::cli::error::Failure;
use crate::paths;

/// The example extension's id; its `key` fixes it.
const EXTENSION: &str = "cfgjijgalloanpinpjgfgakgkbhlgcka";
/// Where Chromium may be found. Chrome and Edge do not load unpacked extensions from the command line.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "ungoogled-chromium"];
/// A page of the extension's with nothing on it: the popup would draw every message.
const PAGE: &str = "watch.html";
/// How often a condition is looked at again.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Whether the page is the extension's and has loaded.
const LOADED: &str = "document.readyState === 'complete' && typeof chrome?.storage === 'object'";

/// The example's files, as they lie in `examples/hello`.
const FILES: [(&str, &str); 5] = [
    (
        "manifest.json",
        include_str!("../../../examples/hello/manifest.json"),
    ),
    ("worker.js", include_str!("../../../examples/hello/worker.js")),
    ("longwire.js", include_str!("../../../examples/hello/longwire.js")),
    ("popup.html", include_str!("../../../examples/hello/popup.html")),
    ("popup.js", include_str!("../../../examples/hello/popup.js")),
];

/// A running Chromium and a page of the extension in it.
#[derive(Debug)]
pub(super) struct Chromium {
    browser: Child,
    devtools: WebSocketStream<TcpStream>,
    page: String,
    calls: u64,
}

impl Chromium {
    /// Starts it in `folder`, with the host's manifest and the extension talking to `url`.
    pub(super) async fn start(folder: &Path, url: &str) -> Result<Self, Failure> {
        let program = find().ok_or_else(|| {
            Failure::new("cannot find Chromium in PATH")
                .hint("apt-get install chromium, then longwire demo --browser")
        })?;
        let profile = folder.join("profile");
        let extension = folder.join("extension");
        lay_out(&profile, &extension, url)
            .map_err(|error| Failure::because("cannot write the profile and the extension", &error))?;
        let browser = launch(&program, &profile, &extension, folder)
            .map_err(|error| Failure::because(format!("cannot start {}", program.display()), &error))?;
        let devtools = connect(&profile).await?;
        let mut chromium = Self {
            browser,
            devtools,
            page: String::new(),
            calls: 0,
        };
        let address = format!("chrome-extension://{EXTENSION}/{PAGE}");
        let target = chromium
            .call("Target.createTarget", json!({"url": address}))
            .await?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = chromium.call("Target.attachToTarget", attach).await?;
        session["sessionId"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut chromium.page);
        while chromium.evaluate(LOADED).await? != Value::Bool(true) {
            sleep(CHECK_INTERVAL).await;
        }
        Ok(chromium)
    }

    /// Runs an expression in the page; its value once any promise is settled.
    pub(super) async fn evaluate(&mut self, expression: &str) -> Result<Value, Failure> {
        let how = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.call("Runtime.evaluate", how).await?;
        if answer["exceptionDetails"].is_object() {
            let thrown = &answer["exceptionDetails"]["exception"]["description"];
            return Err(Failure::new(format!("the extension's page threw {thrown}")));
        }
        Ok(answer["result"]["value"].take())
    }

    /// Stops every service worker, as the browser does with idle ones.
    pub(super) async fn stop_workers(&mut self) -> Result<(), Failure> {
        self.call("ServiceWorker.enable", json!({})).await?;
        self.call("ServiceWorker.stopAllWorkers", json!({})).await?;
        Ok(())
    }

    async fn call(&mut self, method: &str, params: Value) -> Result<Value, Failure> {
        self.calls += 1;
        let id = self.calls;
        let mut call = json!({"id": id, "method": method, "params": params});
        if !self.page.is_empty() {
            call["sessionId"] = Value::from(self.page.as_str());
        }
        let lost = |error: &dyn std::error::Error| Failure::because("lost the connection to DevTools", error);
        self.devtools
            .send(Message::text(call.to_string()))
            .await
            .map_err(|error| lost(&error))?;
        loop {
            let message = self
                .devtools
                .next()
                .await
                .ok_or_else(|| Failure::new("lost the connection to DevTools"))?;
            let Message::Text(text) = message.map_err(|error| lost(&error))? else {
                continue;
            };
            let mut answer: Value = serde_json::from_str(&text).map_err(|error| lost(&error))?;
            if answer["id"] == id {
                return match answer["error"]["message"].as_str() {
                    Some(why) => Err(Failure::new(format!("DevTools refused `{method}`: {why}"))),
                    None => Ok(answer["result"].take()),
                };
            }
        }
    }

    /// Ends the browser.
    pub(super) async fn close(mut self) {
        let closing = self.call("Browser.close", json!({}));
        let _ = tokio::time::timeout(Duration::from_secs(3), closing).await;
        if tokio::time::timeout(Duration::from_secs(3), self.browser.wait())
            .await
            .is_err()
        {
            let _ = self.browser.kill().await;
        }
    }
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|folder| NAMES.map(|name| folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))))
        .find(|program| program.is_file())
}

/// Writes the extension, with the server's URL and the number of panels, and the manifest that names this program.
fn lay_out(profile: &Path, extension: &Path, url: &str) -> io::Result<()> {
    std::fs::create_dir_all(extension)?;
    for (name, content) in FILES {
        let content = content
            .replace("ws://127.0.0.1:8787", url)
            .replace("const KEEP = 50;", "const KEEP = 5000;");
        std::fs::write(extension.join(name), content)?;
    }
    std::fs::write(extension.join(PAGE), "<!doctype html><title>Longwire</title>")?;
    let hosts = profile.join("NativeMessagingHosts");
    std::fs::create_dir_all(&hosts)?;
    let manifest = json!({
        "name": "com.longwire.bridge",
        "description": "Longwire",
        "path": std::env::current_exe()?,
        "type": "stdio",
        "allowed_origins": [format!("chrome-extension://{EXTENSION}/")],
    });
    std::fs::write(hosts.join("com.longwire.bridge.json"), manifest.to_string())
}

fn launch(program: &Path, profile: &Path, extension: &Path, home: &Path) -> io::Result<Child> {
    let mut command = Command::new(program);
    command
        .env(paths::HOME, home)
        .args([
            "--headless=new",
            "--disable-gpu",
            "--no-first-run",
            "--remote-debugging-port=0",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .arg("--disable-features=DisableLoadExtensionCommandLineSwitch")
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--load-extension={}", extension.display()))
        .arg("about:blank")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    #[cfg(unix)]
    if rustix::process::geteuid().is_root() {
        command.arg("--no-sandbox");
    }
    command.spawn()
}

/// Waits for the browser to say where DevTools listens, and goes there.
async fn connect(profile: &Path) -> Result<WebSocketStream<TcpStream>, Failure> {
    let port_file = profile.join("DevToolsActivePort");
    let text = loop {
        match std::fs::read_to_string(&port_file) {
            Ok(text) if text.lines().count() >= 2 => break text,
            _ => sleep(CHECK_INTERVAL).await,
        }
    };
    let mut lines = text.lines();
    let (port, path) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let failed = |error: &dyn std::error::Error| Failure::because("cannot reach DevTools", error);
    let stream = TcpStream::connect(format!("127.0.0.1:{port}"))
        .await
        .map_err(|error| failed(&error))?;
    let url = format!("ws://127.0.0.1:{port}{path}");
    let (devtools, _) = tokio_tungstenite::client_async(url, stream)
        .await
        .map_err(|error| failed(&error))?;
    Ok(devtools)
}
