//! `longwire demo`: the main use case end to end. A worker is stopped, a broker is killed, and nothing is lost.
//!
//! Everything is real but the browser: the host is started as a browser starts it, the broker is its own. It runs in a
//! folder of its own and leaves nothing behind.

mod browser;
mod chromium;
mod scenario;
mod server;

use std::collections::BTreeSet;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::args::DemoArgs;
use super::error::{Exit, Failure};
use super::render;
use crate::cli::text;

/// Panels of the batch job.
const PANELS: u32 = 500;
/// Time the server takes for one.
const PANEL_INTERVAL: Duration = Duration::from_millis(4);
/// The whole demo must end within this.
const DEMO_TIMEOUT: Duration = Duration::from_secs(60);

/// What the demo has seen.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    panels: u32,
    received: usize,
    lost: u32,
    /// Delivered twice without saying so.
    duplicates: u32,
    /// Delivered again and marked.
    redelivered: u32,
    /// Milliseconds from the start of a host to its first `opened`, the broker being started on the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    cold_start: Option<f64>,
    sleeps: Vec<Sleep>,
    /// Milliseconds for total.
    took: f64,
}

/// One time without a host.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sleep {
    what: &'static str,
    resume: String,
    /// Milliseconds from the kill to the first panel after it.
    gap: f64,
    /// Panels that arrived meanwhile.
    missed: u32,
    /// Milliseconds to replay them.
    replay: f64,
}

/// Runs the demo.
pub(super) fn run(demo: &DemoArgs) -> Result<Exit, Failure> {
    let bar = progress(demo.json);
    let report = super::block_on(async {
        if demo.browser {
            browser::run(&bar).await
        } else {
            scenario::run(&bar).await
        }
    });
    bar.finish_and_clear();
    let report = report?;
    let is_good = report.lost == 0 && report.duplicates == 0;
    if demo.json {
        render::json(&report);
    } else {
        render::line(&table(&report));
    }
    Ok(if is_good { Exit::Done } else { Exit::Failed })
}

/// Runs the scenario, unless it takes too long or is interrupted; it cleans up in any case.
async fn within(scenario: impl Future<Output = Result<Report, Failure>>) -> Result<Report, Failure> {
    tokio::select! {
        report = tokio::time::timeout(DEMO_TIMEOUT, scenario) => report
            .map_err(|_| Failure::new(format!("the demo did not end within {} s", DEMO_TIMEOUT.as_secs())))?,
        _ = tokio::signal::ctrl_c() => Err(Failure::new("the demo was interrupted")),
    }
}

fn progress(quiet: bool) -> ProgressBar {
    let bar = ProgressBar::new(u64::from(PANELS));
    if quiet {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{msg:38} {bar:24} {pos:>3}/{len} panels");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// The closing table.
fn table(report: &Report) -> String {
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let mut rows = vec![
        row("panels sent by the server", report.panels.to_string()),
        row("panels received", report.received.to_string()),
        row("lost", report.lost.to_string()),
        row("received twice, unmarked", report.duplicates.to_string()),
        row("redelivered, marked", report.redelivered.to_string()),
    ];
    if let Some(cold_start) = report.cold_start {
        rows.push(row(
            "cold start: host and broker to opened",
            format!("{cold_start:.1} ms"),
        ));
    }
    for sleep in &report.sleeps {
        rows.push(row(&format!("{}: resume", sleep.what), sleep.resume.clone()));
        rows.push(row("  panels that arrived meanwhile", sleep.missed.to_string()));
        rows.push(row(
            "  from the kill to the first panel",
            format!("{:.1} ms", sleep.gap),
        ));
        rows.push(row("  replay", format!("{:.1} ms", sleep.replay)));
    }
    rows.push(row("total", format!("{:.0} ms", report.took)));
    let verdict = if report.lost == 0 && report.duplicates == 0 {
        "Nothing was lost."
    } else {
        "Messages were lost or duplicated: please report this."
    };
    format!("{}\n{verdict}", text::table(&rows).trim_end())
}

/// Panels received, and what was wrong with them.
#[derive(Debug, Default)]
struct Tally {
    panels: BTreeSet<u64>,
    newest: u64,
    duplicates: u32,
    redelivered: u32,
}

impl Tally {
    /// Counts one; whether it was new.
    fn count(&mut self, panel: u64, redelivered: bool) -> bool {
        self.redelivered += u32::from(redelivered);
        let is_new = self.panels.insert(panel);
        self.duplicates += u32::from(!is_new && !redelivered);
        self.newest = self.newest.max(panel);
        is_new
    }
}
