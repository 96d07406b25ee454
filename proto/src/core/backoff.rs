//! When to try again: exponential growth, cap first, then full jitter.
//!
//! It counts attempts; it sets no timer and dials nothing.

use std::time::Duration;

use crate::wire::options::Reconnect;

use super::random::Random;

/// The longest a server is obeyed that asks to be left alone.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// How far those are spread who were all sent away at the same moment.
const MAX_SPREAD: u64 = 5000;

/// A wait on top of the backoff, for a server that has closed everybody: from 0 to 5 s.
pub(crate) fn spread(random: &mut Random) -> Duration {
    Duration::from_millis(random.up_to(MAX_SPREAD))
}

/// Attempts since the link was last stable.
#[derive(Debug, Clone, Default)]
pub(crate) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// Attempts made since the link was last stable.
    pub(crate) const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Counts one more attempt; how long to wait before it, or `None` when there were enough.
    pub(crate) fn next(&mut self, reconnect: &Reconnect, random: &mut Random) -> Option<Duration> {
        if reconnect.max_attempts.is_some_and(|max| self.attempts >= max) {
            return None;
        }
        let power = i32::try_from(self.attempts).unwrap_or(i32::MAX);
        #[expect(clippy::cast_precision_loss, reason = "delays are far below 2^52 ms")]
        let grown = reconnect.min_delay as f64 * reconnect.factor.powi(power);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast saturates, and the cap follows"
        )]
        let cap = (grown as u64).clamp(reconnect.min_delay, reconnect.max_delay);
        self.attempts = self.attempts.saturating_add(1);
        Some(Duration::from_millis(match reconnect.randomization {
            None => random.up_to(cap),
            Some(share) => around(cap, share, random).min(reconnect.max_delay),
        }))
    }

    /// The link was stable, or a client asked for a dial: start over.
    pub(crate) const fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// A wait at most this share away from `middle`.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "delays are far below 2^52 ms, and the share lies between 0 and 1"
)]
fn around(middle: u64, share: f64, random: &mut Random) -> u64 {
    let deviation = (middle as f64 * share) as u64;
    middle - deviation + random.up_to(deviation.saturating_mul(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_cap_grows_to_the_maximum_and_remains_there() {
        let reconnect = Reconnect {
            min_delay: 100,
            max_delay: 1000,
            ..Reconnect::default()
        };
        let mut random = Random::new(7);
        let mut longest = [Duration::ZERO; 6];
        for _ in 0..500 {
            let mut backoff = Backoff::default();
            for longest in &mut longest {
                *longest = backoff.next(&reconnect, &mut random).unwrap().max(*longest);
            }
        }
        for (longest, cap) in longest.iter().zip([100, 200, 400, 800, 1000, 1000]) {
            let cap = Duration::from_millis(cap);
            assert!(
                *longest <= cap && *longest > cap * 9 / 10,
                "{longest:?} for a cap of {cap:?}"
            );
        }
    }

    #[test]
    fn a_set_randomization_spreads_delays_around_the_base_delay() {
        let waits = |share| {
            let reconnect = Reconnect {
                min_delay: 100,
                max_delay: 1000,
                randomization: Some(share),
                ..Reconnect::default()
            };
            let mut random = Random::new(5);
            (0..500).map(move |n| {
                let mut backoff = Backoff { attempts: n % 6 };
                (n % 6, backoff.next(&reconnect, &mut random).unwrap().as_millis())
            })
        };
        let caps = [100, 200, 400, 800, 1000, 1000];
        assert!(waits(0.0).all(|(n, wait)| wait == caps[n as usize]));
        assert!(waits(0.5).all(|(n, wait)| {
            let cap = caps[n as usize];
            (cap / 2..=(cap * 3 / 2).min(1000)).contains(&wait)
        }));
        assert!(waits(0.5).any(|(n, wait)| n == 0 && wait > 110));
    }

    #[test]
    fn late_attempts_are_spread_over_the_whole_delay_range() {
        let reconnect = Reconnect::default();
        let mut random = Random::new(3);
        let mut buckets = [0_u32; 10];
        for _ in 0..10_000 {
            let mut backoff = Backoff { attempts: 12 };
            let delay = backoff.next(&reconnect, &mut random).unwrap().as_millis();
            buckets[(delay / 3001) as usize] += 1;
        }
        assert!(
            buckets.iter().all(|count| (800..1200).contains(count)),
            "{buckets:?}"
        );
    }

    #[test]
    fn attempts_stop_at_the_maximum_and_delays_never_overflow() {
        let reconnect = Reconnect {
            max_attempts: Some(2),
            ..Reconnect::default()
        };
        let mut backoff = Backoff::default();
        let mut random = Random::new(0);
        assert!(backoff.next(&reconnect, &mut random).is_some());
        assert!(backoff.next(&reconnect, &mut random).is_some());
        assert!(backoff.next(&reconnect, &mut random).is_none());
        backoff.reset();
        assert!(backoff.next(&reconnect, &mut random).is_some());
        let mut backoff = Backoff { attempts: u32::MAX };
        assert!(backoff.next(&Reconnect::default(), &mut random).is_some());
    }
}
