//! Exponential buckets as those of a native histogram.

use super::messages::{BucketSpan, Histogram};
use crate::store::Exponential;

/// So many empty buckets between two others are written rather than a new span.
const MAX_GAP: i32 = 2;

/// A native histogram without its sum and exemplars. The scale of the store's buckets is one of Prometheus' schemas.
pub(super) fn native_histogram(exponential: &Exponential) -> Histogram {
    let (spans, deltas) = spans(exponential);
    let counted = exponential.buckets.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
    Histogram {
        sample_count: Some(counted.saturating_add(exponential.zero_count)),
        schema: Some(exponential.scale.into()),
        zero_threshold: Some(0.0),
        zero_count: Some(exponential.zero_count),
        positive_span: spans,
        positive_delta: deltas,
        ..Histogram::default()
    }
}

/// Where the buckets are, and each one's difference to the one before.
fn spans(exponential: &Exponential) -> (Vec<BucketSpan>, Vec<i64>) {
    let mut spans: Vec<BucketSpan> = Vec::new();
    let mut deltas = Vec::with_capacity(exponential.buckets.len());
    let (mut end, mut before) = (0, 0);
    let buckets = (exponential.offset..=i32::MAX).zip(&exponential.buckets);
    for (index, &count) in buckets.filter(|(_, count)| **count > 0) {
        let index = index.saturating_add(1);
        let gap = index.saturating_sub(end);
        match spans.last_mut() {
            Some(span) if gap <= MAX_GAP => {
                for _ in 0..gap {
                    deltas.push(-before);
                    before = 0;
                }
                span.length = Some(span.length().saturating_add(gap.unsigned_abs() + 1));
            }
            _ => spans.push(BucketSpan { offset: Some(gap), length: Some(1) }),
        }
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        deltas.push(count - before);
        (end, before) = (index.saturating_add(1), count);
    }
    if spans.is_empty() {
        // It tells that the histogram is native though nothing is in its buckets.
        spans.push(BucketSpan { offset: Some(0), length: Some(0) });
    }
    (spans, deltas)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn exponential(scale: i8, offset: i32, buckets: &[u64]) -> Exponential {
        Exponential { scale, zero_count: 3, offset, buckets: buckets.to_vec() }
    }

    /// The buckets of a native histogram by index, as Prometheus reads them.
    fn read(histogram: &Histogram) -> Vec<(i64, i64)> {
        let mut deltas = histogram.positive_delta.iter();
        let (mut index, mut count, mut buckets) = (0, 0, Vec::new());
        for span in &histogram.positive_span {
            index += i64::from(span.offset());
            for _ in 0..span.length() {
                count += deltas.next().unwrap();
                buckets.push((index, count));
                index += 1;
            }
        }
        assert_eq!(deltas.next(), None);
        buckets
    }

    #[test]
    fn an_index_is_one_higher_than_in_otlp() {
        // At scale 0 the bucket 0 of OTLP is (1, 2], which Prometheus calls 1.
        let histogram = native_histogram(&exponential(0, -1, &[5, 7]));
        assert_eq!(histogram.sample_count, Some(15));
        assert_eq!((histogram.schema, histogram.zero_count), (Some(0), Some(3)));
        assert_eq!(histogram.positive_span, [BucketSpan { offset: Some(0), length: Some(2) }]);
        assert_eq!(histogram.positive_delta, [5, 2]);
    }

    #[test]
    fn a_short_gap_is_written_out_and_a_long_one_begins_a_span() {
        let histogram = native_histogram(&exponential(3, 9, &[1, 0, 0, 4, 0, 0, 0, 2]));
        let span = |offset, length| BucketSpan { offset: Some(offset), length: Some(length) };
        assert_eq!(histogram.positive_span, [span(10, 4), span(3, 1)]);
        assert_eq!(histogram.positive_delta, [1, -1, 0, 4, -2]);
    }

    #[test]
    fn an_empty_histogram_is_known_to_be_native() {
        let histogram = native_histogram(&Exponential { scale: 8, ..Exponential::default() });
        assert_eq!(histogram.positive_span, [BucketSpan { offset: Some(0), length: Some(0) }]);
        assert_eq!(histogram.sample_count, Some(0));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            scale in -4..=8_i8,
            offset in prop_oneof![i32::MIN..i32::MAX - 100, -1_000..1_000],
            buckets in prop::collection::vec(prop_oneof![Just(0), 1..9_u64, 0..1_u64 << 57], 0..40),
        ) {
            let histogram = native_histogram(&exponential(scale, offset, &buckets));
            let read: BTreeMap<_, _> = read(&histogram).into_iter().filter(|(_, count)| *count != 0).collect();
            let counted = (i64::from(offset) + 1..).zip(buckets).filter(|(_, count)| *count > 0);
            let expected: BTreeMap<_, _> = counted.map(|(index, count)| (index, count.cast_signed())).collect();
            prop_assert_eq!(read, expected);
            prop_assert_eq!(histogram.schema, Some(scale.into()));
        }
    }
}
