//! Which of two versions is newer.
//!
//! It decides nothing: host and broker do.

use semver::Version;

/// Whether the one version is newer than the other. A version that cannot be read is neither newer nor older.
pub fn is_newer(one: &str, other: &str) -> bool {
    match (Version::parse(one), Version::parse(other)) {
        (Ok(one), Ok(other)) => one.cmp_precedence(&other).is_gt(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_precedence() {
        let rising = [
            "0.1.0",
            "0.9.0",
            "0.10.0",
            "1.0.0-alpha",
            "1.0.0-alpha.2",
            "1.0.0-alpha.10",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1",
        ];
        for (at, one) in rising.iter().enumerate() {
            for (before, other) in rising.iter().enumerate() {
                assert_eq!(is_newer(one, other), at > before, "{one} and {other}");
            }
        }
        assert!(!is_newer("1.0.0+later", "1.0.0"), "a build is no version");
    }

    #[test]
    fn an_invalid_version_is_never_newer() {
        for odd in ["", "test", "1", "1.2", "1.2.3.4", "1.2.x"] {
            assert!(!is_newer(odd, "0.0.1") && !is_newer("9.9.9", odd), "{odd}");
        }
    }
}
