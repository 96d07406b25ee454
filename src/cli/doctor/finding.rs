//! A finding: what was checked, the result, how to fix it. And the document of all of them.
//!
//! The ids are stable and listed in `docs/DOCTOR.md`; it checks nothing.

use serde::Serialize;

/// Every id there is; `docs/DOCTOR.md` has a row for each, and a test provokes each.
pub(super) const IDS: &[&str] = &[
    "registered",
    "capabilities",
    "manifest.<browser>",
    "program.<browser>",
    "origin.<browser>",
    "rival.<browser>",
    "policy.<browser>",
    "sandbox.<browser>",
    "launch",
    "broker",
    "session.<session>",
    "running.<browser>",
    "run-folder",
    "socket",
    "receipt",
    "settings",
    "logs",
    "state",
    "disk",
    "home",
    "proxy-script",
    "url",
    "url.dns",
    "url.proxy",
    "url.tcp",
    "url.tls",
    "url.upgrade",
    "url.message",
];

/// Is it one of them? What differs by browser or session has its name behind a dot, and several launches have a family's.
fn is_listed(id: &str) -> bool {
    let has_name = |listed: &str| {
        let kind = listed.split_once('<').map(|(kind, _)| kind);
        kind.is_some_and(|kind| id.starts_with(kind))
    };
    let of_family = id.starts_with("launch.");
    of_family || IDS.iter().any(|listed| *listed == id || has_name(listed))
}

/// How something stands, better before worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// It was not looked at, or does not matter here.
    Skip,
    Pass,
    /// It works, and a person should know.
    Warn,
    /// It does not work.
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// A stable id; for what each browser has, a dot and the browser's name follow.
    pub(super) id: String,
    pub(super) verdict: Verdict,
    /// What was looked at, as a sentence that is true of what was found.
    pub(super) title: String,
    /// The sentence when it does not pass.
    #[serde(skip)]
    problem: Option<String>,
    /// What was found.
    pub(super) detail: String,
    /// What mends it: a command to paste, or a sentence where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<String>,
}

impl Finding {
    /// A finding of this id. The title is true when it passes or was skipped; see `or` for when it does not.
    pub(super) fn about(id: impl Into<String>, title: impl Into<String>) -> Self {
        let id = id.into();
        debug_assert!(is_listed(&id), "`{id}` is not in the table of ids");
        Self {
            id,
            verdict: Verdict::Pass,
            title: title.into(),
            problem: None,
            detail: String::new(),
            fix: None,
        }
    }

    /// The title when it does not pass.
    pub(super) fn or(mut self, problem: impl Into<String>) -> Self {
        self.problem = Some(problem.into());
        self
    }

    pub(super) fn pass(self, detail: impl Into<String>) -> Self {
        self.with(Verdict::Pass, detail)
    }

    pub(super) fn skip(self, detail: impl Into<String>) -> Self {
        self.with(Verdict::Skip, detail)
    }

    pub(super) fn warn(self, detail: impl Into<String>) -> Self {
        self.with(Verdict::Warn, detail)
    }

    pub(super) fn fail(self, detail: impl Into<String>) -> Self {
        self.with(Verdict::Fail, detail)
    }

    fn with(mut self, verdict: Verdict, detail: impl Into<String>) -> Self {
        self.verdict = verdict;
        self.detail = detail.into();
        if verdict > Verdict::Pass
            && let Some(problem) = self.problem.take()
        {
            self.title = problem;
        }
        self
    }

    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub(super) struct DoctorReport {
    pub(super) verdict: Verdict,
    pub(super) findings: Vec<Finding>,
}

impl DoctorReport {
    /// The worst finding is the verdict; what was skipped does not count.
    pub(super) fn of(findings: Vec<Finding>) -> Self {
        let worst = findings.iter().map(|finding| finding.verdict).max();
        Self {
            verdict: worst.map_or(Verdict::Pass, |worst| worst.max(Verdict::Pass)),
            findings,
        }
    }

    pub(super) fn count(&self, verdict: Verdict) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.verdict == verdict)
            .count()
    }
}
