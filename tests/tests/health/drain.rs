//! A process that gets SIGTERM under load.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use monitoring_core::Monitoring;
use monitoring_core::health::{Drain, Health, Reason};
use rustix::process::{Pid, Signal, kill_process};

use super::DEADLINE;

/// Says in the child that it is the service.
const VARIABLE: &str = "MONITORING_TESTS_SERVICE";
const LISTENING: &str = "listening on ";
const ENDED: &str = "ended well";

/// What a service does in its `main`.
#[tokio::main]
async fn serve() {
    let monitoring = Monitoring::builder("billing").build().unwrap();
    Health::builder(&monitoring).check("ledger", || async { Ok::<_, Reason>(()) }).critical().start().unwrap();
    let draining = Drain::from_env(&monitoring).unwrap().on_signals().unwrap();
    let closes = draining.clone();
    let (begun, is_begun) = tokio::sync::watch::channel(StatusCode::NOT_FOUND);
    let slow = move || {
        begun.send_replace(StatusCode::OK);
        closes.listener_closes()
    };
    let app: Router = Router::new()
        .route("/invoices", get(|| tokio::time::sleep(Duration::from_millis(5))))
        .route("/slow", get(slow))
        .route("/is-slow-begun", get(async move || *is_begun.borrow()))
        .layer(monitoring_axum::layer().monitoring(&monitoring).unwrap())
        .layer(monitoring_axum::close_while_draining(&monitoring))
        .merge(monitoring_axum::routes(&monitoring));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    println!("{LISTENING}{}", listener.local_addr().unwrap());
    let serving = axum::serve(listener, app).with_graceful_shutdown(draining.listener_closes());
    draining.finish(serving).await.unwrap();
    monitoring.shutdown(Duration::from_secs(5)).await.unwrap();
    println!("{ENDED}");
}

/// The service in a process of its own.
struct Service {
    child: Child,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Service {
    /// Starts the test program again, for that test alone.
    fn start(test: &str, delay: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(VARIABLE, "1")
            .env("MONITORING_DRAIN_DELAY", delay)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "the service has ended");
            if let Some((_, address)) = line.split_once(LISTENING) {
                break address.trim().parse().unwrap();
            }
        };
        let service = Self { child, output, address };
        wait("ready", || service.readiness().ok() == Some(200));
        service
    }

    fn readiness(&self) -> io::Result<u16> {
        Ok(Connection::open(self.address)?.get("/readyz")?.status)
    }

    fn terminate(&self) {
        let id = Pid::from_child(&self.child);
        kill_process(id, Signal::TERM).unwrap();
    }

    /// What it has printed until its end.
    fn end(mut self) -> String {
        let mut printed = String::new();
        self.output.read_to_string(&mut printed).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}\n{printed}");
        printed
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It has ended, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < DEADLINE, "the service is not {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A connection that is kept open from request to request, as those of clients and load balancers are.
struct Connection {
    stream: BufReader<TcpStream>,
}

struct Answer {
    status: u16,
    closes: bool,
}

impl Connection {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    fn get(&mut self, path: &str) -> io::Result<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: billing\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (mut status, mut closes, mut length) = (None, false, 0);
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest.split(' ').next().and_then(|status| status.parse().ok());
            }
            closes |= line == "connection: close";
            if let Some(text) = line.strip_prefix("content-length: ") {
                length = text.parse().unwrap();
            }
        }
        io::copy(&mut (&mut self.stream).take(length), &mut io::sink())?;
        Ok(Answer { status: status.ok_or(ErrorKind::InvalidData)?, closes })
    }
}

#[test]
fn a_service_that_gets_sigterm_under_load_loses_no_request() {
    if std::env::var_os(VARIABLE).is_some() {
        return serve();
    }
    let service = Service::start("drain::a_service_that_gets_sigterm_under_load_loses_no_request", "4");
    let address = service.address;
    let (is_out, is_terminated) = (AtomicBool::new(false), AtomicBool::new(false));
    let (answered_late, closed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|threads| {
        let clients: Vec<_> = (0..4)
            .map(|_client| {
                threads.spawn(|| {
                    let mut connection = Connection::open(address).unwrap();
                    // As long as the load balancer knows the service as ready.
                    while !is_out.load(Ordering::Relaxed) {
                        let late = is_terminated.load(Ordering::Relaxed);
                        let answer = connection.get("/invoices").expect("a request was lost");
                        assert_eq!(answer.status, 200);
                        answered_late.fetch_add(usize::from(late), Ordering::Relaxed);
                        if answer.closes {
                            closed.fetch_add(1, Ordering::Relaxed);
                            connection = Connection::open(address).expect("a connection was refused");
                        }
                    }
                })
            })
            .collect();
        let slow = threads.spawn(|| Connection::open(address).unwrap().get("/slow").expect("a slow request was lost"));
        // The slow one is answered when the listener has closed: it must be on its way by then.
        wait("slow", || Connection::open(address).unwrap().get("/is-slow-begun").unwrap().status == 200);
        is_terminated.store(true, Ordering::Relaxed);
        service.terminate();

        // The load balancer.
        let mut seen = Vec::new();
        wait("gone", || match service.readiness() {
            Ok(status) => {
                if status == 503 && answered_late.load(Ordering::Relaxed) > 0 && closed.load(Ordering::Relaxed) > 0 {
                    is_out.store(true, Ordering::Relaxed);
                }
                seen.push(status);
                false
            }
            Err(_closed) => true,
        });
        assert_eq!(seen.last(), Some(&503), "it was ready until its listener closed: {seen:?}");
        assert!(seen.iter().filter(|status| **status == 503).count() > 1, "{seen:?}");
        assert!(is_out.load(Ordering::Relaxed), "nobody was answered while it drained");
        for client in clients {
            client.join().unwrap();
        }
        assert_eq!(slow.join().unwrap().status, 200);
    });
    assert!(service.end().contains(ENDED));
}

#[test]
fn a_second_signal_ends_the_delay() {
    if std::env::var_os(VARIABLE).is_some() {
        return serve();
    }
    let service = Service::start("drain::a_second_signal_ends_the_delay", "3600");
    service.terminate();
    wait("draining", || service.readiness().unwrap() == 503);
    service.terminate();
    wait("gone", || service.readiness().is_err());
    assert!(service.end().contains(ENDED));
}
