//! Whether the code that runs belongs to a request that is being measured already.
//!
//! A layer that is applied twice must count once: to the router and to the whole application, or by two crates that do
//! not know of each other. The outer one says so to this thread while it runs what is inside; an inner one of the same
//! monitoring then only passes the request through, and tells the outer one the route if it knows it better. Nothing is
//! allocated, and no request extension is needed.

use std::cell::Cell;
use std::ptr;

use crate::record::HttpServer;
use crate::route::Route;

thread_local! {
    static RUNNING: Cell<Running> = const { Cell::new(Running { store: ptr::null(), route: None }) };
}

/// The request that this thread is working for.
#[derive(Clone, Copy, Debug)]
struct Running {
    /// The address of the store that measures it, never read through; null outside of any request.
    store: *const (),
    /// The route, once a layer further inside has named it.
    route: Option<Route>,
}

fn store_of(instruments: &HttpServer) -> *const () {
    ptr::from_ref(instruments.tenants()).cast()
}

/// Whether the running request is measured into that store.
#[inline]
pub(crate) fn is_measured(instruments: &HttpServer) -> bool {
    RUNNING.try_with(|running| running.get().store == store_of(instruments)).unwrap_or(false)
}

/// Tells the layer that measures the running request what its route is.
#[inline]
pub(crate) fn name_route(route: Route) {
    // A thread that is being torn down serves no requests.
    let _ = RUNNING.try_with(|running| running.set(Running { route: Some(route), ..running.get() }));
}

/// Marks the request as being measured, until [`leave`].
#[inline]
pub(crate) fn enter(instruments: &HttpServer) -> Outer {
    let running = Running { store: store_of(instruments), route: None };
    Outer(RUNNING.try_with(|current| current.replace(running)).ok())
}

/// Goes back to what was running before, and gives the route if one was named.
#[inline]
pub(crate) fn leave(outer: Outer) -> Option<Route> {
    let outer = outer.0?;
    RUNNING.try_with(|current| current.replace(outer).route).ok().flatten()
}

/// What was running before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outer(Option<Running>);
