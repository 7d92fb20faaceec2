use super::*;
use std::pin::pin;
use std::task::Context;

fn is_closing(connection: &Connection) -> bool {
    connection.state.is_closing()
}

async fn admit(clients: &Arc<Clients>) -> Connection {
    clients.admit(&|| {}).await
}

fn must_wait(clients: &Arc<Clients>) -> bool {
    pin!(admit(clients)).poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

#[test]
fn descriptors_are_kept_for_upstream() {
    assert_eq!(most(1024), 1024 - 16 - 192);
    assert_eq!(most(64), 64 - 16 - 16);
    assert_eq!(most(32), 32 - 16 - 8);
    assert_eq!((most(16), most(0)), (2, 2));
    assert!(most(u64::MAX) > 1 << 30);
}

#[tokio::test]
async fn the_longest_idle_is_closed_for_a_newcomer() {
    let clients = Arc::new(Clients::new(3));
    let (one, two, three) = (admit(&clients).await, admit(&clients).await, admit(&clients).await);
    one.state.advance();
    one.state.advance();
    three.state.advance();
    assert!(must_wait(&clients));
    assert_eq!([&one, &two, &three].map(is_closing), [false, true, false]);
    assert!(must_wait(&clients));
    assert!(!is_closing(&one), "one is enough");
    two.state.advance();
    assert!(must_wait(&clients));
    assert!(is_closing(&one), "the first got a request instead");
    drop(one);
    let four = admit(&clients).await;
    four.state.advance();
    assert!(must_wait(&clients));
    assert!(![&three, &four].map(is_closing).contains(&true), "a request that is handled is not cut");
    drop(three);
    admit(&clients).await;
}

#[tokio::test]
async fn unfinished_heads_share_a_bound() {
    let clients = Arc::new(Clients::new(1000));
    let mut all = Vec::new();
    for _ in 0..100 {
        let mut one = admit(&clients).await;
        one.set_head(60_000);
        all.push(one);
    }
    let closed = all.iter().filter(|one| is_closing(one)).count();
    assert_eq!(closed, 100 - MAX_HEADS / 65_536);
    assert!(is_closing(&all[0]) && !is_closing(&all[99]), "the first are closed first");
    assert_eq!(clients.table().heads, MAX_HEADS);
    all[99].set_head(0);
    assert_eq!(clients.table().heads, MAX_HEADS - 65_536);
    drop(all);
    assert_eq!(clients.table().heads, 0);
}
