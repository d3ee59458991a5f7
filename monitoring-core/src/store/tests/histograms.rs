//! What histograms keep besides their explicit buckets: exponential ones, and exemplars.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;

use super::super::{Exemplar, Histogram, Series, TenantHistogram, View};
use super::*;

const EXPONENTIAL: Descriptor =
    Descriptor::histogram("test.exponential", Unit::Seconds, &[0.01, 0.1, 1.0], "Time.").exponential();
const EXPLICIT: Descriptor = Descriptor::histogram("test.explicit", Unit::Seconds, &[0.01, 0.1, 1.0], "Time.");
const SIZE: Descriptor = Descriptor::histogram("test.size", Unit::Bytes, &[10.0, 1e6], "Sizes.");

/// The series of a family that has one.
fn only_series(monitoring: &Monitoring, name: &str) -> Series {
    let mut series = Series::default();
    assert!(family(monitoring, name).read(View::Whole, &mut series));
    series
}

#[test]
fn exponential_buckets_are_kept_on_request() {
    let monitoring = monitoring();
    let requested: Histogram<()> = monitoring.registry().histogram(&EXPONENTIAL).unwrap();
    let other: Histogram<()> = monitoring.registry().histogram(&EXPLICIT).unwrap();
    requested.record((), Duration::from_millis(5));
    other.record((), Duration::from_millis(5));
    assert!(only_series(&monitoring, "test_exponential_seconds").exponential.is_some());
    assert!(only_series(&monitoring, "test_explicit_seconds").exponential.is_none());

    let for_all = Monitoring::builder("test").exponential_histograms(true).build().unwrap();
    let other: Histogram<()> = for_all.registry().histogram(&EXPLICIT).unwrap();
    other.record((), Duration::from_millis(5));
    assert!(only_series(&for_all, "test_explicit_seconds").exponential.is_some());
}

proptest! {
    #[test]
    fn exponential_buckets_count_what_the_explicit_ones_do(values in prop::collection::vec(0..3_000_000_000_u64, 1..40)) {
        let monitoring = Monitoring::builder("test").exponential_histograms(true).build().unwrap();
        let times: Histogram<()> = monitoring.registry().histogram(&EXPLICIT).unwrap();
        let sizes: Histogram<(), u64> = monitoring.registry().histogram(&SIZE).unwrap();
        for value in &values {
            times.record((), Duration::from_nanos(*value));
            sizes.record((), *value);
        }
        let scales: [(&str, f64, &[f64]); 2] =
            [("test_explicit_seconds", 1e9, &[0.01, 0.1, 1.0]), ("test_size_bytes", 1.0, &[10.0, 1e6])];
        for (name, one, bounds) in scales {
            let series = only_series(&monitoring, name);
            let exponential = series.exponential.unwrap();
            let values: Vec<_> = values.iter().map(|value| *value as f64 / one).collect();
            prop_assert_eq!(series.words.len(), bounds.len() + 2);
            let count: u64 = series.words[1..].iter().sum();
            prop_assert_eq!(count, values.len() as u64);
            prop_assert_eq!(exponential.zero_count + exponential.buckets.iter().sum::<u64>(), count);
            prop_assert_eq!(exponential.zero_count as usize, values.iter().filter(|value| **value == 0.0).count());
            for (place, counted) in exponential.buckets.iter().enumerate() {
                let bound = |above: i32| {
                    let index = f64::from(exponential.offset + place as i32 + above);
                    (index * 0.5_f64.powi(exponential.scale.into())).exp2()
                };
                // A value beside a bound may be on either side of a bound that is computed otherwise.
                let within = |slack: f64| {
                    let (lower, upper) = (bound(0) * (1.0 - slack), bound(1) * (1.0 + slack));
                    values.iter().filter(|value| lower < **value && **value <= upper).count() as u64
                };
                prop_assert!((within(-1e-12)..=within(1e-12)).contains(counted), "{} {} {}", name, place, counted);
            }
        }
    }
}

fn exemplar(number: u8) -> Exemplar {
    Exemplar { trace_id: [number; 16], span_id: [number; 8] }
}

/// A store whose exemplars are those that were put into its source.
fn with_exemplars() -> (Monitoring, Arc<Mutex<Option<Exemplar>>>) {
    let monitoring = monitoring();
    let current = Arc::<Mutex<Option<Exemplar>>>::default();
    let source = Arc::clone(&current);
    assert!(monitoring.registry().exemplars_from(move || *source.lock().unwrap()));
    (monitoring, current)
}

#[test]
fn the_first_source_of_exemplars_stays() {
    let (monitoring, current) = with_exemplars();
    assert!(!monitoring.registry().exemplars_from(|| Some(exemplar(9))));
    *current.lock().unwrap() = Some(exemplar(1));
    let times: Histogram<()> = monitoring.registry().histogram(&EXPLICIT).unwrap();
    times.record((), Duration::from_millis(5));
    let series = only_series(&monitoring, "test_explicit_seconds");
    let kept = family(&monitoring, "test_explicit_seconds").exemplar(&series, 0).unwrap();
    assert_eq!((kept.exemplar, kept.value), (exemplar(1), 0.005));
}

#[test]
fn each_bucket_of_each_series_has_its_last_exemplar() {
    let (monitoring, current) = with_exemplars();
    let times: TenantHistogram<Labels> = monitoring.registry().tenant_histogram(&TENANT_DURATION).unwrap();
    let family = family(&monitoring, "test_tenant_duration_seconds");
    let tenants = ["acme", "umbrella"].map(|id| tenant(&monitoring, id));
    let labels = labels(&monitoring, Color::Red, "a");
    // One after another in the same bucket, one of each other one, and values of spans that are not kept.
    let values = [(2, 1), (3, 2), (50, 3), (5_000, 4)];
    for (number, tenant) in tenants.into_iter().enumerate() {
        for (milliseconds, span) in values {
            *current.lock().unwrap() = Some(exemplar(span + 100 * number as u8));
            times.record(tenant, labels, Duration::from_millis(milliseconds));
            *current.lock().unwrap() = None;
            times.record(tenant, labels, Duration::from_millis(milliseconds + 1));
        }
    }

    let mut series = Series::default();
    let mut ids = Vec::new();
    while family.read(View::Whole, &mut series) {
        let id = family.labels(&series).0.unwrap().id().to_owned();
        let first = if id == "acme" { 0 } else { 100 };
        let kept = [0, 1, 2, 3].map(|bucket| family.exemplar(&series, bucket).map(|kept| (kept.exemplar, kept.value)));
        let expected = [Some((2, 0.003)), Some((3, 0.05)), None, Some((4, 5.0))];
        assert_eq!(kept, expected.map(|kept| kept.map(|(span, value)| (exemplar(first + span), value))), "{id}");
        ids.push(id);
        series.advance();
    }
    assert_eq!(ids, ["acme", "umbrella"]);
}

#[test]
fn without_a_source_there_are_no_exemplars() {
    let monitoring = monitoring();
    let times: Histogram<()> = monitoring.registry().histogram(&EXPLICIT).unwrap();
    times.record((), Duration::from_millis(5));
    let series = only_series(&monitoring, "test_explicit_seconds");
    assert!((0..4).all(|bucket| family(&monitoring, "test_explicit_seconds").exemplar(&series, bucket).is_none()));
}
