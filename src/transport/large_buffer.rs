//! Frees large memory on another thread: for tens of megabytes the system takes many milliseconds.

use bytes::Bytes;

/// Smaller ones are given back at once.
const MIN_LARGE_BYTES: usize = 1 << 20;

/// Drops a buffer, a large one on another thread.
pub(super) fn discard(buffer: Vec<u8>) {
    if buffer.capacity() < MIN_LARGE_BYTES {
        return;
    }
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn_blocking(move || drop(buffer));
    }
}

/// Bytes that are freed in the same way.
pub(super) fn freeze(buffer: Vec<u8>) -> Bytes {
    if buffer.capacity() < MIN_LARGE_BYTES {
        Bytes::from(buffer)
    } else {
        Bytes::from_owner(Large(buffer))
    }
}

struct Large(Vec<u8>);

impl AsRef<[u8]> for Large {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        discard(std::mem::take(&mut self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frozen_bytes_are_equal_with_and_without_a_runtime() {
        let read = || {
            for size in [0, 10, MIN_LARGE_BYTES, MIN_LARGE_BYTES + 1] {
                let bytes = freeze(vec![7; size]);
                assert_eq!(bytes.len(), size);
                let part = bytes.slice(size / 2..);
                drop(bytes);
                assert!(part.iter().all(|byte| *byte == 7));
            }
            discard(vec![0; MIN_LARGE_BYTES]);
        };
        read();
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(async { read() });
    }
}
