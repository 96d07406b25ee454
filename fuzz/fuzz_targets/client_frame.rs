//! Any bytes as a frame of an extension: read, or refused with a sentence.
#![no_main]

use libfuzzer_sys::fuzz_target;
use longwire::wire::batch::Shape;
use longwire::wire::message::ClientFrame;

fuzz_target!(|data: &[u8]| {
    match ClientFrame::parse(data) {
        Ok(_) => {}
        Err(refusal) => assert!(!refusal.error.message.is_empty()),
    }
    if let Ok(Shape::Batch(frames)) = Shape::of(data) {
        for frame in frames {
            let _ = ClientFrame::parse(frame.get().as_bytes());
        }
    }
});
