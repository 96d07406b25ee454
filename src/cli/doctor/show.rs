//! The document as text for people: one line if there is no problem, otherwise the problems and their fixes.
//!
//! It evaluates nothing and prints nothing.

use super::finding::{DoctorReport, Finding, Verdict};
use crate::cli::text::harmless;

/// Where details stand.
pub(super) const INDENT: usize = 6;
/// The start of a line with a fix.
pub(super) const FIX: &str = "fix: ";

/// Which findings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selection {
    /// Warnings and failures.
    Problems,
    /// What passed and what was skipped, too.
    All,
}

/// How a verdict is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    /// With the colours of a terminal.
    Coloured,
}

/// As lines.
pub(super) fn lines(document: &DoctorReport, selection: Selection, style: Style) -> Vec<String> {
    let shows_all = selection == Selection::All;
    if document.verdict == Verdict::Pass && !shows_all {
        return vec![format!(
            "No problems found: {} checks passed.",
            document.count(Verdict::Pass)
        )];
    }
    let mut lines = Vec::new();
    let selected = document
        .findings
        .iter()
        .filter(|finding| shows_all || finding.verdict > Verdict::Pass);
    let mut shown: Vec<&Finding> = Vec::new();
    for finding in selected {
        // Several browsers start one program: its problem is shown once.
        if finding.verdict > Verdict::Pass && shown.iter().any(|earlier| is_same(earlier, finding)) {
            continue;
        }
        shown.push(finding);
        lines.extend(finding_lines(document, finding, style));
    }
    lines.push(sums(document));
    lines
}

/// One finding, the others with the same problem, and its fix.
fn finding_lines(document: &DoctorReport, finding: &Finding, style: Style) -> Vec<String> {
    let others: Vec<&str> = document
        .findings
        .iter()
        .filter(|other| finding.verdict > Verdict::Pass && other.id != finding.id && is_same(other, finding))
        .map(|other| other.id.as_str())
        .collect();
    let mut lines = vec![format!(
        "{}  {}: {}",
        painted(finding.verdict, style),
        finding.id,
        finding.title
    )];
    if !others.is_empty() {
        lines.push(format!("{:INDENT$}as well: {}", "", others.join(", ")));
    }
    if !finding.detail.is_empty() {
        // A server, a program or a file has had its say in it.
        lines.push(format!("{:INDENT$}{}", "", harmless(&finding.detail)));
    }
    if let Some(fix) = &finding.fix {
        lines.push(format!("{:INDENT$}{FIX}{}", "", harmless(fix)));
    }
    lines
}

/// How many findings there are of each verdict.
fn sums(document: &DoctorReport) -> String {
    let mut sums = Vec::new();
    for (verdict, one, more) in [
        (Verdict::Fail, "failure", "failures"),
        (Verdict::Warn, "warning", "warnings"),
        (Verdict::Pass, "passed", "passed"),
        (Verdict::Skip, "skipped", "skipped"),
    ] {
        match document.count(verdict) {
            0 => {}
            1 => sums.push(format!("1 {one}")),
            many => sums.push(format!("{many} {more}")),
        }
    }
    format!("{}.", sums.join(", "))
}

/// Is it one fault that two browsers have, with one remedy?
fn is_same(one: &Finding, other: &Finding) -> bool {
    let kind = |finding: &Finding| finding.id.split('.').next().map(str::to_owned);
    let what = |finding: &Finding| (finding.verdict, finding.detail.clone(), finding.fix.clone());
    kind(one) == kind(other) && what(one) == what(other) && !one.id.starts_with("url")
}

fn painted(verdict: Verdict, style: Style) -> String {
    let shade = match verdict {
        Verdict::Skip => "2",
        Verdict::Pass => "32",
        Verdict::Warn => "33",
        Verdict::Fail => "1;31",
    };
    match style {
        Style::Coloured => format!("\x1b[{shade}m{}\x1b[0m", word(verdict)),
        Style::Plain => word(verdict).to_owned(),
    }
}

pub(super) const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Skip => "skip",
        Verdict::Pass => "pass",
        Verdict::Warn => "warn",
        Verdict::Fail => "FAIL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_problems_is_one_line_and_each_problem_has_its_fix() {
        let pass = Finding::about("logs", "A works").pass("yes");
        let skip = Finding::about("state", "B works").skip("not here");
        let well = DoctorReport::of(vec![pass.clone(), skip.clone()]);
        assert_eq!(
            lines(&well, Selection::Problems, Style::Plain),
            ["No problems found: 1 checks passed."]
        );
        let fail = Finding::about("disk", "C works").fail("it does not").fix("fix c");
        let ill = DoctorReport::of(vec![pass, skip, fail]);
        assert_eq!(
            lines(&ill, Selection::Problems, Style::Plain),
            [
                "FAIL  disk: C works",
                "      it does not",
                "      fix: fix c",
                "1 failure, 1 passed, 1 skipped."
            ]
        );
        assert_eq!(lines(&ill, Selection::All, Style::Plain).len(), 8);
        assert!(
            lines(&ill, Selection::Problems, Style::Coloured)[0].starts_with("\x1b[1;31mFAIL\x1b[0m  disk")
        );
    }

    #[test]
    fn a_problem_of_several_browsers_is_reported_once() {
        let of = |browser: &str| {
            let id = format!("program.{browser}");
            Finding::about(id, "it can be run").fail("it cannot").fix("chmod")
        };
        let other = Finding::about("program.firefox", "it can be run").fail("it is \x1b[2Jgone");
        let document = DoctorReport::of(vec![of("chrome"), of("brave"), other]);
        assert_eq!(
            lines(&document, Selection::Problems, Style::Plain),
            [
                "FAIL  program.chrome: it can be run",
                "      as well: program.brave",
                "      it cannot",
                "      fix: chmod",
                "FAIL  program.firefox: it can be run",
                "      it is \\u{1b}[2Jgone",
                "3 failures."
            ]
        );
    }
}
