//! Arguments of the commands that put Longwire onto a machine: registrations, updates, completions, man pages.

use std::path::PathBuf;

use clap::Args;

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
    after_help = "Examples:\n  longwire man | man -l -\n  longwire man status | man -l -\n  longwire man --folder ~/.local/share/man/man1"
)]
pub(crate) struct ManArgs {
    /// The page of this command; without it, of `longwire` itself
    pub(crate) command: Option<String>,
    /// Write every page into this folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    pub(crate) folder: Option<PathBuf>,
}
