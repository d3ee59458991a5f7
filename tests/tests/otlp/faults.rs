//! A collector that fails in every way: the service goes on, all is accounted for, and the push recovers.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use monitoring_core::otlp::{OtlpConfig, OtlpProtocol, OtlpStatus};
use monitoring_tests::exposition::Samples;

use super::collector::{Collector, Mode, Protocol};
use super::points::{ByValue, add, exposition, metrics, without_its_own};
use super::service::{SHORTER_THAN_A_PAUSE, Service, quick};
use super::until;

/// Gives up at once.
fn hasty() -> OtlpConfig {
    quick().timeout(Duration::from_millis(200)).export_timeout(SHORTER_THAN_A_PAUSE)
}

fn status(service: &Service) -> OtlpStatus {
    let status = service.monitoring.otlp_status().unwrap();
    assert_eq!(status.produced, status.sent + status.dropped + status.unanswered + status.queued, "{status:?}");
    status
}

fn samples(service: &Service) -> Samples {
    service.monitoring.render().parse().unwrap()
}

/// Waits until points were lost for `reason`, recording all the while.
fn loses(service: &Service, reason: &str) {
    let mut number = 1;
    until(&format!("points are lost as {reason}"), || {
        number += 1;
        let start = Instant::now();
        service.work(number);
        assert!(start.elapsed() < Duration::from_secs(5), "recording waits for the collector");
        status(service);
        samples(service).value("monitoring_dropped_total", &[("signal", "metrics"), ("reason", reason)]) > Some(0.0)
    });
    assert!(samples(service).value("monitoring_export_failures_total", &[("signal", "metrics")]) > Some(0.0));
}

/// Waits until the collector has everything.
fn recovers(service: &Service, collector: &Collector) {
    collector.set(Mode::Accept);
    let expected = exposition(&service.monitoring);
    until("the collector has what the exposition shows", || {
        let mut values = ByValue::new();
        for received in collector.received().iter().filter(|received| received.was_accepted) {
            add(&mut values, &received.request);
        }
        without_its_own(values) == expected
    });
    until("what the collector has is what was sent", || {
        let status = status(service);
        let accepted = collector.accepted_points();
        // A request that comes between the two looks is in one of them only; an answer may have come too late.
        status.queued == 0 && (status.sent..=status.sent + status.unanswered).contains(&accepted)
    });
}

fn fails(mode: Mode, reason: &str) {
    let collector = Collector::start(Protocol::Http);
    collector.set(mode);
    let service = Service::new(hasty().endpoint(collector.metrics_url()));
    loses(&service, reason);
    assert_eq!(status(&service).sent, 0);
    recovers(&service, &collector);
}

#[test]
fn a_collector_that_is_not_there() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let service = Service::new(hasty().endpoint(format!("http://{address}/v1/metrics")));
    loses(&service, "collector_unavailable");
    let start = Instant::now();
    let collector = Collector::start_at(address, Protocol::Http);
    recovers(&service, &collector);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn a_grpc_collector_that_is_not_there() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let service = Service::new(hasty().protocol(OtlpProtocol::Grpc).endpoint(format!("http://{address}")));
    loses(&service, "collector_unavailable");
    let collector = Collector::start_at(address, Protocol::Grpc);
    recovers(&service, &collector);
}

#[test]
fn a_collector_that_ends_and_comes_back() {
    let collector = Collector::start(Protocol::Http);
    let service = Service::new(hasty().endpoint(collector.metrics_url()));
    service.work(1);
    recovers(&service, &collector);
    let address = collector.address();
    drop(collector);
    loses(&service, "collector_unavailable");
    let before = status(&service).sent;
    let collector = Collector::start_at(address, Protocol::Http);
    service.work(2);
    until("points arrive again", || status(&service).sent > before && !collector.received().is_empty());
}

#[test]
fn a_collector_that_accepts_connections_and_reads_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let service = Service::new(hasty().endpoint(format!("http://{address}/v1/metrics")));
    loses(&service, "unanswered");
    // Whoever waits in its queue is told that it has gone.
    drop(listener);
    let collector = Collector::start_at(address, Protocol::Http);
    recovers(&service, &collector);
}

#[test]
fn a_collector_that_reads_and_never_answers() {
    fails(Mode::Stall, "unanswered");
}

#[test]
fn a_grpc_collector_that_never_answers() {
    let collector = Collector::start(Protocol::Grpc);
    collector.set(Mode::Stall);
    let service = Service::new(hasty().protocol(OtlpProtocol::Grpc).endpoint(collector.url()));
    loses(&service, "unanswered");
    recovers(&service, &collector);
}

/// Answers each request that comes to it with `answer`, and hangs up.
fn hangs_up(answer: &'static [u8]) -> Service {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let _ = connection.read(&mut [0; 1 << 16]);
            let _ = connection.write_all(answer);
        }
    });
    Service::new(hasty().endpoint(format!("http://{address}/v1/metrics")))
}

#[test]
fn a_request_that_was_written_may_have_arrived_whatever_became_of_the_connection() {
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n", b"SSH-2.0\r\n"] {
        let service = hangs_up(answer);
        loses(&service, "unanswered");
        assert_eq!(status(&service).dropped, 0);
    }
    // The head has said it all.
    let service = hangs_up(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 100\r\n\r\n");
    loses(&service, "collector_refused");
}

#[test]
fn what_may_have_arrived_once_is_not_certainly_lost_because_another_try_was_refused() {
    let collector = Collector::start(Protocol::Http);
    collector.set(Mode::Stall);
    let config = quick().timeout(Duration::from_millis(200)).export_timeout(Duration::from_secs(3));
    let service = Service::new(config.endpoint(collector.metrics_url()));
    service.work(1);
    until("a request is stalled", || !collector.received().is_empty());
    collector.set(Mode::Fail(503, None));
    let mut first = OtlpStatus::default();
    until("points are lost", || {
        first = status(&service);
        first.dropped + first.unanswered > 0
    });
    assert_eq!(first.dropped, 0, "{first:?}");
    assert!(collector.received().len() > 1, "it was not tried again");
}

#[test]
fn while_nothing_can_arrive_only_the_beginning_of_the_store_is_read() {
    for mode in [503, 401, 403, 404].map(|status| Mode::Fail(status, None)) {
        let collector = Collector::start(Protocol::Http);
        collector.set(mode.clone());
        let service = Service::new(hasty().endpoint(collector.metrics_url()));
        service.many(9_000);
        until("some requests have come", || collector.received().len() >= 3);
        let received = collector.received();
        for one in received.iter() {
            let is_first = metrics(&one.request).any(|metric| metric.name == "monitoring.series");
            assert!(is_first, "{mode:?}: more than one request for an export");
        }
        let produced = status(&service).produced;
        assert!(produced <= 2_000 * (received.len() as u64 + 1), "{mode:?}: {produced}");
        drop(received);
        recovers(&service, &collector);
    }
}

#[test]
fn a_collector_that_answers_byte_by_byte() {
    fails(Mode::Drip, "unanswered");
}

#[test]
fn a_collector_that_answers_garbage() {
    fails(Mode::Answer(b"<html>Welcome</html>".to_vec()), "unanswered");
}

#[test]
fn a_collector_that_answers_at_length() {
    // It would be a legal answer, with a field from the future, were it not so long.
    fails(Mode::Answer([15 << 3, 1].repeat(8 << 20)), "unanswered");
}

#[test]
fn a_collector_that_wants_to_be_left_alone_for_years() {
    fails(Mode::Fail(503, Some(100_000_000)), "collector_unavailable");
    fails(Mode::Fail(429, Some(u64::MAX)), "collector_throttled");
}

#[test]
fn a_collector_that_refuses() {
    fails(Mode::Fail(400, None), "collector_refused");
    // Only some server errors are worth another try.
    fails(Mode::Fail(500, Some(0)), "collector_refused");
}

#[test]
fn a_grpc_collector_that_refuses() {
    for (code, retry, reason) in [
        (3, None, "collector_refused"),
        // RESOURCE_EXHAUSTED is worth another try only if the collector says so.
        (8, None, "collector_refused"),
        (8, Some(100_000_000), "collector_throttled"),
        (14, None, "collector_unavailable"),
    ] {
        let collector = Collector::start(Protocol::Grpc);
        collector.set(Mode::Fail(code, retry));
        let service = Service::new(hasty().protocol(OtlpProtocol::Grpc).endpoint(collector.url()));
        loses(&service, reason);
        recovers(&service, &collector);
    }
}

#[test]
fn a_refused_request_is_not_tried_again() {
    let collector = Collector::start(Protocol::Http);
    collector.set(Mode::Fail(400, None));
    let service = Service::new(quick().endpoint(collector.metrics_url()));
    service.work(1);
    until("some requests have come", || collector.received().len() >= 3);
    let times: Vec<_> = collector.received().iter().map(|one| super::points::read_at(&one.request)).collect();
    assert!(times.is_sorted_by(|earlier, later| earlier < later), "{times:?}");
}

#[test]
fn a_short_failure_is_got_over_by_another_try() {
    let collector = Collector::start(Protocol::Http);
    collector.set(Mode::Fail(503, None));
    let service = Service::new(quick().endpoint(collector.metrics_url()).export_timeout(Duration::from_secs(60)));
    service.work(1);
    until("a request has come", || !collector.received().is_empty());
    recovers(&service, &collector);
    let received = collector.received();
    let [first, second] = [&received[0], &received[1]].map(|one| super::points::read_at(&one.request));
    assert_eq!(first, second, "the same request is tried again");
    assert_eq!(status(&service).dropped, 0);
}

#[test]
fn a_collector_that_moves_is_not_followed() {
    let collector = Collector::start(Protocol::Http);
    collector.set(Mode::Move);
    let service = Service::new(hasty().endpoint(collector.metrics_url()));
    loses(&service, "collector_refused");
    assert!(collector.received().iter().all(|one| one.path == "/v1/metrics"));
}

#[test]
fn points_that_the_collector_rejects_are_counted() {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let is_http = matches!(protocol, Protocol::Http);
        let collector = Collector::start(protocol);
        collector.set(Mode::Reject(2));
        let config = if is_http {
            hasty().endpoint(collector.metrics_url())
        } else {
            hasty().protocol(OtlpProtocol::Grpc).endpoint(collector.url())
        };
        let service = Service::new(config);
        service.work(1);
        until("three requests are accounted for", || status(&service).dropped >= 6);
        let rejected = [("signal", "metrics"), ("reason", "collector_rejected")];
        until("they are shown", || samples(&service).value("monitoring_dropped_total", &rejected) >= Some(6.0));
    }
}

#[test]
fn a_name_that_does_not_resolve_holds_up_nothing() {
    let start = Instant::now();
    let service = Service::new(hasty().endpoint("http://collector.invalid:4318/v1/metrics"));
    assert!(start.elapsed() < Duration::from_secs(5), "the set-up waits for the network");
    until("points are lost", || status(&service).dropped + status(&service).unanswered > 0);
}

#[test]
fn a_collector_of_the_application_that_hangs_holds_up_neither_the_push_nor_the_shutdown() {
    let collector = Collector::start(Protocol::Http);
    let service = Service::new(hasty().endpoint(collector.metrics_url()));
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    service.monitoring.registry().on_collect(move || {
        let _ = released.lock().map(|released| released.recv());
        monitoring_core::Collect::Remove
    });
    service.work(1);
    until("the push goes on", || status(&service).sent > 0);
    let start = Instant::now();
    let outcome = super::block_on(service.monitoring.shutdown(Duration::from_secs(5)));
    assert!(outcome.is_ok() && start.elapsed() < Duration::from_secs(5), "{outcome:?}");
    drop(release);
}
