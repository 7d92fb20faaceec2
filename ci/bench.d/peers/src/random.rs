//! The random number generator splitmix64. The same seed gives the same numbers on every machine.

/// A random number for the nth of something. Calls from several threads need no order.
pub(crate) fn nth(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A sequence of random numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random {
    seed: u64,
    n: u64,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, n: 0 }
    }

    /// Returns a number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.n += 1;
        nth(self.seed, self.n) % end
    }

    /// Returns true once in so many calls, on average.
    pub(crate) fn once_in(&mut self, calls: u64) -> bool {
        self.below(calls) == 0
    }
}
