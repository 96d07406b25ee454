//! Judges sessions: why each one that is not open is not, and what to do about it.
//!
//! It knows what the broker reports of them, and nothing of the server.

use serde_json::Value;

use super::super::finding::Finding;
use super::commands;
use crate::cli::units::span;

/// Extensions that need what this broker lacks: it is older than their SDK asks for.
pub(super) fn needs(status: Option<&Value>) -> Option<Finding> {
    let unmet = status?["unmet"].as_array().filter(|unmet| !unmet.is_empty())?;
    let lines = unmet.iter().map(|unmet| {
        let needs = unmet["needs"].as_array().into_iter().flatten();
        let needs: Vec<&str> = needs.filter_map(Value::as_str).collect();
        format!("{} needs {}", text(unmet, "origin"), needs.join(", "))
    });
    let finding = Finding::about("capabilities", "the broker has what extensions need")
        .or("the broker is older than an extension's SDK requires");
    let lines: Vec<String> = lines.collect();
    Some(finding.fail(lines.join("; ")).fix("longwire update --check"))
}

/// One finding for each session, in the order of the report.
pub(super) fn judge(status: Option<&Value>) -> Vec<Finding> {
    let sessions = status.and_then(|status| status["sessions"].as_array());
    let mut seen: Vec<String> = Vec::new();
    let findings = sessions.into_iter().flatten().map(|session| {
        let id = format!("session.{}", text(session, "session"));
        let again = seen.iter().filter(|other| **other == id).count();
        seen.push(id.clone());
        let id = if again == 0 {
            id
        } else {
            format!("{id}-{}", again + 1)
        };
        one(id, session)
    });
    findings.collect()
}

fn text<'a>(session: &'a Value, key: &str) -> &'a str {
    session[key].as_str().unwrap_or_default()
}

fn one(id: String, session: &Value) -> Finding {
    let (state, code) = (text(session, "state"), text(&session["error"], "code"));
    let whose = format!(
        "session `{}` of {} (profile {})",
        text(session, "session"),
        text(session, "origin"),
        text(session, "profile")
    );
    let finding = Finding::about(id, format!("{whose} is {state}")).or(format!("{whose} is not open"));
    match state {
        "open" => finding.pass(text(session, "url")),
        // It is not wanted now, or has not been tried yet.
        "paused" | "connecting" | "waiting" if code.is_empty() => finding.skip(inactive_reason(state)),
        "closed" if code.is_empty() => finding.skip("the extension has not opened it again"),
        "unauthorized" if code.is_empty() => finding
            .warn("it waits for the extension to answer `auth-needed` with credentials")
            .fix("open a page of the extension, so that its credentials provider runs"),
        "paused" => finding.warn(cause(session)).fix(remedy(session, code)),
        _ => finding.fail(cause(session)).fix(remedy(session, code)),
    }
}

fn inactive_reason(state: &str) -> &'static str {
    match state {
        "paused" => "no client is attached; it connects when the extension opens it",
        "waiting" => "it waits for the dial rate limit",
        _ => "the first attempt is in progress",
    }
}

/// What went wrong, where, and when it is tried again.
fn cause(session: &Value) -> String {
    let error = &session["error"];
    let mut cause = format!(
        "{}: {}: {}",
        text(session, "state"),
        text(error, "code"),
        text(error, "message")
    );
    if !text(session, "url").is_empty() {
        cause.push_str(&format!(" ({})", text(session, "url")));
    }
    if let Some(millis) = session["retryIn"].as_u64() {
        cause.push_str(&format!("; next attempt in {}", span(millis)));
    }
    cause
}

/// What to do about it, by the error's code.
fn remedy(session: &Value, code: &str) -> String {
    let url = text(session, "url");
    let (host, place) = host_and_place(url);
    let is_plain = url.starts_with("ws:") || url.starts_with("http:");
    let status = status_in(text(&session["error"], "message"));
    match code {
        "refused" => format!("start the server: no server is listening at {place}"),
        "dns" => commands::resolve(&host),
        "proxy" => commands::PROXY_VARIABLES.to_owned(),
        "tls" => format!(
            "configure a certificate that this machine trusts on the server, or check with: longwire doctor --url {url}"
        ),
        "http-status" if matches!(status, Some(401 | 403)) => {
            "set valid credentials in the extension (`headers`, `cookies` or a provider)".to_owned()
        }
        "http-status" if status == Some(404) => {
            format!("correct the path of the URL: the server has nothing at {url}")
        }
        "http-status" if status == Some(407) => commands::PROXY_VARIABLES.to_owned(),
        "handshake" | "server-protocol" | "link-lost" if is_plain => format!(
            "check that the server accepts WebSockets there; if it expects TLS, use {}",
            url.replacen("ws:", "wss:", 1).replacen("http:", "https:", 1)
        ),
        "http-status" | "handshake" | "server-protocol" => format!(
            "check that the server accepts WebSockets there: {}",
            commands::curl("-i", url)
        ),
        "url-denied" | "header-denied" | "origin-denied" => "longwire config".to_owned(),
        "overflow" => "open a page of the extension, so that it processes the waiting messages".to_owned(),
        _ if url.is_empty() => "longwire logs".to_owned(),
        _ => format!("longwire doctor --url {url}"),
    }
}

/// The HTTP status that a message names.
fn status_in(message: &str) -> Option<u16> {
    let numbers = message.split(|character: char| !character.is_ascii_digit());
    numbers
        .filter(|number| number.len() == 3)
        .filter_map(|number| number.parse().ok())
        .find(|status| (300..600).contains(status))
}

/// The host of a URL, and the host with its port.
fn host_and_place(url: &str) -> (String, String) {
    let Ok(url) = url::Url::parse(url) else {
        return (String::new(), String::new());
    };
    let host = url.host_str().unwrap_or_default().to_owned();
    let place = match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.clone(),
    };
    (host, place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::Verdict;
    use serde_json::json;

    fn finding_for(state: &str, url: &str, error: Value) -> Finding {
        let session = json!({"session": "s", "origin": "o", "profile": "p", "state": state, "url": url,
            "error": error, "retryIn": 3000});
        judge(Some(&json!({"sessions": [session]}))).remove(0)
    }

    fn error(code: &str, message: &str) -> Value {
        json!({"code": code, "message": message, "retry": "later"})
    }

    #[test]
    fn each_cause_has_its_fix() {
        let cases = [
            ("refused", "nobody", "ws://127.0.0.1:9/", "127.0.0.1:9"),
            ("dns", "no address", "wss://nowhere.example/", "nowhere.example"),
            (
                "tls",
                "unknown issuer",
                "wss://a.example/",
                "doctor --url wss://a.example/",
            ),
            (
                "http-status",
                "the server answered with 401",
                "wss://a.example/",
                "credentials",
            ),
            (
                "http-status",
                "the server answered with 404",
                "wss://a.example/x",
                "path",
            ),
            (
                "http-status",
                "the server answered with 200",
                "wss://a.example/x",
                "accepts WebSockets",
            ),
            (
                "handshake",
                "the answer is no HTTP",
                "ws://a.example/",
                "use wss://a.example/",
            ),
            ("url-denied", "not allowed", "ws://a.example/", "longwire config"),
        ];
        for (code, message, url, remedy) in cases {
            let finding = finding_for("waiting", url, error(code, message));
            assert_eq!(finding.verdict, Verdict::Fail, "{code}");
            assert!(finding.title.ends_with("is not open"), "{}", finding.title);
            assert!(
                finding.detail.contains(message) && finding.detail.contains("in 3 s"),
                "{}",
                finding.detail
            );
            let fix = finding.fix.unwrap();
            assert!(fix.contains(remedy), "{code}: {fix}");
        }
    }

    #[test]
    fn a_session_without_an_error_is_not_a_problem() {
        for state in ["paused", "connecting", "waiting", "closed"] {
            assert_eq!(
                finding_for(state, "wss://a.example/", json!(null)).verdict,
                Verdict::Skip,
                "{state}"
            );
        }
        assert_eq!(
            finding_for("open", "wss://a.example/", error("refused", "before")).verdict,
            Verdict::Pass
        );
        assert_eq!(
            finding_for("unauthorized", "wss://a.example/", json!(null)).verdict,
            Verdict::Warn
        );
        assert_eq!(
            finding_for("paused", "wss://a.example/", error("overflow", "full")).verdict,
            Verdict::Warn
        );
    }
}
