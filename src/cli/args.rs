//! The command line as types: every command, its flags and its help.
//!
//! It runs nothing. A new command is a variant here, a file beside this one and a line in `cli::dispatch`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// WebSockets for browser extensions that survive the service worker
#[derive(Debug, Parser)]
#[command(
    name = "longwire",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(
    after_help = "Browsers start `longwire` themselves, with an extension's origin or a manifest's path.\n\
Exit codes: 0 done, 1 failed or doctor found a problem, 2 wrong usage, 3 broker not reachable, 70 internal error."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Register extensions with the browsers of this machine
    Install(InstallArgs),
    /// Remove what `install` registered
    Uninstall(UninstallArgs),
    /// Diagnose problems and suggest fixes
    Doctor(DoctorArgs),
    /// Show the broker, its ports, sessions and counters
    Status(StatusArgs),
    /// List sessions, or end one
    Sessions(SessionsArgs),
    /// Demonstrate sessions end to end, with an embedded server
    Demo(DemoArgs),
    /// Connect to a server from the terminal, as an extension would
    Connect(ConnectArgs),
    /// Run the broker in the foreground
    Broker(BrokerArgs),
    /// Show the effective settings and where each value comes from
    Config(ConfigArgs),
    /// Follow the records of a session
    Tail(TailArgs),
    /// Show the broker's log
    Logs(LogsArgs),
    /// Act as the native host and record all frames (for bug reports)
    Record(RecordArgs),
    /// Replay a recording and print the broker's responses
    Replay(ReplayArgs),
    /// Check for a newer version; installs nothing
    Update(UpdateArgs),
    /// Stop the broker
    #[command(
        after_help = "Example:\n  longwire stop && longwire status\n\nOpen ports stay open: their hosts start a new broker."
    )]
    Stop,
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Print a man page, or write them all
    Man(ManArgs),
}

/// The names of browsers, which shells complete.
fn browser_names() -> clap::builder::PossibleValuesParser {
    installer::browsers::BROWSERS
        .iter()
        .map(|browser| browser.name)
        .collect::<Vec<_>>()
        .into()
}

/// Which registrations.
#[derive(Debug, Args)]
pub(crate) struct RegistrationArgs {
    /// Only these browsers (default: every browser found); repeatable
    #[arg(long = "browser", value_name = "NAME", value_parser = browser_names(), hide_possible_values = true)]
    pub(crate) browsers: Vec<String>,
    /// The host's name, as extensions give it to `connectNative`
    #[arg(long, value_name = "HOST", default_value = "com.longwire.bridge")]
    pub(crate) name: String,
    /// For every user of the machine (needs administrator rights)
    #[arg(long)]
    pub(crate) system: bool,
    /// For a Chromium started with `--user-data-dir DIR`, which reads manifests only there
    #[arg(long, value_name = "DIR", conflicts_with_all = ["system", "browsers"])]
    pub(crate) user_data_dir: Option<PathBuf>,
    /// Show what would be done, without doing it
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  longwire install --extension cfgjijgalloanpinpjgfgakgkbhlgcka\n  \
longwire install --extension hello@example.org --browser firefox\n  \
longwire install --extension <id> --extension <id> --dry-run\n  \
longwire install --extension <id> --system\n  longwire install --app com.example.editor"
)]
pub(crate) struct InstallArgs {
    /// A Chromium extension id (32 letters a-p) or a Firefox add-on id, or several of them; repeatable
    #[arg(long = "extension", value_name = "ID", required_unless_present = "apps", num_args = 1..)]
    pub(crate) extensions: Vec<String>,
    /// The id of an app that uses the SDK for Node.js, such as com.example.editor; repeatable
    #[arg(long = "app", value_name = "ID", num_args = 1..)]
    pub(crate) apps: Vec<String>,
    /// Browsers inside Flatpak and Snap, too; host and broker then run inside, and exit with the browser
    #[arg(long, conflicts_with_all = ["system", "user_data_dir"])]
    pub(crate) sandboxed: bool,
    #[command(flatten)]
    pub(crate) registration: RegistrationArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  longwire uninstall --dry-run\n  longwire uninstall --browser firefox\n  \
longwire uninstall --all"
)]
pub(crate) struct UninstallArgs {
    /// Every registered host name
    #[arg(long, conflicts_with_all = ["name", "browsers", "user_data_dir"])]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) registration: RegistrationArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  longwire doctor\n  longwire doctor --extension cfgjijgalloanpinpjgfgakgkbhlgcka\n  \
longwire doctor --url wss://example.org/socket\n  longwire doctor --url wss://test.local/ --ca test-ca.pem\n  \
longwire doctor --url wss://example.org/ --header 'Authorization: Bearer env:TOKEN'\n  \
longwire doctor --report > report.md\n\n\
A URL or the last word of a header may be env:NAME, file:PATH or prompt: and is then read from the environment, a file \
or the terminal, where no other process sees it."
)]
pub(crate) struct DoctorArgs {
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    /// Connect to this `ws:` or `wss:` URL too, with the time of each phase
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// A header to send to that URL, `Name: value`; repeatable
    #[arg(long = "header", short = 'H', value_name = "HEADER", requires = "url")]
    pub(crate) headers: Vec<String>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// Check whether these extensions may use the host; repeatable
    #[arg(long = "extension", value_name = "ID", num_args = 1..)]
    pub(crate) extensions: Vec<String>,
    /// Print a report for a bug report, with private data removed
    #[arg(long, conflicts_with = "json")]
    pub(crate) report: bool,
    /// Show passed and skipped checks too
    #[arg(long, short, conflicts_with_all = ["json", "report"])]
    pub(crate) verbose: bool,
    /// The host's name
    #[arg(long, value_name = "HOST", default_value = "com.longwire.bridge")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  LONGWIRE_LOG=debug longwire broker\n\nHosts start it automatically; in the foreground it prints its log."
)]
pub(crate) struct BrokerArgs {
    /// Leave whoever started it, and report on stdout; for hosts
    #[arg(long, hide = true)]
    pub(crate) detached: bool,
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

/// Whom to trust beyond the settings, for this command only.
#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// Trust this certificate authority as well (PEM file); repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Vec<PathBuf>,
    /// Do not check the server's certificate: anyone on the network path can read the traffic
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// Whose session is meant, where several have one name.
#[derive(Debug, Args)]
pub(crate) struct SessionOwnerArgs {
    /// The extension's origin, if several extensions have a session of that name
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) origin: Option<String>,
    /// The browser profile's id, if several profiles have a session of that name
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Option<String>,
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
    after_help = "Example:\n  longwire config --sample > settings.toml   (save it at the path that `longwire config --path` prints)"
)]
pub(crate) struct ConfigArgs {
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    /// Print a settings file with every key, commented out, at its default
    #[arg(long, conflicts_with_all = ["json", "reload", "path"])]
    pub(crate) sample: bool,
    /// Print the path of the settings file
    #[arg(long, conflicts_with_all = ["json", "reload"])]
    pub(crate) path: bool,
    /// Make a running broker reload the file
    #[arg(long, conflicts_with = "json")]
    pub(crate) reload: bool,
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

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  longwire logs\n  longwire logs --follow --level debug\n  ls \"$(longwire logs --path)\"\n\n\
The broker logs `info` and above unless LONGWIRE_LOG is set when it starts."
)]
pub(crate) struct LogsArgs {
    /// Print the folder of the log files
    #[arg(long, conflicts_with_all = ["follow", "level", "lines"])]
    pub(crate) path: bool,
    /// Keep printing new lines
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Minimum level to show
    #[arg(long, value_name = "LEVEL", value_parser = ["error", "warn", "info", "debug", "trace"])]
    pub(crate) level: Option<String>,
    /// Show the last N lines
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    pub(crate) lines: usize,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  longwire completions bash > ~/.local/share/bash-completion/completions/longwire\n  \
longwire completions zsh > \"${fpath[1]}/_longwire\"\n  longwire completions fish > ~/.config/fish/completions/longwire.fish"
)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example: a script that replaces the program in the browser's host manifest\n  \
#!/bin/sh\n  exec longwire record /tmp/port.jsonl \"$@\"\n\n\
The file has a line of JSON for each frame. Message contents, headers and URLs are removed; names, ids and the shape \
of JSON stay. Read the file before you share it."
)]
pub(crate) struct RecordArgs {
    /// The file to write, overwritten if it exists; while another port writes it, FILE-2, FILE-3 and so on
    pub(crate) file: PathBuf,
    /// The browser's arguments for the host: the extension's origin, or a manifest and an add-on id
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENT"
    )]
    pub(crate) host: Vec<String>,
    /// Record message contents too; keep such a file secret
    #[arg(long)]
    pub(crate) payloads: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  longwire replay port.jsonl --url ws://localhost:8080/\n\n\
It acts as the recorded extension. If a broker is running it asks first, since it changes that extension's sessions: \
set LONGWIRE_HOME to an empty folder to replay apart from them."
)]
pub(crate) struct ReplayArgs {
    /// A file written by `longwire record`
    pub(crate) file: PathBuf,
    /// The server for every session; a redacted file contains no URLs
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Skip the pauses of the recording
    #[arg(long)]
    pub(crate) fast: bool,
    /// Do not ask before acting as the extension on a running broker
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  longwire man | man -l -\n  longwire man status | man -l -\n  longwire man --folder ~/.local/share/man/man1"
)]
pub(crate) struct ManArgs {
    /// The page of this command; without it, of `longwire` itself
    pub(crate) command: Option<String>,
    /// Write every page into this folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  longwire update --check\n\n\
It reads a signed index at the URL that the package was built with, or that [update] in the settings names, and compares \
versions. Nothing checks for updates by itself; package managers install them.")]
pub(crate) struct UpdateArgs {
    /// Say whether there is a newer version
    #[arg(long, required = true)]
    pub(crate) check: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  longwire demo\n  longwire demo --browser")]
pub(crate) struct DemoArgs {
    /// Use a real Chromium with the example extension
    #[arg(long)]
    pub(crate) browser: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Lines from stdin are sent, each as one message; messages are printed, each on a line. It ends when \
stdin has ended and the server was reached and has read everything, or as --expect, --timeout and --linger say.\n\n\
On a terminal a line that begins with a slash is a command; /help lists them. For line editing: rlwrap longwire connect URL\n\n\
Examples:\n  longwire connect wss://example.com/socket --header 'Authorization: Bearer x'\n  \
longwire connect ws://localhost:8080 --send '{\"ask\":1}' --expect 1 --timeout 5\n  \
longwire connect wss://example.com/feed --json --expect 100 < /dev/null > feed.txt\n  \
base64 -w0 picture.png | longwire connect wss://example.com/upload --binary\n\n\
A URL, or the last word of a header or of cookies, may be env:NAME, file:PATH or prompt: and is then read from the \
environment, a file or the terminal, where no other process sees it. Control and bidirectional characters of messages \
are printed as escapes, which in JSON mean the same. With --ca or --insecure it uses a broker of its own.\n\n\
Exit codes: 0 done, 1 refused, lost or timed out, 2 wrong usage, 3 no broker."
)]
pub(crate) struct ConnectArgs {
    /// The server's `ws:` or `wss:` URL
    pub(crate) url: String,
    /// A header to send, `Name: value`; repeatable
    #[arg(long = "header", short = 'H', value_name = "HEADER")]
    pub(crate) headers: Vec<String>,
    /// The Cookie header, `name=value; other=value`
    #[arg(long, value_name = "COOKIES")]
    pub(crate) cookies: Option<String>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// A subprotocol to offer; repeatable
    #[arg(long = "subprotocol", value_name = "NAME")]
    pub(crate) subprotocols: Vec<String>,
    /// Any option of `open` as a JSON object, such as `{"heartbeat":false}`
    #[arg(long, value_name = "JSON")]
    pub(crate) options: Option<String>,
    /// Send this before reading stdin; repeatable
    #[arg(long = "send", short = 's', value_name = "TEXT")]
    pub(crate) first: Vec<String>,
    /// Treat input as base64-encoded bytes, and print received bytes as base64
    #[arg(long)]
    pub(crate) binary: bool,
    /// Print JSON messages indented (on a terminal that is the default; see --raw)
    #[arg(long)]
    pub(crate) json: bool,
    /// Print JSON as received, not indented
    #[arg(long, conflicts_with = "json")]
    pub(crate) raw: bool,
    /// Exit with 0 after N messages
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) expect: Option<u64>,
    /// Give up after SECONDS (exit 1 if --expect was not reached)
    #[arg(long, short = 't', value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,
    /// Keep running after stdin ends, until the server closes or --expect or --timeout ends it
    #[arg(long)]
    pub(crate) linger: bool,
    /// Do not reconnect after the connection is lost
    #[arg(long)]
    pub(crate) once: bool,
    /// The session's name
    #[arg(long, default_value = "connect")]
    pub(crate) session: String,
    /// Print every frame of the protocol instead of messages
    #[arg(long)]
    pub(crate) frames: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn every_command_shows_an_example() {
        let mut all = Cli::command();
        all.build();
        for command in all
            .get_subcommands()
            .filter(|command| command.get_name() != "help")
        {
            let help = command.clone().render_long_help().to_string();
            assert!(help.contains("Example"), "{} has no example", command.get_name());
        }
    }
}
