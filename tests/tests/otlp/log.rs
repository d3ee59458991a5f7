//! What is logged: a line where a loss begins, one where it ends; and nothing is traced. The subscriber may fail.

use std::collections::HashSet;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use monitoring_core::otlp::OtlpProtocol;
use tracing::callsite::Identifier;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::fmt::MakeWriter;

use super::collector::{Collector, Mode, Protocol};
use super::service::{SHORTER_THAN_A_PAUSE, Service, quick};
use super::{block_on, until};

/// The threads of the push.
const THREADS: [&str; 2] = [" monitoring-otlp ", " otlp-blocking "];

/// The lines that were logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.0.lock().unwrap()).lines().map(str::to_owned).collect()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn an_outage_is_two_lines_however_long_it_is_and_exports_are_not_traced() {
    monitoring_tests::in_own_process(
        "log::an_outage_is_two_lines_however_long_it_is_and_exports_are_not_traced",
        || {
            let log = Log::default();
            tracing_subscriber::fmt()
                .with_writer(log.clone())
                .with_env_filter("trace")
                .with_thread_names(true)
                .with_ansi(false)
                .init();
            let collector = Collector::start(Protocol::Grpc);
            // The collector of the test is in this process as well, and is traced: on a thread of another name.
            let log = || -> Vec<String> {
                log.lines().into_iter().filter(|line| THREADS.iter().any(|thread| line.contains(thread))).collect()
            };
            let service = Service::new(
                quick()
                    .protocol(OtlpProtocol::Grpc)
                    .endpoint(collector.url())
                    .header("authorization", "a-secret-of-some-length")
                    .export_timeout(SHORTER_THAN_A_PAUSE),
            );
            until("points have arrived", || service.monitoring.otlp_status().unwrap().sent > 0);
            assert_eq!(log(), Vec::<String>::new());
            for outage in 1..=2 {
                collector.set(Mode::Fail(14, None));
                let before = collector.received().len();
                until("many requests have failed", || collector.received().len() > before + 5);
                collector.set(Mode::Accept);
                until("the end of the outage is logged", || log().len() >= 2 * outage);
            }
            let lines = log();
            assert_eq!(lines.len(), 4, "{lines:?}");
            for pair in lines.chunks(2) {
                assert!(pair[0].contains("WARN") && pair[0].contains("not reaching"), "{lines:?}");
                assert!(pair[0].contains("gRPC status Unavailable: not now"), "{lines:?}");
                assert!(pair[1].contains("INFO") && pair[1].contains("again"), "{lines:?}");
            }
            assert!(!lines.concat().contains("secret"));
        },
    )
    .unwrap();
}

#[test]
fn a_tenant_that_is_always_refused_does_not_hide_an_outage() {
    monitoring_tests::in_own_process("log::a_tenant_that_is_always_refused_does_not_hide_an_outage", || {
        let log = Log::default();
        tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).init();
        let collector = Collector::start(Protocol::Http);
        let config = quick().endpoint(collector.metrics_url()).tenant_header("X-Scope-OrgID");
        let service = Service::new(config.export_timeout(SHORTER_THAN_A_PAUSE));
        service.work(1);
        for (mode, expected) in [
            (Mode::Refuse("alpha"), "does not take some"),
            (Mode::Fail(503, None), "are not reaching"),
            (Mode::Refuse("alpha"), "are reaching the OTLP collector again"),
            (Mode::Accept, "takes all metrics again"),
        ] {
            let before = log.lines().len();
            collector.set(mode);
            until(expected, || log.lines().len() > before);
            let lines = log.lines();
            assert!(lines.len() == before + 1 && lines[before].contains(expected), "{expected}: {lines:?}");
            let received = collector.received().len();
            until("there were more requests", || collector.received().len() > received + 3);
        }
        assert_eq!(log.lines().len(), 4);
    })
    .unwrap();
}

/// A subscriber of an application that fails on the threads of the push: it panics, or never comes back.
#[derive(Default)]
struct Failing {
    hangs: bool,
    panics: AtomicUsize,
    callsites: Mutex<HashSet<Identifier>>,
}

impl Failing {
    fn fail(&self) {
        if std::thread::current().name() == Some("monitoring-otlp") {
            self.panics.fetch_add(1, Ordering::Relaxed);
            loop {
                assert!(self.hangs, "a subscriber that panics");
                std::thread::park();
            }
        }
    }
}

impl Subscriber for Failing {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        let is_new = self.callsites.lock().unwrap().insert(metadata.callsite());
        if is_new && !self.hangs && self.panics.load(Ordering::Relaxed) == 0 {
            self.fail();
        }
        Interest::always()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        self.fail();
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn what_the_push_has_gone_through_first_is_still_traced_for_others() {
    monitoring_tests::in_own_process("log::what_the_push_has_gone_through_first_is_still_traced_for_others", || {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_env_filter("trace").with_ansi(false);
        subscriber.with_thread_names(true).init();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = quick().protocol(OtlpProtocol::Grpc).endpoint(format!("http://{address}"));
        let service = Service::new(config.export_timeout(SHORTER_THAN_A_PAUSE));
        until("a request has failed", || service.monitoring.otlp_status().unwrap().dropped > 0);
        let connects = || log.lines().iter().filter(|line| line.contains("hyper_util::client")).count();
        assert_eq!(connects(), 0);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let failed = runtime.block_on(reqwest::get(format!("http://{address}")));
        assert!(failed.is_err());
        assert!(connects() > 0, "{:?}", log.lines());
    })
    .unwrap();
}

#[test]
fn a_subscriber_that_panics_does_not_end_the_push() {
    monitoring_tests::in_own_process("log::a_subscriber_that_panics_does_not_end_the_push", || {
        let subscriber = Arc::new(Failing::default());
        tracing::subscriber::set_global_default(Arc::clone(&subscriber)).unwrap();
        let panics = || subscriber.panics.load(Ordering::Relaxed);
        let collector = Collector::start(Protocol::Grpc);
        let config = quick().protocol(OtlpProtocol::Grpc).endpoint(collector.url());
        let service = Service::new(config.export_timeout(SHORTER_THAN_A_PAUSE));
        // The first panic is within an export, which is then lost; the others are where that is told, and that it is over.
        until("it was asked in an export, and it was told twice", || panics() >= 3);
        collector.set(Mode::Fail(14, None));
        let before = panics();
        until("it was told of the loss", || panics() > before);
        collector.set(Mode::Accept);
        let sent = service.monitoring.otlp_status().unwrap().sent;
        until("points arrive again", || service.monitoring.otlp_status().unwrap().sent > sent);
        assert_eq!(block_on(service.monitoring.shutdown(Duration::from_secs(30))), Ok(()));
        let status = service.monitoring.otlp_status().unwrap();
        assert_eq!(status.produced, status.sent + status.dropped + status.unanswered, "{status:?}");
    })
    .unwrap();
}

#[test]
fn the_end_does_not_wait_for_a_subscriber_that_hangs() {
    monitoring_tests::in_own_process("log::the_end_does_not_wait_for_a_subscriber_that_hangs", || {
        let subscriber = Arc::new(Failing { hangs: true, ..Failing::default() });
        tracing::subscriber::set_global_default(Arc::clone(&subscriber)).unwrap();
        let collector = Collector::start(Protocol::Http);
        collector.set(Mode::Fail(400, None));
        let seldom = quick().interval(Duration::from_secs(3_599)).endpoint(collector.metrics_url());
        let service = Service::new(seldom);
        service.work(1);
        let monitoring = service.monitoring.clone();
        let shutdown = std::thread::spawn(move || block_on(monitoring.shutdown(Duration::from_secs(30))));
        until("it is told of the loss", || subscriber.panics.load(Ordering::Relaxed) > 0);
        until("the shutdown has ended", || shutdown.is_finished());
        assert_eq!(shutdown.join().unwrap(), Ok(()));
    })
    .unwrap();
}
