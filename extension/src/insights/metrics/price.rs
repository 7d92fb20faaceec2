//! What Lambda costs, by region and architecture, for an estimate. Pure.
//!
//! The prices are those on <https://aws.amazon.com/lambda/pricing/> as AWS Lambda Power Tuning and other public tables
//! repeat them, in November 2026: the first tier, on demand, without the free tier. A region that is not here has no
//! estimate, because a wrong one would be worse than none.

/// The price of a request, in US dollars, where the price of time is the usual one.
const REQUEST: f64 = 0.20e-6;
/// The price of a GB-second in US dollars, on `x86_64` and on arm64.
type GbSecond = [f64; 2];
const USUAL: GbSecond = [0.000_016_666_7, 0.000_013_333_4];

/// The regions with the usual price.
const USUAL_REGIONS: &str = "us-east-1 us-east-2 us-west-1 us-west-2 ca-central-1 sa-east-1 eu-west-1 eu-west-2 \
     eu-west-3 eu-central-1 eu-north-1 ap-south-1 ap-southeast-1 ap-southeast-2 ap-northeast-1 ap-northeast-2 \
     ap-northeast-3";
/// The others. A request costs more there by the same factor, as far as is known.
const OTHERS: [(&str, GbSecond); 5] = [
    ("af-south-1", [0.000_022_1, 0.000_017_68]),
    ("ap-east-1", [0.000_022_92, 0.000_018_3]),
    ("eu-south-1", [0.000_019_517_2, 0.000_015_613_8]),
    ("me-central-1", [0.000_020_666_7, 0.000_016_533_4]),
    ("me-south-1", [0.000_020_666_7, 0.000_016_533_4]),
];

/// Returns what an invocation costs, in US dollars: its request, and its time by its memory. `None`: the price is not
/// known here.
pub(super) fn of(region: &str, is_arm: bool, billed_ms: f64, memory_mb: f64) -> Option<f64> {
    let gb_second = of_time(region)?.get(usize::from(is_arm)).copied()?;
    let request = REQUEST * of_time(region)?[0] / USUAL[0];
    Some(request + billed_ms / 1000.0 * memory_mb / 1024.0 * gb_second)
}

fn of_time(region: &str) -> Option<GbSecond> {
    if USUAL_REGIONS.split(' ').any(|usual| usual == region) {
        return Some(USUAL);
    }
    OTHERS.iter().find(|(name, _)| *name == region).map(|(_, price)| *price)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_invocations() {
        let million =
            |region, is_arm| of(region, is_arm, 100.0, 1024.0).map(|one| (one * 1e8).round() / 100.0);
        // 0.20 for the requests, and 100,000 GB-seconds.
        assert_eq!(million("us-east-1", false), Some(1.87));
        assert_eq!(million("us-east-1", true), Some(1.53));
        assert_eq!(million("ap-east-1", true), Some(2.11));
        assert_eq!(million("mars-north-1", false), None);
        assert_eq!(million("", false), None);
    }
}
