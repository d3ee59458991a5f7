//! A body that does what a test has written down.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

/// What a [`ScriptedBody`] does at a poll.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Data(Bytes),
    Trailers(HeaderMap),
    /// Is pending once.
    Wait,
    /// Is pending for ever.
    Hang,
    Fail,
    Panic,
}

pub(crate) fn data(text: &'static str) -> Step {
    Step::Data(Bytes::from_static(text.as_bytes()))
}

/// How much a body says about itself beforehand.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hints {
    /// Nothing, as a stream.
    None,
    /// The bytes that remain, but not whether it has ended.
    Size,
    /// Both.
    All,
}

#[derive(Clone, Debug)]
pub(crate) struct ScriptedBody {
    steps: VecDeque<Step>,
    hints: Hints,
}

impl ScriptedBody {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>, hints: Hints) -> Self {
        Self { steps: steps.into_iter().collect(), hints }
    }

    fn remaining(&self) -> u64 {
        let length = |step: &Step| if let Step::Data(bytes) = step { bytes.len() as u64 } else { 0 };
        self.steps.iter().map(length).sum()
    }
}

impl Body for ScriptedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(match self.steps.pop_front() {
            None => None,
            Some(Step::Data(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Step::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Some(Step::Fail) => Some(Err(io::Error::other("the script says so"))),
            Some(Step::Panic) => panic!("the script says so"),
            Some(Step::Wait) => {
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Step::Hang) => {
                self.steps.push_front(Step::Hang);
                return Poll::Pending;
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.hints, Hints::All) && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.hints {
            Hints::None => SizeHint::new(),
            Hints::Size | Hints::All => SizeHint::with_exact(self.remaining()),
        }
    }
}
