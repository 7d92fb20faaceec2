//! Packs the bodies and headers of envelopes that wait into blocks, so that their memory goes back to the system
//! afterwards.
//!
//! The allocator of the layer's binary keeps what allocations of up to 32 KiB have taken, and reuses it only for others
//! of that size. Larger ones it maps, and unmaps them when they are freed. Without blocks, an outage of seconds would
//! leave the memory of everything that waited with the extension, for as long as the environment lives.
//!
//! A block is freed when its last text is, and the queue counts only the envelopes that wait. So each lane and priority
//! has blocks of its own, which empty in the order in which they were filled. Else an upstream that fails could keep
//! the blocks of everything that another one takes.

use super::envelope::Envelope;
use super::lanes::LaneId;
use crate::protocol::Priority;
use bytes::{Bytes, BytesMut};

/// The bytes of a block. With the allocator's own 16 they are whole pages, and more than it would keep. What is not
/// used of them takes no memory.
const BLOCK: usize = 9 * 4096 - 16;
/// Larger bodies are mapped anyway.
const MAX_PACKED: usize = 32 * 1024 - 16;
/// So many envelopes wait in a lane before more are packed. What is delivered at once need not be copied.
const MIN_WAITING: usize = 32;

/// The blocks that have room for more, by lane and priority.
#[derive(Debug, Default)]
pub(super) struct Blocks(Vec<(LaneId, [BytesMut; Priority::COUNT])>);

impl Blocks {
    /// Puts the body and the headers of a new envelope of this lane into a block if that is worth it. `waiting` says
    /// how many envelopes wait in a lane.
    pub(super) fn pack(&mut self, envelope: &mut Envelope, lane: LaneId, waiting: impl Fn(LaneId) -> usize) {
        self.0.retain(|(lane, _)| waiting(*lane) >= MIN_WAITING);
        if waiting(lane) < MIN_WAITING {
            return;
        }
        if self.0.iter().all(|(known, _)| *known != lane) {
            self.0.push((lane, Default::default()));
        }
        let blocks = self.0.iter_mut().find(|(known, _)| *known == lane);
        let priority = envelope.priority() as usize;
        if let Some(block) = blocks.and_then(|(_, blocks)| blocks.get_mut(priority)) {
            envelope.headers.map(|text| store(block, text));
            envelope.body = store(block, std::mem::take(&mut envelope.body));
        }
    }
}

/// Copies bytes into a block, or into a new one if there is no room.
fn store(block: &mut BytesMut, bytes: Bytes) -> Bytes {
    if bytes.is_empty() || bytes.len() > MAX_PACKED {
        return bytes;
    }
    if block.capacity() < bytes.len() {
        *block = BytesMut::with_capacity(BLOCK);
    }
    block.extend_from_slice(&bytes);
    block.split().freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ItemKind;
    use crate::relay::envelope::sample;
    use hyper::header::{HeaderValue, USER_AGENT};

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

    impl Blocks {
        /// Packs an envelope with this body, and returns the body.
        fn pack_body(
            &mut self,
            body: Bytes,
            lane: LaneId,
            kind: ItemKind,
            waiting: impl Fn(LaneId) -> usize,
        ) -> Bytes {
            let mut envelope = Envelope { body, ..sample(kind, 0) };
            self.pack(&mut envelope, lane, waiting);
            envelope.body
        }
    }

    #[test]
    fn bodies_of_one_lane_and_priority_share_blocks_where_many_wait() {
        let mut blocks = Blocks::default();
        let (one, other) = lanes();
        let pointer = body(0, 5000);
        let few = |_| MIN_WAITING - 1;
        let packed = blocks.pack_body(pointer.clone(), one, ItemKind::Event, few);
        assert_eq!(packed.as_ptr(), pointer.as_ptr());
        let mut pack = |byte, length, lane, kind| {
            let packed = blocks.pack_body(body(byte, length), lane, kind, |_| MIN_WAITING);
            assert_eq!(packed, vec![byte; length]);
            packed
        };
        let errors: Vec<Bytes> = (1..=8).map(|byte| pack(byte, 5000, one, ItemKind::Event)).collect();
        let adjacent = errors.windows(2).filter(|pair| is_behind(&pair[1], &pair[0])).count();
        assert_eq!(adjacent, 6, "seven fit into a block");
        assert!(!is_behind(&pack(9, 5000, one, ItemKind::Span), &errors[7]));
        assert!(!is_behind(&pack(9, 5000, other, ItemKind::Event), &errors[7]));
        assert!(is_behind(&pack(10, 20_000, one, ItemKind::Event), &errors[7]));
        let large = body(11, MAX_PACKED + 1);
        let packed = blocks.pack_body(large.clone(), one, ItemKind::Event, |_| MIN_WAITING);
        assert_eq!(packed.as_ptr(), large.as_ptr());
        assert!(errors.iter().zip(1..).all(|(body, byte)| *body == vec![byte; 5000]));
    }

    #[test]
    fn headers_are_in_the_block_of_the_body() {
        let mut blocks = Blocks::default();
        let headers = vec![(USER_AGENT, HeaderValue::from_static("sdk"))];
        let mut envelope = Envelope { headers: headers.clone().into(), ..sample(ItemKind::Event, 100) };
        let (taken, lane) = (envelope.headers.allocated(), lanes().0);
        blocks.pack(&mut envelope, lane, |_| MIN_WAITING);
        let mut text = None;
        envelope.headers.map(|headers| {
            text = Some(headers.clone());
            headers
        });
        assert!(is_behind(&envelope.body, &text.unwrap()));
        assert_eq!(envelope.headers.iter().collect::<Vec<_>>(), headers);
        assert_eq!(envelope.headers.allocated(), taken, "the queue counts it as before");
    }

    #[test]
    fn what_is_delivered_at_once_is_in_no_block_of_an_upstream_that_fails() {
        let mut blocks = Blocks::default();
        let (failing, healthy) = lanes();
        let waiting = |lane| if lane == failing { 10 * MIN_WAITING } else { 1 };
        let mut waits = Vec::new();
        for _ in 0..20 {
            waits.push(blocks.pack_body(body(1, 100), failing, ItemKind::Event, waiting));
            let passing = body(2, 5000);
            let packed = blocks.pack_body(passing.clone(), healthy, ItemKind::Event, waiting);
            assert_eq!(packed.as_ptr(), passing.as_ptr());
        }
        assert!(waits.windows(2).all(|pair| is_behind(&pair[1], &pair[0])), "20 envelopes keep one block");
    }

    #[test]
    fn nothing_is_kept_for_those_that_do_not_come() {
        let mut blocks = Blocks::default();
        let (one, other) = lanes();
        let first = blocks.pack_body(body(1, 100), one, ItemKind::Event, |_| MIN_WAITING);
        blocks.pack_body(Bytes::new(), other, ItemKind::Event, |_| 0);
        assert!(first.try_into_mut().is_ok(), "no one else has a part of the block");
    }
}
