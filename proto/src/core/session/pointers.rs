//! What is looked for inside of messages, so that large ones are read once, and beside the event loop.

use crate::wire::json::Pointers;
use crate::wire::options::Options;

use crate::core::dialect::outlines::Unread;
use crate::core::io::{Incoming, LinkEvent};

use super::delivery::Delivery;
use super::outgoing::Outgoing;
use super::uplink::Uplink;

/// All pointers that are asked for when a message comes.
pub(super) fn received_pointers(options: &Options, delivery: &Delivery, outgoing: &Outgoing) -> Pointers {
    let mut pointers = Pointers::NONE;
    for line in &options.guard.receive {
        line.add_pointers(&mut pointers);
    }
    delivery.add_pointers(&mut pointers);
    outgoing.add_pointers(&mut pointers);
    options.add_pointers(&mut pointers);
    pointers
}

/// Whether incoming messages have to be looked into before clients get them.
pub(super) fn looks_inside(options: &Options, uplink: &Uplink, outgoing: &Outgoing) -> bool {
    outgoing.looks_inside() || uplink.looks_inside(options)
}

/// What an event of the dial holds that is large and will be asked about.
pub(super) fn unread(
    options: &Options,
    uplink: &mut Uplink,
    outgoing: &Outgoing,
    delivery: &Delivery,
    event: &LinkEvent,
) -> Vec<Unread> {
    let pointers = || received_pointers(options, delivery, outgoing);
    let unparsed = uplink.unread(options, event);
    if !unparsed.is_empty() {
        let pointers = pointers();
        let unread = unparsed.into_iter().map(|content| Unread {
            content,
            pointers: pointers.clone(),
        });
        return unread.collect();
    }
    let is_asked = options.json
        || looks_inside(options, uplink, outgoing)
        || !options.guard.receive.is_empty()
        || delivery.has_filters();
    match event {
        LinkEvent::Messages(messages) if is_asked => unread_messages(messages, pointers),
        _ => Vec::new(),
    }
}

fn unread_messages(messages: &[Incoming], pointers: impl Fn() -> Pointers) -> Vec<Unread> {
    let contents = messages.iter().filter_map(|message| match message {
        Incoming::Message(payload) if payload.text_bytes().is_some() => {
            Unread::new(payload.bytes(), &pointers)
        }
        _ => None,
    });
    contents.collect()
}
