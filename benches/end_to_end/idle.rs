//! Costs without traffic: memory of host, broker and idle sessions, and how often a process wakes up.

use std::time::Duration;

use crate::broker::Broker;
use crate::measure::{self, Down};
use crate::port::Port;
use crate::server::Server;
use crate::subject::Subject;
use crate::tls::TlsServer;

/// Sessions of one port: the default limit of an origin and profile.
const SESSIONS_PER_PORT: usize = 250;
/// How long nothing happens.
const SETTLE_TIME: Duration = Duration::from_secs(5);

/// `busy` is measured beside the idle sessions, too.
pub(crate) fn print(busy: &Down) {
    println!("resident memory, kB");
    let server = Server::start();
    let broker = Broker::start();
    let subject = Subject::longwire(&broker);
    let port = Port::open(&subject);
    line("host", port.resident());
    let empty = broker.resident();
    line("broker, a port and no session", empty);
    let asleep = wakeups(&broker, &port);
    port.close();
    let (ports, awake) = sessions(&broker, &subject, &server.echo(), empty, "idle sessions");
    let beside = measure::down(&server, &broker, &subject, busy);
    end(ports);

    let server = TlsServer::start();
    let broker = Broker::start_with(&[("SSL_CERT_FILE", server.authority().as_os_str())]);
    let subject = Subject::longwire(&broker);
    let port = Port::open(&subject);
    let empty = broker.resident();
    port.close();
    let (ports, _) = sessions(&broker, &subject, &server.url(), empty, "idle sessions over TLS");
    end(ports);

    println!("wake-ups a second");
    println!("{:<34} {:>12.1}", "broker, no session", asleep.0);
    println!("{:<34} {:>12.1}", "host, no session", asleep.1);
    println!("{:<34} {:>12.1}", "broker, 5000 sessions, no heartbeat", awake.0);
    println!("{:<34} {:>12.1}", "host, 250 of them", awake.1);
    println!("{}, beside 5000 idle sessions", busy.name);
    println!("{:<34} {:>12.0}", "messages a second", beside.rate);
    if let Some((broker, _)) = beside.cpu {
        println!("{:<34} {:>12.2}", "CPU us a message, broker", broker * 1e6);
    }
}

/// Opens sessions by and by; how often broker and host wake up when all are open.
fn sessions(
    broker: &Broker,
    subject: &Subject,
    url: &str,
    empty: u64,
    name: &str,
) -> (Vec<Port>, (f64, f64)) {
    let mut ports = Vec::new();
    for sessions in [1000, 5000] {
        while ports.len() * SESSIONS_PER_PORT < sessions {
            let mut port = Port::open_as(subject, &format!("p{}", ports.len()));
            port.attach_many(url, SESSIONS_PER_PORT);
            ports.push(port);
        }
        let each = (broker.resident() - empty) as f64 / sessions as f64;
        println!("{:<34} {each:>12.1}", format!("each of {sessions} {name}"));
    }
    let awake = wakeups(broker, &ports[0]);
    (ports, awake)
}

fn end(ports: Vec<Port>) {
    for port in ports {
        port.end();
    }
}

/// How often a second broker and host wake up.
fn wakeups(broker: &Broker, port: &Port) -> (f64, f64) {
    // What happened just before is over when a whole second has brought nothing.
    loop {
        let before = broker.wakeups();
        std::thread::sleep(Duration::from_secs(1));
        if broker.wakeups() - before < 2 {
            break;
        }
    }
    let before = (broker.wakeups(), port.wakeups());
    std::thread::sleep(SETTLE_TIME);
    let a_second = |count: u64| count as f64 / SETTLE_TIME.as_secs_f64();
    (
        a_second(broker.wakeups() - before.0),
        a_second(port.wakeups() - before.1),
    )
}

fn line(name: &str, kilobytes: u64) {
    println!("{name:<34} {kilobytes:>12}");
}
