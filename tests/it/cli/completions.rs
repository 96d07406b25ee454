//! Completions in the shells themselves: bash, fish and zsh, each with a session of a running broker.

use std::process::Command;

use super::{extension, stderr, stdout};
use crate::skip::skip;
use crate::support::echo::Echo;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;

/// What every shell has to offer: the start of a command line, and a word that completes it.
const OFFERS: [(&str, &str); 3] = [
    ("longwire tail ", "prices"),
    ("longwire sessions end ", "prices"),
    ("longwire install --browser librew", "librewolf"),
];

/// A broker with the session `prices`, and a folder with `longwire` in it.
struct Shells {
    scratch: Scratch,
    _server: Echo,
    _host: HostProcess,
}

impl Shells {
    fn new() -> Self {
        let (scratch, server) = (Scratch::new(), Echo::start());
        let host = extension(&scratch, &server, "prices");
        std::os::unix::fs::symlink(crate::support::program(), scratch.folder().join("longwire")).unwrap();
        Self {
            scratch,
            _server: server,
            _host: host,
        }
    }

    /// What the shell prints for this script; nothing where it is not installed.
    fn prints(&self, shell: &str, arguments: &[&str], script: &str) -> Option<String> {
        let mut command = Command::new(shell);
        self.scratch.apply_environment(&mut command);
        command
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.scratch.folder().display()),
            )
            .current_dir(self.scratch.folder())
            .args(arguments)
            .args(["-c", script]);
        match command.output() {
            Ok(output) => {
                assert_eq!(stderr(&output), "", "{shell}");
                Some(stdout(&output))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                skip(&format!("`{shell}` is not installed"));
                None
            }
            Err(error) => panic!("{shell}: {error}"),
        }
    }
}

#[test]
fn bash_offers_sessions_and_browsers() {
    let shells = Shells::new();
    for (line, offered) in OFFERS {
        let words: Vec<&str> = line.split(' ').collect();
        let (current, before) = words.split_last().unwrap();
        let script = format!(
            "source <(longwire completions bash); COMP_WORDS=({list} '{current}'); COMP_CWORD={last}; \
             _longwire_with_sessions longwire '{current}' {previous}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            list = before.join(" "),
            last = before.len(),
            previous = before.last().unwrap(),
        );
        let printed = shells.prints("/bin/bash", &[], &script).unwrap();
        assert_eq!(printed, format!("{offered}\n"), "{line}");
    }
}

#[test]
fn fish_offers_sessions_and_browsers() {
    let shells = Shells::new();
    for (line, offered) in OFFERS {
        let script = format!("longwire completions fish | source; complete -C '{line}'");
        let Some(printed) = shells.prints("fish", &["--no-config"], &script) else {
            return;
        };
        assert_eq!(printed, format!("{offered}\n"), "{line}");
    }
}

/// Zsh completes only on a terminal, so one is created: what is typed there is completed in place.
#[test]
fn zsh_offers_sessions_and_browsers() {
    let shells = Shells::new();
    for (line, offered) in OFFERS {
        let script = format!(
            "longwire completions zsh >_longwire
             zmodload zsh/zpty
             zpty shell zsh -f -i
             zpty -w shell 'PS1=; fpath=($PWD $fpath); autoload -Uz compinit; compinit -D -u; echo rea\"\"dy'
             zpty -r -m shell text '*ready*'
             zpty -w -n shell '{line}'$'\\t'
             zpty -r -m shell text '*{offered}*'
             print -r -- \"$text\"
             zpty -d shell"
        );
        let Some(printed) = shells.prints("zsh", &["-f"], &script) else {
            return;
        };
        assert!(printed.contains(offered), "{line}: {printed}");
    }
}
