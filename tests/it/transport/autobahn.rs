//! The Autobahn suite's fuzzing server, which judges clients case by case.
//!
//! It needs Python 2 (`pip install autobahntestsuite==0.8.2`) and takes minutes, so it runs on request:
//! `AUTOBAHN=ws://127.0.0.1:9001 cargo test --test it transport::autobahn -- --ignored --nocapture`, with
//! `wstest -m fuzzingserver` at that address. Its verdicts are in its own report folder.

use longwire::core::io::{Incoming, LinkEvent};

use super::{TestLink, target};

/// Echoes whatever it receives; returns the messages received.
async fn echo(url: String) -> Vec<Incoming> {
    let mut target = target(url);
    target.compression = true;
    let mut link = TestLink::dial(target);
    let mut received = Vec::new();
    loop {
        match link.next().await {
            LinkEvent::Messages(messages) => {
                for message in &messages {
                    if let Incoming::Message(payload) = message {
                        link.transmit(payload.clone());
                    }
                }
                received.extend(messages);
            }
            LinkEvent::Ended(_) => return received,
            _ => {}
        }
    }
}

#[tokio::test]
#[ignore = "needs a fuzzing server"]
async fn every_autobahn_case_passes() {
    let Ok(server) = std::env::var("AUTOBAHN") else {
        return;
    };
    let count = match echo(format!("{server}/getCaseCount")).await.pop() {
        Some(Incoming::Message(count)) => count.as_str().unwrap().parse::<u32>().unwrap(),
        other => panic!("no count: {other:?}"),
    };
    for case in 1..=count {
        echo(format!("{server}/runCase?case={case}&agent=longwire")).await;
        if case % 50 == 0 {
            println!("{case} of {count}");
        }
    }
    echo(format!("{server}/updateReports?agent=longwire")).await;
    assert!(count > 0);
}
