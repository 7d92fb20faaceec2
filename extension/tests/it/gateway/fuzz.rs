//! Damages recorded requests of real SDKs. The extension has to respond or hang up, and its counts have to balance.

use super::{ENVELOPE, Setup, auth};
use crate::support::HANG;
use std::{fs, net::SocketAddr, path::Path};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const ROUNDS: usize = 40;

/// A xorshift generator with a fixed seed, so that every run makes the same damage.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound.max(1) as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    /// Damages the request in one to four places.
    fn damage(&mut self, request: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(request.len());
            let end = (at + 1 + self.below(32)).min(request.len());
            match self.below(6) {
                0 => request[at] = self.byte(),
                1 => drop(request.drain(at..end)),
                2 => request.truncate(at.max(1)),
                3 => {
                    let again = request[at..end].to_vec();
                    drop(request.splice(at..at, again));
                }
                4 => {
                    let noise: Vec<u8> = (0..self.below(16)).map(|_| self.byte()).collect();
                    drop(request.splice(at..at, noise));
                }
                // Replaces a digit by another, which makes a length wrong.
                _ => {
                    let digit = request.iter().skip(at).position(u8::is_ascii_digit);
                    if let Some(digit) = digit {
                        request[at + digit] = b'0' + u8::try_from(self.below(10)).unwrap();
                    }
                }
            }
            if request.is_empty() {
                request.push(b'x');
            }
        }
    }
}

fn recorded() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sdk-requests");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let requests: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(requests.len() >= 20, "recorded requests are missing");
    requests
}

/// Sends the request in two parts and closes the sending half. Returns the statuses of the responses.
async fn send(address: SocketAddr, request: &[u8], split: usize) -> Vec<u16> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (first, second) = request.split_at(split);
    // The extension may hang up before it has read everything.
    let _ = stream.write_all(first).await;
    let _ = stream.write_all(second).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(HANG, stream.read_to_end(&mut answer)).await.expect("it hangs");
    let text = String::from_utf8_lossy(&answer);
    let statuses = text.split("HTTP/1.").skip(1).filter_map(|head| head.get(2..5));
    statuses.map(|status| status.parse().unwrap()).collect()
}

#[tokio::test]
async fn recorded_requests_are_accepted() {
    let setup = Setup::new(&[]).await;
    let requests = recorded();
    for request in &requests {
        assert_eq!(send(setup.address, request, request.len() / 2).await, [200]);
    }
    setup.finish(requests.len() as u64).await;
}

#[tokio::test]
async fn damaged_requests_do_no_harm() {
    let setup = Setup::new(&[]).await;
    let mut chance = Random(0x5eed_cafe_f00d_d00d);
    let mut accepted = 0;
    let mut refused = 0;
    for request in recorded() {
        let mut group = tokio::task::JoinSet::new();
        for _ in 0..ROUNDS {
            let mut damaged = request.clone();
            chance.damage(&mut damaged);
            let (address, split) = (setup.address, chance.below(damaged.len()));
            group.spawn(async move { send(address, &damaged, split).await });
        }
        for status in group.join_all().await.into_iter().flatten() {
            match status {
                200 => accepted += 1,
                400..=499 => refused += 1,
                // A damaged path may be forwarded, and the stand-in refuses such requests.
                502 => {}
                other => panic!("{other}"),
            }
        }
    }
    assert!(accepted > 20 && refused > 100, "the damage does not vary: {accepted} {refused}");
    let answer = setup.post("/api/42/envelope/", &[("x-sentry-auth", &auth())], ENVELOPE).await;
    assert_eq!(answer.status, 200);
    setup.extension.terminate();
    // Every accepted envelope is delivered or rejected. Nothing is lost and nothing is counted twice.
    let [all, delivered, rejected, dropped] = setup.extension.final_counts().await;
    assert!(all > 20 && all <= accepted + 1, "{all} of {accepted}");
    assert_eq!((delivered + rejected, dropped), (all, 0));
}
