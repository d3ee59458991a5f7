//! The places of connections on the metrics' own listener.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::scrape::Connection;

/// Scrapers and probes are few; whoever comes beyond this ends the connection that is idle for longest.
const MAX_CONNECTIONS: usize = 64;
/// So many of them may be written the answer to a scrape, which can take a minute. The others are idle before long, so
/// whoever comes finds a place at once.
const MAX_SCRAPES: usize = 32;

/// The places that there are.
#[derive(Debug)]
pub(super) struct Places {
    taken: Arc<Mutex<Vec<Arc<Taken>>>>,
    scrapes: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Self {
        Self { taken: Arc::default(), scrapes: Arc::new(Semaphore::new(MAX_SCRAPES)) }
    }
}

#[derive(Debug)]
struct Taken {
    connection: Connection,
    /// `None` while a request is being answered.
    idle_since: Mutex<Option<Instant>>,
}

impl Taken {
    fn idle_since(&self) -> MutexGuard<'_, Option<Instant>> {
        lock(&self.idle_since)
    }
}

impl Places {
    /// A place for another connection: if there is none, that of the one that is idle for longest, which ends.
    pub(super) fn take(&self) -> Place {
        let taken = Taken { connection: Connection::default(), idle_since: Mutex::new(Some(Instant::now())) };
        let taken = Arc::new(taken);
        let mut all = lock(&self.taken);
        let mut ended = None;
        if all.len() >= MAX_CONNECTIONS {
            let idle = all.iter().enumerate().filter_map(|(index, taken)| Some(((*taken.idle_since())?, index)));
            ended = idle.min().map(|(_since, index)| all.swap_remove(index));
        }
        all.push(Arc::clone(&taken));
        drop(all);
        if let Some(ended) = ended {
            ended.connection.end();
        }
        Place { taken, all: Arc::clone(&self.taken), scrapes: Arc::clone(&self.scrapes) }
    }
}

/// The place of a connection, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    taken: Arc<Taken>,
    all: Arc<Mutex<Vec<Arc<Taken>>>>,
    scrapes: Arc<Semaphore>,
}

impl Place {
    pub(super) fn connection(&self) -> &Connection {
        &self.taken.connection
    }

    /// A request is being answered from now on; `None` if it is a scrape, and there are too many already.
    pub(super) fn answer(&self, is_scrape: bool) -> Option<Answering> {
        let scrapes = is_scrape.then(|| Arc::clone(&self.scrapes).try_acquire_owned());
        let scrape = scrapes.transpose().ok()?;
        *self.taken.idle_since() = None;
        Some(Answering { taken: Arc::clone(&self.taken), _scrape: scrape })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.all).retain(|taken| !Arc::ptr_eq(taken, &self.taken));
    }
}

/// A request is being answered.
#[derive(Debug)]
pub(super) struct Answering {
    taken: Arc<Taken>,
    _scrape: Option<OwnedSemaphorePermit>,
}

impl Answering {
    /// It is answered when that body is at its end, or given up.
    pub(super) fn until_end_of<B>(self, body: B) -> Answered<B> {
        Answered { body, _answering: self }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        *self.taken.idle_since() = Some(Instant::now());
    }
}

/// The body of an answer.
#[derive(Debug)]
#[pin_project::pin_project]
pub(super) struct Answered<B> {
    #[pin]
    body: B,
    _answering: Answering,
}

impl<B: Body> Body for Answered<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().body.poll_frame(task)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
