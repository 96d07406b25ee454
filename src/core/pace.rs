//! Whose turn it is to dial: one dial at a time for an extension and a host, and only so many a second.
//!
//! It holds who waits and counts; it dials nothing. Dials to this machine do not pass here.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::wire::record::Name;

use super::context::SessionKey;
use super::io::DialId;
use super::rules::Rules;

/// One at a time here: an extension, and a host with its port.
pub(crate) type Lane = (Name, String);

/// Dials an extension may make at once, whatever its rate.
const EXTENSION_BURST: u32 = 32;

/// Everybody's turn.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When the next dial is due if dials came evenly, in boot time: of the broker, and of each extension.
    broker: Duration,
    extensions: HashMap<Name, Duration>,
    /// Handshakes under way.
    under_way: HashMap<Lane, DialId>,
    lanes: HashMap<DialId, Lane>,
    /// First those that somebody has just asked for, then redials; each in the order they came.
    waiting: BTreeMap<(bool, u64), (SessionKey, Lane)>,
    places: HashMap<SessionKey, (bool, u64)>,
    last_place: u64,
    /// When to look again; `None` while only a handshake's end can change anything.
    due: Option<Duration>,
    changed: bool,
}

impl Pace {
    /// Whether a session may dial at this moment. If so, `begin` must follow.
    pub(crate) fn may(&mut self, now: Duration, rules: &Rules, lane: &Lane, again: bool) -> bool {
        // Nobody overtakes those of the same kind who wait already.
        let first_in_line = self
            .waiting
            .keys()
            .next()
            .is_none_or(|(redials, _)| *redials && !again);
        first_in_line && !self.under_way.contains_key(lane) && self.free_at(rules, lane, again) <= now
    }

    /// A dial begins.
    pub(crate) fn begin(&mut self, now: Duration, rules: &Rules, lane: Lane, dial: DialId) {
        let (step, extension_step) = steps(rules, &lane.0);
        self.broker = self.broker.max(now) + step;
        let extension = self.extensions.entry(lane.0.clone()).or_default();
        *extension = (*extension).max(now) + extension_step;
        self.lanes.insert(dial, lane.clone());
        self.under_way.insert(lane, dial);
        self.changed = true;
    }

    /// A handshake is over, well or not; any other dial means nothing here.
    pub(crate) fn end(&mut self, dial: DialId) {
        if let Some(lane) = self.lanes.remove(&dial) {
            self.under_way.remove(&lane);
            self.changed = true;
        }
    }

    /// A session waits for its turn. One that waits already keeps its place.
    pub(crate) fn wait(&mut self, session: SessionKey, lane: Lane, again: bool) {
        if let Some(place) = self.places.remove(&session) {
            if place.0 <= again && self.waiting.get(&place).is_some_and(|(_, known)| *known == lane) {
                self.places.insert(session, place);
                return;
            }
            self.waiting.remove(&place);
        }
        self.last_place += 1;
        let place = (again, self.last_place);
        self.waiting.insert(place, (session, lane));
        self.places.insert(session, place);
        self.changed = true;
    }

    /// A session does not wait any more.
    pub(crate) fn leave(&mut self, session: SessionKey) {
        if let Some(place) = self.places.remove(&session) {
            self.waiting.remove(&place);
            self.changed = true;
        }
    }

    /// The next session whose turn it is; it waits no longer. `None`: nobody's, until `due` or a handshake's end.
    pub(crate) fn next(&mut self, now: Duration, rules: &Rules) -> Option<SessionKey> {
        if !self.changed && self.due.is_none_or(|due| due > now) {
            return None;
        }
        let mut due: Option<Duration> = None;
        let mut found = None;
        for (place, (session, lane)) in &self.waiting {
            if self.under_way.contains_key(lane) {
                continue;
            }
            let at = self.free_at(rules, lane, place.0);
            if at <= now {
                found = Some(*session);
                break;
            }
            due = Some(due.map_or(at, |due| due.min(at)));
        }
        if let Some(session) = found {
            self.leave(session);
            return Some(session);
        }
        self.due = due;
        self.changed = false;
        // An extension that is not ahead of its rate needs no entry.
        self.extensions.retain(|_, at| *at > now);
        None
    }

    /// When to ask `next` again, in boot time.
    pub(crate) const fn due(&self) -> Option<Duration> {
        self.due
    }

    /// When the rates let this lane dial.
    fn free_at(&self, rules: &Rules, lane: &Lane, again: bool) -> Duration {
        let (step, extension_step) = steps(rules, &lane.0);
        let burst = if again { 1 } else { rules.pace.burst.max(1) };
        let broker = self.broker.saturating_sub(step * (burst - 1));
        let extension = self.extensions.get(&lane.0).copied().unwrap_or_default();
        broker.max(extension.saturating_sub(extension_step * (EXTENSION_BURST - 1)))
    }
}

/// Time between two dials: of the broker, and of this extension.
fn steps(rules: &Rules, origin: &str) -> (Duration, Duration) {
    let broker = Duration::from_secs(1) / rules.pace.per_second.max(1);
    let extension = Duration::from_secs(60) / rules.of(origin).dials_per_minute.max(1);
    (broker, extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(100);

    fn lane(origin: &str, host: &str) -> Lane {
        (origin.into(), host.to_owned())
    }

    /// Sessions that all want to dial at the same time; when each of them does. Handshakes take no time.
    fn times(again: bool, sessions: u64) -> Vec<Duration> {
        let rules = Rules::default();
        let mut pace = Pace::default();
        for key in 0..sessions {
            pace.wait(SessionKey(key), lane("a", &format!("host{key}")), again);
        }
        let (mut now, mut times, mut dial) = (START, Vec::new(), 0);
        loop {
            while let Some(key) = pace.next(now, &rules) {
                dial += 1;
                pace.begin(now, &rules, lane("a", &format!("host{}", key.0)), DialId(dial));
                pace.end(DialId(dial));
                times.push(now - START);
            }
            let Some(due) = pace.due() else { return times };
            assert!(due > now, "a deadline in the past");
            now = due;
        }
    }

    #[test]
    fn redials_keep_their_distance_and_first_dials_may_come_in_a_burst() {
        let again = times(true, 9);
        assert_eq!(again.last(), Some(&Duration::from_secs(2)));
        assert!(
            again
                .windows(2)
                .all(|pair| pair[1] - pair[0] == Duration::from_millis(250))
        );
        let first = times(false, 20);
        assert_eq!(first.iter().filter(|at| at.is_zero()).count(), 16);
        assert_eq!(first.last(), Some(&Duration::from_secs(1)));
    }

    #[test]
    fn an_extension_has_a_rate_of_its_own() {
        let times = times(true, 200);
        // 32 ahead of its rate of 2/s while the broker gives 4/s; then 2/s.
        let late: Vec<_> = times.windows(2).skip(100).map(|pair| pair[1] - pair[0]).collect();
        assert!(
            late.iter().all(|gap| *gap == Duration::from_millis(500)),
            "{late:?}"
        );
    }

    #[test]
    fn one_handshake_at_a_time_for_an_extension_and_a_host() {
        let rules = Rules::default();
        let mut pace = Pace::default();
        let (mine, other) = (lane("a", "host:443"), lane("b", "host:443"));
        assert!(pace.may(START, &rules, &mine, false));
        pace.begin(START, &rules, mine.clone(), DialId(1));
        assert!(!pace.may(START, &rules, &mine, false));
        assert!(pace.may(START, &rules, &other, false), "another extension's");
        pace.wait(SessionKey(2), mine.clone(), false);
        pace.wait(SessionKey(3), mine.clone(), false);
        pace.wait(SessionKey(3), mine.clone(), false);
        assert_eq!(pace.next(START, &rules), None);
        assert_eq!(pace.due(), None, "only the end of the handshake helps");
        pace.end(DialId(9));
        assert_eq!(pace.next(START, &rules), None, "somebody else's word");
        pace.end(DialId(1));
        assert!(!pace.may(START, &rules, &mine, false), "others wait already");
        assert_eq!(pace.next(START, &rules), Some(SessionKey(2)));
        pace.leave(SessionKey(3));
        assert_eq!(pace.next(START, &rules), None);
    }

    #[test]
    fn who_has_just_asked_goes_before_redials() {
        let rules = Rules::default();
        let mut pace = Pace::default();
        for key in 0..3 {
            pace.wait(SessionKey(key), lane("a", &format!("{key}")), true);
        }
        assert_eq!(pace.next(START, &rules), Some(SessionKey(0)));
        pace.begin(START, &rules, lane("a", "0"), DialId(1));
        assert!(pace.may(START, &rules, &lane("a", "new"), false));
        assert_eq!(pace.next(START, &rules), None);
        assert_eq!(pace.due(), Some(START + Duration::from_millis(250)));
    }
}
