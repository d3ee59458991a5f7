//! Whether each exposition of a sequence is consistent, by itself and with those before.

use std::collections::HashMap;
use std::ops::RangeInclusive;

/// Checks one text exposition after the other, quickly: a line is read once, and compared with what it was.
pub(crate) struct Snapshots {
    /// The threads that record: each may have one value in the sum and not yet in the count.
    threads: f64,
    /// The lowest and the highest value that is recorded, by histogram.
    observed: HashMap<&'static str, RangeInclusive<f64>>,
    /// What counters, and the parts of histograms, were last.
    last: HashMap<Box<str>, Seen>,
    checked: usize,
}

struct Seen {
    value: f64,
    in_snapshot: usize,
}

/// A histogram's series while its lines are read.
#[derive(Default)]
struct Open<'a> {
    /// The line up to the bound, the same for all buckets of a series.
    series: &'a str,
    bucket: f64,
    infinite: Option<f64>,
    sum: Option<f64>,
    /// The sum of the snapshot before.
    sum_before: f64,
}

impl Snapshots {
    pub(crate) fn of_threads(threads: usize) -> Self {
        Self { threads: threads as f64, observed: HashMap::new(), last: HashMap::new(), checked: 0 }
    }

    /// Only values of that range are recorded into that histogram.
    pub(crate) fn observing(mut self, histogram: &'static str, values: RangeInclusive<f64>) -> Self {
        self.observed.insert(histogram, values);
        self
    }

    /// How many were checked.
    pub(crate) fn checked(&self) -> usize {
        self.checked
    }

    /// Checks the next exposition: no counter falls or goes; a histogram's buckets ascend, the last one is its count, and
    /// its sum is one that so many values can have.
    pub(crate) fn check(&mut self, text: &str) {
        self.checked += 1;
        let (mut family, mut kind) = ("", "");
        let mut open = Open::default();
        let mut grow_only = 0;
        for line in text.lines() {
            if let Some(comment) = line.strip_prefix('#') {
                if let Some(of) = comment.strip_prefix(" TYPE ") {
                    (family, kind) = of.split_once(' ').unwrap();
                }
                continue;
            }
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line} has no value"));
            let value: f64 = value.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
            let suffix = series.strip_prefix(family).unwrap_or_else(|| panic!("{line} is not of {family}"));
            if kind == "gauge" {
                continue;
            }
            grow_only += 1;
            let before = self.grow(series, value);
            if kind == "histogram" {
                self.check_histogram(family, suffix, line, value, before, &mut open);
            }
        }
        assert_eq!(grow_only, self.last.len(), "a series has gone");
    }

    /// Notes the value of a series that only grows, and returns what it was.
    fn grow(&mut self, series: &str, value: f64) -> f64 {
        let in_snapshot = self.checked;
        let Some(seen) = self.last.get_mut(series) else {
            self.last.insert(series.into(), Seen { value, in_snapshot });
            return 0.0;
        };
        assert!(seen.in_snapshot < in_snapshot, "{series} appears twice");
        assert!(value >= seen.value, "{series} fell from {} to {value}", seen.value);
        seen.in_snapshot = in_snapshot;
        std::mem::replace(&mut seen.value, value)
    }

    fn check_histogram<'a>(
        &self,
        family: &str,
        suffix: &'a str,
        line: &str,
        value: f64,
        before: f64,
        open: &mut Open<'a>,
    ) {
        if let Some(labels) = suffix.strip_prefix("_bucket") {
            let (series, bound) = labels.split_once("le=\"").unwrap_or_else(|| panic!("{line} has no bound"));
            if series != open.series || open.infinite.is_some() {
                *open = Open { series, ..Open::default() };
            }
            assert!(value >= open.bucket, "{line} has less than the bucket before");
            open.bucket = value;
            open.infinite = (bound == "+Inf\"}").then_some(value);
        } else if suffix.starts_with("_sum") {
            open.sum = Some(value);
            open.sum_before = before;
        } else {
            assert!(suffix.starts_with("_count"), "{line} is no line of a histogram");
            assert_eq!(open.infinite, Some(value), "{line} is not the bucket +Inf");
            if let (Some(sum), Some(values)) = (open.sum, self.observed.get(family)) {
                // The additions of the text's numbers to it round.
                let least = values.start() * value * (1.0 - 1e-9);
                assert!(sum >= least, "{line}: the sum is {sum}, of {value} values it is at least {least}");
                // The sum is read after the count, which may have grown meanwhile; by now the count has caught up.
                let most = values.end() * (value + self.threads) * (1.0 + 1e-9);
                let sum = open.sum_before;
                assert!(sum <= most, "{line}: the sum before was {sum}, of {value} values it is at most {most}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::Snapshots;

    const FIRST: &str = concat!(
        "# TYPE c_total counter\nc_total 2\n",
        "# TYPE d histogram\n",
        "d_bucket{t=\"a\",le=\"1\"} 1\nd_bucket{t=\"a\",le=\"+Inf\"} 2\nd_sum{t=\"a\"} 5\nd_count{t=\"a\"} 2\n",
        "# TYPE g gauge\ng 4\n",
    );

    /// What is wrong with `second`, after the first.
    fn verdict(second: &str) -> String {
        let check = || {
            let mut snapshots = Snapshots::of_threads(1).observing("d", 1.0..=4.0);
            snapshots.check(FIRST);
            snapshots.check(second);
        };
        catch_unwind(check).map_or_else(
            |panic| panic.downcast::<String>().map_or_else(|_| "something else".to_owned(), |message| *message),
            |()| "nothing".to_owned(),
        )
    }

    #[test]
    fn what_is_consistent_passes_and_what_is_not_is_named() {
        assert_eq!(verdict(FIRST), "nothing");
        assert_eq!(verdict(&FIRST.replace("g 4", "g 3")), "nothing");
        for (from, to, expected) in [
            ("c_total 2", "c_total 1", "c_total fell from 2 to 1"),
            ("c_total 2", "c_total{a=\"b\"} 2", "a series has gone"),
            ("c_total 2", "c_total 2\nc_total 2", "appears twice"),
            ("le=\"1\"} 1", "le=\"1\"} 3", "has less than the bucket before"),
            ("d_count{t=\"a\"} 2", "d_count{t=\"a\"} 3", "is not the bucket +Inf"),
            (
                "+Inf\"} 2\nd_sum{t=\"a\"} 5\nd_count{t=\"a\"} 2",
                "+Inf\"} 6\nd_sum{t=\"a\"} 5\nd_count{t=\"a\"} 6",
                "at least",
            ),
        ] {
            let verdict = verdict(&FIRST.replace(from, to));
            assert!(verdict.contains(expected), "{to}: {verdict}");
        }
        let high = FIRST.replace("d_sum{t=\"a\"} 5", "d_sum{t=\"a\"} 500");
        let mut snapshots = Snapshots::of_threads(1).observing("d", 1.0..=4.0);
        snapshots.check(&high);
        assert!(catch_unwind(move || snapshots.check(&high)).is_err(), "500 is not the sum of two values up to 4");
    }
}
