//! The option `closeCodes`: a session's classes of close codes and statuses, single ones and ranges.
//!
//! What holds for codes that it does not name is decided in `core::policy`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What a close code or refused handshake means for dialling again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CloseClass {
    /// Dial again after a while.
    Retry,
    /// Fresh credentials first.
    Auth,
    /// Do not dial again.
    Stop,
}

/// Codes and ranges with what they mean. What was added last wins; of what was added together, the narrower.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CloseCodes(Vec<(u16, u16, CloseClass)>);

impl CloseCodes {
    /// Bytes that they take.
    pub const fn held(&self) -> usize {
        self.0.len() * size_of::<(u16, u16, CloseClass)>()
    }

    /// The class of this code or status, if the option has one.
    pub fn get(&self, code: &u16) -> Option<&CloseClass> {
        let mut newest_first = self.0.iter().rev();
        newest_first
            .find(|(from, to, _)| (from..=to).contains(&code))
            .map(|(_, _, class)| class)
    }

    /// Says what one code means.
    pub fn insert(&mut self, code: u16, class: CloseClass) {
        self.0.push((code, code, class));
    }

    /// Adds the entries of an option's object: keys are `"4001"` or `"4000-4099"`.
    ///
    /// # Errors
    /// The key that is neither.
    pub(super) fn add(&mut self, codes: BTreeMap<String, CloseClass>) -> Result<(), String> {
        let mut added = Vec::with_capacity(codes.len());
        for (key, class) in codes {
            let (from, to) = key.split_once('-').unwrap_or((&key, &key));
            match (from.parse::<u16>(), to.parse::<u16>()) {
                (Ok(from), Ok(to)) if from <= to => added.push((from, to, class)),
                _ => {
                    return Err(format!(
                        "`{key}` is neither a code nor a range such as `4000-4099`"
                    ));
                }
            }
        }
        added.sort_by_key(|(from, to, _)| (u16::MAX - (to - from), *from));
        self.0.append(&mut added);
        Ok(())
    }
}

impl FromIterator<(u16, CloseClass)> for CloseCodes {
    fn from_iter<I: IntoIterator<Item = (u16, CloseClass)>>(codes: I) -> Self {
        let mut codes: Vec<_> = codes
            .into_iter()
            .map(|(code, class)| (code, code, class))
            .collect();
        codes.sort_by_key(|(code, ..)| *code);
        Self(codes)
    }
}
