//! The options of `open` from the arguments of `longwire connect`.

use serde_json::{Map, Value, json};

use super::super::args::ConnectArgs;
use super::super::error::{Exit, Failure};
use super::super::secret;

/// The options of `open`: the user's own, and what the flags say.
pub(super) fn options(connect: &ConnectArgs) -> Result<Value, Failure> {
    let wrong = |what: String, hint: &str| Failure::new(what).hint(hint).exit(Exit::Usage);
    let headers: Map<String, Value> = secret::headers(&connect.headers)?
        .into_iter()
        .map(|(name, value)| (name, value.into()))
        .collect();
    let mut options = Map::from_iter([
        ("expire".to_owned(), json!(1000)),
        ("linger".to_owned(), json!(0)),
    ]);
    if !headers.is_empty() {
        options.insert("headers".to_owned(), Value::Object(headers));
    }
    if !connect.subprotocols.is_empty() {
        options.insert("subprotocols".to_owned(), json!(connect.subprotocols));
    }
    if let Some(cookies) = &connect.cookies {
        let cookies = secret::resolve(cookies, "cookies")?;
        options.insert("cookies".to_owned(), cookies.into());
    }
    if connect.once {
        options.insert("reconnect".to_owned(), false.into());
    }
    if let Some(more) = &connect.options {
        let more: Map<String, Value> = serde_json::from_str(more).map_err(|error| {
            wrong(
                format!("--options is not a JSON object: {error}"),
                "write it as --options '{\"heartbeat\":false}'",
            )
        })?;
        options.extend(more);
    }
    Ok(Value::Object(options))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::super::args::{Cli, Command};
    use super::*;

    fn of(arguments: &[&str]) -> Result<Value, Failure> {
        let all = ["longwire", "connect", "ws://localhost/"].iter().chain(arguments);
        let Command::Connect(connect) = Cli::parse_from(all).command else {
            panic!()
        };
        options(&connect)
    }

    #[test]
    fn json_options_override_flags() {
        let options = of(&["--header", "A: b", "--once", "--options", r#"{"reconnect":true}"#]).unwrap();
        assert_eq!(options["headers"], json!({"A": "b"}));
        assert_eq!(options["reconnect"], true);
        assert_eq!(of(&["--once"]).unwrap()["reconnect"], false);
    }

    #[test]
    fn options_that_are_not_an_object_are_refused() {
        for text in ["[]", "{", "7"] {
            assert!(of(&["--options", text]).is_err(), "{text}");
        }
    }
}
