//! LISTEN, and what is notified.

use std::time::Duration;

use futures_util::TryStreamExt;
use monitoring_sqlx::PgListener;
use monitoring_tests::exposition::Samples;
use sqlx::Executor;

use crate::Bench;

impl Bench {
    fn of_listeners(&self, metric: &str) -> f64 {
        let samples: Samples = self.monitoring.render().parse().unwrap();
        samples.sum(&format!("saas_db_{metric}_total"), &[("db_client_connection_pool_name", "postgres")])
    }
}

#[tokio::test]
async fn notifications_are_counted_and_the_wait_for_them_is_no_operation() {
    let bench = Bench::new().await;
    let mut listener = PgListener::connect_with(&bench.pool).await.unwrap();
    listener.listen_all(["canary", "other"]).await.unwrap();
    tokio::time::timeout(Duration::from_millis(30), listener.recv()).await.unwrap_err();
    for _ in 0..3 {
        (&bench.pool).execute("NOTIFY canary, 'canary'").await.unwrap();
    }
    for _ in 0..3 {
        assert_eq!(listener.recv().await.unwrap().payload(), "canary");
    }
    listener.unlisten("other").await.unwrap();

    assert_eq!(bench.of_listeners("notifications"), 3.0);
    assert_eq!(bench.of_listeners("listener_disconnects"), 0.0);
    for operation in ["LISTEN", "UNLISTEN"] {
        assert_eq!(bench.count(operation, "", ""), 1.0, "{operation}");
    }
    let samples: Samples = bench.monitoring.render().parse().unwrap();
    let time = samples.sum("db_client_operation_duration_seconds_sum", &[("db_operation_name", "LISTEN")]);
    assert!(time < 0.03, "listening took {time} s, as long as the wait");
    assert!(!format!("{listener:?}{}", bench.monitoring.render()).contains("canary"));

    (&bench.pool).execute("NOTIFY canary, 'last'").await.unwrap();
    let mut stream = listener.into_stream();
    assert_eq!(stream.try_next().await.unwrap().unwrap().payload(), "last");
    assert_eq!(bench.of_listeners("notifications"), 4.0);
}

#[tokio::test]
async fn a_listener_that_loses_its_connection_makes_another_one_and_says_so() {
    let bench = Bench::new().await;
    let mut listener = PgListener::connect_with(&bench.pool).await.unwrap();
    listener.listen("news").await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";
    assert_eq!((&bench.pool).fetch_all(end).await.unwrap().len(), 1);

    // The server says goodbye before it closes the connection.
    let mut received = listener.try_recv().await;
    if received.is_err() {
        received = listener.try_recv().await;
    }
    assert!(received.unwrap().is_none());
    assert!(bench.of_listeners("listener_disconnects") >= 1.0, "{}", bench.monitoring.render());
    (&bench.pool).execute("NOTIFY news").await.unwrap();
    assert_eq!(listener.recv().await.unwrap().channel(), "news");

    let disconnects = bench.of_listeners("listener_disconnects");
    let pool = bench.pool.clone();
    let closing = tokio::spawn(async move { pool.close().await });
    assert!(matches!(listener.try_recv().await, Err(sqlx::Error::PoolClosed)));
    // The pool waits for the connection of the listener.
    drop(listener);
    closing.await.unwrap();
    assert_eq!(bench.of_listeners("listener_disconnects"), disconnects);
    assert!(PgListener::connect_with(&bench.pool).await.is_err());
    assert_eq!(bench.count("CONNECT", "", "pool_closed"), 1.0);
}
