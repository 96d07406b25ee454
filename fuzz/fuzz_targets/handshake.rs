//! Any answer of a server to the handshake: taken or refused, and never taken without the right key.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use longwire::core::io::{ProxyChoice, Target, TransportKind};
use longwire::transport::fuzzing::handshake;

fuzz_target!(|answer: &[u8]| {
    let target = Target {
        origin: None,
        jar: None,
        url: "ws://localhost/".parse().unwrap(),
        subprotocols: vec!["a".to_owned()],
        headers: Vec::new(),
        connect_timeout: Duration::from_secs(1),
        proxy: ProxyChoice::None,
        compression: true,
        json: false,
        max_message: 1 << 20,
        transport: TransportKind::WebSocket,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let is_taken = runtime.block_on(handshake(answer, &target));
    assert!(!is_taken, "the key is a new one each time");
});
