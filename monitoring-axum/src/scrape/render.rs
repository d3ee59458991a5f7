//! An exposition that is being written, for one reader or several.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use monitoring_core::{DropReason, Dropped, Exposition, Instruments, Signal};
use tokio::time::Instant;

use super::chunks::{Chunks, Step};
use super::connection::Connection;
use super::content::Content;
use super::limits::ScrapeLimits;
use super::place::{Place, WaitsFor};

/// So many bytes are kept for readers that are not as far as others.
pub(super) const WINDOW: usize = 2 * 1024 * 1024;
/// Whoever comes later begins a render of its own: so no scrape shows what is older than that.
const JOIN_WITHIN: Duration = Duration::from_millis(500);

/// Why a body ends before its content does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    /// The reader was too slow.
    #[error("the scrape was cut off: its reader was slower than ScrapeLimits allow")]
    CutOff,
    /// The exposition failed.
    #[error("the scrape was given up: the exposition could not be written")]
    Failed,
}

/// An exposition that is being written. Whichever of its readers is the first to need the next chunk makes it, in its own
/// task and without a lock; the others wait for it and read the same.
#[derive(Debug)]
pub(super) struct Render {
    pub(super) content: Content,
    limits: ScrapeLimits,
    dropped: Option<Instruments<Dropped>>,
    begun: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    source: Source,
    window: VecDeque<Bytes>,
    /// The bytes in the window.
    bytes: usize,
    /// The number of the window's first chunk.
    first: u64,
    readers: BTreeMap<u64, Place>,
    /// The readers that there have been.
    joined: u64,
}

/// Where the next chunk comes from.
#[derive(Debug)]
enum Source {
    /// Nothing has been read of it.
    Store(Box<Exposition>),
    Chunks(Box<Chunks>),
    /// A reader is making the next chunk.
    Taken,
    Ended,
    Failed,
}

impl Render {
    /// A render, and its first reader.
    pub(super) fn begin(
        exposition: Exposition,
        content: Content,
        limits: ScrapeLimits,
        dropped: Option<Instruments<Dropped>>,
        connection: Option<Connection>,
    ) -> (Arc<Self>, Reader) {
        let now = Instant::now();
        let mut state = State {
            source: Source::Store(Box::new(exposition)),
            window: VecDeque::new(),
            bytes: 0,
            first: 0,
            readers: BTreeMap::new(),
            joined: 0,
        };
        let number = state.join(Place::new(now, &limits, connection));
        let render = Arc::new(Self { content, limits, dropped, begun: now, state: Mutex::new(state) });
        (Arc::clone(&render), Reader { render, number })
    }

    /// Another reader, if the first chunk is still there and not too old.
    pub(super) fn join(self: &Arc<Self>, connection: Option<Connection>) -> Option<Reader> {
        let now = Instant::now();
        let mut state = self.lock();
        let is_fresh = state.first == 0 && now < self.begun + JOIN_WITHIN;
        if !is_fresh || state.readers.is_empty() || matches!(state.source, Source::Failed) {
            return None;
        }
        let number = state.join(Place::new(now, &self.limits, connection));
        state.settle(now);
        Some(Reader { render: Arc::clone(self), number })
    }

    /// Whether anybody reads it. It takes memory, and a place among the renders, as long as somebody does.
    pub(super) fn is_read(&self) -> bool {
        !self.lock().readers.is_empty()
    }

    /// Cuts off whoever is due. Their alarms do the same, but for a reader that was woken and has not come.
    pub(super) fn cut_off_due(&self) -> Released {
        let now = Instant::now();
        self.cut_off(self.lock(), now, |place| now >= place.due(&self.limits))
    }

    /// Cuts off who takes nothing for longer than others would wait for it, where somebody needs the place. A connection
    /// that can take something begins at once, so who has not begun when the render is too old to be joined is idle too.
    pub(super) fn cut_off_idle(&self) -> Released {
        let now = Instant::now();
        let state = self.lock();
        let has_begun = !matches!(state.source, Source::Store(_));
        let patience = if has_begun { self.limits.patience() } else { self.limits.patience().min(JOIN_WITHIN) };
        self.cut_off(state, now, |place| place.is_idle(now, patience))
    }

    /// The alarm of a reader has rung: it is due, or those are that it waits for, or the alarm was for an earlier state.
    fn ring(&self, reader: u64) {
        let now = Instant::now();
        let state = self.lock();
        let Some(place) = state.readers.get(&reader) else { return };
        if place.waits_for(WaitsFor::Room) && now < place.due(&self.limits) {
            let is_due = |place: &Place| place.due_to_others(&self.limits).is_some_and(|due| now >= due);
            self.cut_off(state, now, is_due).release();
            // It sets its alarm anew, for who is left to wait for.
            let mut state = self.lock();
            let waker = state.readers.get_mut(&reader).and_then(|place| place.resume(now));
            state.settle(now);
            drop(state);
            waker.into_iter().for_each(Waker::wake);
        } else {
            self.cut_off(state, now, |place| now >= place.due(&self.limits)).release();
        }
    }

    fn cut_off(
        &self,
        mut state: MutexGuard<'_, State>,
        now: Instant,
        is_too_slow: impl Fn(&Place) -> bool,
    ) -> Released {
        let slow = state.readers.extract_if(.., |_number, place| is_too_slow(place));
        let slow: Vec<Place> = slow.map(|(_number, place)| place).collect();
        if slow.is_empty() {
            return Released::default();
        }
        let released = state.resume_all(now);
        drop(state);
        if let Some(dropped) = self.dropped.as_ref().and_then(Instruments::get) {
            dropped.count(Signal::Scrapes, DropReason::ScrapeDeadline, slow.len() as u64);
        }
        Released { slow, ..released }
    }

    fn leave(&self, reader: u64) {
        let mut state = self.lock();
        let Some(left) = state.readers.remove(&reader) else { return };
        let released = state.resume_all(Instant::now());
        drop(state);
        released.release();
        // After the lock was given back, since a waker may own the task that drops the reader.
        drop(left);
    }

    fn poll_chunk(&self, reader: u64, task: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broken>> {
        loop {
            let now = Instant::now();
            // Dropped after the lock is given back, as in `leave`.
            let _earlier;
            let mut guard = self.lock();
            let state = &mut *guard;
            let Some(place) = state.readers.get_mut(&reader) else { return Poll::Ready(Err(Broken::CutOff)) };
            _earlier = place.resume(now);
            let ahead = usize::try_from(place.next - state.first).unwrap_or(usize::MAX);
            if let Some(chunk) = state.window.get(ahead).cloned() {
                place.take(now);
                let released = if state.has_waiting_for_room() && state.make_room() {
                    state.resume_all(now)
                } else {
                    state.settle(now);
                    Released::default()
                };
                drop(guard);
                released.release();
                return Poll::Ready(Ok(Some(chunk)));
            }
            match &state.source {
                Source::Ended => return Poll::Ready(Ok(None)),
                Source::Failed => return Poll::Ready(Err(Broken::Failed)),
                Source::Taken => {
                    place.wait(WaitsFor::Turn, task.waker());
                    state.settle(now);
                    return Poll::Pending;
                }
                Source::Store(_) | Source::Chunks(_) => {}
            }
            let has_room = state.make_room();
            if let Some(place) = state.readers.get_mut(&reader) {
                if has_room {
                    place.make();
                } else {
                    place.wait(WaitsFor::Room, task.waker());
                }
            }
            state.settle(now);
            if !has_room {
                return Poll::Pending;
            }
            let source = mem::replace(&mut state.source, Source::Taken);
            drop(guard);
            if !self.make_chunk(reader, source) {
                // Others have their turn, and other tasks too.
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Does the work of a chunk; `false` if there is more to do for one.
    fn make_chunk(&self, reader: u64, source: Source) -> bool {
        let mut turn = Turn { render: self, reader, source: Source::Failed, chunk: None };
        let chunks = match source {
            Source::Chunks(chunks) => Ok(chunks),
            Source::Store(exposition) => Chunks::begin(*exposition, self.content.encoding).map(Box::new),
            Source::Taken | Source::Ended | Source::Failed => return true,
        };
        let Ok(mut chunks) = chunks else { return true };
        match chunks.step() {
            Ok(Step::Chunk(chunk)) => turn.chunk = Some(chunk),
            Ok(Step::Underway) => {}
            Ok(Step::End) => {
                turn.source = Source::Ended;
                return true;
            }
            Err(_failed) => return true,
        }
        turn.source = Source::Chunks(chunks);
        turn.chunk.is_some()
    }

    /// When the alarm of that reader is to ring: then it is due, or those are that it waits for.
    fn alarm(&self, reader: u64) -> Option<Instant> {
        let state = self.lock();
        let place = state.readers.get(&reader)?;
        let due = place.due(&self.limits);
        if !place.waits_for(WaitsFor::Room) {
            return Some(due);
        }
        state.readers.values().filter_map(|place| place.due_to_others(&self.limits)).chain([due]).min()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn join(&mut self, place: Place) -> u64 {
        let number = self.joined;
        self.joined += 1;
        self.readers.insert(number, place);
        number
    }

    /// Tells the slowest of the readers whether others wait for them. To be called when anything has changed.
    fn settle(&mut self, now: Instant) {
        let is_waiting = self.has_waiting_for_room();
        for place in self.readers.values_mut() {
            place.hold_up(is_waiting && place.next == self.first, now);
        }
    }

    /// Ends all waiting. If nobody is left, frees what there was for them.
    fn resume_all(&mut self, now: Instant) -> Released {
        let wakers = self.readers.values_mut().filter_map(|place| place.resume(now)).collect();
        self.settle(now);
        Released { slow: Vec::new(), wakers, _freed: self.readers.is_empty().then(|| self.close()) }
    }

    fn has_waiting_for_room(&self) -> bool {
        self.readers.values().any(|place| place.waits_for(WaitsFor::Room))
    }

    /// Whether there is room for another chunk in the window. If it is full, what all have read makes room; until then it
    /// is kept for those who may still join.
    fn make_room(&mut self) -> bool {
        if self.bytes >= WINDOW {
            let read = self.readers.values().map(|place| place.next).min().unwrap_or(u64::MAX);
            while self.first < read
                && let Some(chunk) = self.window.pop_front()
            {
                self.first += 1;
                self.bytes -= chunk.len();
            }
        }
        self.bytes < WINDOW
    }

    /// Gives back what was there for readers.
    fn close(&mut self) -> (Source, VecDeque<Bytes>) {
        self.bytes = 0;
        let source = match self.source {
            // Whose turn it is gives it back.
            Source::Taken => Source::Ended,
            _ => mem::replace(&mut self.source, Source::Ended),
        };
        (source, mem::take(&mut self.window))
    }
}

/// A reader is making the next chunk. What it leaves behind, also by a panic, is for all of them.
struct Turn<'a> {
    render: &'a Render,
    reader: u64,
    source: Source,
    chunk: Option<Bytes>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut state = self.render.lock();
        state.source = mem::replace(&mut self.source, Source::Taken);
        if let Some(chunk) = self.chunk.take() {
            state.bytes += chunk.len();
            state.window.push_back(chunk);
        }
        if let Some(place) = state.readers.get_mut(&self.reader) {
            place.made(now);
        }
        let released = state.resume_all(now);
        drop(state);
        released.release();
    }
}

/// What is to be done once no lock is held: it runs code of others.
#[derive(Debug, Default)]
#[must_use = "who is to be woken is woken by `release`"]
pub(super) struct Released {
    slow: Vec<Place>,
    wakers: Vec<Waker>,
    _freed: Option<(Source, VecDeque<Bytes>)>,
}

impl Released {
    /// Wakes whom it may concern, and ends the connections of who was cut off.
    pub(super) fn release(self) {
        self.wakers.into_iter().chain(self.slow.into_iter().filter_map(Place::cut_off)).for_each(Waker::wake);
    }
}

/// One reader of a render; dropped, it leaves.
#[derive(Debug)]
pub(super) struct Reader {
    render: Arc<Render>,
    number: u64,
}

impl Reader {
    /// The next chunk; `None` at the end.
    ///
    /// Does the work of one chunk at most before it lets other tasks run.
    pub(super) fn poll_chunk(&self, task: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broken>> {
        self.render.poll_chunk(self.number, task)
    }

    /// When [`Bell::ring`] is to be called: this changes with each chunk.
    pub(super) fn alarm(&self) -> Option<Instant> {
        self.render.alarm(self.number)
    }

    pub(super) fn bell(&self) -> Bell {
        Bell { render: Arc::clone(&self.render), reader: self.number }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.render.leave(self.number);
    }
}

/// Rings for a reader that may be too slow, or wait for one that is.
#[derive(Debug)]
pub(super) struct Bell {
    render: Arc<Render>,
    reader: u64,
}

impl Bell {
    pub(super) fn ring(&self) {
        self.render.ring(self.reader);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use http::HeaderMap;
    use monitoring_core::Monitoring;

    use super::*;
    use crate::scrape::View;

    #[test]
    fn a_panic_while_a_chunk_is_made_fails_the_render_for_all_its_readers() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let content = Content::negotiate(View::Platform, &HeaderMap::new());
        let (render, first) = Render::begin(monitoring.exposition(), content, ScrapeLimits::default(), None, None);
        let second = render.join(None).unwrap();
        render.lock().source = Source::Taken;
        let mut task = Context::from_waker(Waker::noop());
        assert_eq!(second.poll_chunk(&mut task), Poll::Pending);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _turn = Turn { render: &render, reader: 0, source: Source::Failed, chunk: None };
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        for reader in [first, second] {
            assert_eq!(reader.poll_chunk(&mut task), Poll::Ready(Err(Broken::Failed)));
        }
        assert!(render.join(None).is_none());
    }
}
