//! What the allocator takes for an allocation, because the queue counts that.

/// Returns what an allocation of so many bytes takes. The allocator of the layer's binary is that of zig's libc. It
/// adds 16 bytes and rounds up to a power of two or, beyond 32 KiB, to whole pages: an envelope of 5 KB takes 8 KiB.
pub(super) const fn allocated(bytes: usize) -> usize {
    const LARGEST_POWER: usize = 32 * 1024;
    const PAGE: usize = 4096;
    match bytes.saturating_add(16) {
        16 => 0,
        with_header if with_header <= LARGEST_POWER => with_header.next_power_of_two(),
        with_header => with_header.div_ceil(PAGE).saturating_mul(PAGE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allocated_is_rounded_up() {
        for (bytes, taken) in [
            (0, 0),
            (1, 32),
            (16, 32),
            (17, 64),
            (5000, 8192),
            (32_752, 32_768),
            (32_753, 36_864),
            (1 << 20, (1 << 20) + 4096),
        ] {
            assert_eq!(allocated(bytes), taken, "{bytes}");
        }
    }
}
