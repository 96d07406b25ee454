//! Numbers for people: counts, bytes, spans of time.
//!
//! It prints nothing.

/// A count for people: exact up to 99,999.
pub(super) fn count(number: u64) -> String {
    match number {
        0..100_000 => number.to_string(),
        100_000..10_000_000 => format!("{}k", number / 1000),
        _ => format!("{}M", number / 1_000_000),
    }
}

/// Bytes for people.
pub(super) fn bytes(number: u64) -> String {
    let units = ["B", "KB", "MB", "GB", "TB"];
    let mut unit = 0;
    let mut tenths = u128::from(number) * 10;
    while tenths >= 10_240 && unit + 1 < units.len() {
        tenths /= 1024;
        unit += 1;
    }
    if unit == 0 || tenths >= 100 {
        format!("{} {}", tenths / 10, units[unit])
    } else {
        format!("{}.{} {}", tenths / 10, tenths % 10, units[unit])
    }
}

/// Microseconds for people.
pub(super) fn micros(number: u64) -> String {
    match number {
        0..1000 => format!("{number} us"),
        1000..10_000 => format!("{}.{} ms", number / 1000, number % 1000 / 100),
        10_000..10_000_000 => format!("{} ms", number / 1000),
        _ => format!("{} s", number / 1_000_000),
    }
}

/// Milliseconds for people, in a column.
pub(super) fn short_span(millis: u64) -> String {
    match millis {
        0..1000 => format!("{millis} ms"),
        _ => span(millis),
    }
}

/// Milliseconds for people.
pub(super) fn span(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}
