//! Work within a trace.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task;

use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, ContextGuard};
use pin_project::pin_project;

use super::TraceContext;

impl TraceContext {
    /// The future, within this trace: whenever it runs, [`current`](Self::current) is this trace. Work that it spawns takes
    /// it along only by a scope of its own.
    pub fn scope<F: Future>(&self, future: F) -> InTrace<F> {
        InTrace { future, context: self.context() }
    }

    /// Makes this the current trace of the thread, until the guard is dropped. For code that does not await.
    pub fn enter(&self) -> EnteredTrace {
        EnteredTrace { _guard: self.context().attach(), not_send: PhantomData }
    }

    fn context(&self) -> Context {
        Context::current().with_remote_span_context(self.span_context().clone())
    }
}

/// A future within a trace; made by [`TraceContext::scope`].
#[pin_project]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct InTrace<F> {
    #[pin]
    future: F,
    context: Context,
}

impl<F: Future> Future for InTrace<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> task::Poll<F::Output> {
        let this = self.project();
        let _guard = this.context.clone().attach();
        this.future.poll(task)
    }
}

impl<F> fmt::Debug for InTrace<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("InTrace").field("trace", &TraceContext::of(&self.context)).finish_non_exhaustive()
    }
}

/// A trace that is the current one of the thread, until this is dropped; made by [`TraceContext::enter`].
#[must_use = "the trace is left when this is dropped"]
pub struct EnteredTrace {
    _guard: ContextGuard,
    /// It belongs to the thread.
    not_send: PhantomData<*const ()>,
}

impl fmt::Debug for EnteredTrace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EnteredTrace").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_current_only_within_its_scope() {
        let (outer, inner) = (TraceContext::new_root(), TraceContext::new_root());
        assert_eq!(TraceContext::current(), None);
        {
            let _outer = outer.enter();
            {
                let _inner = inner.enter();
                assert_eq!(TraceContext::current().unwrap().trace_id(), inner.trace_id());
            }
            assert_eq!(TraceContext::current().unwrap().span_id(), outer.span_id());
        }
        assert_eq!(TraceContext::current(), None);
    }

    #[tokio::test]
    async fn futures_that_take_turns_keep_their_traces_apart() {
        let traces: Vec<_> = (0..8).map(|_| TraceContext::new_root()).collect();
        let tasks: Vec<_> = traces
            .iter()
            .map(|trace| {
                let id = trace.trace_id();
                trace.scope(async move {
                    for _ in 0..100 {
                        assert_eq!(TraceContext::current().unwrap().trace_id(), id);
                        tokio::task::yield_now().await;
                    }
                })
            })
            .map(tokio::spawn)
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(TraceContext::current(), None);
    }
}
