//! Messages that wait to be written: up to four lanes, the most urgent first, each in its order.
//!
//! It keeps serial numbers only; what they mean is the outbox's.

use std::collections::VecDeque;

/// How many lanes there are.
pub(crate) const LANES: usize = 4;
/// Serial numbers in lanes. Lane 0 goes first.
#[derive(Debug, Default)]
pub(crate) struct LaneQueues([VecDeque<u64>; LANES]);

impl LaneQueues {
    /// Behind the others of its lane. A lane that does not exist is the last.
    pub(crate) fn push_back(&mut self, lane: u8, serial: u64) {
        self.lane(lane).push_back(serial);
    }

    /// In front of the others of its lane.
    pub(crate) fn push_front(&mut self, lane: u8, serial: u64) {
        self.lane(lane).push_front(serial);
    }

    /// The next to go.
    pub(crate) fn pop_front(&mut self) -> Option<u64> {
        self.0.iter_mut().find_map(VecDeque::pop_front)
    }

    /// Takes one out; whether it was there.
    pub(crate) fn remove(&mut self, lane: u8, serial: u64) -> bool {
        let lane = self.lane(lane);
        let found = lane.iter().position(|queued| *queued == serial);
        found.and_then(|index| lane.remove(index)).is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(VecDeque::len).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(VecDeque::is_empty)
    }

    fn lane(&mut self, lane: u8) -> &mut VecDeque<u64> {
        let last = LANES - 1;
        &mut self.0[usize::from(lane).min(last)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urgent_lanes_go_first_and_each_lane_is_fifo() {
        let mut lanes = LaneQueues::default();
        for (lane, serial) in [(1, 1), (3, 2), (1, 3), (0, 4), (9, 5)] {
            lanes.push_back(lane, serial);
        }
        lanes.push_front(1, 6);
        assert!(lanes.remove(3, 2) && !lanes.remove(3, 2));
        let order: Vec<u64> = std::iter::from_fn(|| lanes.pop_front()).collect();
        assert_eq!(order, [4, 6, 1, 3, 5]);
        assert!(lanes.is_empty());
    }
}
