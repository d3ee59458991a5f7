//! Bodies without a connection, in paused time.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::HeaderMap;
use http_body::Body;
use http_body_util::BodyExt;
use monitoring_core::catalogue::{Descriptor, Unit};
use monitoring_core::{Gauge, LabelSet, Monitoring, Symbol, TenantGauge, Tier};
use monitoring_tests::exposition::Samples;
use tokio::time::{Instant, advance, sleep};

use super::admission::{Admission, Scrapes};
use super::body::ScrapeBody;
use super::content::{Content, View};
use super::limits::ScrapeLimits;
use super::render::{Broken, WINDOW};

const FILLER: Descriptor =
    Descriptor::gauge("example.filler", Unit::Count("{thing}"), "Fills pages.").labels(&["text"]);

const LEVEL: Descriptor =
    Descriptor::gauge("example.level", Unit::Count("{thing}"), "Is there for each tenant.").per_tenant();

#[derive(Clone, Copy, LabelSet)]
struct FillerLabels {
    text: Symbol,
}

struct Bench {
    monitoring: Monitoring,
    /// How many renders have begun.
    renders: AtomicUsize,
}

impl Bench {
    fn new() -> Self {
        let monitoring = Monitoring::builder("test").build().unwrap();
        Self { monitoring, renders: AtomicUsize::new(0) }
    }

    /// One whose exposition does not fit into a window.
    fn large() -> Self {
        let bench = Self::new();
        let registry = bench.monitoring.registry();
        let filler: Gauge<FillerLabels> = registry.gauge(&FILLER).unwrap();
        for number in 0..14_000 {
            filler.set(FillerLabels { text: registry.symbol(&format!("{number:0>220}")) }, 1.0);
        }
        bench
    }

    fn admit_as(&self, view: View, headers: &[(&'static str, &str)]) -> Option<ScrapeBody> {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let (scrapes, content) = (Scrapes::of(&self.monitoring), Content::negotiate(view, &headers));
        let mut admission = scrapes.admit(content, None, None);
        if matches!(admission, Admission::NeedsExposition) {
            self.renders.fetch_add(1, Ordering::Relaxed);
            let exposition = match view {
                View::Platform => self.monitoring.exposition_in(content.format),
                View::Tenant(tenant) => self.monitoring.exposition_of(tenant, content.format),
            };
            admission = scrapes.admit(content, None, Some(exposition));
        }
        match admission {
            Admission::Granted(body) => Some(body),
            Admission::Refused => None,
            Admission::NeedsExposition => panic!("it was given one"),
        }
    }

    fn admit(&self) -> Option<ScrapeBody> {
        self.admit_as(View::Platform, &[])
    }

    /// One whose first chunk was taken.
    fn begin(&self, view: View) -> Option<ScrapeBody> {
        let mut body = self.admit_as(view, &[])?;
        assert!(matches!(poll(&mut body), Poll::Ready(Some(Ok(_)))));
        Some(body)
    }

    fn renders(&self) -> usize {
        self.renders.load(Ordering::Relaxed)
    }

    /// Scrapes counted as dropped for that reason.
    fn dropped(&self, reason: &str) -> f64 {
        let samples: Samples = self.monitoring.render().parse().unwrap();
        samples.sum("monitoring_dropped_total", &[("signal", "scrapes"), ("reason", reason)])
    }
}

/// Asks once for a chunk.
fn poll(body: &mut ScrapeBody) -> Poll<Option<Result<usize, Broken>>> {
    let polled = Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()));
    polled.map(|next| next.map(|frame| frame.map(|frame| frame.into_data().unwrap().len())))
}

async fn read(body: ScrapeBody) -> Result<String, Broken> {
    Ok(String::from_utf8(body.collect().await?.to_bytes().into()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn scrapes_that_ask_for_the_same_at_the_same_time_share_one_render() {
    let bench = Bench::new();
    let mut first = bench.admit().unwrap();
    assert!(matches!(poll(&mut first), Poll::Ready(Some(Ok(_)))));
    let second = bench.admit().unwrap();
    advance(Duration::from_millis(499)).await;
    let third = bench.admit().unwrap();
    assert_eq!(read(second).await, read(third).await);
    assert_eq!(bench.renders(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_scrape_never_joins_one_that_is_older_than_half_a_second_nor_one_that_is_over() {
    let bench = Bench::new();
    let old = bench.admit().unwrap();
    advance(Duration::from_millis(500)).await;
    read(bench.admit().unwrap()).await.unwrap();
    read(bench.admit().unwrap()).await.unwrap();
    read(old).await.unwrap();
    assert_eq!(bench.renders(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_scrape_does_not_join_where_the_first_chunk_is_gone() {
    let bench = Bench::large();
    let mut first = bench.admit().unwrap();
    let mut length = 0;
    while length <= WINDOW {
        let Poll::Ready(Some(Ok(bytes))) = poll(&mut first) else { panic!("nobody else reads it") };
        length += bytes;
    }
    // The next chunk needs the room of the first.
    assert!(poll(&mut first).is_ready());
    let second = read(bench.admit().unwrap()).await.unwrap();
    assert!(second.starts_with("# HELP") && second.len() > WINDOW);
    assert_eq!(bench.renders(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_differs_in_format_coding_or_view_is_not_shared() {
    let bench = Bench::new();
    let [acme, zeta] = ["acme", "zeta"]
        .map(|id| View::Tenant(bench.monitoring.tenants().register(id.parse().unwrap(), Tier::Standard).unwrap()));
    let open_metrics = ("accept", "application/openmetrics-text;version=1.0.0");
    let mut bodies = vec![
        bench.admit_as(View::Platform, &[]).unwrap(),
        bench.admit_as(View::Platform, &[open_metrics]).unwrap(),
        bench.admit_as(acme, &[]).unwrap(),
        bench.admit_as(zeta, &[]).unwrap(),
    ];
    if cfg!(feature = "gzip") {
        bodies.push(bench.admit_as(View::Platform, &[("accept-encoding", "gzip")]).unwrap());
    }
    let expected = bodies.len();
    for body in bodies {
        body.collect().await.unwrap();
    }
    assert_eq!(bench.renders(), expected);
}

#[tokio::test(start_paused = true)]
async fn no_more_renders_than_allowed_are_under_way_and_refusals_are_counted() {
    let bench = Bench::large();
    ScrapeLimits::default().renders(2).set(&bench.monitoring);
    let mut bodies = Vec::new();
    for _ in 0..2 {
        bodies.push(bench.begin(View::Platform).unwrap());
        advance(Duration::from_millis(500)).await;
    }
    assert!(bench.admit().is_none());
    assert!(bench.admit().is_none());
    assert_eq!(bench.dropped("scrape_cap"), 2.0);
    // A reader that goes away frees a place.
    bodies.pop();
    let mut body = bench.begin(View::Platform).unwrap();
    advance(Duration::from_millis(500)).await;
    assert!(bench.admit().is_none());
    // And so does one that has read all, also while its body is still there.
    while !matches!(poll(&mut body), Poll::Ready(None)) {}
    assert!(bench.admit().is_some());
    assert!(matches!(poll(&mut body), Poll::Ready(None)));
}

#[tokio::test(start_paused = true)]
async fn tenants_take_no_place_of_the_operators_nor_one_all_of_another() {
    let bench = Bench::new();
    let [acme, zeta] = ["acme", "zeta"]
        .map(|id| View::Tenant(bench.monitoring.tenants().register(id.parse().unwrap(), Tier::Standard).unwrap()));
    let level: TenantGauge<()> = bench.monitoring.registry().tenant_gauge(&LEVEL).unwrap();
    for view in [acme, zeta] {
        let View::Tenant(tenant) = view else { panic!("{view:?}") };
        level.set(tenant, (), 1.0);
    }
    ScrapeLimits::default().renders(3).set(&bench.monitoring);
    let mut bodies = Vec::new();
    for _ in 0..2 {
        bodies.push(bench.begin(acme).unwrap());
        advance(Duration::from_millis(500)).await;
    }
    assert!(bench.admit_as(acme, &[]).is_none());
    bodies.push(bench.begin(zeta).unwrap());
    advance(Duration::from_millis(500)).await;
    assert!(bench.admit_as(zeta, &[]).is_none());
    for _ in 0..3 {
        bodies.push(bench.begin(View::Platform).unwrap());
        advance(Duration::from_millis(500)).await;
    }
    assert!(bench.admit().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_fastest_reader_waits_for_the_slowest_and_the_window_stays_bounded() {
    let bench = Bench::large();
    let (mut fast, mut slow) = (bench.admit().unwrap(), bench.admit().unwrap());
    let mut ahead = 0;
    while let Poll::Ready(next) = poll(&mut fast) {
        ahead += next.unwrap().unwrap();
    }
    assert!((WINDOW..WINDOW + 64 * 1024).contains(&ahead), "{ahead}");
    // A chunk that the slow one takes is one more for the fast one.
    for _ in 0..3 {
        assert!(poll(&mut slow).is_ready());
        assert!(matches!(poll(&mut fast), Poll::Ready(Some(Ok(_)))));
        assert!(poll(&mut fast).is_pending());
    }
    // Once it has gone away, there is nobody to wait for.
    let fast = tokio::spawn(read(fast));
    tokio::task::yield_now().await;
    drop(slow);
    let rest = fast.await.unwrap().unwrap();
    assert!(rest.ends_with('\n') && rest.len() > 64 * 1024);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_keeps_others_waiting_is_cut_off_after_a_fifth_of_the_deadline() {
    let bench = Bench::large();
    let (fast, mut stalled) = (bench.admit().unwrap(), bench.admit().unwrap());
    assert!(poll(&mut stalled).is_ready());
    let before = Instant::now();
    assert!(read(fast).await.unwrap().len() > WINDOW);
    let waited = before.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_millis(2_100)).contains(&waited), "{waited:?}");
    assert!(matches!(poll(&mut stalled), Poll::Ready(Some(Err(Broken::CutOff)))));
    assert!(matches!(poll(&mut stalled), Poll::Ready(None)));
    assert_eq!(bench.dropped("scrape_deadline"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_is_cut_off_at_the_write_deadline_and_its_place_is_free() {
    let bench = Bench::large();
    ScrapeLimits::default().renders(1).set(&bench.monitoring);
    for (cut_off, chunks) in (1_u8..).zip([0, 1, 5]) {
        let mut stalled = bench.admit().unwrap();
        for _ in 0..chunks {
            sleep(Duration::from_secs(9)).await;
            assert!(poll(&mut stalled).is_ready());
        }
        sleep(Duration::from_millis(9_900)).await;
        assert_eq!(bench.dropped("scrape_deadline"), f64::from(cut_off - 1));
        sleep(Duration::from_millis(200)).await;
        // By its alarm, before anybody else asks.
        assert_eq!(bench.dropped("scrape_deadline"), f64::from(cut_off));
        read(bench.admit().unwrap()).await.unwrap();
        assert!(matches!(poll(&mut stalled), Poll::Ready(Some(Err(Broken::CutOff)))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_throttles_others_is_cut_off_when_they_have_waited_for_a_fifth_of_the_deadline_in_all() {
    let bench = Bench::large();
    let (fast, mut trickling) = (bench.admit().unwrap(), bench.admit().unwrap());
    let before = Instant::now();
    let fast = tokio::spawn(read(fast));
    let mut chunks = 0;
    while matches!(poll(&mut trickling), Poll::Ready(Some(Ok(_)))) {
        chunks += 1;
        sleep(Duration::from_millis(1_900)).await;
    }
    assert!(fast.await.unwrap().unwrap().len() > WINDOW);
    assert!(before.elapsed() < Duration::from_secs(6), "{chunks} chunks in {:?}", before.elapsed());
    assert_eq!(bench.dropped("scrape_deadline"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_gives_way_where_another_finds_no_room() {
    let bench = Bench::large();
    ScrapeLimits::default().renders(1).set(&bench.monitoring);
    let [acme, zeta] = ["acme", "zeta"]
        .map(|id| View::Tenant(bench.monitoring.tenants().register(id.parse().unwrap(), Tier::Standard).unwrap()));
    // A connection that takes nothing from the beginning.
    let mut stalled = bench.admit_as(acme, &[]).unwrap();
    assert!(bench.admit_as(zeta, &[]).is_none());
    sleep(Duration::from_millis(500)).await;
    let _reads = bench.admit_as(zeta, &[]).unwrap();
    assert!(matches!(poll(&mut stalled), Poll::Ready(Some(Err(Broken::CutOff)))));
    // One that has begun, and another that goes on.
    let mut stalled = bench.begin(View::Platform).unwrap();
    sleep(Duration::from_millis(1_900)).await;
    assert!(bench.admit().is_none());
    sleep(Duration::from_millis(200)).await;
    let mut reads = bench.begin(View::Platform).unwrap();
    assert!(matches!(poll(&mut stalled), Poll::Ready(Some(Err(Broken::CutOff)))));
    for _ in 0..5 {
        sleep(Duration::from_millis(1_900)).await;
        assert!(bench.admit().is_none());
        assert!(matches!(poll(&mut reads), Poll::Ready(Some(Ok(_)))));
    }
}

#[tokio::test(start_paused = true)]
async fn deadlines_without_end_and_without_time_are_taken_for_the_nearest_that_work() {
    let bench = Bench::new();
    for deadline in [Duration::MAX, Duration::ZERO] {
        ScrapeLimits::default().write_deadline(deadline).scrape_deadline(deadline).set(&bench.monitoring);
        assert!(read(bench.admit().unwrap()).await.unwrap().ends_with('\n'));
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_little_by_little_is_cut_off_at_the_scrape_deadline() {
    let bench = Bench::large();
    let mut trickling = bench.admit().unwrap();
    let before = Instant::now();
    let end = loop {
        match poll(&mut trickling) {
            Poll::Ready(Some(Ok(_))) => sleep(Duration::from_secs(5)).await,
            other => break other,
        }
    };
    assert!(matches!(end, Poll::Ready(Some(Err(Broken::CutOff)))));
    assert_eq!(before.elapsed().as_secs(), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_that_come_and_go_leave_the_others_a_whole_exposition() {
    let bench = Bench::large();
    let filler = |text: &'_ str| {
        text.lines().filter(|line| line.starts_with("example_filler")).map(str::to_owned).collect::<Vec<_>>()
    };
    let expected = filler(&bench.monitoring.render());
    let mut readers = Vec::new();
    for number in 0..60_usize {
        let Some(mut body) = bench.admit() else { continue };
        readers.push(tokio::spawn(async move {
            if number % 3 == 0 {
                for _ in 0..number {
                    if body.frame().await.is_none() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                None
            } else {
                Some(read(body).await.unwrap())
            }
        }));
    }
    for reader in readers {
        if let Some(text) = reader.await.unwrap() {
            // The store tells about itself, so only the filler is sure to be the same.
            assert_eq!(filler(&text).len(), 14_000);
            assert!(filler(&text) == expected);
            assert!(text.ends_with('\n'));
        }
    }
    assert!(bench.admit().is_some());
}
