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
#[derive(Clone, Copy)]
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
pub(crate) fn is_measured(instruments: &HttpServer) -> bool {
    RUNNING.try_with(|running| running.get().store == store_of(instruments)).unwrap_or(false)
}

/// Tells the layer that measures the running request what its route is.
pub(crate) fn name_route(route: Route) {
    // A thread that is being torn down serves no requests.
    let _ = RUNNING.try_with(|running| running.set(Running { route: Some(route), ..running.get() }));
}

/// Marks the request as being measured until the guard is dropped, which then writes a better known route into `route`.
pub(crate) fn enter<'a>(instruments: &HttpServer, route: &'a mut Route) -> Entered<'a> {
    let running = Running { store: store_of(instruments), route: None };
    Entered { route, previous: RUNNING.try_with(|current| current.replace(running)).ok() }
}

pub(crate) struct Entered<'a> {
    route: &'a mut Route,
    previous: Option<Running>,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let Some(previous) = self.previous else { return };
        if let Ok(Running { route: Some(route), .. }) = RUNNING.try_with(|current| current.replace(previous)) {
            *self.route = route;
        }
    }
}
