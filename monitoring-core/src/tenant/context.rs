//! The tenant of the running work, carried by the task and not by the thread.
//!
//! A thread-local names the current tenant while a scope is being polled; the scope puts it there before each poll and
//! takes it back after, so two tasks on one thread never see each other's tenant. Nothing is allocated.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::{pin_project, pinned_drop};

use super::Tenant;

thread_local! {
    /// The innermost scope being polled on this thread; `None` outside of any.
    static CURRENT: Cell<Option<Tenant>> = const { Cell::new(None) };
}

#[inline]
fn replace(tenant: Option<Tenant>) -> Option<Tenant> {
    // A thread that is being torn down has no current tenant.
    CURRENT.try_with(|current| current.replace(tenant)).unwrap_or(None)
}

impl Tenant {
    /// The tenant of the scope that the caller runs in: [`Tenant::NONE`] outside of any.
    #[inline]
    pub fn current() -> Self {
        CURRENT.try_with(Cell::get).ok().flatten().unwrap_or(Self::NONE)
    }

    /// Names the tenant of the running request: for authentication that runs inside the scope that an instrument has
    /// opened (the HTTP layer, a job). What follows in this scope is that tenant's work.
    ///
    /// # Errors
    /// Outside of any scope, where nothing would carry the tenant on.
    #[inline]
    pub fn set_current(tenant: Self) -> Result<(), OutsideScope> {
        let set = |current: &Cell<Option<Self>>| match current.get() {
            Some(_) => {
                current.set(Some(tenant));
                Ok(())
            }
            None => Err(OutsideScope),
        };
        CURRENT.try_with(set).unwrap_or(Err(OutsideScope))
    }

    /// Runs `future` as this tenant's work.
    pub fn scope<F: Future>(self, future: F) -> TenantScope<F> {
        TenantScope { context: TenantContext::new(self), future: Some(future) }
    }

    /// Makes this the current tenant until the guard is dropped: for code without `.await`, such as the closure of
    /// `spawn_blocking`.
    #[inline]
    pub fn enter(self) -> EnteredTenant {
        EnteredTenant { previous: replace(Some(self)), not_send: PhantomData }
    }
}

/// Names the tenant of a future that leaves the task it was made in.
///
/// ```
/// # #[tokio::main] async fn main() {
/// use monitoring_core::{Tenant, TenantFutureExt};
///
/// async fn render_report() -> Tenant {
///     Tenant::current()
/// }
///
/// // `tokio::spawn` starts a task without a tenant; the current one is handed over explicitly.
/// let report = tokio::spawn(render_report().in_current_tenant());
/// # assert_eq!(report.await.unwrap(), Tenant::NONE);
/// # }
/// ```
pub trait TenantFutureExt: Future + Sized {
    /// This future, as the work of `tenant`.
    fn in_tenant(self, tenant: Tenant) -> TenantScope<Self> {
        tenant.scope(self)
    }

    /// This future, as the work of the tenant that is current now.
    fn in_current_tenant(self) -> TenantScope<Self> {
        Tenant::current().scope(self)
    }
}

impl<F: Future> TenantFutureExt for F {}

/// A future that runs as the work of one tenant, made by [`Tenant::scope`]. It is dropped as that tenant's work, too:
/// what a cancelled future does in its destructors is still done for the tenant.
#[pin_project(PinnedDrop)]
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct TenantScope<F> {
    context: TenantContext,
    /// Taken when this is dropped.
    #[pin]
    future: Option<F>,
}

impl<F: Future> Future for TenantScope<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _entered = this.context.enter();
        match this.future.as_pin_mut() {
            Some(future) => future.poll(task),
            None => Poll::Pending,
        }
    }
}

#[pinned_drop]
impl<F> PinnedDrop for TenantScope<F> {
    fn drop(self: Pin<&mut Self>) {
        let mut this = self.project();
        let _entered = this.context.enter();
        this.future.set(None);
    }
}

/// The tenant of one piece of work, for futures, bodies and streams that are polled by hand.
///
/// Enter it around each poll; what [`Tenant::set_current`] changed in between is kept.
///
/// ```
/// use monitoring_core::{Tenant, TenantContext};
///
/// let mut context = TenantContext::new(Tenant::NONE);
/// {
///     let _entered = context.enter();
///     Tenant::set_current(Tenant::UNKNOWN)?;
/// }
/// assert_eq!(context.tenant(), Tenant::UNKNOWN);
/// assert_eq!(Tenant::current(), Tenant::NONE);
/// # Ok::<(), monitoring_core::OutsideScope>(())
/// ```
#[derive(Debug)]
pub struct TenantContext {
    tenant: Tenant,
}

impl TenantContext {
    /// The context of work for `tenant`.
    pub const fn new(tenant: Tenant) -> Self {
        Self { tenant }
    }

    /// The tenant that the work is done for, as it was named last.
    pub const fn tenant(&self) -> Tenant {
        self.tenant
    }

    /// Makes this the current context until the guard is dropped.
    #[inline]
    pub fn enter(&mut self) -> EnteredContext<'_> {
        let previous = replace(Some(self.tenant));
        EnteredContext { context: self, previous, not_send: PhantomData }
    }
}

/// Keeps a context current, made by [`TenantContext::enter`].
#[derive(Debug)]
#[must_use = "the context is current only while the guard lives"]
pub struct EnteredContext<'a> {
    context: &'a mut TenantContext,
    previous: Option<Tenant>,
    not_send: PhantomData<*const ()>,
}

impl Drop for EnteredContext<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(tenant) = replace(self.previous) {
            self.context.tenant = tenant;
        }
    }
}

/// Keeps a tenant current, made by [`Tenant::enter`]. It stays on its thread: do not hold it over an `.await`.
#[must_use = "the tenant is current only while the guard lives"]
pub struct EnteredTenant {
    previous: Option<Tenant>,
    not_send: PhantomData<*const ()>,
}

impl Drop for EnteredTenant {
    #[inline]
    fn drop(&mut self) {
        replace(self.previous);
    }
}

impl fmt::Debug for EnteredTenant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EnteredTenant").finish_non_exhaustive()
    }
}

/// A tenant was named outside of any scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the tenant was named outside of any request or job: run the code inside the monitoring layer, or wrap the future \
     with `Tenant::scope`"
)]
pub struct OutsideScope;
