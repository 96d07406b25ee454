//! What Socket.IO's connection state recovery needs after a loss.

use std::collections::HashMap;

/// What a server that remembers connections needs to know to go on; by namespace.
#[derive(Debug, Default)]
pub(crate) struct Recovery(pub(super) HashMap<String, (String, Option<String>)>);
