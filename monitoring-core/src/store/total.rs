//! What all series of a family come to.

use std::sync::Arc;

use super::registry::Registry;
use super::{Reading, Series, View};
use crate::catalogue::Descriptor;

impl Registry {
    /// Reads what the series of an up-down counter come to, each time it is asked; `None` while there is no series. It does
    /// not keep the store alive.
    pub(crate) fn total_of(&self, descriptor: &Descriptor) -> impl Fn() -> Option<f64> + Send + Sync + use<> {
        let (inner, name) = (Arc::downgrade(&self.inner), descriptor.prometheus_name());
        move || {
            let inner = inner.upgrade()?;
            let mut families = inner.families.iter().map(|(_place, family)| family);
            let family = families.find(|family| family.name() == name)?;
            if !matches!(family.reading(), Reading::UpDownCounter) {
                return None;
            }
            let (mut series, mut total) = (Series::default(), None);
            while family.read(View::Whole, &mut series) {
                let value = series.words.first().copied().unwrap_or_default().cast_signed() as f64;
                total = Some(total.unwrap_or(0.0) + value);
                series.advance();
            }
            total
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::catalogue::{Descriptor, Unit};
    use crate::{Monitoring, UpDownCounter};

    const OPEN: Descriptor =
        Descriptor::up_down_counter("test.open", Unit::Count("{thing}"), "Open things.").labels(&["big"]);

    #[derive(Clone, Copy, crate::LabelSet)]
    struct Labels {
        big: bool,
    }

    #[test]
    fn a_total_is_that_of_all_series_and_threads_and_does_not_keep_the_store() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let total = monitoring.registry().total_of(&OPEN);
        assert_eq!(total(), None);
        let open: UpDownCounter<Labels> = monitoring.registry().up_down_counter(&OPEN).unwrap();
        let big = open.in_flight(Labels { big: true });
        std::thread::scope(|threads| {
            threads.spawn(|| open.add(Labels { big: false }, 2));
        });
        assert_eq!(total(), Some(3.0));
        drop(big);
        assert_eq!(total(), Some(2.0));
        drop(monitoring);
        assert_eq!(total(), None);
    }
}
