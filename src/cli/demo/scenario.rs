//! The demo's scenario: work, stop and restart the worker, kill the broker too, and finish.
//!
//! It acts as the extension. The parent module evaluates the result.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::cli::admin::Admin;
use crate::cli::error::Failure;
use crate::cli::host_process::HostProcess;
use crate::cli::temp_home::TempHome;
use crate::paths::Paths;

use super::server::{DemoServer, JobStart};
use super::{PANEL_INTERVAL, PANELS, Report, Sleep, Tally};

/// The example extension's origin; any would do.
const ORIGIN: &str = "chrome-extension://cfgjijgalloanpinpjgfgakgkbhlgcka/";

/// The panel at which something happens.
const FIRST_SLEEP: u32 = PANELS / 4;
const FIRST_WAKE: u32 = PANELS / 2;
const SECOND_SLEEP: u32 = PANELS * 3 / 5;
const SECOND_WAKE: u32 = PANELS * 4 / 5;

/// Runs it.
pub(super) async fn run(bar: &ProgressBar) -> Result<Report, Failure> {
    let temp_home =
        TempHome::new().map_err(|error| Failure::because("cannot create a temporary folder", &error))?;
    let program = std::env::current_exe()
        .map_err(|error| Failure::because("cannot find the path of this program", &error))?;
    let paths = Paths::within(temp_home.path().to_path_buf());
    let server = DemoServer::start(PANELS, PANEL_INTERVAL, JobStart::OnMessage)
        .await
        .map_err(|error| Failure::because("cannot listen on 127.0.0.1", &error))?;
    let mut worker = Worker {
        program,
        home: temp_home.path().to_path_buf(),
        server,
        port: None,
        position: None,
        tally: Tally::default(),
    };
    let mut admin = Admin::new(paths);
    let report = super::within(worker.work(&mut admin, bar)).await;
    // Whatever happened: no process and no folder stays behind.
    if let Some(port) = worker.port.take() {
        let _ = port.kill().await;
    }
    let _ = admin.stop().await;
    report
}

/// The extension's side.
struct Worker {
    program: PathBuf,
    home: PathBuf,
    server: DemoServer,
    port: Option<HostProcess>,
    /// Epoch and the last record finished.
    position: Option<(String, u64)>,
    tally: Tally,
}

impl Worker {
    async fn work(&mut self, admin: &mut Admin, bar: &ProgressBar) -> Result<Report, Failure> {
        let mut report = Report {
            panels: PANELS,
            ..Report::default()
        };
        let begun = Instant::now();
        bar.set_message("the worker starts, no broker is running yet");
        self.attach().await?;
        report.cold_start = Some(millis(begun.elapsed()));
        let start = json!({"type": "send", "session": "panels", "id": "start", "json": {"type": "start"}});
        self.send(&start).await?;
        bar.set_message("the batch job is running");
        self.server.go_on_to(FIRST_SLEEP);
        self.receive_to(FIRST_SLEEP, bar).await?;

        bar.set_message("the worker is stopped: its host is killed");
        let asleep_since = Instant::now();
        self.kill_host().await?;
        self.server.go_on_to(FIRST_WAKE);
        self.server.wait_for_panel(FIRST_WAKE).await;
        report
            .sleeps
            .push(self.wake("worker asleep", asleep_since, FIRST_WAKE, bar).await?);
        self.server.go_on_to(SECOND_SLEEP);
        self.receive_to(SECOND_SLEEP, bar).await?;

        bar.set_message("stopped again, and the broker is killed");
        let asleep_since = Instant::now();
        self.kill_host().await?;
        self.server.go_on_to(SECOND_WAKE);
        self.server.wait_for_panel(SECOND_WAKE).await;
        admin.wait_for_received(u64::from(SECOND_WAKE)).await?;
        admin.kill().await?;
        report.sleeps.push(
            self.wake("worker and broker killed", asleep_since, SECOND_WAKE, bar)
                .await?,
        );
        bar.set_message("the job continues to the end");
        self.server.go_on_to(PANELS);
        self.receive_to(PANELS, bar).await?;

        report.took = millis(begun.elapsed());
        report.received = self.tally.panels.len();
        report.lost = PANELS - u32::try_from(report.received).unwrap_or(PANELS);
        report.duplicates = self.tally.duplicates;
        report.redelivered = self.tally.redelivered;
        Ok(report)
    }

    /// A new host, the same session.
    async fn wake(
        &mut self,
        what: &'static str,
        asleep_since: Instant,
        to: u32,
        bar: &ProgressBar,
    ) -> Result<Sleep, Failure> {
        let missed = u64::from(to) - self.tally.newest;
        bar.set_message("the worker restarts and attaches again");
        let resume = self.attach().await?;
        self.receive_to(u32::try_from(self.tally.newest + 1).unwrap_or(to), bar)
            .await?;
        let gap = asleep_since.elapsed();
        self.receive_to(to, bar).await?;
        let replay = millis(asleep_since.elapsed()) - millis(gap);
        Ok(Sleep {
            what,
            resume,
            gap: millis(gap),
            missed: u32::try_from(missed).unwrap_or(0),
            replay,
        })
    }

    /// Starts a host, says hello and opens the session; how the broker resumed it.
    async fn attach(&mut self) -> Result<String, Failure> {
        let home: &OsStr = self.home.as_os_str();
        let port = HostProcess::start(&self.program, &[ORIGIN], Some(home))
            .map_err(|error| Failure::because("cannot start a host", &error))?;
        self.port = Some(port);
        self.begin().await
    }

    /// As often as brokers come and go: one that was killed may still have taken the connection.
    async fn begin(&mut self) -> Result<String, Failure> {
        loop {
            if let Some(resume) = self.try_begin().await? {
                return Ok(resume);
            }
        }
    }

    /// `None` when the broker went meanwhile and another has come.
    async fn try_begin(&mut self) -> Result<Option<String>, Failure> {
        self.port()?
            .hello("main", None)
            .await
            .map_err(|error| Failure::because("cannot write to the host", &error))?;
        if self.expect("welcome").await?.is_none() {
            return Ok(None);
        }
        let resume = self
            .position
            .as_ref()
            .map(|(epoch, seq)| json!({"epoch": epoch, "seq": seq}));
        let mut open = json!({
            "type": "open", "id": "open", "session": "panels", "url": self.server.url(),
            "options": {
                "format": "json", "durability": "disk", "proxy": "none",
                "reconnect": {"minDelay": 20, "maxDelay": 200},
            },
        });
        if let Some(resume) = resume {
            open["resume"] = resume;
        }
        self.send(&open).await?;
        let Some(opened) = self.expect("opened").await? else {
            return Ok(None);
        };
        let epoch = opened["epoch"].as_str().unwrap_or_default().to_owned();
        self.position = Some((epoch, opened["seq"].as_u64().unwrap_or(0)));
        Ok(Some(opened["resume"].as_str().unwrap_or("?").to_owned()))
    }

    async fn kill_host(&mut self) -> Result<(), Failure> {
        match self.port.take() {
            Some(port) => port
                .kill()
                .await
                .map_err(|error| Failure::because("cannot kill the host", &error)),
            None => Ok(()),
        }
    }

    /// Receives, acknowledges and counts until this panel has come.
    async fn receive_to(&mut self, panel: u32, bar: &ProgressBar) -> Result<(), Failure> {
        while self.tally.newest < u64::from(panel) {
            let frame = self.next().await?;
            if is_back(&frame) {
                self.begin().await?;
                continue;
            }
            if frame["type"] == "gap" {
                return Err(Failure::new(format!("the broker reports lost messages: {frame}")));
            }
            let Some(seq) = frame["seq"].as_u64().filter(|_| frame["type"] != "live") else {
                continue;
            };
            if let Some(panel) = frame["json"]["panel"].as_u64() {
                self.tally.count(panel, frame["redelivered"] == true);
                bar.set_position(self.tally.newest);
            }
            self.send(&json!({"type": "ack", "session": "panels", "seq": seq}))
                .await?;
            if let Some((_, finished)) = &mut self.position {
                *finished = seq;
            }
        }
        Ok(())
    }

    /// The next frame of this kind; `None` when all has to be sent again, to another broker.
    async fn expect(&mut self, kind: &str) -> Result<Option<Value>, Failure> {
        loop {
            let frame = self.next().await?;
            if frame["type"] == kind {
                return Ok(Some(frame));
            }
            if is_back(&frame) {
                return Ok(None);
            }
            if frame["type"] == "error" || (frame["type"] == "host" && frame["state"] == "failed") {
                let hint = "longwire doctor";
                return Err(Failure::new(format!("expected `{kind}`, received {frame}")).hint(hint));
            }
        }
    }

    fn port(&mut self) -> Result<&mut HostProcess, Failure> {
        self.port
            .as_mut()
            .ok_or_else(|| Failure::new("no host is running"))
    }

    async fn send(&mut self, frame: &Value) -> Result<(), Failure> {
        self.port()?
            .send(frame)
            .await
            .map_err(|error| Failure::because("cannot write to the host", &error))
    }

    async fn next(&mut self) -> Result<Value, Failure> {
        let frame = self
            .port()?
            .next()
            .await
            .map_err(|error| Failure::because("cannot read from the host", &error))?;
        frame.ok_or_else(|| Failure::new("the host exited unexpectedly").hint("longwire doctor"))
    }
}

/// Does the host say that it has found another broker?
fn is_back(frame: &Value) -> bool {
    frame["type"] == "host" && frame["state"] == "back"
}

/// Milliseconds with a fraction, for people.
pub(super) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
