//! Checks of TCP, HTTP and disks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use monitoring_core::health::{DiskSpace, HttpGet, Reason, Status, TcpConnect};
use monitoring_tests::Proxy;

use super::{DEADLINE, first, monitoring, once, only, reason};

/// An address at which nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

/// A server that gives each connection that answer, and closes it.
fn server(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let mut head = [0; 1024];
            let _ = connection.read(&mut head);
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    address
}

fn page(address: SocketAddr) -> HttpGet {
    HttpGet::new(&format!("http://{address}/healthz?token=hunter2")).unwrap()
}

#[tokio::test]
async fn a_port_is_up_while_somebody_listens_and_comes_back() {
    let server = server("");
    let proxy = Proxy::to(server).unwrap();
    let monitoring = monitoring();
    only(&monitoring, TcpConnect::new(&proxy.address().to_string()).unwrap()).start().unwrap();
    once(&monitoring, Status::Up, None).await;
    assert!(monitoring.is_ready());
    proxy.refuse();
    once(&monitoring, Status::Down, Some(Reason::ConnectionRefused)).await;
    assert!(!monitoring.is_ready());
    assert!(monitoring.render().contains("saas_dependency_up{dependency=\"it\",critical=\"true\"} 0\n"));
    proxy.accept();
    once(&monitoring, Status::Up, None).await;
    assert!(monitoring.is_ready());
}

#[tokio::test]
async fn a_name_that_nobody_has_is_told_from_a_port_that_nobody_has() {
    let (_monitoring, report) = first(TcpConnect::new("nobody.invalid:80").unwrap()).await;
    assert_eq!((report.status, reason(&report)), (Status::Down, Some(Reason::NameNotResolved)));
    let (_monitoring, report) = first(TcpConnect::new(&nobody().to_string()).unwrap()).await;
    assert_eq!(reason(&report), Some(Reason::ConnectionRefused));
}

#[tokio::test]
async fn a_page_is_judged_by_its_status() {
    let cases = [
        ("HTTP/1.1 204 No Content\r\n\r\n", 200..=299, None),
        ("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", 200..=299, Some(Reason::UnexpectedStatus)),
        ("HTTP/1.1 302 Found\r\nlocation: /\r\n\r\n", 200..=299, Some(Reason::UnexpectedStatus)),
        ("HTTP/1.1 401 Unauthorized\r\n\r\n", 200..=401, None),
        ("SSH-2.0-OpenSSH_9.9\r\n", 200..=299, Some(Reason::Protocol)),
        ("", 200..=299, Some(Reason::ConnectionLost)),
    ];
    for (answer, expected, found) in cases {
        let (monitoring, report) = first(page(server(answer)).expect_status(expected)).await;
        assert_eq!(reason(&report), found, "{answer}");
        assert_eq!(monitoring.is_ready(), found.is_none());
        assert!(!format!("{report:?}").contains("hunter2"));
    }
}

/// A server that reads, and answers once it is no longer silent; and how many connections it has open.
fn silent_server() -> (SocketAddr, Arc<AtomicBool>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (is_silent, open) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let (silent, opened) = (Arc::clone(&is_silent), Arc::clone(&open));
    thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let (silent, open) = (Arc::clone(&silent), Arc::clone(&opened));
            open.fetch_add(1, Ordering::Relaxed);
            thread::spawn(move || {
                while matches!(connection.read(&mut [0; 1024]), Ok(1..)) {
                    if !silent.load(Ordering::Relaxed) {
                        let _ = connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
                    }
                }
                open.fetch_sub(1, Ordering::Relaxed);
            });
        }
    });
    (address, is_silent, open)
}

#[tokio::test]
async fn a_server_that_accepts_and_is_silent_fails_by_the_time_out_and_gathers_no_connections() {
    let (address, is_silent, open) = silent_server();
    let monitoring = monitoring();
    only(&monitoring, page(address)).time_out(Duration::from_millis(100)).start().unwrap();
    once(&monitoring, Status::Down, Some(Reason::Timeout)).await;
    let start = Instant::now();
    while monitoring.health_report().checks[0].failures < 10 {
        assert!(start.elapsed() < DEADLINE, "the check does not go on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The one that is under way, and one that the server has not seen the end of.
    assert!(open.load(Ordering::Relaxed) <= 2, "{open:?}");
    is_silent.store(false, Ordering::Relaxed);
    once(&monitoring, Status::Up, None).await;
}

#[tokio::test]
async fn a_disk_is_judged_by_its_free_share() {
    let (_monitoring, report) = first(DiskSpace::of("/").degraded_below(0.0).failed_below(0.0)).await;
    assert_eq!((report.status, reason(&report)), (Status::Up, None));
    let (monitoring, report) = first(DiskSpace::of("/").degraded_below(2.0).failed_below(0.0)).await;
    assert_eq!((report.status, reason(&report)), (Status::Degraded, Some(Reason::LowSpace)));
    assert!(monitoring.is_ready());
    let (monitoring, report) = first(DiskSpace::of("/").failed_below(2.0)).await;
    assert_eq!((report.status, reason(&report)), (Status::Down, Some(Reason::LowSpace)));
    assert!(!monitoring.is_ready());
    let (_monitoring, report) = first(DiskSpace::of("/nowhere/at/all")).await;
    assert_eq!(report.status, Status::Down);
}
