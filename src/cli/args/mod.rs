//! The command line as types: every command, its flags and its help.
//!
//! It runs nothing. A new command is a variant here, its arguments, a file in `cli` and a line in `cli::dispatch`.

mod connections;
mod installation;
mod sessions;

use clap::{Args, Parser, Subcommand};

pub(crate) use connections::{ConnectArgs, DemoArgs, RecordArgs, ReplayArgs, TrustArgs};
pub(crate) use installation::{
    CompletionsArgs, InstallArgs, ManArgs, RegistrationArgs, UninstallArgs, UpdateArgs,
};
pub(crate) use sessions::{
    EndSessionArgs, SessionOwnerArgs, SessionsArgs, SessionsCommand, StatusArgs, TailArgs,
};

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
