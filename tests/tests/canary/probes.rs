//! Health checks that fail, with the canary in what they fail with.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use monitoring_core::Monitoring;
use monitoring_core::health::{Health, HttpGet, Status, TcpConnect, TlsCertificate};
use monitoring_redis::Pool;
use monitoring_sqlx::PgPool;
use monitoring_tests::servers::{PostgreSql, Redis};

use crate::DEADLINE;
use crate::seen::{Seen, canary};

/// How often they are made.
const OFTEN: Duration = Duration::from_millis(50);

const NAMES: [&str; 8] = ["error", "panic", "database", "cache", "page", "port", "certificate", "text"];

/// An error that quotes what it was about, as those of clients do.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to postgres://app:{}@db/app", canary("quoted"))]
struct Quoting(#[source] io::Error);

pub(crate) fn start(
    monitoring: &Monitoring,
    database: &PostgreSql,
    cache: &Redis,
    peer: SocketAddr,
    seen: &Seen,
) -> Health {
    let wrong = canary("wrong-password");
    let database = PgPool::connect_lazy(&format!("postgres://app:{wrong}@{}/postgres", database.address())).unwrap();
    let cache = Pool::builder().url(format!("redis://:{wrong}@{}/", cache.address())).name("wrong").build().unwrap();
    let page =
        HttpGet::new(&format!("http://{peer}/broken/{}?token={}", canary("page"), canary("page-query"))).unwrap();
    let certificate = TlsCertificate::new(&peer.to_string()).unwrap();
    seen.debug("HttpGet", &page);
    let userinfo = format!("http://user:{wrong}@{peer}/");
    seen.error("InvalidTarget", HttpGet::new(&userinfo).unwrap_err());
    seen.error("InvalidTarget", TcpConnect::new(&userinfo).unwrap_err());
    seen.error("InvalidTarget", TlsCertificate::new(&userinfo).unwrap_err());
    let refused = || Quoting(io::Error::new(io::ErrorKind::ConnectionRefused, canary("refused")));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let builder = Health::builder(monitoring)
        .check("error", move || async move { Err::<(), _>(refused()) })
        .critical()
        .every(OFTEN)
        .check("panic", || async { if true { panic!("{}", canary("check-panic")) } else { Ok::<(), io::Error>(()) } })
        .every(OFTEN)
        .check("database", database)
        .every(OFTEN)
        .check("cache", cache)
        .every(OFTEN)
        .check("page", page)
        .every(OFTEN)
        .check("port", TcpConnect::new(&closed.to_string()).unwrap())
        .every(OFTEN)
        .check("certificate", certificate)
        .every(OFTEN)
        .check("text", || async { Err::<(), _>(io::Error::other(canary("text"))) })
        .every(OFTEN);
    seen.debug("CheckBuilder", &builder);
    builder.start().unwrap()
}

/// Every check has failed.
pub(crate) async fn are_done(health: &Health) {
    let deadline = Instant::now() + DEADLINE;
    while !NAMES.iter().all(|name| health.status(name) == Some(Status::Down)) {
        assert!(Instant::now() < deadline, "{health:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
