//! `Retry-After`: seconds, or a date measured against the server's own `Date`; and the dates of cookies.
//!
//! It reads no clock: a server whose clock is wrong is wrong in both headers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// The time of a cookie's `Expires`, in any order and form that RFC 6265 (5.1.1) has browsers read; those before 1970 are
/// its beginning.
pub(crate) fn cookie_time(text: &str) -> Option<SystemTime> {
    let is_delimiter =
        |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && c != ':' || c.is_ascii_control();
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(is_delimiter).filter(|token| !token.is_empty()) {
        if time.is_none() && clock(token).is_some() {
            time = clock(token);
        } else if day.is_none() && number(token, 1, 2).is_some() {
            day = number(token, 1, 2);
        } else if month.is_none() && month_of(token).is_some() {
            month = month_of(token);
        } else if year.is_none() {
            year = number(token, 2, 4).map(|year| match year {
                70..=99 => year + 1900,
                0..=69 => year + 2000,
                _ => year,
            });
        }
    }
    let (time, day, month, year) = (time?, day?, month?, year?);
    if !(1..=31).contains(&day) || year < 1601 {
        return None;
    }
    let seconds = days_since_1970(year, month, day).checked_mul(86_400)? + time;
    Some(UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// The number at a token's start, if it has so many digits and no more.
fn number(token: &str, least: usize, most: usize) -> Option<i64> {
    let digits = token.bytes().take_while(u8::is_ascii_digit).count();
    (least..=most)
        .contains(&digits)
        .then(|| token[..digits].parse().ok())?
}

/// `hours:minutes:seconds` at a token's start, as seconds.
fn clock(token: &str) -> Option<i64> {
    let mut parts = token.splitn(3, ':');
    let [hours, minutes] = [parts.next()?, parts.next()?].map(|part| {
        let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| number(part, 1, 2)).flatten()
    });
    let (hours, minutes, seconds) = (hours?, minutes?, number(parts.next()?, 1, 2)?);
    (hours < 24 && minutes < 60 && seconds < 60).then_some(hours * 3600 + minutes * 60 + seconds)
}

fn month_of(token: &str) -> Option<i64> {
    let name = token.get(..3)?.to_ascii_lowercase();
    let names = "janfebmaraprmayjunjulaugsepoctnovdec";
    let at = names.find(&name).filter(|at| at % 3 == 0)?;
    i64::try_from(at / 3 + 1).ok()
}

/// Days from 1970 to a day of the Gregorian calendar; years count from March, so that leap days come last.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month_from_march * 153 + 2) / 5 + day - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookie_dates_are_parsed_in_many_formats() {
        for (text, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            (
                "Sun Nov 06 1994 08:49:37 GMT+0000 (Coordinated Universal Time)",
                Some(784_111_777),
            ),
            (" 6 november 1994 8:49:37", Some(784_111_777)),
            ("Sun, 06-Nov-1994 08:49:37 UTC", Some(784_111_777)),
            ("Thu, 29 Feb 2000 23:59:59 -0000", Some(951_868_799)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Mon, 01 Jan 1601 00:00:00 GMT", Some(0)),
            ("Fri, 31-Dec-69 00:00:00 GMT", Some(3_155_673_600)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
            ("Thu, 01 Jan 1970 24:00:00 GMT", None),
            ("Thu, 32 Jan 1970 00:00:00 GMT", None),
            ("01 Jan 00:00:00", None),
            ("tomorrow", None),
            ("\u{fc}, 1 \u{4e2d} 1 00:00", None),
            ("", None),
        ] {
            let expected = expected.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(cookie_time(text), expected, "{text}");
        }
    }

    #[test]
    fn http_dates_are_converted_to_unix_time() {
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
    fn retry_after_accepts_seconds_and_dates_only() {
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
