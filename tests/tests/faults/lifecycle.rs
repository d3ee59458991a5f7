//! Rows D8-D16: runtimes, shutdown, signals, clocks, what runs out.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use monitoring_core::catalogue::{Descriptor, Unit};
use monitoring_core::database::{DatabaseInstruments, Operation, System};
use monitoring_core::otlp::{OtlpConfig, OtlpProtocol};
use monitoring_core::{Counter, Instruments, Monitoring, TenantCounter, Tier};
use monitoring_tests::exposition::Samples;
use monitoring_tests::{in_own_process, in_own_process_with};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Handle, Runtime};

const THINGS: Descriptor = Descriptor::counter("acme.things", Unit::Count("{thing}"), "Things.");
const TENANT_THINGS: Descriptor =
    Descriptor::counter("acme.tenant.things", Unit::Count("{thing}"), "Things.").per_tenant();

const DEADLINE: Duration = Duration::from_millis(300);

/// After this a test says that something hangs. Long, because a busy machine is no failure.
const PATIENCE: Duration = Duration::from_secs(60);

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A collector that takes connections and never answers.
struct Stalled(TcpListener);

impl Stalled {
    fn new() -> Self {
        Self(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
    }

    fn config(&self, protocol: OtlpProtocol) -> OtlpConfig {
        let address = self.0.local_addr().unwrap();
        let endpoint = match protocol {
            OtlpProtocol::Grpc => format!("http://{address}"),
            _ => format!("http://{address}/v1/metrics"),
        };
        OtlpConfig::default().protocol(protocol).endpoint(endpoint).interval(Duration::from_millis(20))
    }
}

fn monitoring(config: OtlpConfig) -> (Monitoring, Counter<()>) {
    let monitoring = Monitoring::builder("acme").otlp(config).build().unwrap();
    let things = monitoring.registry().counter(&THINGS).unwrap();
    things.add((), 1);
    (monitoring, things)
}

fn samples(monitoring: &Monitoring) -> Samples {
    monitoring.render().parse().unwrap()
}

/// Waits for the shutdown of a monitoring.
type Wait = Box<dyn Fn(Monitoring) + Send>;

/// How an application can wait for something asynchronous.
fn ways_to_wait() -> Vec<(&'static str, Wait)> {
    fn shutdown(monitoring: &Monitoring) -> impl Future<Output = ()> + Send + use<> {
        let monitoring = monitoring.clone();
        async move { assert!(monitoring.shutdown(DEADLINE).await.is_err(), "a stalled collector takes nothing") }
    }
    fn one_worker() -> Runtime {
        Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    }
    vec![
        (
            "current thread",
            Box::new(|monitoring| {
                Builder::new_current_thread().enable_all().build().unwrap().block_on(shutdown(&monitoring));
            }),
        ),
        ("many workers", Box::new(|monitoring| Runtime::new().unwrap().block_on(shutdown(&monitoring)))),
        (
            "on the one worker",
            Box::new(|monitoring| {
                let runtime = one_worker();
                runtime.block_on(runtime.spawn(shutdown(&monitoring))).unwrap();
            }),
        ),
        (
            "nested on the one worker",
            Box::new(|monitoring| {
                let runtime = one_worker();
                let nested = async move {
                    tokio::task::block_in_place(|| Handle::current().block_on(shutdown(&monitoring)));
                };
                runtime.block_on(runtime.spawn(nested)).unwrap();
            }),
        ),
        (
            "nested on a blocking thread of a current-thread runtime",
            Box::new(|monitoring| {
                let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                let handle = runtime.handle().clone();
                let nested = runtime.spawn_blocking(move || handle.block_on(shutdown(&monitoring)));
                runtime.block_on(nested).unwrap();
            }),
        ),
        (
            "a runtime within a thread of another one",
            Box::new(|monitoring| {
                let nested =
                    move || Builder::new_current_thread().enable_all().build().unwrap().block_on(shutdown(&monitoring));
                let runtime = one_worker();
                runtime.block_on(async move { thread::spawn(nested).join().unwrap() });
            }),
        ),
        ("no runtime", Box::new(|monitoring| futures_executor(shutdown(&monitoring)))),
    ]
}

/// Waits for a future on this thread, with no runtime.
fn futures_executor<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn d8_a_shutdown_ends_in_every_kind_of_runtime_with_every_exporter() {
    for protocol in [OtlpProtocol::HttpProtobuf, OtlpProtocol::Grpc] {
        for (way, wait) in ways_to_wait() {
            let collector = Stalled::new();
            let (monitoring, _) = monitoring(collector.config(protocol));
            // One that hangs is left behind.
            let waiting = thread::spawn(move || wait(monitoring));
            until(way, || waiting.is_finished());
            assert!(waiting.join().is_ok(), "{way}, {protocol:?}");
        }
    }
}

#[test]
fn d9_a_shutdown_with_a_dead_collector_is_bounded_and_can_be_called_again() {
    let collector = Stalled::new();
    let (monitoring, _) = monitoring(collector.config(OtlpProtocol::HttpProtobuf));
    for _ in 0..3 {
        let start = Instant::now();
        assert!(futures_executor(monitoring.shutdown(DEADLINE)).is_err());
        assert!(start.elapsed() < PATIENCE);
    }
    assert_eq!(samples(&monitoring).sum("acme_things_total", &[]), 1.0);
}

#[test]
fn d9_the_last_handle_can_be_dropped_anywhere() {
    struct Service(Option<Monitoring>);
    impl Drop for Service {
        fn drop(&mut self) {
            drop(self.0.take());
        }
    }
    let collector = Stalled::new();
    // In a task, in an unwinding thread, and as the runtime itself is dropped.
    let service = |collector: &Stalled| Service(Some(monitoring(collector.config(OtlpProtocol::HttpProtobuf)).0));
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let in_task = service(&collector);
    runtime.block_on(runtime.spawn(async move { drop(in_task) })).unwrap();
    let unwinding = service(&collector);
    let unwound = thread::spawn(move || {
        let _unwinding = unwinding;
        panic!("on purpose");
    });
    assert!(unwound.join().is_err());
    let with_runtime = service(&collector);
    runtime.spawn(async move {
        let _with_runtime = with_runtime;
        std::future::pending::<()>().await;
    });
    drop(runtime);
}

#[test]
fn d9_a_panic_hook_can_shut_down() {
    in_own_process("lifecycle::d9_a_panic_hook_can_shut_down", || {
        let collector = Stalled::new();
        let (monitoring, _) = monitoring(collector.config(OtlpProtocol::HttpProtobuf));
        let shut_down = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&shut_down);
        std::panic::set_hook(Box::new(move |_| {
            assert!(futures_executor(monitoring.shutdown(DEADLINE)).is_err());
            counted.fetch_add(1, Ordering::Relaxed);
        }));
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let panicked = runtime.block_on(async { tokio::spawn(async { panic!("on purpose") }).await });
        drop(std::panic::take_hook());
        assert!(panicked.is_err());
        assert_eq!(shut_down.load(Ordering::Relaxed), 1);
    })
    .unwrap();
}

#[test]
fn d9_a_signal_can_shut_down() {
    in_own_process("lifecycle::d9_a_signal_can_shut_down", || {
        let collector = Stalled::new();
        let (monitoring, _) = monitoring(collector.config(OtlpProtocol::HttpProtobuf));
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut terminations = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
            terminations.recv().await;
            assert!(monitoring.shutdown(DEADLINE).await.is_err());
        });
    })
    .unwrap();
}

#[test]
fn d10_what_is_recorded_after_the_shutdown_is_counted_and_goes_nowhere() {
    let (monitoring, things) = monitoring(OtlpConfig::default().endpoint("http://127.0.0.1:1/v1/metrics"));
    let tenant_things: TenantCounter<()> = monitoring.registry().tenant_counter(&TENANT_THINGS).unwrap();
    let acme = monitoring.tenants().register("acme".parse().unwrap(), Tier::Standard).unwrap();
    let _ = futures_executor(monitoring.shutdown(DEADLINE));
    things.add((), 1);
    tenant_things.add(acme, (), 1);
    let late = monitoring.tenants().register("late".parse().unwrap(), Tier::Standard).unwrap();
    tenant_things.add(late, (), 1);
    let samples = samples(&monitoring);
    assert_eq!(samples.sum("acme_things_total", &[]), 2.0);
    assert_eq!(samples.sum("acme_tenant_things_total", &[]), 2.0);
    assert!(!monitoring.is_ready());
}

#[test]
fn d11_whatever_is_dropped_first_nothing_hangs_or_panics() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let collector = Stalled::new();
        let (monitoring, things) = monitoring(collector.config(OtlpProtocol::Grpc));
        let app: Router = Router::new().route("/", get(|| async {})).merge(monitoring_axum::routes(&monitoring));
        let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let serving = runtime.spawn(axum::serve(listener, app).into_future());
        let mut parts: [Option<Box<dyn Send>>; 3] =
            [Some(Box::new(runtime)), Some(Box::new(monitoring)), Some(Box::new((serving, things.clone())))];
        for place in order {
            drop(parts[place].take());
            things.add((), 1);
        }
    }
}

/// The exit status of a child that was made by `fork` alone, once it has ended.
fn forked(child: impl FnOnce()) -> Option<i32> {
    match fork::fork().unwrap() {
        fork::Fork::Child => {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
            std::process::exit(i32::from(outcome.is_err()));
        }
        fork::Fork::Parent(pid) => {
            let pid = rustix::process::Pid::from_raw(pid).unwrap();
            let start = Instant::now();
            loop {
                let ended = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::NOHANG).unwrap();
                if let Some((_, status)) = ended {
                    return status.exit_status();
                }
                if start.elapsed() > PATIENCE {
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                    return None;
                }
                thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

#[test]
fn d12_a_forked_child_records_for_itself_and_its_shutdown_ends() {
    in_own_process("lifecycle::d12_a_forked_child_records_for_itself_and_its_shutdown_ends", || {
        let collector = Stalled::new();
        let (monitoring, things) = monitoring(collector.config(OtlpProtocol::HttpProtobuf));
        let status = forked(|| {
            things.add((), 1);
            assert!(monitoring.render().contains("\nacme_things_total 2\n"));
            // The thread that exports is not there in the child.
            let _ = futures_executor(monitoring.shutdown(DEADLINE));
        });
        assert_eq!(status, Some(0), "the child has ended by itself and in order");
        assert!(monitoring.render().contains("\nacme_things_total 1\n"), "what the child recorded is its own");
    })
    .unwrap();
}

/// Starts this test program again for a test that is to be killed, and gives what it prints, line by line.
fn spawn_own(name: &str) -> (std::process::Child, impl Iterator<Item = String>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--include-ignored"])
        .env("MONITORING_TESTS_VICTIM", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    (child, lines)
}

fn is_victim() -> bool {
    std::env::var_os("MONITORING_TESTS_VICTIM").is_some()
}

/// A service that counts, and says how far it has come once that was scraped.
fn counting_service() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let monitoring =
            Monitoring::builder("acme").metrics_address(SocketAddr::from(([127, 0, 0, 1], 0))).build().unwrap();
        let things: Counter<()> = monitoring.registry().counter(&THINGS).unwrap();
        let listener = monitoring_axum::listen(&monitoring).await.unwrap();
        println!("listening {}", listener.address());
        std::io::stdout().flush().unwrap();
        loop {
            things.add((), 1);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}

fn ended(child: &mut std::process::Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(start.elapsed() < PATIENCE, "it does not end");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn d13_a_killed_process_loses_what_came_after_the_last_scrape_and_nothing_before() {
    let name = "lifecycle::d13_a_killed_process_loses_what_came_after_the_last_scrape_and_nothing_before";
    if is_victim() {
        return counting_service();
    }
    let (mut child, mut lines) = spawn_own(name);
    let address = lines.find_map(|line| Some(line.split_once("listening ")?.1.to_owned())).unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let mut scraped = 0.0;
    // Scraped, and killed in the middle of the next one.
    for _ in 0..20 {
        let text = runtime.block_on(async { reqwest::get(format!("http://{address}/metrics")).await?.text().await });
        let samples: Samples = text.unwrap().parse().unwrap();
        let now = samples.sum("acme_things_total", &[]);
        assert!(now >= scraped, "a counter never falls");
        scraped = now;
    }
    assert!(scraped > 0.0);
    let killed = thread::spawn(move || {
        child.kill().unwrap();
        ended(&mut child)
    });
    let after = runtime.block_on(async { reqwest::get(format!("http://{address}/metrics")).await?.text().await });
    // The last scrape is whole, or there is none: half of one would say too little.
    if let Ok(text) = after {
        assert!(text.parse::<Samples>().unwrap().sum("acme_things_total", &[]) >= scraped);
    }
    assert!(!killed.join().unwrap().success());
}

fn faketime_library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().flatten().map(|entry| entry.path());
    folders
        .map(|folder| folder.join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.exists())
        .unwrap_or_else(|| panic!("libfaketime is missing: apt install faketime"))
}

#[test]
fn d14_a_wall_clock_that_jumps_changes_no_duration() {
    let clock = tempfile::NamedTempFile::new().unwrap();
    fs::write(clock.path(), "+0").unwrap();
    let configure = |command: &mut Command| {
        command.envs([
            ("LD_PRELOAD", faketime_library().display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", clock.path().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]);
    };
    in_own_process_with("lifecycle::d14_a_wall_clock_that_jumps_changes_no_duration", configure, || {
        let clock = std::env::var_os("FAKETIME_TIMESTAMP_FILE").unwrap();
        let begin = std::time::SystemTime::now();
        let monitoring = Monitoring::builder("acme").build().unwrap();
        let instruments = Instruments::<DatabaseInstruments>::of(&monitoring).unwrap();
        let mut operations = 0.0;
        for (jump, hours) in
            [("+3600", 1_i64), ("-3600", -1), ("+0", 0), ("-400000000", -111_111), ("+400000000", 111_111)]
        {
            let operation = Operation::start(&instruments, System::Sqlite, "SELECT");
            fs::write(&clock, jump).unwrap();
            operation.succeeded();
            operations += 1.0;
            // The clock has really jumped, or the test would prove nothing.
            let now = std::time::SystemTime::now();
            let moved = match now.duration_since(begin) {
                Ok(ahead) => i64::try_from(ahead.as_secs()).unwrap(),
                Err(behind) => -i64::try_from(behind.duration().as_secs()).unwrap(),
            };
            assert!((moved - hours * 3_600).abs() < 3_600, "moved by {moved} s, and not by {hours} h");
            let samples = samples(&monitoring);
            assert_eq!(samples.sum("db_client_operation_duration_seconds_count", &[]), operations);
            assert!(samples.sum("db_client_operation_duration_seconds_sum", &[]) < PATIENCE.as_secs_f64());
            // Start times are of the wall clock: they must stay readable whatever it says.
            let open_metrics = monitoring_core::Format::negotiate(["application/openmetrics-text; version=1.0.0"]);
            let text: Vec<u8> = monitoring.exposition_in(open_metrics).flatten().collect();
            assert!(text.ends_with(b"# EOF\n"));
        }
    })
    .unwrap();
}

#[test]
fn d15_without_file_handles_set_up_fails_clearly_and_recording_goes_on() {
    in_own_process("lifecycle::d15_without_file_handles_set_up_fails_clearly_and_recording_goes_on", || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (monitoring, things) = monitoring(
            OtlpConfig::default().endpoint("http://127.0.0.1:1/v1/metrics").interval(Duration::from_millis(20)),
        );
        let limit = getrlimit(Resource::Nofile);
        let open = fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        setrlimit(Resource::Nofile, Rlimit { current: Some(open), ..limit }).unwrap();
        let held: Vec<_> = std::iter::from_fn(|| fs::File::open("/dev/null").ok()).collect();
        let listening = runtime.block_on(monitoring_axum::listen(&monitoring)).unwrap_err();
        assert!(listening.to_string().contains("Too many open files"), "{listening}");
        for _ in 0..1_000 {
            things.add((), 1);
        }
        until("exports have failed and were counted", || {
            samples(&monitoring).sum("monitoring_export_failures_total", &[]) > 0.0
        });
        assert_eq!(samples(&monitoring).sum("acme_things_total", &[]), 1_001.0);
        drop(held);
        setrlimit(Resource::Nofile, limit).unwrap();
        runtime.block_on(async { drop(monitoring_axum::listen(&monitoring).await) });
    })
    .unwrap();
}

#[test]
fn d16_nothing_of_ours_blocks_the_one_worker() {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let collector = Stalled::new();
    let config = collector.config(OtlpProtocol::HttpProtobuf);
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let monitoring = Monitoring::builder("acme").otlp(config).metrics_address(address).build().unwrap();
    // A collector of the application that hangs until it is let go: scrapes and pushes must not take the worker along.
    let (let_go, hang) = std::sync::mpsc::channel::<()>();
    let hang = Mutex::new(hang);
    let hangs = Arc::new(AtomicUsize::new(0));
    let hanging = Arc::clone(&hangs);
    monitoring.registry().on_collect(move || {
        hanging.fetch_add(1, Ordering::SeqCst);
        let _ = hang.lock().unwrap().recv_timeout(PATIENCE);
        monitoring_core::Collect::Remove
    });
    let beats = Arc::new(AtomicUsize::new(0));
    let beating = Arc::clone(&beats);
    runtime.spawn(async move {
        loop {
            beating.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let scraping = runtime.spawn({
        let monitoring = monitoring.clone();
        async move {
            let listener = monitoring_axum::listen(&monitoring).await.unwrap();
            reqwest::get(format!("http://{}/metrics", listener.address())).await.unwrap().status()
        }
    });
    until("something waits for the collector that hangs", || hangs.load(Ordering::SeqCst) > 0);
    let before = beats.load(Ordering::SeqCst);
    until("the worker does other work meanwhile", || beats.load(Ordering::SeqCst) > before + 100);
    let_go.send(()).unwrap();
    assert_eq!(runtime.block_on(scraping).unwrap(), 200);
}
