//! Permits to examine large contents: one at a time for each extension.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::wire::record::Name;

/// A permit for each extension.
#[derive(Debug, Clone, Default)]
pub(super) struct ReadPermits(Arc<Mutex<HashMap<Name, Arc<Semaphore>>>>);

impl ReadPermits {
    /// Gives one permit: for the extension's large contents.
    pub(super) fn of(&self, origin: &Name) -> Arc<Semaphore> {
        // Nothing in here can panic halfway.
        let mut read_permits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        read_permits.retain(|_, read_permit| Arc::strong_count(read_permit) > 1);
        let read_permit = read_permits.entry(origin.clone());
        read_permit.or_insert_with(|| Arc::new(Semaphore::new(1))).clone()
    }
}
