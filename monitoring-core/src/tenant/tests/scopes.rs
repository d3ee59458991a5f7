//! Who the current tenant is.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;

use tokio::sync::Barrier;
use tokio::task::yield_now;

use super::super::{OutsideScope, Tenant, TenantContext, TenantFutureExt, TenantRegistry};

/// Notes who is current when it is dropped.
struct CurrentOnDrop(Arc<Mutex<Option<Tenant>>>);

impl Drop for CurrentOnDrop {
    fn drop(&mut self) {
        *self.0.lock().unwrap() = Some(Tenant::current());
    }
}

fn two_tenants() -> (Tenant, Tenant) {
    let registry = TenantRegistry::new(10, true);
    (registry.admit("acme"), registry.admit("umbrella"))
}

#[tokio::test]
async fn a_scope_holds_over_awaits_and_ends_with_its_future() {
    let (acme, _) = two_tenants();
    assert_eq!(Tenant::current(), Tenant::NONE);
    let answer = acme
        .scope(async {
            assert_eq!(Tenant::current(), acme);
            yield_now().await;
            assert_eq!(Tenant::current(), acme);
            42
        })
        .await;
    assert_eq!(answer, 42);
    assert_eq!(Tenant::current(), Tenant::NONE);
}

#[tokio::test]
async fn the_inner_of_nested_scopes_counts_until_it_ends() {
    let (acme, umbrella) = two_tenants();
    acme.scope(async {
        umbrella
            .scope(async {
                yield_now().await;
                assert_eq!(Tenant::current(), umbrella);
                Tenant::set_current(Tenant::UNKNOWN).unwrap();
                assert_eq!(Tenant::current(), Tenant::UNKNOWN);
            })
            .await;
        assert_eq!(Tenant::current(), acme);
    })
    .await;
}

async fn interleave(tasks: usize) {
    let (acme, umbrella) = two_tenants();
    let start = Arc::new(Barrier::new(tasks));
    let running: Vec<_> = (0..tasks)
        .map(|number| {
            let start = Arc::clone(&start);
            let mut mine = if number % 2 == 0 { acme } else { umbrella };
            let work = async move {
                start.wait().await;
                for round in 0..200 {
                    assert_eq!(Tenant::current(), mine, "task {number}, round {round}");
                    if round == 100 {
                        mine = if mine == acme { umbrella } else { acme };
                        Tenant::set_current(mine).unwrap();
                    }
                    yield_now().await;
                }
            };
            tokio::spawn(mine.scope(work))
        })
        .collect();
    for task in running {
        task.await.unwrap();
    }
    assert_eq!(Tenant::current(), Tenant::NONE);
}

#[tokio::test]
async fn tasks_that_take_turns_on_one_thread_keep_their_tenants() {
    interleave(16).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_that_move_between_threads_keep_their_tenants() {
    interleave(64).await;
}

#[tokio::test]
async fn a_spawned_task_has_a_tenant_only_if_it_is_handed_over() {
    let (acme, _) = two_tenants();
    acme.scope(async {
        let current = || async { Tenant::current() };
        assert_eq!(tokio::spawn(current()).await.unwrap(), Tenant::NONE);
        assert_eq!(tokio::spawn(current().in_current_tenant()).await.unwrap(), acme);
        assert_eq!(tokio::spawn(current().in_tenant(Tenant::UNKNOWN)).await.unwrap(), Tenant::UNKNOWN);

        let tenant = Tenant::current();
        let blocking = tokio::task::spawn_blocking(move || {
            let outside = Tenant::current();
            let _entered = tenant.enter();
            (outside, Tenant::current())
        });
        assert_eq!(blocking.await.unwrap(), (Tenant::NONE, acme));
    })
    .await;
}

#[tokio::test]
async fn a_tenant_named_inside_a_scope_holds_for_the_rest_of_it_only() {
    let (acme, umbrella) = two_tenants();
    Tenant::NONE
        .scope(async {
            Tenant::set_current(acme).unwrap();
            yield_now().await;
            assert_eq!(Tenant::current(), acme);
            Tenant::set_current(umbrella).unwrap();
            yield_now().await;
            assert_eq!(Tenant::current(), umbrella);
        })
        .await;
    assert_eq!(Tenant::current(), Tenant::NONE);
}

#[tokio::test]
async fn a_tenant_cannot_be_named_outside_of_a_scope() {
    let (acme, _) = two_tenants();
    assert_eq!(Tenant::set_current(acme), Err(OutsideScope));
    assert_eq!(Tenant::current(), Tenant::NONE);
    // A task that was spawned without a tenant is outside, too.
    let spawned = acme.scope(async move { tokio::spawn(async move { Tenant::set_current(acme) }).await.unwrap() });
    assert_eq!(spawned.await, Err(OutsideScope));
    assert!(OutsideScope.to_string().contains("Tenant::scope"));
}

#[test]
fn a_panic_in_a_scope_gives_the_thread_back_as_it_was() {
    let (acme, umbrella) = two_tenants();
    let _outer = umbrella.enter();
    let mut task = Context::from_waker(Waker::noop());

    let mut future = pin!(acme.scope(async { panic!("in a scope") }));
    let unwound = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut task)));
    assert!(unwound.is_err());
    assert_eq!(Tenant::current(), umbrella);

    let unwound = catch_unwind(|| {
        let _entered = acme.enter();
        panic!("behind a guard");
    });
    assert!(unwound.is_err());
    assert_eq!(Tenant::current(), umbrella);

    let mut context = TenantContext::new(acme);
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _entered = context.enter();
        panic!("in a context");
    }));
    assert!(unwound.is_err());
    assert_eq!((Tenant::current(), context.tenant()), (umbrella, acme));
}

#[test]
fn a_cancelled_future_is_dropped_as_its_own_tenants_work() {
    let (acme, umbrella) = two_tenants();
    let seen = Arc::default();
    let guard = CurrentOnDrop(Arc::clone(&seen));
    let mut future = Box::pin(acme.scope(async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    }));
    let mut task = Context::from_waker(Waker::noop());
    assert_eq!(future.as_mut().poll(&mut task), Poll::Pending);

    // Who drops it works for somebody else.
    let _entered = umbrella.enter();
    drop(future);
    assert_eq!(*seen.lock().unwrap(), Some(acme));
    assert_eq!(Tenant::current(), umbrella);
}

#[test]
fn a_context_polled_by_hand_keeps_what_was_named_between_polls() {
    let (acme, umbrella) = two_tenants();
    let mut context = TenantContext::new(Tenant::NONE);
    for expected in [Tenant::NONE, acme, umbrella] {
        let _entered = context.enter();
        assert_eq!(Tenant::current(), expected);
        Tenant::set_current(if expected == Tenant::NONE { acme } else { umbrella }).unwrap();
    }
    assert_eq!(context.tenant(), umbrella);
    assert_eq!(Tenant::current(), Tenant::NONE);
}

#[test]
fn each_thread_has_its_own_current_tenant() {
    let (acme, _) = two_tenants();
    let _entered = acme.enter();
    assert_eq!(thread::spawn(Tenant::current).join().unwrap(), Tenant::NONE);
    assert_eq!(Tenant::current(), acme);
}

#[test]
fn a_thread_that_ends_has_no_tenant_and_does_not_panic() {
    struct AtTheEnd;
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            let _entered = Tenant::UNKNOWN.enter();
            assert!([Tenant::NONE, Tenant::UNKNOWN].contains(&Tenant::current()));
        }
    }
    thread_local!(static AT_THE_END: AtTheEnd = const { AtTheEnd });

    let (acme, _) = two_tenants();
    let thread = thread::spawn(move || {
        AT_THE_END.with(|_| ());
        let _entered = acme.enter();
    });
    thread.join().unwrap();
}
