//! What an empty session costs the core, counted byte by byte.
//!
//! What a link costs besides (its task, its buffers) is measured by `scripts/bench idle`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use longwire::core::io::{Input, LinkEvent, Output};
use serde_json::json;

use crate::stage::{PORT, Stage};

/// Bytes that a session with an empty log may cost.
const MOST: i64 = 12 * 1024;

thread_local! {
    /// Bytes this thread has taken and not given back.
    static HELD: Cell<i64> = const { Cell::new(0) };
}

struct Counting;

fn count(bytes: usize, sign: i64) {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    // A thread that ends gives back what it has when its counter is gone already.
    let _ = HELD.try_with(|held| held.set(held.get() + sign * bytes));
}

#[expect(unsafe_code, reason = "an allocator is unsafe by nature")]
// SAFETY: every call goes to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(layout.size(), -1);
        count(size, 1);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Opens sessions with open links, acknowledges everything, and forgets what was said.
fn open(stage: &mut Stage, durability: &str, sessions: std::ops::Range<usize>) {
    for number in sessions {
        let session = format!("session-{number}");
        stage.says(
            PORT,
            json!({"type": "open", "id": "o", "session": session, "url": "wss://127.0.0.1:1/prices",
                "options": {"durability": durability}}),
        );
        let dial = stage.asked.iter().find_map(|output| match output {
            Output::Dial(dial, _) => Some(*dial),
            _ => None,
        });
        let opened = LinkEvent::Opened {
            subprotocol: None,
            extensions: None,
        };
        stage.give(Input::Link(dial.expect("it dials"), opened));
        let newest = stage
            .told
            .iter()
            .filter_map(|(_, frame)| frame["seq"].as_u64())
            .max();
        stage.says(PORT, json!({"type": "ack", "session": session, "seq": newest}));
        stage.told.clear();
        stage.asked.clear();
    }
}

#[test]
fn an_empty_session_costs_less_than_twelve_kilobytes() {
    for durability in ["memory", "disk"] {
        let mut stage = Stage::seated();
        open(&mut stage, durability, 0..64);
        let before = HELD.get();
        open(&mut stage, durability, 64..128);
        let each = (HELD.get() - before) / 64;
        assert!(each < MOST, "a session in `{durability}` costs {each} bytes");
        assert!(each > 100, "nothing was counted");
    }
}
