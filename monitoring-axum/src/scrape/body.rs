//! The answer to a scrape, as the body of a response.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

use super::render::{Bell, Broken, Reader};

/// The answer to a scrape: each chunk is made when the connection has room for it.
#[derive(Debug)]
pub(super) struct ScrapeBody {
    /// `None` after the end.
    reading: Option<(Reader, Alarm)>,
}

impl ScrapeBody {
    /// # Panics
    /// Outside of a Tokio runtime with its timer enabled.
    pub(super) fn new(reader: Reader) -> Self {
        let mut alarm = Alarm::new(reader.bell());
        alarm.set(reader.alarm());
        Self { reading: Some((reader, alarm)) }
    }
}

impl Body for ScrapeBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Some((reader, alarm)) = &mut self.reading else { return Poll::Ready(None) };
        let polled = reader.poll_chunk(task);
        alarm.set(reader.alarm());
        let next = ready!(polled).transpose();
        if !matches!(next, Some(Ok(_))) {
            // Its place is given back before the client can have read the end.
            self.reading = None;
        }
        Poll::Ready(next.map(|chunk| chunk.map(Frame::data)))
    }
}

/// Rings when a reader is due, in the runtime's timer: a connection whose client reads nothing does not ask the body for
/// anything, so nothing else would.
struct Alarm {
    sleep: Pin<Box<Sleep>>,
    bell: Arc<Bell>,
    waker: Waker,
}

impl Alarm {
    fn new(bell: Bell) -> Self {
        let bell = Arc::new(bell);
        Self { sleep: Box::pin(sleep_until(Instant::now())), waker: Waker::from(Arc::clone(&bell)), bell }
    }

    /// Sets it anew; a reader that has left needs none.
    fn set(&mut self, at: Option<Instant>) {
        let Some(at) = at else { return };
        self.sleep.as_mut().reset(at);
        // Without a budget of its own the task's would wake whom it is polled with: the bell.
        if pin!(unconstrained(self.sleep.as_mut())).poll(&mut Context::from_waker(&self.waker)).is_ready() {
            self.bell.ring();
        }
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Alarm").field("at", &self.sleep.deadline()).finish_non_exhaustive()
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}
