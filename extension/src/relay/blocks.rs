//! Packs the bodies of envelopes that wait into blocks, so that their memory goes back to the system afterwards.
//!
//! The allocator of the layer's binary keeps what allocations of up to 32 KiB have taken, and reuses it only for others
//! of that size. Larger ones it maps, and unmaps them when they are freed. Without blocks, an outage of seconds would
//! leave the memory of everything that waited with the extension, for as long as the environment lives.
//!
//! A block is freed when its last body is. So each priority has blocks of its own, because the queue takes from one
//! priority in the order in which envelopes came.

use crate::protocol::Priority;
use bytes::{Bytes, BytesMut};

/// The bytes of a block. With the allocator's own 16 they are whole pages, and more than it would keep. What is not
/// used of them takes no memory.
const BLOCK: usize = 9 * 4096 - 16;
/// Larger bodies are mapped anyway.
const MAX_PACKED: usize = 32 * 1024 - 16;
/// So many envelopes wait before bodies are packed. What is delivered at once need not be copied.
const MIN_WAITING: usize = 32;

/// The blocks that have room for more, by priority.
#[derive(Debug, Default)]
pub(super) struct Blocks([BytesMut; Priority::COUNT]);

impl Blocks {
    /// Returns the body of a new envelope, in a block if it is worth that. `waiting` envelopes wait before it.
    pub(super) fn pack(&mut self, body: Bytes, priority: Priority, waiting: usize) -> Bytes {
        if waiting < MIN_WAITING {
            if self.0.iter().any(|block| block.capacity() > 0) {
                *self = Self::default();
            }
            return body;
        }
        let Some(block) = self.0.get_mut(priority as usize).filter(|_| body.len() <= MAX_PACKED) else {
            return body;
        };
        if block.capacity() < body.len() {
            *block = BytesMut::with_capacity(BLOCK);
        }
        block.extend_from_slice(&body);
        block.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_behind(second: &Bytes, first: &Bytes) -> bool {
        first.as_ptr().wrapping_add(first.len()) == second.as_ptr()
    }

    #[test]
    fn bodies_of_one_priority_share_blocks_where_many_wait() {
        let mut blocks = Blocks::default();
        let body = |byte: u8, length: usize| Bytes::from(vec![byte; length]);
        let pointer = body(0, 5000);
        assert_eq!(blocks.pack(pointer.clone(), Priority::Error, MIN_WAITING - 1).as_ptr(), pointer.as_ptr());
        let mut pack = |byte, length, priority| {
            let packed = blocks.pack(body(byte, length), priority, MIN_WAITING);
            assert_eq!(packed, vec![byte; length]);
            packed
        };
        let errors: Vec<Bytes> = (1..=8).map(|byte| pack(byte, 5000, Priority::Error)).collect();
        let adjacent = errors.windows(2).filter(|pair| is_behind(&pair[1], &pair[0])).count();
        assert_eq!(adjacent, 6, "seven fit into a block");
        let span = pack(9, 5000, Priority::Span);
        assert!(!is_behind(&span, &errors[7]));
        assert!(is_behind(&pack(10, 20_000, Priority::Error), &errors[7]));
        let large = body(11, MAX_PACKED + 1);
        assert_eq!(blocks.pack(large.clone(), Priority::Error, MIN_WAITING).as_ptr(), large.as_ptr());
        assert!(errors.iter().zip(1..).all(|(body, byte)| *body == vec![byte; 5000]));
    }

    #[test]
    fn nothing_is_kept_for_those_that_do_not_come() {
        let mut blocks = Blocks::default();
        let first = blocks.pack(Bytes::from(vec![1; 100]), Priority::Error, MIN_WAITING);
        blocks.pack(Bytes::new(), Priority::Error, 0);
        assert!(first.try_into_mut().is_ok(), "no one else has a part of the block");
    }
}
