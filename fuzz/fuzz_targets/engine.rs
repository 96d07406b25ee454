//! Any answer to an Engine.IO poll: no more packets and bytes than came, whatever the body says.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use longwire::core::dialect::engine::{Action, Engine, EngineStart};
use longwire::core::io::{Answer, EngineTransports, Incoming};

fuzz_target!(|data: &[u8]| {
    let transports = EngineTransports {
        websocket: false,
        ..EngineTransports::default()
    };
    let url = "ws://localhost/".parse().expect("a URL");
    let mut engine = Engine::new(url, transports, 1 << 20, EngineStart::default());
    for body in [
        &br#"0{"sid":"a","upgrades":[],"pingInterval":1000,"pingTimeout":1000}"#[..],
        data,
    ] {
        while engine.poll().is_some() {}
        engine.get_answered(&Answer {
            status: 200,
            body: Bytes::copy_from_slice(body),
            ..Answer::default()
        });
    }
    let (mut packets, mut bytes) = (0, 0);
    while let Some(action) = engine.poll() {
        if let Action::Packets(received) = action {
            packets += received.len();
            bytes += received
                .iter()
                .map(|one| match one {
                    Incoming::Message(payload) => payload.len(),
                    Incoming::TooLarge { .. } => 0,
                })
                .sum::<usize>();
        }
    }
    assert!(
        packets <= data.len() + 2 && bytes <= data.len() + 128,
        "{packets} packets, {bytes} bytes"
    );
});
