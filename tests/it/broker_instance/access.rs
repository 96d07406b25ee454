//! Who may reach host and broker: no other user, and no other process into their memory.

use super::*;

#[test]
fn processes_of_the_same_user_cannot_read_the_memory_of_host_and_broker() {
    use std::os::unix::process::CommandExt as _;

    let scratch = Scratch::new();
    let mut command = scratch.command();
    command.arg(crate::support::ORIGIN);
    let mut user = rustix::process::geteuid().as_raw();
    if user == 0 {
        // What a process shows to its own user is seen where that user is not root.
        user = 65_534;
        let program = scratch.folder().join("longwire");
        crate::support::write_program(&program, &fs::read(crate::support::program()).unwrap());
        command = std::process::Command::new(program);
        scratch.apply_environment(&mut command);
        // The checkout may lie in root's home, where this user may not go.
        command.current_dir("/");
        command.arg(crate::support::ORIGIN).uid(user).gid(user);
        fs::set_permissions(scratch.folder(), fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::chown(scratch.home(), Some(user), Some(user)).unwrap();
    }
    command.env_remove("LONGWIRE_DEBUGGABLE");
    let mut host = HostProcess::spawn(command);
    host.hello();
    // Nobody but root finds it by its environment.
    host.send(&json!({"type": "status", "id": "s"}));
    let status = host.find("status", |frame| frame["type"] == "status");
    let broker = u32::try_from(status["pid"].as_u64().unwrap()).unwrap();
    for process in [host.id(), broker] {
        // The system gives these to root when a process is not dumpable, in every build.
        let memory = fs::metadata(format!("/proc/{process}/mem")).unwrap();
        assert_eq!(memory.uid(), 0, "{process} can be read by {user}");
        let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
        let cores = limits.lines().find(|line| line.starts_with("Max core file size"));
        let cores: Vec<_> = cores.unwrap().split_whitespace().skip(4).take(2).collect();
        assert_eq!(cores, ["0", "0"]);
    }
    kill(i32::try_from(broker).unwrap());
}

#[test]
fn sockets_and_folders_are_accessible_only_to_the_user() {
    let scratch = Scratch::new();
    let _host = {
        let mut host = HostProcess::chromium(&scratch);
        host.hello();
        host
    };
    let socket = scratch.socket();
    let found = fs::symlink_metadata(&socket).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.uid(), rustix::process::geteuid().as_raw());
    assert_eq!(mode(&socket), 0o600);
    assert_eq!(mode(socket.parent().unwrap()), 0o700);
    let logs = scratch.logs();
    assert!(!logs.is_empty());
    for log in logs {
        assert_eq!(mode(&log), 0o600, "{}", log.display());
    }
    assert_eq!(mode(&scratch.home().join("logs")), 0o700);
}

/// Another user's process that connects to the socket in `LONGWIRE_IT_CONNECT`, or listens at that in
/// `LONGWIRE_IT_LISTEN` for one caller; run by the tests below.
#[test]
fn as_another_user() {
    if let Ok(socket) = std::env::var("LONGWIRE_IT_LISTEN") {
        let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
        drop(listener.accept().unwrap());
    }
    let Ok(socket) = std::env::var("LONGWIRE_IT_CONNECT") else {
        return;
    };
    let mut wire = RawPort::at(Path::new(&socket));
    wire.send(&json!({"longwire": 1, "kind": "admin", "pid": 1, "version": "test"}));
    wire.send(&json!({"type": "status", "id": "1"}));
    assert_eq!(wire.next(), None, "closed without an answer");
}

fn another_user(variable: &str, socket: &Path) -> std::process::Command {
    use std::os::unix::process::CommandExt as _;
    let mut command = std::process::Command::new("/proc/self/exe");
    command
        .args(["--exact", "broker_instance::access::as_another_user"])
        .env(variable, socket)
        .current_dir("/")
        .uid(65_534);
    command
}

#[test]
fn another_users_process_is_rejected() {
    if !crate::skip::is_root("only root may become another user") {
        return;
    }
    let scratch = Scratch::new();
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    // World-accessible, so that only the check of the peer can refuse.
    let run = scratch.home().join("run");
    for folder in [scratch.folder(), scratch.home(), &run] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(scratch.socket(), fs::Permissions::from_mode(0o666)).unwrap();
    let connecting = another_user("LONGWIRE_IT_CONNECT", &scratch.socket())
        .output()
        .unwrap();
    assert!(
        connecting.status.success(),
        "{}",
        String::from_utf8_lossy(&connecting.stdout)
    );
    assert!(
        scratch.log().contains("another user (65534)"),
        "{}",
        scratch.log()
    );
    host.ping("still here");
}

#[tokio::test]
async fn another_users_socket_is_not_trusted() {
    if !crate::skip::is_root("only root may become another user") {
        return;
    }
    let scratch = Scratch::new();
    let paths = longwire::paths::Paths::within(scratch.home().to_path_buf());
    let endpoint = longwire::local::Endpoint::of(&paths).unwrap();
    let run = scratch.home().join("run");
    fs::set_permissions(scratch.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&run, fs::Permissions::from_mode(0o777)).unwrap();
    let mut listening = another_user("LONGWIRE_IT_LISTEN", endpoint.address())
        .spawn()
        .unwrap();
    eventually(SOON, "it listens", || endpoint.address().exists().then_some(()));
    let met = loop {
        match longwire::local::connect(&endpoint).await {
            // Bound, and not listening yet.
            Err(longwire::local::LocalError::Absent(_)) => tokio::task::yield_now().await,
            met => break met,
        }
    };
    let refused = met.unwrap_err().to_string();
    assert!(refused.contains("another user (65534)"), "{refused}");
    listening.wait().unwrap();
}

#[test]
fn host_and_broker_write_no_core_files() {
    let scratch = Scratch::new();
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    // Nobody but root finds it by its environment.
    host.send(&json!({"type": "status", "id": "s"}));
    let status = host.find("status", |frame| frame["type"] == "status");
    let broker = u32::try_from(status["pid"].as_u64().unwrap()).unwrap();
    for process in [host.id(), broker] {
        let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"))
            .unwrap();
        let fields: Vec<_> = line.split_whitespace().collect();
        assert_eq!(&fields[4..6], ["0", "0"], "{line}");
    }
}
