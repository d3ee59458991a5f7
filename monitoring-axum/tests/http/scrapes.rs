//! Scrapes as they come: in every format and coding, many at once, and some that nobody reads.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use http_body_util::BodyExt;
use monitoring_axum::{RequestHead, ScrapeLimits};
use monitoring_core::catalogue::{Descriptor, Unit};
use monitoring_core::{Collect, Gauge, LabelSet, Monitoring, Symbol, TenantRegistry, Tier};
use monitoring_tests::exposition::Samples;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tower::ServiceExt;

use crate::{Bench, head, until};

const TOKEN: &str = "ahz6Eex7ooJ3quai";

const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0";

const FILLERS: [Descriptor; 4] = [
    Descriptor::gauge("example.filler.one", Unit::Count("{thing}"), "Fills pages.").labels(&["text"]),
    Descriptor::gauge("example.filler.two", Unit::Count("{thing}"), "Fills pages.").labels(&["text"]),
    Descriptor::gauge("example.filler.three", Unit::Count("{thing}"), "Fills pages.").labels(&["text"]),
    Descriptor::gauge("example.filler.four", Unit::Count("{thing}"), "Fills pages.").labels(&["text"]),
];

#[derive(Clone, Copy, LabelSet)]
struct FillerLabels {
    text: Symbol,
}

impl Bench {
    /// One with its own listener, and some mebibytes of series.
    async fn listening(mebibytes: usize) -> (Self, SocketAddr) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let monitoring = Monitoring::builder("test").metrics_address(address).metrics_token(TOKEN).build().unwrap();
        // What is dropped comes before the rest of the exposition.
        ScrapeLimits::default().set(&monitoring);
        let registry = monitoring.registry();
        let texts = (0..mebibytes * 1_000).map(|number| registry.symbol(&format!("{number:0>240}")));
        let texts: Vec<Symbol> = texts.collect();
        for descriptor in &FILLERS {
            let filler: Gauge<FillerLabels> = registry.gauge(descriptor).unwrap();
            texts.iter().for_each(|text| filler.set(FillerLabels { text: *text }, 1.0));
        }
        let address = monitoring_axum::listen(&monitoring).await.unwrap().address();
        (Self { monitoring }, address)
    }

    /// The application's own router on a port that keeps little of what is not read.
    fn serve_with_small_buffers(&self) -> SocketAddr {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(16 * 1024).unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = socket.listen(1024).unwrap();
        let address = listener.local_addr().unwrap();
        let app = monitoring_axum::routes(&self.monitoring);
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }

    /// Counts from now on how often the store is read.
    fn renders(&self) -> Arc<AtomicUsize> {
        let renders = Arc::new(AtomicUsize::new(0));
        self.monitoring.registry().on_collect({
            let renders = Arc::clone(&renders);
            move || {
                renders.fetch_add(1, Ordering::Relaxed);
                Collect::Keep
            }
        });
        renders
    }

    /// Scrapes counted as dropped for that reason.
    fn dropped(&self, reason: &str) -> f64 {
        let mut read = String::new();
        let mut chunks = self.monitoring.exposition();
        while !read.contains("example_filler_one{") {
            read.push_str(std::str::from_utf8(&chunks.next().unwrap()).unwrap());
        }
        let name = format!("monitoring_dropped_total{{signal=\"scrapes\",reason=\"{reason}\"}} ");
        read.lines().find_map(|line| line.strip_prefix(&name)).map_or(0.0, |value| value.parse().unwrap())
    }
}

/// The lines that are the same in every exposition.
fn filler(text: &str) -> &str {
    let start = text.find("# HELP example_filler_one").unwrap();
    let last = text.rfind("\nexample_filler_").unwrap() + 1;
    let length = text[last..].find('\n').unwrap();
    &text[start..=last + length]
}

fn scrape(method: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = http::Request::builder().method(method).uri("/metrics");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.header("authorization", format!("Bearer {TOKEN}")).body(axum::body::Body::empty()).unwrap()
}

fn guarded() -> (Bench, Router) {
    let bench = Bench { monitoring: Monitoring::builder("test").metrics_token(TOKEN).build().unwrap() };
    let app = monitoring_axum::routes(&bench.monitoring);
    (bench, app)
}

/// What Prometheus sends, by version and settings, and the type that it is to be answered with.
const PROMETHEUS: [(&str, &str); 4] = [
    // 2.54
    (
        "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
         text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        "application/openmetrics-text; version=1.0.0",
    ),
    // 3, with names in UTF-8
    (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
         application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
         text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
        "application/openmetrics-text; version=1.0.0",
    ),
    // with native histograms
    (
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
         application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
         application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
    ),
    // a browser
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/plain; version=0.0.4; charset=utf-8"),
];

#[tokio::test]
async fn prometheus_is_answered_in_the_format_that_it_asks_for() {
    let (_bench, app) = guarded();
    for (accept, content_type) in PROMETHEUS {
        let response = head(&app, scrape("GET", &[("accept", accept), ("accept-encoding", "identity")])).await;
        assert_eq!(response.status(), 200);
        let headers = response.headers();
        assert!(headers["content-type"].to_str().unwrap().starts_with(content_type), "{headers:?}");
        assert_eq!(headers["vary"], "accept, accept-encoding");
        assert_eq!(headers["cache-control"], "no-store");
        assert!(!headers.contains_key("content-encoding"));
        assert!(!response.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
}

#[tokio::test]
async fn a_head_request_is_answered_like_a_get_without_reading_the_store() {
    let (bench, app) = guarded();
    let renders = bench.renders();
    for (accept, content_type) in PROMETHEUS {
        let response = head(&app, scrape("HEAD", &[("accept", accept)])).await;
        assert_eq!(response.status(), 200);
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with(content_type));
        assert!(!response.headers().contains_key("content-length"), "an empty body is not what a GET gets");
        assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
    assert_eq!(renders.load(Ordering::Relaxed), 0);
}

#[cfg(feature = "gzip")]
#[tokio::test]
async fn a_compressed_answer_is_the_same_text() {
    use std::io::Read;

    let (bench, address) = Bench::listening(3).await;
    let app = monitoring_axum::routes(&bench.monitoring);
    let whole = bench.monitoring.render();
    assert_eq!(filler(&whole).lines().count(), 12_008);
    for coding in ["gzip", "zstd"].into_iter().filter(|coding| *coding == "gzip" || cfg!(feature = "zstd")) {
        let response = head(&app, scrape("GET", &[("accept-encoding", coding)])).await;
        assert_eq!(response.headers()["content-encoding"], coding);
        assert_eq!(response.headers()["vary"], "accept, accept-encoding");
        let over_http =
            reqwest::Client::new().get(format!("http://{address}/metrics")).header("accept-encoding", coding);
        for compressed in [
            response.into_body().collect().await.unwrap().to_bytes(),
            over_http.send().await.unwrap().bytes().await.unwrap(),
        ] {
            assert!(compressed.len() < 1024 * 1024, "{}", compressed.len());
            let mut text = String::new();
            match coding {
                "gzip" => flate2::read::GzDecoder::new(&*compressed).read_to_string(&mut text).unwrap(),
                _ => zstd::Decoder::new(&*compressed).unwrap().read_to_string(&mut text).unwrap(),
            };
            assert!(filler(&text) == filler(&whole));
        }
    }
}

/// Asks, and reads the first byte of the answer.
async fn begin(address: SocketAddr) -> TcpStream {
    begin_as(address, "text/plain").await
}

/// The same for a format that may be another than that of those who ask meanwhile, so that it shares nothing with them.
async fn begin_as(address: SocketAddr, accept: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = format!(
        "GET /metrics HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\naccept: {accept}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'H');
    stream
}

/// Asks for that, and reads the first byte of the answer.
async fn begin_on(address: SocketAddr, path: &str, connection: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: {connection}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'H');
    stream
}

/// What an answer is in the end.
#[derive(Debug, PartialEq)]
enum Answer {
    Complete(String),
    /// 503
    Refused,
    /// Its end is missing.
    Broken,
}

/// Reads until the connection ends, one way or another.
async fn rest(mut stream: TcpStream) -> Answer {
    let mut read = Vec::new();
    // A reset ends it too.
    let _ = stream.read_to_end(&mut read).await;
    let head = read.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let (head, mut body) = read.split_at(head);
    let head = std::str::from_utf8(head).unwrap();
    if head.starts_with("TTP/1.1 503 ") {
        assert!(head.contains("\r\nretry-after: 1\r\n"), "{head}");
        assert!(body.starts_with(b"too many scrapes"));
        return Answer::Refused;
    }
    assert!(head.starts_with("TTP/1.1 200 "), "{head}");
    let mut text = Vec::new();
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        let Some(chunk) = body[end + 2..].get(..length) else { break };
        if chunk.is_empty() {
            return Answer::Complete(String::from_utf8(text).unwrap());
        }
        text.extend_from_slice(chunk);
        body = body[end + 2 + length..].strip_prefix(b"\r\n").unwrap_or_default();
    }
    Answer::Broken
}

fn is_complete(answer: &Answer) -> bool {
    matches!(answer, Answer::Complete(_))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_scrapes_at_once_are_four_renders_at_most_and_each_is_complete_or_refused() {
    let (bench, _) = Bench::listening(3).await;
    ScrapeLimits::default().write_deadline(Duration::from_secs(60)).set(&bench.monitoring);
    let address = bench.serve_with_small_buffers();
    let whole = bench.monitoring.render();
    let renders = bench.renders();
    let scrapes: Vec<_> = (0..200).map(|_| tokio::spawn(begin(address))).collect();
    let mut streams = Vec::new();
    for scrape in scrapes {
        streams.push(scrape.await.unwrap());
    }
    // All have an answer, and none can have been written to its end.
    let renders = renders.load(Ordering::Relaxed);
    assert!((1..=4).contains(&renders), "{renders}");

    let answers: Vec<_> = streams.into_iter().map(|stream| tokio::spawn(rest(stream))).collect();
    let (mut complete, mut refused) = (0, 0);
    for answer in answers {
        match answer.await.unwrap() {
            Answer::Complete(text) => {
                complete += 1;
                assert!(filler(&text) == filler(&whole));
                text.replace(filler(&text), "").parse::<Samples>().unwrap();
            }
            Answer::Refused => refused += 1,
            Answer::Broken => panic!("an answer has no end"),
        }
    }
    assert!(complete >= renders, "{complete} readers of {renders} renders");
    assert_eq!(complete + refused, 200);
    assert_eq!(bench.dropped("scrape_cap"), f64::from(u32::try_from(refused).unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scraper_that_stops_reading_is_cut_off_and_the_others_are_served() {
    // More than the system keeps for a connection.
    let (bench, address) = Bench::listening(14).await;
    ScrapeLimits::default().write_deadline(Duration::from_secs(2)).set(&bench.monitoring);
    let stalled = begin(address).await;
    assert!(is_complete(&rest(begin(address).await).await));
    until(|| bench.dropped("scrape_deadline") == 1.0).await;
    assert_eq!(rest(stalled).await, Answer::Broken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scrapers_that_stop_reading_hold_a_place_until_the_deadline_only_on_any_server() {
    let (bench, _) = Bench::listening(3).await;
    ScrapeLimits::default().renders(1).write_deadline(Duration::from_secs(1)).set(&bench.monitoring);
    let address = bench.serve_with_small_buffers();
    let stalled = begin(address).await;
    assert_eq!(rest(begin_as(address, OPEN_METRICS).await).await, Answer::Refused);
    // Nobody comes to look after it.
    until(|| bench.dropped("scrape_deadline") == 1.0).await;
    assert!(is_complete(&rest(begin_as(address, OPEN_METRICS).await).await));
    assert_eq!(rest(stalled).await, Answer::Broken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scrapers_that_stop_reading_keep_no_probe_waiting_and_their_places_come_back() {
    let (bench, address) = Bench::listening(14).await;
    ScrapeLimits::default().renders(32).write_deadline(Duration::from_secs(2)).set(&bench.monitoring);
    let mut stalled = Vec::new();
    for _ in 0..32 {
        stalled.push(begin(address).await);
    }
    // As many as there may be.
    assert_eq!(rest(begin(address).await).await, Answer::Refused);
    assert_eq!(bench.dropped("scrape_cap"), 1.0);
    // Those that say nothing give way to others.
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    let asked = Instant::now();
    assert_eq!(reqwest::get(format!("http://{address}/livez")).await.unwrap().status(), 200);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert_eq!(idle[0].read(&mut [0]).await.unwrap_or_default(), 0);

    until(|| bench.dropped("scrape_deadline") == 32.0).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while rest(begin(address).await).await == Answer::Refused {
        assert!(Instant::now() < deadline, "the places are still taken");
    }
}

#[tokio::test(start_paused = true)]
async fn a_scrape_on_an_old_connection_may_take_as_long_as_any() {
    use tokio::time::sleep;

    let (bench, address) = Bench::listening(14).await;
    // The system takes much of it at once, and then nothing for a while.
    ScrapeLimits::default().write_deadline(Duration::from_secs(55)).set(&bench.monitoring);
    let mut stream = begin_on(address, "/livez", "keep-alive").await;
    // It would be closed if nothing were asked for half a minute.
    for _ in 0..14 {
        sleep(Duration::from_secs(21)).await;
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    let mut earlier = vec![0; 64 * 1024];
    assert!(stream.read(&mut earlier).await.unwrap() > 0);
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    // More than five minutes after it was opened.
    let (mut read, mut buffer) = (0, vec![0; 16 * 1024]);
    for _ in 0..40 {
        for _ in 0..8 {
            read += stream.read(&mut buffer).await.unwrap();
        }
        sleep(Duration::from_secs(1)).await;
    }
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"\r\n0\r\n\r\n"), "{read} bytes, then {}", rest.len());
}

#[tokio::test]
async fn a_collector_that_hangs_leaves_a_service_of_one_thread_serving() {
    let bench = Bench { monitoring: Monitoring::builder("test").metrics_token(TOKEN).build().unwrap() };
    let acme = bench.monitoring.tenants().register("acme".parse().unwrap(), Tier::Free).unwrap();
    let (end, hang) = std::sync::mpsc::channel::<()>();
    let (hang, renders) = (std::sync::Mutex::new(hang), bench.renders());
    bench.monitoring.registry().on_collect(move || {
        let _ended = hang.lock().unwrap().recv();
        Collect::Keep
    });
    let own = monitoring_axum::tenant_metrics(&bench.monitoring, move |_: &RequestHead<'_>, _: &TenantRegistry| acme);
    let app = monitoring_axum::routes(&bench.monitoring).route("/own", own);
    let asked = Instant::now();
    let scrapes: Vec<_> = (0..8).map(|_| tokio::spawn(app.clone().oneshot(scrape("GET", &[])))).collect();
    let of_tenant =
        tokio::spawn(app.clone().oneshot(http::Request::get("/own").body(axum::body::Body::empty()).unwrap()));
    while renders.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    let live = http::Request::get("/livez").body(axum::body::Body::empty()).unwrap();
    assert_eq!(head(&app, live).await.status(), 200);
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    for scrape in scrapes {
        let body = scrape.await.unwrap().unwrap().into_body().collect().await.unwrap().to_bytes();
        let samples: Samples = std::str::from_utf8(&body).unwrap().parse().unwrap();
        assert!(samples.value("monitoring_collect_failures_total", &[]).unwrap() >= 1.0);
    }
    assert_eq!(of_tenant.await.unwrap().unwrap().status(), 200);
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    assert_eq!(renders.load(Ordering::Relaxed), 1);
    drop(end);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scraper_that_reads_byte_by_byte_is_cut_off_and_its_answer_is_broken() {
    let (bench, address) = Bench::listening(14).await;
    ScrapeLimits::default().write_deadline(Duration::from_secs(1)).set(&bench.monitoring);
    let mut slow = begin(address).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut head = Vec::new();
    while bench.dropped("scrape_deadline") == 0.0 {
        assert!(Instant::now() < deadline, "it is not cut off");
        head.push(slow.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"TTP/1.1 200 "));
    // What was on its way already has no end.
    let mut read = Vec::new();
    let _ = slow.read_to_end(&mut read).await;
    assert!(!read.ends_with(b"\r\n0\r\n\r\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scraper_that_goes_away_gives_its_place_back() {
    let (bench, _) = Bench::listening(3).await;
    ScrapeLimits::default().renders(1).write_deadline(Duration::from_secs(60)).set(&bench.monitoring);
    let address = bench.serve_with_small_buffers();
    for _ in 0..3 {
        let gone = begin(address).await;
        assert_eq!(rest(begin_as(address, OPEN_METRICS).await).await, Answer::Refused);
        drop(gone);
        let deadline = Instant::now() + Duration::from_secs(10);
        while rest(begin_as(address, OPEN_METRICS).await).await == Answer::Refused {
            assert!(Instant::now() < deadline, "the place is still taken");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert_eq!(bench.dropped("scrape_deadline"), 0.0);
}
