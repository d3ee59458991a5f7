//! One computation for all who ask for a key at the same time.
//!
//! The first to board a flight leads it; the others wait for what it lands with. Whoever leads holds a lock, and so leaves it
//! to the next one by whatever end: with an error, with a panic, or dropped.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The flights of one cache in this process, by key. There are no more of them than the limit.
pub(super) struct Flights {
    limit: usize,
    by_key: Mutex<HashMap<Box<str>, Boarding>>,
}

/// A flight that can be boarded, and how many are aboard.
struct Boarding {
    flight: Arc<Flight>,
    aboard: usize,
}

#[derive(Default)]
struct Flight {
    /// What the leader has landed with.
    landed: tokio::sync::Mutex<Option<Arc<[u8]>>>,
    /// Whether the entry was changed meanwhile, so that what is computed may be older.
    is_outdated: AtomicBool,
}

impl Flights {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, by_key: Mutex::default() }
    }

    /// Joins those who wait for the key, or makes a new flight; `None` if there are too many.
    pub(super) fn board<'a>(&'a self, key: &'a str) -> Option<Seat<'a>> {
        let mut by_key = self.by_key();
        let is_full = by_key.len() >= self.limit;
        let flight = match by_key.get_mut(key) {
            Some(boarding) => {
                boarding.aboard += 1;
                Arc::clone(&boarding.flight)
            }
            None if is_full => return None,
            None => {
                let flight = Arc::<Flight>::default();
                by_key.insert(key.into(), Boarding { flight: Arc::clone(&flight), aboard: 1 });
                flight
            }
        };
        Some(Seat { flights: self, key, flight })
    }

    /// The entry is changed by somebody else: who asks for it from now on does not board a flight that began before.
    pub(super) fn outdate(&self, key: &str) {
        if let Some(boarding) = self.by_key().remove(key) {
            boarding.flight.is_outdated.store(true, Ordering::Release);
        }
    }

    fn by_key(&self) -> MutexGuard<'_, HashMap<Box<str>, Boarding>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place on a flight, left when dropped.
pub(super) struct Seat<'a> {
    flights: &'a Flights,
    key: &'a str,
    flight: Arc<Flight>,
}

/// What becomes of who has a seat.
pub(super) enum Turn<'a> {
    /// Somebody else has led.
    Landed(Arc<[u8]>),
    /// Nobody else leads now.
    Lead(Lead<'a>),
}

impl Seat<'_> {
    /// Waits until the flight has landed or has lost its leader. Those who wait come in the order in which they came.
    pub(super) async fn turn(&self) -> Turn<'_> {
        let landed = self.flight.landed.lock().await;
        match &*landed {
            Some(text) => Turn::Landed(Arc::clone(text)),
            None => Turn::Lead(Lead { seat: self, landed }),
        }
    }

    /// Whether the entry was changed since the flight began.
    pub(super) fn is_outdated(&self) -> bool {
        self.flight.is_outdated.load(Ordering::Acquire)
    }

    /// Has nobody board this flight any more, if it is still the one of its key.
    fn close(&self, leaves: bool) {
        let mut by_key = self.flights.by_key();
        let Some(boarding) = by_key.get_mut(self.key).filter(|one| Arc::ptr_eq(&one.flight, &self.flight)) else {
            return;
        };
        boarding.aboard -= usize::from(leaves);
        if !leaves || boarding.aboard == 0 {
            by_key.remove(self.key);
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.close(true);
    }
}

/// The one who computes. Dropped without having landed, the next one leads.
pub(super) struct Lead<'a> {
    seat: &'a Seat<'a>,
    landed: tokio::sync::MutexGuard<'a, Option<Arc<[u8]>>>,
}

impl Lead<'_> {
    /// Gives the others what they wait for.
    pub(super) fn land(mut self, text: Arc<[u8]>) {
        self.seat.close(false);
        *self.landed = Some(text);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn text(text: &str) -> Arc<[u8]> {
        text.as_bytes().into()
    }

    async fn leads(seat: &Seat<'_>) -> bool {
        matches!(timeout(PATIENCE, seat.turn()).await.unwrap(), Turn::Lead(_))
    }

    #[tokio::test]
    async fn those_aboard_share_and_who_comes_later_starts_anew() {
        let flights = Flights::new(8);
        let (one, two) = (flights.board("a").unwrap(), flights.board("a").unwrap());
        let Turn::Lead(lead) = one.turn().await else { panic!("the first one leads") };
        lead.land(text("x"));
        let three = flights.board("a").unwrap();
        assert!(leads(&three).await);
        assert!(matches!(two.turn().await, Turn::Landed(landed) if landed == text("x")));
        drop((one, two, three));
        assert!(flights.by_key().is_empty());
    }

    #[tokio::test]
    async fn a_leader_that_is_gone_is_followed_by_the_next_one() {
        let flights = Flights::new(8);
        let (one, two) = (flights.board("a").unwrap(), flights.board("a").unwrap());
        let Turn::Lead(lead) = one.turn().await else { panic!("the first one leads") };
        assert!(timeout(Duration::ZERO, two.turn()).await.is_err());
        drop(lead);
        drop(one);
        assert!(leads(&two).await);
        assert!(flights.by_key().contains_key("a"));
        drop(two);
        assert!(flights.by_key().is_empty());
    }

    #[test]
    fn there_are_no_more_flights_than_the_limit_and_any_number_aboard() {
        let flights = Flights::new(2);
        let (a, b) = (flights.board("a").unwrap(), flights.board("b").unwrap());
        assert!(flights.board("c").is_none());
        assert!(flights.board("a").is_some());
        drop(b);
        assert!(flights.board("c").is_some());
        drop(a);
        assert!(flights.by_key().is_empty());
    }

    #[tokio::test]
    async fn who_comes_after_a_change_does_not_get_what_began_before() {
        let flights = Flights::new(8);
        let before = flights.board("a").unwrap();
        let Turn::Lead(lead) = before.turn().await else { panic!("the first one leads") };
        flights.outdate("a");
        let after = flights.board("a").unwrap();
        assert!(before.is_outdated() && !after.is_outdated());
        assert!(leads(&after).await);
        // The end of the old flight leaves the new one as it is.
        lead.land(text("old"));
        drop(before);
        assert!(flights.by_key().contains_key("a"));
    }
}
