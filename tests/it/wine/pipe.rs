//! The broker's pipe: who is at its other end.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::Stdio;

use longwire::paths::short_name;

use super::{Machine, on_windows};

/// Most silent connections of one process that the broker keeps.
const EXPECTED_KEPT: u32 = 16;

/// As `hostile::a_process_that_connects_repeatedly_does_not_block_others`: the broker must know which process it is.
#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn a_process_that_connects_repeatedly_does_not_block_others() {
    let machine = Machine::new();
    let mut witness = machine.host();
    witness.hello();
    let run = on_windows(&machine.home.join("run"));
    let pipe = format!(r"\\.\pipe\longwire-{}", short_name(run.as_bytes()));
    let connect = PathBuf::from(std::env::var_os("LONGWIRE_WINE_CONNECT").expect("LONGWIRE_WINE_CONNECT"));
    let mut command = machine.run(&connect);
    command
        .arg(pipe)
        .arg("200")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut silent = command.spawn().unwrap();
    let mut lines = BufReader::new(silent.stdout.take().unwrap()).lines();
    let mut line = || lines.next().unwrap().unwrap().trim().to_owned();
    assert_eq!(line(), "connected 200");

    let mut new_connection = machine.host();
    new_connection.hello();
    new_connection.ping("let in");
    witness.ping("still here");

    silent.stdin.take().unwrap().write_all(b"\r\n").unwrap();
    let kept = line();
    let count: u32 = kept.strip_prefix("kept ").unwrap().parse().unwrap();
    assert!(count <= EXPECTED_KEPT, "{kept}");
    assert!(silent.wait().unwrap().success());
}
