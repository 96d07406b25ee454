//! What costs when nothing happens: memory of host, broker and idle sessions.

use crate::broker::Broker;
use crate::port::Port;
use crate::server::Server;
use crate::subject::Subject;

/// Sessions of one port: the default limit of an origin and profile.
const A_PORT: usize = 250;

pub(crate) fn print() {
    println!("resident memory, kB");
    let server = Server::start();
    let broker = Broker::start();
    let subject = Subject::longwire(&broker);
    let mut port = Port::open(&subject);
    line("host", port.resident());
    let empty = broker.resident();
    line("broker, a port and no session", empty);
    port.close();
    let mut ports = Vec::new();
    for sessions in [1000, 5000] {
        while ports.len() * A_PORT < sessions {
            port = Port::open_as(&subject, &format!("p{}", ports.len()));
            port.attach_many(&server.echo(), A_PORT);
            ports.push(port);
        }
        let each = (broker.resident() - empty) as f64 / sessions as f64;
        println!("{:<34} {each:>12.1}", format!("each of {sessions} idle sessions"));
    }
    for port in ports {
        port.end();
    }
}

fn line(name: &str, kilobytes: u64) {
    println!("{name:<34} {kilobytes:>12}");
}
