//! Numbers: one text for each value, however it was written.

/// Appends the number that `raw` stands for, the same text for equal numbers: `7`, `7.0` and `70e-1` are one.
///
/// Whole numbers are compared digit by digit, however many they have; others as JavaScript's doubles.
pub(super) fn canonical(raw: &str, out: &mut Vec<u8>) {
    let (negative, raw_digits) = match raw.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, raw),
    };
    let (mantissa, exponent) = raw_digits
        .split_once(['e', 'E'])
        .map_or((raw_digits, 0), |(mantissa, exponent)| {
            (mantissa, saturating(exponent))
        });
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        // Zero has no sign: `-0` equals `0`.
        out.push(b'0');
        return;
    }
    let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
    let exponent = exponent
        .saturating_sub(length(fraction))
        .saturating_add(length(digits) - length(significant));
    if exponent < 0 {
        let double: f64 = raw.parse().unwrap_or(0.0);
        if double == 0.0 {
            out.push(b'0');
            return;
        }
        let shortest = format!("{double:e}");
        // Above 2^53, or too close to a whole number to be told from it.
        if double.is_finite() && double.fract() == 0.0 {
            return canonical(&shortest, out);
        }
        if double.is_finite() {
            out.extend_from_slice(shortest.as_bytes());
            return;
        }
    }
    if negative {
        out.push(b'-');
    }
    out.extend_from_slice(significant.as_bytes());
    match usize::try_from(exponent) {
        Ok(zeros @ 0..=24) => out.resize(out.len() + zeros, b'0'),
        _ => out.extend_from_slice(format!("e{exponent}").as_bytes()),
    }
}

/// Whether it is a whole number.
pub(super) fn is_integer(raw: &str) -> bool {
    let mut text = Vec::new();
    canonical(raw, &mut text);
    !text.contains(&b'.') && !text.windows(2).any(|pair| pair == b"e-")
}

fn saturating(exponent: &str) -> i64 {
    let negative = exponent.starts_with('-');
    exponent
        .parse()
        .unwrap_or(if negative { i64::MIN / 4 } else { i64::MAX / 4 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(raw: &str) -> String {
        let mut out = Vec::new();
        canonical(raw, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn equal_numbers_have_one_canonical_text() {
        for (same, canonical) in [
            (&["7", "7.0", "70e-1", "0.7E+1"][..], "7"),
            (&["0", "-0", "0.0e999", "1e-999"], "0"),
            (&["7.5", "75e-1", "7.50"], "7.5e0"),
            (&["-1e3", "-1000", "-1000.000"], "-1000"),
            (&["1e999", "10e998", "1e+999"], "1e999"),
            (&["0.1", "0.1000000000000000055511151231257827"], "1e-1"),
            (&["1.00000000000000000000000001", "1"], "1"),
        ] {
            for raw in same {
                assert_eq!(text(raw), canonical, "{raw}");
            }
        }
    }

    #[test]
    fn long_whole_numbers_are_distinguished() {
        assert_ne!(text("9007199254740993"), text("9007199254740992.0"));
        assert_ne!(text(&"9".repeat(40)), text(&format!("{}8", "9".repeat(39))));
        assert_ne!(text("1e999"), text("1e998"));
        assert_eq!(text("1e99999999999999999999"), text("1e99999999999999999998"));
    }

    #[test]
    fn whole_numbers_are_recognised_in_every_notation() {
        for raw in ["7", "7.0", "75e1", "-0.0", "1e300"] {
            assert!(is_integer(raw), "{raw}");
        }
        for raw in ["7.5", "75e-1", "1e-7", "0.1"] {
            assert!(!is_integer(raw), "{raw}");
        }
    }
}
