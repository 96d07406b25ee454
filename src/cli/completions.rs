//! `longwire completions` and `longwire man`: completion scripts and man pages, generated from the command line's types.
//!
//! It installs nothing.

use std::fs;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::{Cli, CompletionsArgs, ManArgs};
use super::error::{Exit, Failure};
use super::render;

/// Prints completions for a shell.
pub(super) fn completions(wanted: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(wanted.shell, &mut Cli::command(), "longwire", &mut script);
    let script = String::from_utf8_lossy(&script);
    render::give(with_session_names(wanted.shell, &script).as_bytes());
    Ok(Exit::Done)
}

/// Asks the broker for the names of its sessions.
const NAMES: &str = "longwire sessions --names 2>/dev/null";

/// The script, which where a session is named offers those that the broker has. Elvish and PowerShell go without.
fn with_session_names(shell: Shell, script: &str) -> String {
    match shell {
        Shell::Bash => format!(
            r#"{script}
_longwire_with_sessions() {{
    _longwire "$@"
    local cur="${{COMP_WORDS[COMP_CWORD]}}" command="${{COMP_WORDS[1]}} ${{COMP_WORDS[2]}}"
    case "$command" in
        "tail "*|"sessions end") ;;
        *) return 0 ;;
    esac
    if [[ "$cur" != -* && "$3" != --* && "$3" != -n ]] ; then
        local IFS=$'\n'
        COMPREPLY=( $(compgen -W "$({NAMES})" -- "$cur") )
        [[ "$command" == "sessions "* && $COMP_CWORD -eq 2 ]] && COMPREPLY=( "end" )
    fi
    return 0
}}
complete -F _longwire_with_sessions -o nosort -o bashdefault -o default longwire 2>/dev/null ||
    complete -F _longwire_with_sessions -o bashdefault -o default longwire
"#
        ),
        Shell::Fish => format!(
            r#"{script}complete -c longwire -n "__fish_longwire_using_subcommand tail" -f -a "({NAMES})"
complete -c longwire -n "__fish_longwire_using_subcommand sessions; and __fish_seen_subcommand_from end" -f -a "({NAMES})"
"#
        ),
        Shell::Zsh => {
            let names = format!(
                r#"(( $+functions[_longwire_session_names] )) ||
_longwire_session_names() {{
    local -a names
    names=(${{(f)"$({NAMES})"}})
    compadd -a names
}}

_longwire() {{"#
            );
            let action = "name, as `longwire status` shows it:";
            script.replacen("_longwire() {", &names, 1).replace(
                &format!("{action}_default"),
                &format!("{action}_longwire_session_names"),
            )
        }
        _ => script.to_owned(),
    }
}

/// Prints one man page, or writes them all.
pub(super) fn man(wanted: &ManArgs) -> Result<Exit, Failure> {
    let mut all = Cli::command();
    all.build();
    let Some(folder) = &wanted.folder else {
        let command = match &wanted.command {
            None => all,
            Some(name) => all.find_subcommand(name).cloned().ok_or_else(|| {
                Failure::new(format!("there is no command `{name}`"))
                    .hint("longwire help")
                    .exit(Exit::Usage)
            })?,
        };
        render::give(&page(command)?);
        return Ok(Exit::Done);
    };
    let failed = |path: &std::path::Path, error: &std::io::Error| {
        Failure::because(format!("cannot write {}", path.display()), error)
    };
    fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    let shown: Vec<_> = all
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .cloned()
        .collect();
    for command in std::iter::once(all).chain(shown) {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name());
        let path = folder.join(format!("{name}.1"));
        fs::write(&path, page(command)?).map_err(|error| failed(&path, &error))?;
        render::line(&path.display().to_string());
    }
    Ok(Exit::Done)
}

fn page(command: clap::Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|error| Failure::because("the man page cannot be written", &error).exit(Exit::Bug))?;
    Ok(page)
}
