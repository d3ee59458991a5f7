//! Messages of channels.

use std::time::Duration;

use futures_util::future::poll_immediate;
use monitoring_core::Monitoring;
use monitoring_redis::Subscriber;
use monitoring_redis::redis::{AsyncCommands, cmd};
use monitoring_tests::Proxy;
use tokio::time::timeout;

use crate::bench::{Bench, CANARY, DEADLINE, count, free_address};

async fn subscriber(bench: &Bench, url: String) -> Subscriber {
    let builder = Subscriber::builder(url).name("prices").timeout(Duration::from_millis(500));
    builder
        .ping_when_idle_for(Duration::from_millis(50))
        .monitoring(&bench.monitoring)
        .unwrap()
        .connect()
        .await
        .unwrap()
}

fn received(bench: &Bench) -> f64 {
    bench.samples().value("saas_pubsub_messages_total", &[("subscriber", "prices")]).unwrap_or(0.0)
}

fn created(bench: &Bench) -> f64 {
    let labels = [("db_client_connection_pool_name", "prices")];
    bench.samples().value("saas_db_connections_created_total", &labels).unwrap_or(0.0)
}

async fn publish(bench: &Bench, channel: &str) {
    let receivers: u64 = bench.connection().await.publish(channel, "1").await.unwrap();
    assert_eq!(receivers, 1);
}

#[tokio::test]
async fn messages_are_counted_and_subscriptions_measured_without_their_channels() {
    let bench = Bench::new();
    let mut subscriber = subscriber(&bench, bench.server.url()).await;
    subscriber.subscribe(CANARY).await.unwrap();
    subscriber.psubscribe(format!("{CANARY}.*")).await.unwrap();
    publish(&bench, CANARY).await;
    publish(&bench, &format!("{CANARY}.a")).await;
    assert_eq!(subscriber.next().await.unwrap().get_channel_name(), CANARY);
    assert_eq!(subscriber.next().await.unwrap().get_payload::<String>().unwrap(), "1");
    subscriber.unsubscribe(CANARY).await.unwrap();
    subscriber.punsubscribe(&format!("{CANARY}.*")).await.unwrap();
    let listeners: u64 = bench.connection().await.publish(CANARY, "1").await.unwrap();
    assert_eq!(listeners, 0);

    assert_eq!(received(&bench), 2.0);
    for name in ["SUBSCRIBE", "PSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE"] {
        assert_eq!(bench.count(name, ""), 1.0, "{name}");
    }
    assert_eq!(bench.count("PUBLISH", ""), 3.0);
    let shown = format!("{subscriber:?} {}", bench.monitoring.render());
    assert!(!shown.contains(CANARY), "{shown}");
}

#[tokio::test]
async fn waiting_for_a_message_can_be_given_up_without_losing_one() {
    let bench = Bench::new();
    let mut subscriber = subscriber(&bench, bench.server.url()).await;
    subscriber.subscribe("prices").await.unwrap();
    assert!(poll_immediate(subscriber.next()).await.is_none());
    publish(&bench, "prices").await;
    assert!(timeout(DEADLINE, subscriber.next()).await.unwrap().is_some());

    assert_eq!(received(&bench), 1.0);
}

#[tokio::test]
async fn a_lost_connection_is_told_and_a_new_one_has_the_same_subscriptions() {
    let bench = Bench::new();
    let proxy = Proxy::to(bench.server.address()).unwrap();
    let mut subscriber = subscriber(&bench, bench.server.url_at(proxy.address())).await;
    subscriber.subscribe("prices").await.unwrap();
    subscriber.psubscribe("rates.*").await.unwrap();
    proxy.cut();
    assert!(timeout(DEADLINE, subscriber.next()).await.unwrap().is_none());
    assert!(subscriber.ping().await.is_err());
    proxy.refuse();
    assert!(subscriber.reconnect().await.is_err());
    proxy.accept();
    subscriber.reconnect().await.unwrap();
    publish(&bench, "prices").await;
    publish(&bench, "rates.eur").await;
    assert!(subscriber.next().await.is_some() && subscriber.next().await.is_some());

    assert_eq!((received(&bench), created(&bench)), (2.0, 2.0));
    assert_eq!((bench.count("SUBSCRIBE", ""), bench.count("PSUBSCRIBE", "")), (2.0, 2.0));
    assert_eq!(bench.count("CONNECT", "connection_refused"), 1.0);
}

#[tokio::test]
async fn a_connection_that_is_silently_dead_is_found_out_by_a_ping() {
    let bench = Bench::new();
    let proxy = Proxy::to(bench.server.address()).unwrap();
    let mut subscriber = subscriber(&bench, bench.server.url_at(proxy.address())).await;
    subscriber.subscribe("prices").await.unwrap();
    proxy.stall();
    assert!(timeout(DEADLINE, subscriber.next()).await.unwrap().is_none());

    assert_eq!(bench.count("PING", "timeout"), 1.0);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_one_clear_error_without_the_password() {
    let monitoring = Monitoring::builder("test").build().unwrap();
    let connect = |url: String| Subscriber::builder(url).monitoring(&monitoring).unwrap().connect();
    let refused = connect(format!("redis://:{CANARY}@{}/", free_address())).await.unwrap_err();
    let invalid = connect(format!("localhost:{CANARY}@")).await.unwrap_err();
    let text = format!("{refused} {refused:?} {invalid} {invalid:?}");
    assert!(text.contains("the Redis subscriber `redis` cannot connect: "), "{text}");
    assert!(text.contains("the Redis subscriber `redis` has an invalid URL: "), "{text}");
    assert!(refused.redis().is_connection_refusal() && !text.contains(CANARY), "{text}");

    assert_eq!(count(&monitoring.render().parse().unwrap(), "CONNECT", "connection_refused"), 1.0);
}

#[tokio::test]
async fn a_channel_that_the_user_may_not_have_is_refused_and_not_asked_for_again() {
    let bench = Bench::new();
    let user = "ACL SETUSER reader on >secret ~* resetchannels &open +@all";
    let words: Vec<&str> = user.split(' ').collect();
    cmd(words[0]).arg(&words[1..]).exec_async(&mut bench.connection().await).await.unwrap();
    let mut subscriber = subscriber(&bench, format!("redis://reader:secret@{}/", bench.server.address())).await;
    assert!(subscriber.subscribe("closed").await.is_err());
    subscriber.subscribe("open").await.unwrap();
    subscriber.reconnect().await.unwrap();

    assert_eq!(bench.count("SUBSCRIBE", "permission_denied"), 1.0);
    assert_eq!(bench.count("SUBSCRIBE", ""), 2.0);
}
