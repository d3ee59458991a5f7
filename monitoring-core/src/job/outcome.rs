//! What became of a run, as its output and its attempt say.

use crate::LabelValue;

/// What a job's output says of it: whether it succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// The job is done.
    Ok,
    /// The attempt failed. Whether that is `failed`, `retried` or `dead` is for the [`Attempt`] to say.
    Failed,
    /// The attempt failed and will be made again, however many there were.
    Retried,
    /// The attempt failed in a way that no other attempt can mend.
    Dead,
}

/// What a job may return: it says whether the job succeeded. Of `Result`, `Err` is a failure; `()` is always a success.
///
/// For any other type, give [`Job::run_judged`](super::Job::run_judged) a function, or implement this for a type of your
/// own.
///
/// ```
/// use monitoring_core::job::{JobResult, Verdict};
///
/// enum Sent {
///     Delivered,
///     MailboxFull,
///     NoSuchUser,
/// }
///
/// impl JobResult for Sent {
///     fn verdict(&self) -> Verdict {
///         match self {
///             Self::Delivered => Verdict::Ok,
///             Self::MailboxFull => Verdict::Failed,
///             Self::NoSuchUser => Verdict::Dead, // Trying again is of no use.
///         }
///     }
/// }
/// # assert_eq!([Sent::Delivered, Sent::MailboxFull, Sent::NoSuchUser].map(|sent| sent.verdict()), [Verdict::Ok, Verdict::Failed, Verdict::Dead]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether a job succeeded",
    label = "a job returns `Result`, `()`, or a type that implements `JobResult`",
    note = "to count every end of it as a success, use `.run_judged(future, |_| Verdict::Ok)`"
)]
pub trait JobResult {
    /// Whether the job succeeded.
    fn verdict(&self) -> Verdict;
}

impl<T, E> JobResult for Result<T, E> {
    fn verdict(&self) -> Verdict {
        if self.is_ok() { Verdict::Ok } else { Verdict::Failed }
    }
}

impl JobResult for () {
    fn verdict(&self) -> Verdict {
        Verdict::Ok
    }
}

/// Which of how many attempts at a job a run is. With it, a failure that will be tried again counts as `retried`, and the
/// last one as `dead`; without a known last one it is `failed`.
///
/// ```
/// use monitoring_core::job::Attempt;
///
/// let attempt = Attempt::number(2).of(5);
/// # assert_eq!(format!("{attempt:?}"), "Attempt { number: 2, max: Some(5) }");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    number: u32,
    max: Option<u32>,
}

impl Attempt {
    /// The attempt with that number; the first is 1.
    pub const fn number(number: u32) -> Self {
        Self { number, max: None }
    }

    /// Of so many at most.
    #[must_use]
    pub const fn of(self, max: u32) -> Self {
        Self { max: Some(max), ..self }
    }

    pub(super) const fn outcome(self, verdict: Verdict) -> Outcome {
        match (verdict, self.max) {
            (Verdict::Ok, _) => Outcome::Ok,
            (Verdict::Retried, _) => Outcome::Retried,
            (Verdict::Dead, _) => Outcome::Dead,
            (Verdict::Failed, None) => Outcome::Failed,
            (Verdict::Failed, Some(max)) if self.number < max => Outcome::Retried,
            (Verdict::Failed, Some(_)) => Outcome::Dead,
        }
    }
}

impl Default for Attempt {
    /// The first, of an unknown number.
    fn default() -> Self {
        Self::number(1)
    }
}

impl From<u32> for Attempt {
    fn from(number: u32) -> Self {
        Self::number(number)
    }
}

/// What became of a run; label `outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub(super) enum Outcome {
    /// The job is done.
    Ok,
    /// It failed, and nothing is known of further attempts.
    Failed,
    /// It failed, and will be tried again.
    Retried,
    /// It failed, and is given up.
    Dead,
    /// Its future was dropped before the end: a shutdown, a time-out, a lease that was lost.
    Cancelled,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_retried_until_the_last_attempt_and_then_dead() {
        let outcomes = |verdict| (1..=4).map(move |number| Attempt::number(number).of(3).outcome(verdict));
        assert!(outcomes(Verdict::Failed).eq([Outcome::Retried, Outcome::Retried, Outcome::Dead, Outcome::Dead]));
        assert!(outcomes(Verdict::Ok).all(|outcome| outcome == Outcome::Ok));
        assert!(outcomes(Verdict::Dead).all(|outcome| outcome == Outcome::Dead));
        assert!(outcomes(Verdict::Retried).all(|outcome| outcome == Outcome::Retried));
    }

    #[test]
    fn a_failure_is_failed_where_nothing_is_known_of_a_last_attempt() {
        assert_eq!(Attempt::default().outcome(Verdict::Failed), Outcome::Failed);
        assert_eq!(Attempt::number(7).outcome(Verdict::Failed), Outcome::Failed);
    }

    #[test]
    fn a_result_is_judged_by_its_variant_and_nothing_is_a_success() {
        assert_eq!(Ok::<_, ()>(1).verdict(), Verdict::Ok);
        assert_eq!(Err::<(), _>("no").verdict(), Verdict::Failed);
        assert_eq!(().verdict(), Verdict::Ok);
    }
}
