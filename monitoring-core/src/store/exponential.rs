//! Base-2 exponential buckets, as OTLP and Prometheus' native histograms have them.

use super::measure::Scale;

/// Eight buckets to each doubling: neighbouring bounds differ by 9 %.
const SCALE: i8 = 3;

/// Buckets to each doubling.
const PER_DOUBLING: i32 = 1 << SCALE;

/// 2^(n/8), exactly rounded: the bounds from 1 up to 2, both left out.
const BOUNDS: [f64; PER_DOUBLING as usize - 1] = [
    1.090_507_732_665_257_7,
    1.189_207_115_002_721,
    1.296_839_554_651_009_6,
    std::f64::consts::SQRT_2,
    1.542_210_825_407_940_7,
    1.681_792_830_507_429,
    1.834_008_086_409_342_4,
];

/// The base-2 exponential buckets of a histogram's series.
///
/// Bucket `offset + n` counts what is above `base^(offset + n)` and at most `base^(offset + n + 1)`, where `base` is
/// 2^(2^-scale): the indices of OTLP. Those of Prometheus' native histograms are one higher.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Exponential {
    pub(crate) scale: i8,
    pub(crate) zero_count: u64,
    pub(crate) offset: i32,
    /// From the lowest one that is not empty to the highest.
    pub(crate) buckets: Vec<u64>,
}

/// Where the exponential buckets of a cell are: for every number that the cell can take, so that nothing is ever
/// rescaled. The first word counts zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    scale: Scale,
    /// The index of the lowest bucket.
    lowest: i32,
    words: usize,
}

impl Grid {
    pub(super) fn new(scale: Scale) -> Self {
        // From a nanosecond, a little above 2^-30 seconds, to 2^64 of them, a little below 2^35 seconds; or from 1 to 2^64.
        let (lowest, doublings) = match scale {
            Scale::Billionths => (-30 * PER_DOUBLING, 65),
            Scale::One | Scale::Float => (-1, 64),
        };
        Self { scale, lowest, words: doublings * PER_DOUBLING as usize + 2 }
    }

    pub(super) fn words(&self) -> usize {
        self.words
    }

    /// The word that counts `raw`.
    #[inline]
    pub(super) fn word(&self, raw: u64) -> usize {
        if raw == 0 {
            return 0;
        }
        let value = match self.scale {
            Scale::Billionths => raw as f64 / 1e9,
            Scale::One | Scale::Float => raw as f64,
        };
        (index(value) - self.lowest).max(0) as usize + 1
    }

    pub(super) fn read(&self, words: &[u64]) -> Exponential {
        let (zero_count, buckets) = words.split_first().map_or((0, words), |(zeros, buckets)| (*zeros, buckets));
        let first = buckets.iter().position(|count| *count > 0).unwrap_or(0);
        let end = buckets.iter().rposition(|count| *count > 0).map_or(first, |last| last + 1);
        Exponential {
            scale: SCALE,
            zero_count,
            offset: self.lowest + first as i32,
            buckets: buckets.get(first..end).unwrap_or_default().to_vec(),
        }
    }
}

/// The bucket of a positive normal number: bounds belong to the bucket below them (OpenTelemetry specification 1.60.0,
/// metrics data model, "Exponential Scale").
fn index(value: f64) -> i32 {
    const MANTISSA: u64 = (1 << 52) - 1;
    let exponent = (value.to_bits() >> 52) as i32 - 1_023;
    let significand = f64::from_bits(value.to_bits() & MANTISSA | 1_f64.to_bits());
    let above_one = i32::from(significand > 1.0);
    let above = BOUNDS.iter().filter(|bound| **bound < significand).count() as i32;
    exponent * PER_DOUBLING + above_one + above - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bound_belongs_to_the_bucket_below_it() {
        assert_eq!((index(1.0), index(1.0_f64.next_up())), (-1, 0));
        assert_eq!((index(2.0), index(2.0_f64.next_up())), (7, 8));
        assert_eq!((index(0.5), index(0.5_f64.next_up())), (-9, -8));
        for (number, bound) in BOUNDS.into_iter().enumerate() {
            assert_eq!((index(bound), index(bound.next_up())), (number as i32, number as i32 + 1));
        }
    }

    #[test]
    fn every_number_has_a_word() {
        for scale in [Scale::One, Scale::Billionths] {
            let grid = Grid::new(scale);
            assert_eq!(grid.word(0), 0);
            for raw in [1, 2, 999_999_999, 1_000_000_000, u64::MAX / 2, u64::MAX] {
                assert!((1..grid.words()).contains(&grid.word(raw)), "{scale:?} {raw}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_value_lies_within_the_bounds_of_its_bucket(value in 1e-9..1e19_f64) {
            let base = 2_f64.powf(1.0 / f64::from(PER_DOUBLING));
            let (lower, upper) = (base.powi(index(value)), base.powi(index(value) + 1));
            prop_assert!(lower * (1.0 - 1e-12) < value && value <= upper * (1.0 + 1e-12), "{lower} {value} {upper}");
        }

        #[test]
        fn what_was_counted_is_read(raws in proptest::collection::vec(any::<u64>(), 0..50)) {
            let grid = Grid::new(Scale::Billionths);
            let mut words = vec![0; grid.words()];
            for raw in &raws {
                words[grid.word(*raw)] += 1;
            }
            let read = grid.read(&words);
            prop_assert_eq!(read.zero_count + read.buckets.iter().sum::<u64>(), raws.len() as u64);
            for raw in raws.into_iter().filter(|raw| *raw > 0) {
                let place = index(raw as f64 / 1e9) - read.offset;
                prop_assert!(read.buckets[place as usize] > 0);
            }
        }
    }
}
