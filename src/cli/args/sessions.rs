//! Arguments of the commands that show sessions and end them.

use clap::{Args, Subcommand};

/// Whose session is meant, where several have one name.
#[derive(Debug, Args)]
pub(crate) struct SessionOwnerArgs {
    /// The extension's origin or id, if several extensions have a session of that name
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    pub(crate) origin: Option<String>,
    /// The browser profile's id, if several profiles have a session of that name
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Option<String>,
}

/// An origin, of which the end may be missing, or a Chromium id, as in the settings. A Firefox add-on id is the origin.
#[expect(clippy::unnecessary_wraps, reason = "this is how clap calls a parser")]
fn origin(text: &str) -> Result<String, String> {
    let id = text.strip_prefix("chrome-extension://").unwrap_or(text);
    let id = id.trim_end_matches('/');
    let is_chromium = id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'a'..=b'p'));
    Ok(if is_chromium {
        format!("chrome-extension://{id}/")
    } else {
        text.to_owned()
    })
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  longwire status\n  longwire status --watch\n  longwire status --json | jq '.sessions[].state'\n  \
longwire status --watch --json | jq --unbuffered .total.queued\n\n\
Rates and round trips: `in/s` and `out/s` are messages in the last second, `rtt` is the median of the pings, `again` counts reconnections. \
With --watch --json a line whose `pid` is null means that the broker is not running."
)]
pub(crate) struct StatusArgs {
    /// Print one JSON document; with --watch one a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Show it again every second until interrupted
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  longwire sessions\n  longwire sessions --origin chrome-extension://<id>/\n  \
longwire sessions end prices\n  longwire sessions end prices --origin chrome-extension://<id>/ --profile default"
)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct SessionsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<SessionsCommand>,
    #[command(flatten)]
    pub(crate) owner: SessionOwnerArgs,
    /// Print one JSON document
    #[arg(long, conflicts_with = "names")]
    pub(crate) json: bool,
    /// Print the names only, one a line
    #[arg(long)]
    pub(crate) names: bool,
}

/// What to do with a session.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// End a session for every client: its link, its queue and its stored records
    #[command(
        after_help = "Examples:\n  longwire sessions end prices\n  longwire sessions end prices --profile default"
    )]
    End(EndSessionArgs),
}

#[derive(Debug, Args)]
pub(crate) struct EndSessionArgs {
    /// The session's name, as `longwire status` shows it
    pub(crate) session: String,
    #[command(flatten)]
    pub(crate) owner: SessionOwnerArgs,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  longwire tail prices\n  longwire tail prices --payloads --lines 100\n  \
longwire tail prices --json | jq .seq\n  longwire tail prices --both\n\nTimes are local. The command acknowledges nothing and does not affect the session."
)]
pub(crate) struct TailArgs {
    /// The session's name, as `longwire status` shows it
    pub(crate) session: String,
    /// Show message contents, not only their size
    #[arg(long)]
    pub(crate) payloads: bool,
    /// Print the last N records first
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    pub(crate) lines: usize,
    #[command(flatten)]
    pub(crate) owner: SessionOwnerArgs,
    /// Show what is sent to the server as well
    #[arg(long)]
    pub(crate) both: bool,
    /// Print each record as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_is_named_by_its_origin_or_its_id() {
        let id = "abcdefghijklmnopabcdefghijklmnop";
        let whole = format!("chrome-extension://{id}/");
        for given in [id, &whole, whole.trim_end_matches('/')] {
            assert_eq!(origin(given).as_deref(), Ok(whole.as_str()));
        }
        for other in ["addon@example.org", "{6d6c…}", ""] {
            assert_eq!(origin(other).as_deref(), Ok(other));
        }
    }
}
