//! What the parts of an instrument crate share for one monitoring.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Monitoring;

/// A value of each type that was asked for.
#[derive(Default)]
pub(crate) struct Shared {
    values: Mutex<Vec<Arc<dyn Any + Send + Sync>>>,
}

impl Shared {
    fn find<T: Send + Sync + 'static>(values: &[Arc<dyn Any + Send + Sync>]) -> Option<Arc<T>> {
        values.iter().find_map(|value| Arc::clone(value).downcast().ok())
    }

    fn get_or_insert_with<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let lock = || self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = Self::find(&lock()) {
            return found;
        }
        // Made without the lock, since it may ask for another value.
        let made = Arc::new(make());
        let mut values = lock();
        // Somebody else may have been first.
        Self::find(&values).unwrap_or_else(|| {
            values.push(Arc::<T>::clone(&made));
            made
        })
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Monitoring {
    /// The one value of type `T` that belongs to this monitoring and lives as long; `make` makes it where there is none
    /// yet. For instrument crates whose parts share more than metrics, such as the limit of concurrent scrapes.
    ///
    /// Two that ask at once may both call `make`; both are given the same value. The value must not hold a
    /// [`Monitoring`], or neither is ever freed. Costs a short lock.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// use monitoring_core::Monitoring;
    ///
    /// struct Scrapes(AtomicU32);
    ///
    /// let monitoring = Monitoring::builder("billing").build()?;
    /// monitoring.shared(|| Scrapes(AtomicU32::new(7))).0.fetch_add(1, Ordering::Relaxed);
    /// assert_eq!(monitoring.shared(|| Scrapes(AtomicU32::new(0))).0.load(Ordering::Relaxed), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shared<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        self.shared_values().get_or_insert_with(make)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_one_value_in_each_monitoring() {
        let [one, other] = [(), ()].map(|()| Monitoring::builder("test").build().unwrap());
        let first = one.shared(|| 1_u8);
        assert!(Arc::ptr_eq(&first, &one.clone().shared(|| 2_u8)));
        assert_eq!(*one.shared(|| 3_u16), 3);
        assert_eq!(*other.shared(|| 4_u8), 4);
    }

    #[test]
    fn a_value_may_be_made_of_another() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let text = monitoring.shared(|| monitoring.shared(|| 7_u8).to_string());
        assert_eq!(text.as_str(), "7");
    }

    #[test]
    fn threads_that_ask_at_once_are_given_the_same_value() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let values: Vec<Arc<usize>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|number| {
                    scope.spawn({
                        let monitoring = &monitoring;
                        move || monitoring.shared(|| number)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(values.iter().all(|value| values.first().is_some_and(|first| Arc::ptr_eq(first, value))));
    }
}
