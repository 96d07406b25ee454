//! The demo's scenario in a real Chromium: the service worker is stopped in the middle of the job and woken again.
//!
//! The example extension does the work as it lies in `examples/hello`; this only watches its storage.

use std::time::Instant;

use indicatif::ProgressBar;
use serde_json::Value;
use tokio::time::sleep;

use crate::cli::admin::Admin;
use crate::cli::error::Failure;
use crate::cli::temp_home::TempHome;
use crate::paths::Paths;

use super::chromium::Chromium;
use super::scenario::millis;
use super::server::{DemoServer, JobStart};
use super::{PANEL_INTERVAL, PANELS, Report, Sleep, Tally};

/// Panel and mark of every message the extension has stored.
const STORED: &str = "chrome.storage.local.get({messages: []}).then(({messages}) => \
                      messages.map((m) => [JSON.parse(m.text).panel, m.redelivered === true]))";
/// Any message to the worker wakes it.
const WAKE: &str = "chrome.runtime.sendMessage({type: 'state'}).then(() => true)";

/// Plays it.
pub(super) async fn run(bar: &ProgressBar) -> Result<Report, Failure> {
    let home =
        TempHome::new().map_err(|error| Failure::because("cannot create a temporary folder", &error))?;
    let mut server = DemoServer::start(PANELS, PANEL_INTERVAL, JobStart::AtOnce)
        .await
        .map_err(|error| Failure::because("cannot listen on 127.0.0.1", &error))?;
    bar.set_message("Chromium starts");
    let mut chromium = Chromium::start(home.path(), server.url()).await?;
    let result = super::within(work(&mut chromium, &mut server, bar)).await;
    // Whatever happened: no process and no folder stays behind.
    chromium.close().await;
    let _ = Admin::new(Paths::within(home.path().to_path_buf())).stop().await;
    result
}

async fn work(
    chromium: &mut Chromium,
    server: &mut DemoServer,
    bar: &ProgressBar,
) -> Result<Report, Failure> {
    let begun = Instant::now();
    let asleep_at = PANELS / 4;
    let awake_at = PANELS * 3 / 4;
    bar.set_message("the batch job is running");
    server.go_on_to(asleep_at);
    watch(chromium, asleep_at, bar).await?;

    bar.set_message("the browser has stopped the worker");
    let asleep_since = Instant::now();
    chromium.stop_workers().await?;
    server.go_on_to(awake_at);
    server.wait_for_panel(awake_at).await;
    bar.set_message("the worker restarts and attaches again");
    chromium.evaluate(WAKE).await?;
    watch(chromium, asleep_at + 1, bar).await?;
    let gap = asleep_since.elapsed();
    watch(chromium, awake_at, bar).await?;
    let replay = millis(asleep_since.elapsed()) - millis(gap);
    let resume = "by the SDK".to_owned();
    let missed = awake_at - asleep_at;
    let sleep = Sleep {
        what: "worker asleep",
        resume,
        gap: millis(gap),
        missed,
        replay,
    };

    bar.set_message("the job continues to the end");
    server.go_on_to(PANELS);
    let tally = watch(chromium, PANELS, bar).await?;
    let received = tally.panels.len();
    Ok(Report {
        panels: PANELS,
        received,
        lost: PANELS - u32::try_from(received).unwrap_or(PANELS),
        duplicates: tally.duplicates,
        redelivered: tally.redelivered,
        cold_start: None,
        sleeps: vec![sleep],
        took: millis(begun.elapsed()),
    })
}

/// Looks at the extension's storage until this panel is in it.
async fn watch(chromium: &mut Chromium, panel: u32, bar: &ProgressBar) -> Result<Tally, Failure> {
    loop {
        let stored = chromium.evaluate(STORED).await?;
        let mut tally = Tally::default();
        for entry in stored.as_array().into_iter().flatten() {
            tally.count(entry[0].as_u64().unwrap_or(0), entry[1] == Value::Bool(true));
        }
        bar.set_position(tally.newest);
        if tally.newest >= u64::from(panel) {
            return Ok(tally);
        }
        sleep(super::chromium::CHECK_INTERVAL).await;
    }
}
