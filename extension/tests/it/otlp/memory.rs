//! Requests that are made to cost more than they have bytes.

use super::{JSON, OTLP, PROTOBUF, metrics, start};
use crate::gateway::{gzip, send};
use crate::relay::delivery_test::DeliveryTest;
use crate::support::{memory::Memory, netns::isolated};
use hyper::Method;

const MIB: usize = 1 << 20;

/// Writes a field of protobuf, however long it is.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap());
    [&out, bytes].concat()
}

/// Puts the data of one metric into a request.
fn request(data: &[u8]) -> Vec<u8> {
    let metric = [field(1, b"attack"), data.to_vec()].concat();
    field(1, &field(2, &field(2, &metric)))
}

/// Posts this, and returns the response and by how much the extension's memory has grown meanwhile.
async fn post(test: &DeliveryTest, headers: &[(&str, &str)], body: Vec<u8>) -> (String, usize) {
    let before = Memory::of(test.extension.pid()).most;
    let answer = send(OTLP, Method::POST, "/v1/metrics", headers, body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    (answer.body, Memory::of(test.extension.pid()).most.saturating_sub(before))
}

#[test]
fn half_a_million_empty_data_points_cost_no_more_than_their_bytes() {
    isolated(|| async {
        let test = start(&[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")]).await;
        let points = 500_000;
        let protobuf = request(&field(5, &b"\x0a\0".repeat(points)));
        let json = format!(
            "{{\"resourceMetrics\":[{{\"scopeMetrics\":[{{\"metrics\":[{{\"name\":\"attack\",\"gauge\":\
             {{\"dataPoints\":[{}{{}}]}}}}]}}]}}]}}",
            "{},".repeat(points - 1)
        );
        let plain = protobuf.len();
        let (answer, grown) = post(&test, &[PROTOBUF, ("content-encoding", "gzip")], gzip(&protobuf)).await;
        assert!(answer.contains("no value") && grown < plain + 4 * MIB, "{grown} bytes: {answer}");
        let (answer, grown) = post(&test, &[JSON], json.into_bytes()).await;
        assert!(answer.contains("\"rejectedDataPoints\":\"500000\""), "{answer}");
        assert!(grown < 3 * points + 4 * MIB, "{grown} bytes");
        assert_eq!(test.shut_down().await.0.accepted, 0);
    });
}

#[test]
fn histograms_and_attributes_are_not_multiplied() {
    isolated(|| async {
        let test = start(&[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")]).await;
        // Each data point says that a million values were measured, and has a hundred attributes, one of a megabyte.
        let attribute = |name: String, bytes: usize| {
            let value = field(1, &vec![b'x'; bytes]);
            field(9, &[field(1, name.as_bytes()), field(2, &value)].concat())
        };
        let attributes: Vec<u8> = (0..99).flat_map(|n| attribute(format!("k{n}"), 1100)).collect();
        let long = attribute("long".to_owned(), MIB);
        let count = [&[4 << 3 | 1][..], &1_000_000_u64.to_le_bytes()].concat();
        let sum = [&[5 << 3 | 1][..], &5e6_f64.to_le_bytes()].concat();
        let point = field(1, &[long, count, sum, attributes].concat());
        let data = field(9, &[point.repeat(5), vec![2 << 3, 1]].concat());
        let body = request(&data);
        let sent = body.len();
        let (answer, grown) = post(&test, &[PROTOBUF], body).await;
        eprintln!("{sent} bytes: {grown} bytes of memory");
        assert!(grown < sent + 12 * MIB, "{grown} bytes of memory for {sent}: {answer}");
        let (counts, upstream) = test.shut_down().await;
        assert_eq!(counts.delivered, counts.accepted);
        for metric in upstream.arrivals().iter().flat_map(metrics) {
            assert!(metric["attributes"].as_object().unwrap().len() <= 64);
        }
    });
}

#[test]
fn a_flood_of_cumulative_series_is_rejected_beyond_what_can_be_remembered() {
    isolated(|| async {
        let test = start(&[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")]).await;
        let series = |n: u32| {
            let value = field(1, &n.to_string().into_bytes());
            let attribute = field(7, &[field(1, b"user"), field(2, &value)].concat());
            let total = [&[6 << 3 | 1][..], &1_u64.to_le_bytes()].concat();
            field(1, &[attribute, total].concat())
        };
        let points: Vec<u8> = (0..50_000).flat_map(series).collect();
        // Cumulative and monotonic.
        let data = field(7, &[points, vec![2 << 3, 2, 3 << 3, 1]].concat());
        let (answer, grown) = post(&test, &[PROTOBUF], request(&data)).await;
        assert!(answer.contains("TEMPORALITY_PREFERENCE"), "{answer}");
        assert!(grown < 6 * MIB, "{grown} bytes");
        // These series do not say when they began, so the first total is not known to be new.
        assert_eq!(test.shut_down().await.0.accepted, 0);
    });
}
