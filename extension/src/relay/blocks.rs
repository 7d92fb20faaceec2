//! Packs the bodies of envelopes that wait into blocks, so that their memory goes back to the system afterwards.
//!
//! The allocator of the layer's binary keeps what allocations of up to 32 KiB have taken, and reuses it only for others
//! of that size. Larger ones it maps, and unmaps them when they are freed. Without blocks, an outage of seconds would
//! leave the memory of everything that waited with the extension, for as long as the environment lives.
//!
//! A block is freed when its last body is, and the queue counts only the bodies that wait. So each lane and priority
//! has blocks of its own, which empty in the order in which they were filled. Else an upstream that fails could keep
//! the blocks of everything that another one takes.

use super::lanes::LaneId;
use crate::protocol::Priority;
use bytes::{Bytes, BytesMut};

/// The bytes of a block. With the allocator's own 16 they are whole pages, and more than it would keep. What is not
/// used of them takes no memory.
const BLOCK: usize = 9 * 4096 - 16;
/// Larger bodies are mapped anyway.
const MAX_PACKED: usize = 32 * 1024 - 16;
/// So many envelopes wait in a lane before bodies are packed. What is delivered at once need not be copied.
const MIN_WAITING: usize = 32;

/// The blocks that have room for more, by lane and priority.
#[derive(Debug, Default)]
pub(super) struct Blocks(Vec<(LaneId, [BytesMut; Priority::COUNT])>);

impl Blocks {
    /// Returns the body of a new envelope of this lane, in a block if it is worth that. `waiting` says how many
    /// envelopes wait in a lane.
    pub(super) fn pack(
        &mut self,
        body: Bytes,
        lane: LaneId,
        priority: Priority,
        waiting: impl Fn(LaneId) -> usize,
    ) -> Bytes {
        self.0.retain(|(lane, _)| waiting(*lane) >= MIN_WAITING);
        if waiting(lane) < MIN_WAITING || body.len() > MAX_PACKED {
            return body;
        }
        if self.0.iter().all(|(known, _)| *known != lane) {
            self.0.push((lane, Default::default()));
        }
        let blocks = self.0.iter_mut().find(|(known, _)| *known == lane);
        let Some(block) = blocks.and_then(|(_, blocks)| blocks.get_mut(priority as usize)) else {
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

    fn body(byte: u8, length: usize) -> Bytes {
        Bytes::from(vec![byte; length])
    }

    fn lanes() -> (LaneId, LaneId) {
        let mut all = LaneId::all();
        (all.next().unwrap(), all.next().unwrap())
    }

    #[test]
    fn bodies_of_one_lane_and_priority_share_blocks_where_many_wait() {
        let mut blocks = Blocks::default();
        let (one, other) = lanes();
        let pointer = body(0, 5000);
        let few = |_| MIN_WAITING - 1;
        assert_eq!(blocks.pack(pointer.clone(), one, Priority::Error, few).as_ptr(), pointer.as_ptr());
        let mut pack = |byte, length, lane, priority| {
            let packed = blocks.pack(body(byte, length), lane, priority, |_| MIN_WAITING);
            assert_eq!(packed, vec![byte; length]);
            packed
        };
        let errors: Vec<Bytes> = (1..=8).map(|byte| pack(byte, 5000, one, Priority::Error)).collect();
        let adjacent = errors.windows(2).filter(|pair| is_behind(&pair[1], &pair[0])).count();
        assert_eq!(adjacent, 6, "seven fit into a block");
        assert!(!is_behind(&pack(9, 5000, one, Priority::Span), &errors[7]));
        assert!(!is_behind(&pack(9, 5000, other, Priority::Error), &errors[7]));
        assert!(is_behind(&pack(10, 20_000, one, Priority::Error), &errors[7]));
        let large = body(11, MAX_PACKED + 1);
        let packed = blocks.pack(large.clone(), one, Priority::Error, |_| MIN_WAITING);
        assert_eq!(packed.as_ptr(), large.as_ptr());
        assert!(errors.iter().zip(1..).all(|(body, byte)| *body == vec![byte; 5000]));
    }

    #[test]
    fn what_is_delivered_at_once_is_in_no_block_of_an_upstream_that_fails() {
        let mut blocks = Blocks::default();
        let (failing, healthy) = lanes();
        let waiting = |lane| if lane == failing { 10 * MIN_WAITING } else { 1 };
        let mut waits = Vec::new();
        for _ in 0..20 {
            waits.push(blocks.pack(body(1, 100), failing, Priority::Error, waiting));
            let passing = body(2, 5000);
            let packed = blocks.pack(passing.clone(), healthy, Priority::Error, waiting);
            assert_eq!(packed.as_ptr(), passing.as_ptr());
        }
        assert!(waits.windows(2).all(|pair| is_behind(&pair[1], &pair[0])), "20 envelopes keep one block");
    }

    #[test]
    fn nothing_is_kept_for_those_that_do_not_come() {
        let mut blocks = Blocks::default();
        let (one, other) = lanes();
        let first = blocks.pack(body(1, 100), one, Priority::Error, |_| MIN_WAITING);
        blocks.pack(Bytes::new(), other, Priority::Error, |_| 0);
        assert!(first.try_into_mut().is_ok(), "no one else has a part of the block");
    }
}
