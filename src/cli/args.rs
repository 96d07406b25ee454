//! The command line as types: every command, its flags and its help.
//!
//! It runs nothing. A new command is a variant here, a file beside this one and a line in `cli::dispatch`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Sockets that outlive a browser extension's service worker.
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
Exit codes: 0 done, 1 failed or doctor found a fault, 2 wrong usage, 3 broker not reachable, 70 our bug."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Register extensions with the browsers of this machine
    Install(Install),
    /// Take back what `install` has done
    Uninstall(Uninstall),
    /// Find what is wrong and say how to mend it
    Doctor(Doctor),
    /// Show the broker, its ports, sessions and counters
    Status(Status),
    /// Show the main job end to end, on an embedded server
    Demo(Demo),
    /// Be an extension from a terminal, through a real host and broker
    Connect(Connect),
    /// Run the broker in the foreground
    Broker(Broker),
    /// Show the settings: what holds, and where it came from
    Config(Config),
    /// Ask the broker to leave
    Stop,
}

/// Which registrations.
#[derive(Debug, Args)]
pub(crate) struct Registration {
    /// Only these browsers (default: every browser found); repeatable
    #[arg(long = "browser", value_name = "NAME")]
    pub(crate) browsers: Vec<String>,
    /// The host's name, as extensions give it to `connectNative`
    #[arg(long, value_name = "HOST", default_value = "com.longwire.bridge")]
    pub(crate) name: String,
    /// For every user of the machine (needs administrator rights)
    #[arg(long)]
    pub(crate) system: bool,
    /// For a Chromium started with `--user-data-dir DIR`, which looks nowhere else
    #[arg(long, value_name = "DIR", conflicts_with_all = ["system", "browsers"])]
    pub(crate) user_data_dir: Option<PathBuf>,
    /// Show what would be done and do nothing
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
longwire install --extension <id> --system"
)]
pub(crate) struct Install {
    /// A Chromium extension id (32 letters a-p) or a Firefox add-on id; repeatable
    #[arg(long = "extension", value_name = "ID", required = true)]
    pub(crate) extensions: Vec<String>,
    #[command(flatten)]
    pub(crate) registration: Registration,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  longwire uninstall --dry-run\n  longwire uninstall --browser firefox\n  \
longwire uninstall --all"
)]
pub(crate) struct Uninstall {
    /// Every host name that was registered, whatever it is
    #[arg(long, conflicts_with_all = ["name", "browsers", "user_data_dir", "json"])]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) registration: Registration,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  longwire doctor\n  longwire doctor --extension cfgjijgalloanpinpjgfgakgkbhlgcka\n  \
longwire doctor --url wss://example.org/socket\n  longwire doctor --report > report.md"
)]
pub(crate) struct Doctor {
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    /// Dial this `ws:` or `wss:` URL too, with the time of each phase
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Ask whether this extension may reach the host; repeatable
    #[arg(long = "extension", value_name = "ID")]
    pub(crate) extensions: Vec<String>,
    /// Print a bundle for a bug report, without what is private
    #[arg(long, conflicts_with = "json")]
    pub(crate) report: bool,
    /// Show what passed and what was skipped, too
    #[arg(long, short, conflicts_with_all = ["json", "report"])]
    pub(crate) verbose: bool,
    /// The host's name
    #[arg(long, value_name = "HOST", default_value = "com.longwire.bridge")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Broker {
    /// Leave whoever started it, and report on stdout; for hosts
    #[arg(long, hide = true)]
    pub(crate) detached: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    /// Show it again every second until interrupted
    #[arg(long, conflicts_with = "json")]
    pub(crate) watch: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  longwire config --sample > settings.toml   (to be put where `longwire config --path` says)"
)]
pub(crate) struct Config {
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    /// Print a settings file with every key, commented out, at its default
    #[arg(long, conflicts_with_all = ["json", "reload", "path"])]
    pub(crate) sample: bool,
    /// Print where the settings file lies
    #[arg(long, conflicts_with_all = ["json", "reload"])]
    pub(crate) path: bool,
    /// Have a running broker read the file again
    #[arg(long, conflicts_with = "json")]
    pub(crate) reload: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// In a real Chromium, with the example extension
    #[arg(long)]
    pub(crate) browser: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Lines from stdin are sent; messages are printed one a line.\n\
Example:\n  longwire connect wss://example.com/socket --header 'Authorization: Bearer x' < messages.txt")]
pub(crate) struct Connect {
    /// The server's `ws:` or `wss:` URL
    pub(crate) url: String,
    /// A header to send, `Name: value`; repeatable
    #[arg(long = "header", short = 'H', value_name = "HEADER")]
    pub(crate) headers: Vec<String>,
    /// A subprotocol to offer; repeatable
    #[arg(long = "subprotocol", value_name = "NAME")]
    pub(crate) subprotocols: Vec<String>,
    /// The session's name
    #[arg(long, default_value = "connect")]
    pub(crate) session: String,
    /// Print every frame of the protocol instead of messages
    #[arg(long)]
    pub(crate) frames: bool,
}
