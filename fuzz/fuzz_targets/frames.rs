//! Any bytes on the pipe, split at any place: same frames as unsplit, no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use longwire::wire::batch::Shape;
use longwire::wire::frame::{FROM_BROWSER, Frames, Taken};
use longwire::wire::part::Joiner;

fn all(chunks: &[&[u8]]) -> Vec<Taken> {
    let mut frames = Frames::new(FROM_BROWSER);
    let mut taken = Vec::new();
    for chunk in chunks {
        frames.push(chunk);
        while let Some(frame) = frames.take() {
            taken.push(frame);
        }
    }
    taken
}

fuzz_target!(|data: &[u8]| {
    let whole = all(&[data]);
    let (head, tail) = data.split_at(data.first().map_or(0, |at| usize::from(*at)).min(data.len()));
    assert_eq!(whole, all(&[head, tail]));
    let mut joiner = Joiner::default();
    for taken in &whole {
        if let Taken::Frame(frame) = taken
            && let Ok(Shape::Part(part)) = Shape::of(frame)
        {
            let _ = joiner.join(&part);
        }
    }
});
