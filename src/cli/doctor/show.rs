//! The document in words for a person: one line when all is well, else what is wrong and what mends it.
//!
//! It judges nothing and prints nothing.

use super::finding::{Document, Verdict};

/// Where details stand.
pub(super) const INDENT: usize = 6;
/// How a line begins that says what mends something.
pub(super) const FIX: &str = "fix: ";

/// As lines. `all` shows what passed and what was skipped, too; `colour` is for terminals.
pub(super) fn lines(document: &Document, all: bool, colour: bool) -> Vec<String> {
    let count = |verdict| document.count(verdict);
    if document.verdict == Verdict::Pass && !all {
        return vec![format!("All is well: {} checks passed.", count(Verdict::Pass))];
    }
    let mut lines = Vec::new();
    let shown = document
        .findings
        .iter()
        .filter(|finding| all || finding.verdict > Verdict::Pass);
    for finding in shown {
        lines.push(format!(
            "{}  {}: {}",
            painted(finding.verdict, colour),
            finding.id,
            finding.title
        ));
        if !finding.detail.is_empty() {
            lines.push(format!("{:INDENT$}{}", "", finding.detail));
        }
        if let Some(fix) = &finding.fix {
            lines.push(format!("{:INDENT$}{FIX}{fix}", ""));
        }
    }
    let mut sums = Vec::new();
    for (verdict, one, more) in [
        (Verdict::Fail, "fault", "faults"),
        (Verdict::Warn, "warning", "warnings"),
        (Verdict::Pass, "passed", "passed"),
        (Verdict::Skip, "skipped", "skipped"),
    ] {
        match count(verdict) {
            0 => {}
            1 => sums.push(format!("1 {one}")),
            many => sums.push(format!("{many} {more}")),
        }
    }
    lines.push(format!("{}.", sums.join(", ")));
    lines
}

fn painted(verdict: Verdict, colour: bool) -> String {
    let shade = match verdict {
        Verdict::Skip => "2",
        Verdict::Pass => "32",
        Verdict::Warn => "33",
        Verdict::Fail => "1;31",
    };
    if colour {
        format!("\x1b[{shade}m{}\x1b[0m", word(verdict))
    } else {
        word(verdict).to_owned()
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
    use super::super::finding::Finding;
    use super::*;

    #[test]
    fn all_well_is_one_line_and_faults_come_with_their_fix() {
        let pass = Finding::about("logs", "A works").pass("yes");
        let skip = Finding::about("state", "B works").skip("not here");
        let well = Document::of(vec![pass.clone(), skip.clone()]);
        assert_eq!(lines(&well, false, false), ["All is well: 1 checks passed."]);
        let fail = Finding::about("disk", "C works")
            .fail("it does not")
            .fix("mend c");
        let ill = Document::of(vec![pass, skip, fail]);
        assert_eq!(
            lines(&ill, false, false),
            [
                "FAIL  disk: C works",
                "      it does not",
                "      fix: mend c",
                "1 fault, 1 passed, 1 skipped."
            ]
        );
        assert_eq!(lines(&ill, true, false).len(), 8);
        assert!(lines(&ill, false, true)[0].starts_with("\x1b[1;31mFAIL\x1b[0m  disk"));
    }
}
