//! Secret values, which should not be in the command line, where every process of the machine can read them.
//!
//! A value, or its last word, may be a reference instead: `env:NAME`, `file:PATH` or `prompt:`.
//! A path reaches to the end of the value, blanks included.

use std::io::IsTerminal as _;

use super::error::{Exit, Failure};

/// The value itself. `what` is named in the prompt and in failures.
pub(super) fn resolve(value: &str, what: &str) -> Result<String, Failure> {
    let (before, last) = value.split_at(source_start(value));
    let secret = match last.split_once(':') {
        Some(("env", name)) => std::env::var(name)
            .map_err(|error| Failure::because(format!("cannot read {what} from ${name}"), &error))?,
        Some(("file", path)) => read(path, what)?,
        Some(("prompt", "")) => ask(what)?,
        _ => return Ok(value.to_owned()),
    };
    Ok(before.to_owned() + &secret)
}

/// Where the source begins: at the first word that is a `file:PATH`, otherwise at the last word.
fn source_start(value: &str) -> usize {
    if value.starts_with("file:") {
        return 0;
    }
    let file = value.find(" file:");
    file.or_else(|| value.rfind(' ')).map_or(0, |blank| blank + 1)
}

/// A file's text, without the line end that editors put there.
fn read(path: &str, what: &str) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::because(format!("cannot read {what} from {path}"), &error))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks on the terminal, which does not show what is typed.
fn ask(what: &str) -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(
            Failure::new(format!("cannot ask for {what}: stdin is not a terminal"))
                .hint("use file:PATH or env:NAME instead of prompt:")
                .exit(Exit::Usage),
        );
    }
    rpassword::prompt_password(format!("{what}: "))
        .map_err(|error| Failure::because(format!("cannot ask for {what}"), &error))
}

/// Headers given as `Name: value`, with their values resolved.
pub(super) fn headers(given: &[String]) -> Result<Vec<(String, String)>, Failure> {
    given
        .iter()
        .map(|header| {
            let (name, value) = header.split_once(':').ok_or_else(|| {
                Failure::new(format!("`{header}` is not a header"))
                    .hint("write it as --header 'Name: value'")
                    .exit(Exit::Usage)
            })?;
            let name = name.trim();
            Ok((name.to_owned(), resolve(value.trim(), name)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_from_the_named_source() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a b");
        std::fs::write(&path, "s3cret\n").unwrap();
        let given = format!("Authorization: Bearer file:{}", path.display());
        let headers = headers(&[given, "X-Plain: a b".to_owned()]).unwrap();
        assert_eq!(
            headers[0],
            ("Authorization".to_owned(), "Bearer s3cret".to_owned())
        );
        assert_eq!(headers[1].1, "a b");
        assert_eq!(
            resolve("wss://a.example/", "the URL").unwrap(),
            "wss://a.example/"
        );
        let missing = resolve("env:LONGWIRE_NO_SUCH_VARIABLE", "the URL").unwrap_err();
        assert!(
            missing.message.contains("$LONGWIRE_NO_SUCH_VARIABLE"),
            "{}",
            missing.message
        );
        let bare = resolve("file:/no/such/file", "the URL").unwrap_err();
        assert!(bare.message.contains("/no/such/file"));
    }
}
