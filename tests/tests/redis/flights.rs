//! The cache, asked by many at the same time.

use std::convert::Infallible;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{join_all, poll_immediate};
use monitoring_core::TenantFutureExt;
use monitoring_redis::Cache;
use monitoring_redis::redis::AsyncCommands;
use tokio::sync::Notify;

use crate::bench::Bench;
use crate::cache::{builder, cache};

/// Counts computations, and holds them until it is told to let them go.
#[derive(Default)]
struct Work {
    begun: AtomicUsize,
    may_end: Notify,
}

impl Work {
    async fn compute(&self) -> Result<usize, Infallible> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        self.may_end.notified().await;
        Ok(number)
    }

    async fn until_begun(&self, computations: usize) {
        let begun = async {
            while self.begun.load(Ordering::Relaxed) < computations {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(crate::bench::DEADLINE, begun).await.unwrap();
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_at_the_same_time_share_one_computation() {
    const CALLERS: usize = 50;
    let bench = Bench::of_size(8);
    let (acme, zeta) = (bench.tenant("acme"), bench.tenant("zeta"));
    let numbers: Cache<usize> = cache(&bench, "numbers");
    let work = Arc::new(Work::default());
    let call = |tenant| {
        let (numbers, work) = (numbers.clone(), Arc::clone(&work));
        tokio::spawn(async move { numbers.get_or_compute("a", || work.compute()).await }.in_tenant(tenant))
    };
    let callers: Vec<_> = (0..CALLERS).map(|_caller| call(acme)).collect();
    work.until_begun(1).await;
    // Another tenant's call for the same key is another computation.
    let other = call(zeta);
    work.until_begun(2).await;
    work.may_end.notify_one();
    work.may_end.notify_one();
    let values: Vec<usize> = join_all(callers).await.into_iter().map(|value| value.unwrap().unwrap()).collect();

    assert_eq!(values, [1; CALLERS]);
    assert_eq!(other.await.unwrap(), Ok(2));
    assert_eq!(work.begun(), 2);
    let callers = CALLERS as f64;
    assert_eq!(bench.lookups("acme", "numbers"), (callers - 1.0, 1.0, 0.0));
    assert_eq!(bench.lookups("zeta", "numbers"), (0.0, 1.0, 0.0));
}

#[tokio::test]
async fn callers_share_a_computation_also_while_redis_is_away() {
    let mut bench = Bench::new();
    let acme = bench.tenant("acme");
    let numbers: Cache<usize> = cache(&bench, "numbers");
    bench.server.process().stop(crate::bench::DEADLINE);
    let work = Work::default();
    let calls = join_all((0..10).map(|_caller| numbers.get_or_compute("a", || work.compute()).in_tenant(acme)));
    let release = async {
        work.until_begun(1).await;
        work.may_end.notify_one();
    };
    let (values, ()) = tokio::join!(calls, release);

    assert_eq!(values, vec![Ok(1); 10]);
    assert_eq!(bench.lookups("acme", "numbers"), (9.0, 0.0, 1.0));
}

#[tokio::test]
async fn a_leader_that_fails_panics_or_is_dropped_leaves_the_work_to_the_next() {
    let bench = Bench::new();
    let acme = bench.tenant("acme");
    let numbers: Cache<usize> = cache(&bench, "numbers");
    let work = Work::default();
    let failing = numbers.get_or_compute("a", || async {
        work.compute().await.map_err(|_never| "")?;
        Err("the first one")
    });
    let panicking = AssertUnwindSafe(numbers.get_or_compute("a", || async {
        let _ = work.compute().await;
        std::panic::panic_any("the second one");
        #[allow(unreachable_code, reason = "it has the type of a computation")]
        Ok::<usize, &str>(0)
    }))
    .catch_unwind();
    let hanging = async {
        let call = numbers.get_or_compute("a", || async {
            work.begun.fetch_add(1, Ordering::Relaxed);
            pending::<Result<usize, &str>>().await
        });
        tokio::select! { _ = call => None, () = work.until_begun(3) => Some("the third one was dropped") }
    };
    let last = numbers.get_or_compute("a", || async { work.compute().await.map_err(|_never| "") });
    let release = async {
        for computation in [1, 2, 4] {
            work.until_begun(computation).await;
            work.may_end.notify_one();
        }
    };
    let (failed, panicked, dropped, value, ()) =
        async { tokio::join!(failing, panicking, hanging, last, release) }.in_tenant(acme).await;

    assert_eq!(failed, Err("the first one"));
    assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"the second one"));
    assert!(dropped.is_some());
    assert_eq!(value, Ok(4));
    assert_eq!(numbers.get("a").in_tenant(acme).await, Some(4));
}

#[tokio::test]
async fn a_caller_does_not_wait_for_ever_for_one_that_hangs() {
    let bench = Bench::new();
    let acme = bench.tenant("acme");
    let patient = Duration::from_millis(20);
    let numbers: Cache<usize> = builder(&bench, "numbers").max_wait(patient).build(bench.pool.clone()).unwrap();
    let work = Work::default();
    let mut hanging = Box::pin(numbers.get_or_compute("a", || work.compute()).in_tenant(acme));
    while work.begun() == 0 {
        assert!(poll_immediate(&mut hanging).await.is_none());
        tokio::task::yield_now().await;
    }
    // Not polled any more, it still leads.
    let value = numbers.get_or_compute("a", || async { Ok::<_, Infallible>(7) }).in_tenant(acme).await;
    assert_eq!(value, Ok(7));
    // Nor does a computation that asks for its own key.
    let itself = numbers.get_or_compute("b", || numbers.get_or_compute("b", || async { Ok::<_, Infallible>(8) }));
    assert_eq!(itself.in_tenant(acme).await, Ok(8));
    drop(hanging);
}

#[tokio::test]
async fn over_the_limit_of_keys_callers_compute_on_their_own() {
    let bench = Bench::new();
    let acme = bench.tenant("acme");
    let numbers: Cache<usize> = builder(&bench, "numbers").max_in_flight(1).build(bench.pool.clone()).unwrap();
    let work = Work::default();
    let call = |key| numbers.get_or_compute(key, || work.compute()).in_tenant(acme);
    let release = async {
        work.until_begun(3).await;
        (0..3).for_each(|_one| work.may_end.notify_waiters());
    };
    let (a, also_a, b, also_b, ()) = tokio::join!(call("a"), call("a"), call("b"), call("b"), release);

    assert_eq!(a, also_a);
    assert_ne!(b, also_b);
    assert_eq!(work.begun(), 3);
}

#[tokio::test]
async fn what_was_being_computed_when_its_entry_was_removed_is_not_kept() {
    let bench = Bench::new();
    let acme = bench.tenant("acme");
    let numbers: Cache<usize> = cache(&bench, "numbers");
    let work = Work::default();
    let change = async {
        work.until_begun(1).await;
        numbers.remove("a").await.unwrap();
        // Who asks after the change does not get what began before it.
        let after = numbers.get_or_compute("a", || work.compute());
        let release = async {
            work.until_begun(2).await;
            work.may_end.notify_one();
            work.may_end.notify_one();
        };
        tokio::join!(after, release).0
    };
    let before = numbers.get_or_compute("a", || work.compute());
    let (before, after) = async { tokio::join!(before, change) }.in_tenant(acme).await;

    assert_eq!((before, after), (Ok(1), Ok(2)));
    let kept: Option<String> = bench.connection().await.get("acme/numbers/a").await.unwrap();
    assert_ne!(kept.as_deref(), Some("acme\n1"));
}
