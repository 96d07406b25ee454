//! `Retry-After`: seconds, or a date measured against the server's own `Date`.
//!
//! It reads no clock: a server whose clock is wrong is wrong in both headers.

use std::time::{Duration, UNIX_EPOCH};

/// The longest a server is obeyed. One that asks for more is mistaken, or not to be trusted.
const MAX_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long to stay away; `None` when the header makes no sense or its date cannot be placed.
pub(crate) fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(MAX_DELAY));
    }
    let until = seconds(value)?.saturating_sub(seconds(date?.trim())?);
    Some(Duration::from_secs(until).min(MAX_DELAY))
}

/// Seconds since 1970 of a date in any of the three forms that HTTP knows (RFC 9110, 5.6.7).
fn seconds(date: &str) -> Option<u64> {
    let date = httpdate::parse_http_date(date).ok()?;
    Some(date.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_count_from_1970() {
        for (date, expected) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Tue, 29 Feb 2000 23:59:59 GMT", 951_868_799),
            ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
            // The two old forms that recipients must still accept.
            ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            ("Sun Nov  6 08:49:37 1994", 784_111_777),
        ] {
            assert_eq!(seconds(date), Some(expected), "{date}");
        }
    }

    #[test]
    fn seconds_and_dates_are_understood_and_rubbish_is_not() {
        let now = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(retry_after(" 120 ", None), Some(Duration::from_secs(120)));
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:50:07 GMT", now),
            Some(Duration::from_secs(30))
        );
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now),
            Some(Duration::ZERO)
        );
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:07 GMT", None), None);
        for longer in ["18446744073709551615", "Sun, 06 Nov 9994 08:49:37 GMT"] {
            assert_eq!(retry_after(longer, now), Some(MAX_DELAY), "{longer}");
        }
        for rubbish in ["soon", "-1", "Sun, 99 Nov 1994 08:49:37 GMT", "Sun, ", ""] {
            assert_eq!(retry_after(rubbish, now), None, "{rubbish}");
        }
    }
}
