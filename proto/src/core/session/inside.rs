//! What is looked for inside of messages, so that large ones are read once, and beside the loop.

use crate::wire::json::Pointers;

use crate::core::dialect::outlines::{Unparsed, Unread};
use crate::core::io::{Incoming, LinkEvent};

use super::Session;

impl Session {
    /// Whether incoming messages have to be looked into before clients get them.
    pub(super) fn looks_inside(&self) -> bool {
        self.outgoing.looks_inside() || self.uplink.looks_inside(&self.options)
    }

    /// All pointers that are asked for when a message comes.
    pub(super) fn received_pointers(&self) -> Pointers {
        let mut pointers = Pointers::NONE;
        for line in &self.options.guard.receive {
            line.add_pointers(&mut pointers);
        }
        self.delivery.add_pointers(&mut pointers);
        self.outgoing.add_pointers(&mut pointers);
        self.options.add_pointers(&mut pointers);
        pointers
    }

    /// All pointers that are asked for when a message is sent.
    pub(crate) fn sent_pointers(&self) -> Pointers {
        let mut pointers = Pointers::NONE;
        for line in &self.options.guard.send {
            line.add_pointers(&mut pointers);
        }
        pointers
    }

    /// What an event of the dial holds that is large and will be asked about.
    pub(crate) fn unread(&mut self, event: &LinkEvent) -> Vec<Unread> {
        let unparsed = self.uplink.unread(&self.options, event);
        if !unparsed.is_empty() {
            let pointers = self.received_pointers();
            let unread = |content: Unparsed| Unread {
                content,
                pointers: pointers.clone(),
            };
            return unparsed.into_iter().map(unread).collect();
        }
        let is_asked = self.options.json
            || self.looks_inside()
            || !self.options.guard.receive.is_empty()
            || self.delivery.has_filters();
        match event {
            LinkEvent::Messages(messages) if is_asked => {
                let contents = messages.iter().filter_map(|message| match message {
                    Incoming::Message(payload) if payload.text_bytes().is_some() => {
                        Unread::new(payload.bytes(), || self.received_pointers())
                    }
                    _ => None,
                });
                contents.collect()
            }
            _ => Vec::new(),
        }
    }
}
