//! Ten thousand sessions that each receive one message a second.

use std::time::{Duration, Instant};

use crate::broker::Broker;
use crate::port::Port;
use crate::server::Server;
use crate::subject::Subject;

const SESSIONS: usize = 10_000;
/// Sessions of one port: the default limit of an origin and profile.
const SESSIONS_PER_PORT: usize = 250;
/// Two extensions, since one may have sessions in 32 profiles only.
const ORIGINS: [&str; 2] = [
    "chrome-extension://abcdefghijklmnopabcdefghijklmnop/",
    "chrome-extension://bcdefghijklmnopabcdefghijklmnopa/",
];
/// How long they are watched.
const OBSERVATION_TIME: Duration = Duration::from_secs(20);

pub(crate) fn print() {
    println!("{SESSIONS} sessions, a message a second each, acknowledged");
    let server = Server::start();
    let broker = Broker::start();
    let subjects = ORIGINS.map(|origin| Subject::longwire_of(&broker, origin));
    let mut ports: Vec<Port> = (0..SESSIONS / SESSIONS_PER_PORT)
        .map(|number| {
            let subject = &subjects[number % subjects.len()];
            let mut port = Port::open_as(subject, &format!("p{number}"));
            port.attach_many(&server.ticks(), SESSIONS_PER_PORT);
            port
        })
        .collect();
    server.tick();
    let start = Instant::now();
    let (before, hosts_before) = (broker.cpu(), hosts(&ports));
    let received: u64 = std::thread::scope(|scope| {
        let readers: Vec<_> = ports
            .iter_mut()
            .map(|port| scope.spawn(move || port.listen(start + OBSERVATION_TIME)))
            .collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).sum()
    });
    let took = start.elapsed().as_secs_f64();
    let share = |cpu: Duration| 100.0 * cpu.as_secs_f64() / took;
    println!("{:<34} {:>12.0}", "messages a second", received as f64 / took);
    println!(
        "{:<34} {:>11.1}%",
        "of one core, broker",
        share(broker.cpu().saturating_sub(before))
    );
    println!(
        "{:<34} {:>11.1}%",
        format!("of one core, its {} hosts", ports.len()),
        share(hosts(&ports) - hosts_before)
    );
    println!("{:<34} {:>12}", "broker, kB", broker.resident());
    for port in ports {
        port.end();
    }
}

fn hosts(ports: &[Port]) -> Duration {
    ports.iter().map(Port::cpu).sum()
}
