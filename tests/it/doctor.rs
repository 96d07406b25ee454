//! `longwire doctor` through the real program: every finding provoked for real, and its fix tried where it is a command.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::broker::FakeBroker;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::{SOON, eventually, program};

const ID: &str = "cfgjijgalloanpinpjgfgakgkbhlgcka";
const OTHER: &str = "abcdefghijklmnopabcdefghijklmnop";
/// What people read of it.
const PAGE: &str = include_str!("../../docs/DOCTOR.md");
const NAME: &str = "com.longwire.bridge";

/// A machine with one Chromium and nothing else, to be made ill.
struct Ward(Scratch);

impl Ward {
    fn new() -> Self {
        let scratch = Scratch::new();
        let root = scratch.folder().to_path_buf();
        let variable = |path: &str| root.join(path).to_str().unwrap().to_owned();
        let ward = Self(
            scratch
                .with("PATH", variable("bin"))
                .with("LONGWIRE_ROOT", variable("root"))
                .with("LONGWIRE_IDLE_SECONDS", "5"),
        );
        fs::create_dir_all(ward.path(".config/chromium")).unwrap();
        ward
    }

    /// The same, with the host registered.
    fn installed() -> Self {
        let ward = Self::new();
        let output = ward.run(&["install", "--extension", ID]);
        assert!(output.status.success(), "{output:?}");
        ward
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.0.folder().join(inside)
    }

    fn manifest(&self) -> PathBuf {
        self.path(".config/chromium/NativeMessagingHosts/com.longwire.bridge.json")
    }

    /// The copy of the program that browsers start.
    fn copy(&self) -> PathBuf {
        self.0.home().join("state/bin/longwire")
    }

    fn run(&self, args: &[&str]) -> Output {
        self.0.command().args(args).output().unwrap()
    }

    /// What `doctor --json` says; the exit code must agree.
    fn doctor(&self, args: &[&str]) -> Value {
        let output = self.run(&[&["doctor", "--json"], args].concat());
        let document: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("one JSON document: {error}: {output:?}"));
        let code = if document["verdict"] == "fail" { 1 } else { 0 };
        assert_eq!(output.status.code(), Some(code), "{document:#}");
        for finding in document["findings"].as_array().unwrap() {
            let id = finding["id"].as_str().unwrap();
            let kind = id.split('.').next().unwrap();
            let written = [
                format!("| `{id}` |"),
                format!("| `{kind}` |"),
                format!("| `{kind}.<browser>` |"),
            ];
            assert!(
                written.iter().any(|row| PAGE.contains(row)),
                "`{id}` has no row in docs/DOCTOR.md"
            );
        }
        document
    }

    fn finding(&self, id: &str, args: &[&str]) -> Value {
        let document = self.doctor(args);
        let findings = document["findings"].as_array().unwrap();
        let found = findings.iter().find(|finding| finding["id"] == id);
        found
            .unwrap_or_else(|| panic!("no `{id}` in {document:#}"))
            .clone()
    }

    /// The finding must be there, with this verdict and in these words.
    fn expect(&self, id: &str, verdict: &str, words: &str, args: &[&str]) -> Value {
        let found = self.finding(id, args);
        assert_eq!(found["verdict"], verdict, "{found:#}");
        assert!(found["detail"].as_str().unwrap().contains(words), "{found:#}");
        found
    }

    /// Provoked, found, mended by what doctor says, passed.
    fn mends(&self, id: &str, verdict: &str, words: &str, args: &[&str]) {
        let found = self.expect(id, verdict, words, args);
        self.paste(
            found["fix"]
                .as_str()
                .unwrap_or_else(|| panic!("no fix: {found:#}")),
        );
        let found = self.finding(id, args);
        assert_eq!(found["verdict"], "pass", "after its fix: {found:#}");
    }

    /// What a person would do with a fix.
    fn paste(&self, fix: &str) {
        let tools = self.path("tools");
        fs::create_dir_all(&tools).unwrap();
        let _ = symlink(program(), tools.join("longwire"));
        let mut shell = Command::new("/bin/sh");
        self.0.dress(&mut shell);
        let output = shell
            .env("PATH", format!("{}:/usr/bin:/bin", tools.display()))
            .arg("-c")
            // Nothing here belongs to anybody else.
            .arg(fix.replace("sudo ", ""))
            .output()
            .unwrap();
        assert!(output.status.success(), "{fix}: {output:?}");
    }

    /// A program of the test's own in the place of the one that browsers start.
    fn replace_program(&self, script: &str) {
        write_program(&self.copy(), script.as_bytes());
    }
}

/// Written by a process of its own: a descriptor of this one, open for writing in the moment in which another test forks,
/// would keep the program from being started.
fn write_program(path: &Path, content: &[u8]) {
    let mut install = Command::new("install")
        .args(["-m", "755", "/dev/stdin"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    install.stdin.take().unwrap().write_all(content).unwrap();
    assert!(install.wait().unwrap().success());
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn all_well_is_one_line_and_nothing_is_left_running() {
    let ward = Ward::installed();
    let output = ward.run(&["doctor"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(
        said.starts_with("All is well: ") && said.lines().count() == 1,
        "{said}"
    );
    ward.0.wait_for_no_broker();
    let document = ward.doctor(&[]);
    assert_eq!(document["verdict"], "pass");
    for finding in document["findings"].as_array().unwrap() {
        assert!(
            ["pass", "skip"].contains(&finding["verdict"].as_str().unwrap()),
            "{finding:#}"
        );
        assert!(finding["title"].is_string() && finding["detail"].is_string());
    }
}

#[test]
fn a_running_broker_is_left_alone() {
    let ward = Ward::installed();
    let mut broker = ward.0.command().arg("broker").spawn().unwrap();
    eventually(SOON, "the broker listens", || {
        ward.0.socket().exists().then_some(())
    });
    ward.expect("broker", "pass", &broker.id().to_string(), &[]);
    assert!(broker.try_wait().unwrap().is_none(), "it runs on");
    // Others may use the socket and enter its folder.
    set_mode(&ward.0.socket(), 0o666);
    ward.mends("socket", "warn", "666", &[]);
    set_mode(&ward.0.home().join("run"), 0o755);
    ward.mends("run-folder", "warn", "755", &[]);
    assert!(ward.run(&["stop"]).status.success());
    broker.wait().unwrap();
}

#[test]
fn nothing_is_registered() {
    let ward = Ward::new();
    let found = ward.expect("registered", "fail", "none of Chromium", &["--extension", ID]);
    ward.paste(found["fix"].as_str().unwrap());
    ward.expect("registered", "pass", "Chromium", &[]);
    fs::remove_dir_all(ward.path(".config")).unwrap();
    ward.expect("registered", "warn", "no browser", &[]);
}

#[test]
fn a_browser_beside_the_registered_one_is_offered() {
    let ward = Ward::installed();
    fs::create_dir_all(ward.path(".config/vivaldi")).unwrap();
    ward.mends("manifest.vivaldi", "skip", "not registered", &[]);
}

#[test]
fn a_broken_manifest() {
    let ward = Ward::installed();
    let good = fs::read_to_string(ward.manifest()).unwrap();
    for (from, to, words) in [
        ("{", "", "no valid JSON"),
        (NAME, "com.other", "not \"com.longwire.bridge\""),
        ("stdio", "pipe", "`type`"),
        (&format!("{ID}/"), ID, "slash"),
        ("\"/", "\"", "not absolute"),
    ] {
        fs::write(ward.manifest(), good.replacen(from, to, 1)).unwrap();
        ward.mends("manifest.chromium", "fail", words, &["--extension", ID]);
    }
    fs::remove_file(ward.manifest()).unwrap();
    fs::create_dir(ward.manifest()).unwrap();
    ward.mends(
        "manifest.chromium",
        "fail",
        "Is a directory",
        &["--extension", ID],
    );
    set_mode(&ward.manifest(), 0o666);
    ward.mends("manifest.chromium", "warn", "changed by everybody", &[]);
}

#[test]
fn firefox_rejects_what_chromium_takes() {
    let ward = Ward::new();
    fs::create_dir_all(ward.path(".mozilla")).unwrap();
    let installed = ward.run(&[
        "install",
        "--extension",
        ID,
        "--extension",
        "hello@longwire.example",
    ]);
    assert!(installed.status.success());
    assert_eq!(ward.doctor(&[])["verdict"], "pass");
    let path = ward.path(".mozilla/native-messaging-hosts/com.longwire.bridge.json");
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, good.replacen('{', r#"{"allowed_origins": [],"#, 1)).unwrap();
    ward.mends(
        "manifest.firefox",
        "fail",
        "unknown key `allowed_origins`",
        &["--extension", "hello@longwire.example"],
    );
    ward.expect("launch.firefox", "pass", "welcomed", &[]);
    ward.expect("launch.chromium", "pass", "welcomed", &[]);
}

#[test]
fn a_registration_for_all_is_shadowed() {
    let ward = Ward::installed();
    let folder = ward.path("root/etc/chromium/native-messaging-hosts");
    fs::create_dir_all(&folder).unwrap();
    let own = fs::read_to_string(ward.manifest()).unwrap();
    let copy = ward.copy().to_str().unwrap().to_owned();
    fs::write(
        folder.join("com.longwire.bridge.json"),
        own.replace(&copy, "/opt/other/longwire"),
    )
    .unwrap();
    let found = ward.expect("manifest.chromium", "warn", "another program", &[]);
    assert_eq!(found["fix"], "longwire uninstall --browser chromium");
}

#[test]
fn the_program_cannot_be_run() {
    let ward = Ward::installed();
    fs::remove_file(ward.copy()).unwrap();
    ward.mends("program.chromium", "fail", "No such file", &[]);
    set_mode(&ward.copy(), 0o644);
    ward.mends("program.chromium", "fail", "not executable", &[]);
    let mut foreign = b"\x7fELF\x02\x01\x01".to_vec();
    foreign.resize(64, 0);
    foreign[18] = if cfg!(target_arch = "x86_64") { 0xb7 } else { 0x3e };
    write_program(&ward.copy(), &foreign);
    ward.mends("program.chromium", "fail", "a linux program for", &[]);
    ward.replace_program("just text");
    ward.mends("program.chromium", "fail", "no program at all", &[]);
    set_mode(&ward.copy(), 0o777);
    ward.mends("program.chromium", "warn", "changed by everybody", &[]);
    ward.replace_program("#!/bin/sh\necho longwire 0.0.1\n");
    ward.mends("program.chromium", "warn", "version 0.0.1", &[]);
}

#[test]
fn an_extension_that_may_not() {
    let ward = Ward::installed();
    ward.expect("origin.chromium", "pass", ID, &["--extension", ID]);
    ward.mends("origin.chromium", "fail", OTHER, &["--extension", OTHER]);
    let both = format!("{ID},{OTHER}");
    ward.expect("origin.chromium", "pass", OTHER, &["--extension", &both]);
    let output = ward.run(&["doctor", "--extension", "nonsense"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn firefox_goes_on_where_an_add_on_is_not_named() {
    let ward = Ward::new();
    fs::create_dir(ward.path(".mozilla")).unwrap();
    for args in [
        &["install", "--extension", "all@example.org", "--system"][..],
        &["install", "--extension", "own@example.org"],
    ] {
        assert!(ward.run(args).status.success());
    }
    let both = ["--extension", "all@example.org", "own@example.org"];
    ward.expect("origin.firefox", "pass", "all@example.org", &both);
    ward.mends("origin.firefox", "fail", "a@b", &["--extension", "a@b"]);
}

#[test]
fn an_extension_whose_browser_knows_no_host() {
    let ward = Ward::installed();
    let asked = ["--extension", "a@b"];
    let found = ward.expect(
        "registered",
        "fail",
        "no Firefox browser, which a@b needs",
        &asked,
    );
    assert!(
        found["fix"].as_str().unwrap().ends_with("--browser <name>"),
        "{found}"
    );
    fs::create_dir(ward.path(".mozilla")).unwrap();
    ward.mends("registered", "fail", "no Firefox browser", &asked);
}

#[test]
fn what_is_registered_for_all_is_mended_for_all() {
    let ward = Ward::new();
    assert!(
        ward.run(&["install", "--extension", ID, "--system"])
            .status
            .success()
    );
    fs::remove_file(ward.copy()).unwrap();
    let found = ward.expect("program.chromium", "fail", "No such file", &[]);
    assert!(found["fix"].as_str().unwrap().ends_with(" --system"), "{found}");
    ward.mends("program.chromium", "fail", "No such file", &[]);
    set_mode(&ward.copy(), 0o644);
    let found = ward.expect("program.chromium", "fail", "not executable", &[]);
    assert!(
        found["fix"].as_str().unwrap().starts_with("sudo chmod "),
        "{found}"
    );
}

#[test]
fn another_host_for_the_same_extension() {
    let ward = Ward::installed();
    let rival = ward.manifest().with_file_name("org.old.bridge.json");
    let text = json!({"name": "org.old.bridge", "path": "/opt/old", "allowed_origins": [format!("chrome-extension://{ID}/")]});
    fs::write(&rival, text.to_string()).unwrap();
    ward.mends("rival.chromium", "warn", "`org.old.bridge` (/opt/old)", &[]);
    let folder = ward.path("root/etc/chromium/native-messaging-hosts");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("org.old.bridge.json"), text.to_string()).unwrap();
    let found = ward.expect("rival.chromium", "warn", "`org.old.bridge` (/opt/old)", &[]);
    assert!(
        found["fix"].as_str().unwrap().starts_with("sudo rm "),
        "{found:#}"
    );
    ward.mends("rival.chromium", "warn", "`org.old.bridge` (/opt/old)", &[]);
}

#[test]
fn the_administrator_forbids_it() {
    let ward = Ward::installed();
    let folder = ward.path("root/etc/chromium/policies/managed");
    fs::create_dir_all(&folder).unwrap();
    let policy = folder.join("policy.json");
    fs::write(&policy, r#"{"NativeMessagingBlocklist": ["*"]}"#).unwrap();
    let found = ward.expect("policy.chromium", "fail", "NativeMessagingBlocklist", &[]);
    assert!(
        found["fix"]
            .as_str()
            .unwrap()
            .contains("NativeMessagingAllowlist")
    );
    fs::write(&policy, r#"{"NativeMessagingUserLevelHosts": false}"#).unwrap();
    ward.expect("manifest.chromium", "fail", "does not count", &[]);
    ward.mends("policy.chromium", "fail", "NativeMessagingUserLevelHosts", &[]);
    ward.expect("manifest.chromium", "pass", "root/etc/chromium", &[]);
}

#[test]
fn browsers_in_sandboxes() {
    let ward = Ward::installed();
    for folder in ["snap/firefox", ".var/app/com.brave.Browser"] {
        fs::create_dir_all(ward.path(folder)).unwrap();
    }
    ward.mends("sandbox.firefox", "warn", "Snap", &["--extension", "a@b"]);
    ward.mends("sandbox.brave", "warn", "Flatpak", &[]);
    let app = ward.path(".var/app/com.brave.Browser");
    fs::remove_file(app.join("data/longwire/longwire")).unwrap();
    ward.mends("program.brave", "fail", "No such file", &[]);
    let inside = "config/BraveSoftware/Brave-Browser/NativeMessagingHosts/com.longwire.bridge.json";
    fs::write(app.join(inside), "{").unwrap();
    ward.mends("manifest.brave", "fail", "no valid JSON", &["--extension", ID]);
    fs::create_dir_all(ward.path("snap/vivaldi")).unwrap();
    let found = ward.expect("sandbox.vivaldi", "warn", "Snap", &[]);
    assert!(found["fix"].as_str().unwrap().contains("package of the system"));
}

#[test]
fn a_host_that_does_not_do_its_duty() {
    let ward = Ward::installed();
    let real = program().display();
    for (script, words) in [
        ("#!/no/such/interpreter\n".to_owned(), "cannot be started"),
        (
            "#!/bin/sh\nexit 3\n".to_owned(),
            "ended without a word (exit status: 3)",
        ),
        (
            "#!/bin/sh\necho lost my library >&2; exit 1\n".to_owned(),
            "lost my library",
        ),
        (
            "#!/bin/sh\necho hello, world\ncat > /dev/null\n".to_owned(),
            "`hell`",
        ),
        ("#!/bin/sh\nread line\n".to_owned(), "said nothing"),
    ] {
        ward.replace_program(&script);
        let found = ward.expect("launch", "fail", words, &[]);
        assert!(found["fix"].is_string(), "{found:#}");
    }
    // It serves, and then waits for something that never comes.
    let fifo = ward.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let fifo = fifo.display();
    ward.replace_program(&format!("#!/bin/sh\n{real} \"$@\"\nread line < '{fifo}'\n"));
    ward.expect("launch", "warn", "does not end", &[]);
}

#[test]
fn no_broker_can_be_had() {
    let ward = Ward::installed();
    // Installing has looked for a broker there.
    let _ = fs::remove_dir_all(ward.0.home().join("run"));
    fs::write(ward.0.home().join("run"), "a file in the folder's place").unwrap();
    ward.expect("launch", "fail", "no broker", &[]);
    ward.mends("run-folder", "fail", "is no folder", &[]);
}

#[test]
fn a_broker_that_does_not_answer_and_one_of_another_version() {
    let ward = Ward::installed();
    let silent = FakeBroker::listen(&ward.0);
    let found = ward.expect("broker", "fail", "did not answer within 5 s", &[]);
    assert_eq!(
        found["fix"],
        format!("kill -9 {}", std::process::id()),
        "this test listens"
    );
    drop(silent);

    let older = FakeBroker::listen(&ward.0);
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
    ward.expect("broker", "warn", "version 0.0.1", &[]);
}

#[test]
fn a_broker_that_hangs() {
    let ward = Ward::installed();
    let mut host = HostProcess::chromium(&ward.0);
    host.hello();
    let broker = ward.0.broker();
    let pid = rustix::process::Pid::from_raw(i32::try_from(broker).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let document = ward.doctor(&[]);
    let findings = document["findings"].as_array().unwrap();
    for id in ["broker", "launch"] {
        let found = findings.iter().find(|finding| finding["id"] == id).unwrap();
        assert_eq!(found["verdict"], "fail", "{found:#}");
        assert_eq!(
            found["fix"],
            format!("kill -9 {broker}"),
            "what it does not hear is no fix"
        );
    }
    drop(host);
    ward.paste(&format!("kill -9 {broker}"));
    ward.0.wait_for_no_broker();
    assert_eq!(ward.doctor(&[])["verdict"], "pass");
}

#[test]
fn folders_and_the_disk() {
    let ward = Ward::installed();
    fs::write(ward.0.home().join("logs"), "a file").unwrap();
    ward.mends("logs", "warn", "is no folder", &[]);
    let journal = ward.0.home().join("state/journal");
    fs::create_dir_all(&journal).unwrap();
    let full = fs::File::create(journal.join("full")).unwrap();
    full.set_len(1 << 30).unwrap();
    ward.expect("disk", "warn", "1 GiB of 1 GiB", &[]);
}

#[test]
fn a_receipt_that_cannot_be_read() {
    let ward = Ward::installed();
    fs::write(ward.0.home().join("state/installed.json"), "{").unwrap();
    assert_eq!(ward.run(&["uninstall"]).status.code(), Some(1));
    ward.mends("receipt", "fail", "cannot be understood", &[]);
    assert!(ward.run(&["uninstall"]).status.success());
    assert!(!ward.manifest().exists());
}

#[test]
fn settings_that_cannot_be_used() {
    let ward = Ward::installed();
    let file = ward.0.home().join("config/settings.toml");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "[no-such-table]\n").unwrap();
    ward.expect("settings", "fail", "settings.toml:1:", &[]);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    ward.mends("settings", "fail", "Is a directory", &[]);
    fs::write(&file, "[default]\nallow = [\"wss://example.org\"]\n").unwrap();
    ward.expect("settings", "pass", "settings.toml", &[]);
    let url = ["--url", "ws://127.0.0.1:1/"];
    ward.expect("url", "fail", "127.0.0.1:1", &url);
}

#[test]
fn the_state_folder_is_a_file() {
    let ward = Ward::new();
    fs::write(ward.0.home().join("state"), "a file").unwrap();
    ward.mends("state", "warn", "is no folder", &[]);
}

/// A server for one connection: answers with these bytes and hangs up.
fn answering(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/live?token=secret", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(answer);
    });
    url
}

/// A WebSocket server for one connection.
fn websocket(
    serve: impl FnOnce(tokio_tungstenite::tungstenite::WebSocket<std::net::TcpStream>) + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/live?token=secret", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        serve(tokio_tungstenite::tungstenite::accept(stream).unwrap());
    });
    url
}

#[test]
fn a_server_that_is_well() {
    use tokio_tungstenite::tungstenite::Message;
    let ward = Ward::installed();
    let url = websocket(|mut socket| {
        socket.send(Message::text("hello")).unwrap();
        while socket.read().is_ok() {}
    });
    let document = ward.doctor(&["--url", &url]);
    assert_eq!(document["verdict"], "pass", "{document:#}");
    let ids: Vec<_> = document["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    for id in ["url", "url.dns", "url.tcp", "url.upgrade", "url.message"] {
        assert!(ids.contains(&id), "{id} in {ids:?}");
    }
    assert!(
        !document.to_string().contains("secret"),
        "queries are never shown"
    );
}

#[test]
fn servers_that_are_ill() {
    let ward = Ward::installed();
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("ws://{}/", listener.local_addr().unwrap())
    };
    let silent = websocket(|mut socket| while socket.read().is_ok() {});
    let closing = websocket(|mut socket| {
        use tokio_tungstenite::tungstenite::protocol::CloseFrame;
        let frame = CloseFrame {
            code: 4401.into(),
            reason: "who are you".into(),
        };
        socket.close(Some(frame)).unwrap();
        while socket.read().is_ok() {}
    });
    let plain = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n").replace("ws://", "wss://");
    let missing = answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let closed = answering(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    let odd = answering(b"220 mail.example.org\r\n");
    for (url, id, verdict, words) in [
        ("nonsense", "url", "fail", "must begin with its scheme"),
        ("ws://example.org/", "url", "fail", "wss:"),
        (
            "wss://no-such-host.invalid/",
            "url.dns",
            "fail",
            "no-such-host.invalid",
        ),
        (&gone, "url.tcp", "fail", "refused"),
        (&plain, "url.tls", "fail", "no TLS"),
        (&missing, "url.upgrade", "fail", "404"),
        (&closed, "url.upgrade", "warn", "no credentials"),
        (&odd, "url.upgrade", "fail", "not HTTP"),
        (&closing, "url.message", "warn", "4401 who are you"),
        (&silent, "url.message", "skip", "said nothing"),
    ] {
        ward.expect(id, verdict, words, &["--url", url]);
    }
}

#[test]
fn a_url_that_is_refused_betrays_no_password() {
    let ward = Ward::installed();
    for url in [
        "ws://user:secret@127.0.0.1/#part",
        "ftp://user:secret@127.0.0.1/?token=secret",
        "wss//user:secret@127.0.0.1/?token=secret",
    ] {
        let found = ward.expect("url", "fail", "127.0.0.1", &["--url", url]);
        assert!(!found.to_string().contains("secret"), "{found:#}");
    }
}

#[test]
fn a_url_that_the_settings_forbid() {
    let ward = Ward::installed();
    let folder = ward.0.home().join("config");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("settings.toml"), "[default]\nallow = [\"wss://a\"]\n").unwrap();
    let found = ward.expect("url", "fail", "allowed: `wss://a`", &["--url", "wss://b/"]);
    assert!(
        found["fix"].as_str().unwrap().contains("settings.toml"),
        "{found:#}"
    );
}

#[test]
fn a_proxy_that_is_not_there() {
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let ward = Ward(Ward::installed().0.with("https_proxy", gone));
    ward.expect("url.proxy", "fail", "refused", &["--url", "wss://example.org/"]);
}

#[test]
fn the_report_hides_what_is_private() {
    let ward = Ward::installed();
    let url = answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let output = ward.run(&["doctor", "--report", "--url", &url]);
    let said = String::from_utf8(output.stdout).unwrap();
    for part in [
        "### Findings",
        "### Status",
        "### End of the log",
        "url.upgrade",
        "broker is up",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    for private in [ward.0.folder().to_str().unwrap(), "secret", "/live"] {
        assert!(!said.contains(private), "{private} in {said}");
    }
}

#[test]
fn a_products_own_name_stands_in_every_fix() {
    let ward = Ward::new();
    let name = ["--name", "com.semantest.bridge", "--extension", ID];
    let found = ward.expect("registered", "fail", "none of", &name);
    ward.paste(found["fix"].as_str().unwrap());
    ward.expect("registered", "pass", "Chromium", &name);
    ward.expect("registered", "fail", "none of", &[]);
    let path = ward.manifest().with_file_name("com.semantest.bridge.json");
    fs::write(&path, "{").unwrap();
    ward.mends("manifest.chromium", "fail", "no valid JSON", &name);
}

#[test]
fn a_user_data_folder_is_looked_at_too() {
    let ward = Ward::new();
    let folder = ward.path("my profile");
    let folder = folder.to_str().unwrap();
    assert!(
        ward.run(&["install", "--extension", ID, "--user-data-dir", folder])
            .status
            .success()
    );
    ward.expect("manifest.user-data-dir", "pass", "my profile", &[]);
    fs::write(
        ward.path("my profile/NativeMessagingHosts/com.longwire.bridge.json"),
        "{",
    )
    .unwrap();
    ward.mends(
        "manifest.user-data-dir",
        "fail",
        "no valid JSON",
        &["--extension", ID],
    );
}

/// Is there a call in these tests that waits for this finding not to pass?
fn is_provoked(tests: &str, id: &str) -> bool {
    let kind = id.trim_end_matches(".<browser>");
    tests.match_indices(&format!("\"{kind}")).any(|(at, found)| {
        let Some((rest, after)) = tests[at + found.len()..].split_once('"') else {
            return false;
        };
        let is_it = rest.is_empty() || (rest.starts_with('.') && id.contains("<browser>"));
        let after = after.trim_start_matches([',', ' ', '\n']);
        is_it && (after.starts_with("\"fail\"") || after.starts_with("\"warn\""))
    })
}

#[test]
fn no_finding_is_forgotten() {
    let code = include_str!("../../src/cli/doctor/finding.rs");
    let (_, table) = code.split_once("const IDS").unwrap();
    let (table, _) = table.split_once("];").unwrap();
    let (_, table) = table.split_once("= &[").unwrap();
    let mut known: Vec<&str> = table.split('"').skip(1).step_by(2).collect();
    let (_, page) = PAGE.split_once("## Findings").unwrap();
    let (page, _) = page.split_once("\n## ").unwrap();
    let mut written: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    known.sort_unstable();
    written.sort_unstable();
    assert_eq!(known, written, "the table of the code, and the page");
    let tests = include_str!("doctor.rs");
    for id in known.into_iter().filter(|id| *id != "home") {
        assert!(is_provoked(tests, id), "no test provokes `{id}`");
    }
    assert!(!is_provoked(tests, "no-such-finding"));
}

#[test]
fn a_home_of_its_own_is_told() {
    let ward = Ward::installed();
    let home = ward.0.home().to_str().unwrap().to_owned();
    ward.expect("home", "pass", &home, &[]);
}

#[test]
fn looking_leaves_no_folder_behind() {
    let ward = Ward::new();
    ward.doctor(&[]);
    let left: Vec<_> = fs::read_dir(ward.0.home()).unwrap().flatten().collect();
    assert!(left.is_empty(), "there is nothing to keep yet: {left:?}");
}
