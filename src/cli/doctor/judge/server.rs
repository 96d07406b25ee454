//! Judges a dial, step by step.
//!
//! Doctor does not have what a session would also send (headers, cookies, subprotocols), and reports that.

use super::super::facts::{DialFacts, PacFacts, SettingsFacts};
use super::super::finding::Finding;
use super::commands;
use super::running::edit;
use crate::transport::DialError;
use crate::transport::probe::{DialPhase, DialStep, StepEnd};
use crate::wire::code::Code;

/// A script that chooses the proxy; Longwire runs none.
pub(super) fn proxy_script(pac: &PacFacts) -> Finding {
    let place = pac.url.as_deref().map_or_else(
        || "a script that it looks for on the network (WPAD)".to_owned(),
        |url| format!("the script {url}"),
    );
    let detail = format!(
        "{} uses the proxies of {place}. Longwire runs no proxy scripts (PAC): it connects directly, or by the proxy of \
         the settings or the environment",
        pac.desktop
    );
    let fix = "set the proxy that the script returns as `url` in `[proxy]` of the settings, or `url = \"none\"` if there is none";
    Finding::about("proxy-script", "the desktop's proxy script is not read")
        .warn(detail)
        .fix(fix)
}

/// A phase with its finding: the id, and the title when it passes and when it does not.
struct PhaseTitles {
    phase: DialPhase,
    id: &'static str,
    passed: &'static str,
    failed: &'static str,
}

/// The phases in their order.
const PHASES: [PhaseTitles; 6] = [
    PhaseTitles {
        phase: DialPhase::Dns,
        id: "url.dns",
        passed: "the server's name can be resolved",
        failed: "cannot resolve the server's name",
    },
    PhaseTitles {
        phase: DialPhase::Proxy,
        id: "url.proxy",
        passed: "the proxy connects to the server",
        failed: "cannot connect through the proxy",
    },
    PhaseTitles {
        phase: DialPhase::Tcp,
        id: "url.tcp",
        passed: "the server can be reached",
        failed: "cannot reach the server",
    },
    PhaseTitles {
        phase: DialPhase::Tls,
        id: "url.tls",
        passed: "the server's certificate is valid",
        failed: "cannot make a secure connection to the server",
    },
    PhaseTitles {
        phase: DialPhase::Upgrade,
        id: "url.upgrade",
        passed: "the server accepts the WebSocket",
        failed: "the server does not accept the WebSocket",
    },
    PhaseTitles {
        phase: DialPhase::Message,
        id: "url.message",
        passed: "the server sends a message",
        failed: "the server closed the connection at once",
    },
];

/// One finding a phase; those never reached are skipped.
pub(super) fn judge(dial: &DialFacts, settings: &SettingsFacts) -> Vec<Finding> {
    let allowed = Finding::about("url", "the broker may dial the URL").or("the broker may not dial the URL");
    let steps = match &dial.steps {
        Err(problem) => {
            let finding = allowed.fail(format!("{}: {}", dial.shown, problem.message));
            return vec![match problem.code {
                // They say what may be dialled, whatever the scheme.
                Code::UrlDenied if settings.there => finding.fix(edit(settings)),
                Code::UrlDenied => finding.fix(format!(
                    "longwire doctor --url {}",
                    dial.shown.replacen("ws:", "wss:", 1).replacen("http:", "wss:", 1)
                )),
                _ => finding.fix("longwire doctor --url wss://<host>/<path>"),
            }];
        }
        Ok(steps) => steps,
    };
    let mut findings = vec![allowed.pass(dial.shown.clone())];
    let failed = steps.iter().any(|step| matches!(step.end, StepEnd::Failed(_)));
    for PhaseTitles {
        phase,
        id,
        passed,
        failed: problem,
    } in PHASES
    {
        let finding = Finding::about(id, passed).or(problem);
        match steps.iter().find(|step| step.phase == phase) {
            Some(step) => findings.push(one(finding, step, &dial.shown)),
            None if failed && is_after(phase, steps) => findings.push(finding.skip("not reached")),
            // Not a part of this dial: no proxy, or no TLS.
            None => {}
        }
    }
    findings
}

/// Would this phase have come later?
fn is_after(phase: DialPhase, steps: &[DialStep]) -> bool {
    let order = |phase: DialPhase| PHASES.iter().position(|other| other.phase == phase);
    let last = steps.last().and_then(|step| order(step.phase));
    order(phase) > last && phase != DialPhase::Proxy
}

fn one(finding: Finding, step: &DialStep, shown: &str) -> Finding {
    let took = format!("{:.1} ms", step.took.as_secs_f64() * 1000.0);
    match &step.end {
        StepEnd::Done(detail) if detail.is_empty() => finding.pass(took),
        StepEnd::Done(detail) => finding.pass(format!("{took}: {detail}")),
        StepEnd::Nothing(detail) => finding.skip(detail.clone()),
        StepEnd::Closed(detail) => finding
            .warn(format!(
                "{took}: the server closed the connection at once, {detail}"
            ))
            .fix(format!("longwire connect {shown}")),
        StepEnd::Failed(error) => failed(finding, &took, error, shown),
    }
}

fn failed(finding: Finding, took: &str, error: &DialError, shown: &str) -> Finding {
    let message = match std::error::Error::source(error) {
        Some(source) => format!("{took}: {error}: {source}"),
        None => format!("{took}: {error}"),
    };
    match error {
        DialError::Status { status, .. } if [401, 403, 407].contains(&status.as_u16()) => finding
            .warn(format!(
                "{message}; the doctor sends no credentials, the extension may"
            ))
            .fix(format!(
                "longwire connect {shown} --header 'Authorization: Bearer <token>'"
            )),
        DialError::Status { .. } => finding.fail(message).fix(commands::curl("-i", shown)),
        DialError::Dns { host, .. } => finding.fail(message).fix(commands::resolve(host)),
        DialError::Connect { place, .. } => finding.fail(message).fix(format!(
            "start the server, or open the port: no answer from {place}"
        )),
        DialError::Tls { place, .. } => {
            let place = place.to_string();
            finding.fail(message).fix(commands::tls(&place))
        }
        DialError::Proxy { .. } | DialError::BehindProxy { .. } => {
            finding.fail(message).fix(commands::PROXY_VARIABLES)
        }
        DialError::Handshake { .. } => finding.fail(message).fix(commands::curl("-i", shown)),
        DialError::Timeout { .. } => finding.fail(message).fix(commands::curl("-v", shown)),
        DialError::Address(_) | DialError::Request(_) | DialError::Policy(_) | DialError::Denied { .. } => {
            finding.fail(message)
        }
    }
}
