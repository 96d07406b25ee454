//! Host, broker, folders and settings.

use std::fs;
use std::process::Command;

use serde_json::json;

use super::{DoctorHome, set_mode};
use crate::support::broker::FakeBroker;
use crate::support::host::HostProcess;
use crate::support::scratch::write_settings;
use crate::support::{SOON, eventually, program};

#[test]
fn a_running_broker_is_left_alone() {
    let machine = DoctorHome::installed();
    let mut broker = machine.0.command().arg("broker").spawn().unwrap();
    eventually(SOON, "the broker listens", || {
        machine.0.socket().exists().then_some(())
    });
    machine.expect("broker", "pass", &broker.id().to_string(), &[]);
    assert!(broker.try_wait().unwrap().is_none(), "it runs on");
    // Others may use the socket and enter its folder.
    set_mode(&machine.0.socket(), 0o666);
    machine.expect_fixed("socket", "warn", "666", &[]);
    set_mode(&machine.0.home().join("run"), 0o755);
    machine.expect_fixed("run-folder", "warn", "755", &[]);
    assert!(machine.run(&["stop"]).status.success());
    broker.wait().unwrap();
}

#[test]
fn a_misbehaving_host_is_reported() {
    let machine = DoctorHome::installed();
    let real = program().display();
    for (script, words) in [
        ("#!/no/such/interpreter\n".to_owned(), "cannot be started"),
        (
            "#!/bin/sh\nexit 3\n".to_owned(),
            "exited without output (exit status: 3)",
        ),
        (
            "#!/bin/sh\necho lost my library >&2; exit 1\n".to_owned(),
            "lost my library",
        ),
        (
            "#!/bin/sh\necho hello, world\ncat > /dev/null\n".to_owned(),
            "`hell`",
        ),
        ("#!/bin/sh\nread line\n".to_owned(), "sent no valid message"),
    ] {
        machine.replace_program(&script);
        let found = machine.expect("launch", "fail", words, &[]);
        assert!(found["fix"].is_string(), "{found:#}");
    }
    // It serves, and then waits for something that never comes.
    let fifo = machine.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let fifo = fifo.display();
    machine.replace_program(&format!("#!/bin/sh\n{real} \"$@\"\nread line < '{fifo}'\n"));
    machine.expect("launch", "warn", "does not exit", &[]);
}

#[test]
fn a_broker_that_cannot_start_is_reported() {
    let machine = DoctorHome::installed();
    // Installing has looked for a broker there.
    let _ = fs::remove_dir_all(machine.0.home().join("run"));
    fs::write(machine.0.home().join("run"), "a file in the folder's place").unwrap();
    machine.expect("launch", "fail", "broker cannot be reached", &[]);
    machine.expect_fixed("run-folder", "fail", "is not a folder", &[]);
}

#[test]
fn a_silent_broker_and_one_of_another_version_are_reported() {
    let machine = DoctorHome::installed();
    let silent = FakeBroker::listen(&machine.0);
    let found = machine.expect("broker", "fail", "did not answer within 5 s", &[]);
    assert_eq!(
        found["fix"],
        format!("kill -9 {}", std::process::id()),
        "this test listens"
    );
    drop(silent);

    let older = FakeBroker::listen(&machine.0);
    std::thread::spawn(move || {
        loop {
            let (mut wire, preamble) = older.accept();
            let answer = if preamble["kind"] == "admin" {
                json!({"type": "status", "id": "1", "version": "0.0.1", "pid": 1, "ports": 1, "sessions": []})
            } else {
                json!({"type": "welcome", "version": "0.0.1"})
            };
            std::thread::spawn(move || {
                while wire.next().is_some() {
                    wire.send(&answer);
                }
            });
        }
    });
    machine.expect("broker", "warn", "version 0.0.1", &[]);
}

#[test]
fn a_hanging_broker_is_reported_with_its_fix() {
    let machine = DoctorHome::installed();
    let mut host = HostProcess::chromium(&machine.0);
    host.hello();
    let broker = machine.0.broker();
    let pid = rustix::process::Pid::from_raw(i32::try_from(broker).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let document = machine.doctor(&[]);
    let findings = document["findings"].as_array().unwrap();
    for id in ["broker", "launch"] {
        let found = findings.iter().find(|finding| finding["id"] == id).unwrap();
        assert_eq!(found["verdict"], "fail", "{found:#}");
        assert_eq!(
            found["fix"],
            format!("kill -9 {broker}"),
            "a signal that it ignores is no fix"
        );
    }
    drop(host);
    machine.paste(&format!("kill -9 {broker}"));
    machine.0.wait_for_no_broker();
    assert_eq!(machine.doctor(&[])["verdict"], "pass");
}

#[test]
fn missing_capabilities_are_reported() {
    let machine = DoctorHome::installed();
    let mut host = HostProcess::chromium(&machine.0);
    host.send(&json!({"type": "hello", "protocol": 1, "needs": ["websocket", "teleport"]}));
    host.expect("error");
    let stdout = format!("{} needs teleport", crate::support::ORIGIN);
    machine.expect("capabilities", "fail", &stdout, &[]);
    host.hello();
    assert!(
        !machine.doctor(&[]).to_string().contains("teleport"),
        "it takes what there is"
    );
}

#[test]
fn unusable_folders_and_a_full_disk_are_reported() {
    let machine = DoctorHome::installed();
    fs::write(machine.0.home().join("logs"), "a file").unwrap();
    machine.expect_fixed("logs", "warn", "is not a folder", &[]);
    let journal = machine.0.home().join("state/journal");
    fs::create_dir_all(&journal).unwrap();
    let full = fs::File::create(journal.join("full")).unwrap();
    full.set_len(1 << 30).unwrap();
    machine.expect("disk", "warn", "1 GiB of 1 GiB", &[]);
}

#[test]
fn a_proxy_script_of_the_desktop_is_not_read() {
    let machine = DoctorHome::installed();
    let file = machine.path(".config/kioslaverc");
    let kde = "[Proxy Settings]\nProxyType=2\nProxy Config Script=http://pac.test/p.pac\n";
    fs::write(&file, kde).unwrap();
    machine.expect("proxy-script", "warn", "http://pac.test/p.pac", &[]);
    machine.0.settings("[proxy]\nurl = \"none\"\n");
    let report = machine.doctor(&[]);
    assert!(
        !report.to_string().contains("proxy-script"),
        "the settings say what holds"
    );
}

#[test]
fn invalid_settings_are_reported() {
    let machine = DoctorHome::installed();
    let file = machine.0.settings("[no-such-table]\n");
    machine.expect("settings", "fail", "settings.toml:1:", &[]);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    machine.expect_fixed("settings", "fail", "Is a directory", &[]);
    machine.0.settings("[default]\nallow = [\"wss://example.org\"]\n");
    machine.expect("settings", "pass", "settings.toml", &[]);
    let url = ["--url", "ws://127.0.0.1:1/"];
    machine.expect("url", "fail", "127.0.0.1:1", &url);
}

#[test]
fn settings_writable_or_readable_by_others_are_reported() {
    let machine = DoctorHome::installed();
    let file = machine
        .0
        .settings("[proxy]\nurl = \"http://me:secret@127.0.0.1:1\"\n");
    set_mode(&file, 0o664);
    machine.expect("settings", "fail", "other users may write to it (mode 0664)", &[]);
    let found = machine.finding("settings", &[]);
    machine.paste(found["fix"].as_str().unwrap());
    machine.expect_fixed(
        "settings",
        "warn",
        "contains passwords, and other users can read it",
        &[],
    );

    fs::remove_file(&file).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::RWXU).unwrap();
    machine.expect_fixed("settings", "fail", "it is a named pipe", &[]);
}

#[test]
fn settings_of_another_user_are_reported() {
    if !crate::skip::is_root("only root can make files of another user") {
        return;
    }
    let machine = DoctorHome::installed();
    let file = machine.0.settings("");
    std::os::unix::fs::chown(&file, Some(4321), None).unwrap();
    machine.expect_fixed("settings", "fail", "it belongs to user 4321", &[]);
}

#[test]
fn settings_of_the_administrator_are_found() {
    let machine = DoctorHome::installed();
    let above = machine.path("root/etc/longwire/settings.toml");
    write_settings(&above, "[brokr]\n");
    machine.expect("settings", "fail", "etc/longwire/settings.toml:1:2: ", &[]);
    write_settings(&above, "[default]\nallow = [\"wss://example.org\"]\n");
    let found = machine.expect("settings", "pass", "of the administrator", &[]);
    assert!(found["fix"].is_null(), "{found:#}");
    set_mode(&above, 0o666);
    machine.expect_fixed("settings", "fail", "other users may write to it (mode 0666)", &[]);
}

#[test]
fn a_file_in_place_of_the_state_folder_is_reported() {
    let machine = DoctorHome::new();
    fs::write(machine.0.home().join("state"), "a file").unwrap();
    machine.expect_fixed("state", "warn", "is not a folder", &[]);
}
