//! Numbers as text, legal in every text format.

use crate::store::Scale;

/// A word of a cell, as a value in the metric's unit.
#[inline]
pub(super) fn push_word(out: &mut Vec<u8>, word: u64, scale: Scale) {
    match scale {
        Scale::One => push_whole(out, word),
        Scale::Billionths => push_seconds(out, word),
        Scale::Float => push_float(out, f64::from_bits(word)),
    }
}

#[inline]
pub(super) fn push_whole(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

pub(super) fn push_signed(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Nanoseconds as seconds, exactly.
pub(super) fn push_seconds(out: &mut Vec<u8>, nanoseconds: u64) {
    push_whole(out, nanoseconds / 1_000_000_000);
    let fraction = nanoseconds % 1_000_000_000;
    if fraction == 0 {
        return;
    }
    let start = out.len();
    // With a leading one the zeros after the point are kept; the one then becomes the point.
    push_whole(out, fraction + 1_000_000_000);
    if let Some(point) = out.get_mut(start) {
        *point = b'.';
    }
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

/// The shortest number that is read back as the same bits; a whole one without a point.
pub(super) fn push_float(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value);
        out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
    } else {
        out.extend_from_slice(match value {
            f64::INFINITY => b"+Inf",
            f64::NEG_INFINITY => b"-Inf",
            _ => b"NaN",
        });
    }
}

/// Two digits for each byte, in lower case.
pub(super) fn hex_digits(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    bytes.iter().flat_map(move |byte| [digit(byte >> 4), digit(byte & 15)])
}

/// A word of a cell as the nearest floating-point number.
#[cfg(feature = "protobuf")]
pub(super) fn value(word: u64, scale: Scale) -> f64 {
    match scale {
        Scale::One => word as f64,
        Scale::Billionths => word as f64 / 1e9,
        Scale::Float => f64::from_bits(word),
    }
}

/// A bucket's bound as Prometheus itself writes it in the label `le`, and as OpenMetrics calls canonical: `1.0`,
/// `0.005`, `1e+06`.
pub(super) fn canonical_bound(bound: f64) -> String {
    let scientific = format!("{bound:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
        _ => format!("{bound:?}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn float(value: f64) -> String {
        let mut out = Vec::new();
        push_float(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_number_is_short_and_legal() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (0.25, "0.25"),
            (-1.5e-7, "-1.5e-7"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ];
        for (value, expected) in cases {
            assert_eq!(float(value), expected);
        }
    }

    #[test]
    fn a_bound_is_written_as_prometheus_writes_it() {
        let cases = [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (0.005, "0.005"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (2.5, "2.5"),
            (100_000.0, "100000.0"),
            (1_000_000.0, "1e+06"),
            (1_048_576.0, "1.048576e+06"),
            (1e100, "1e+100"),
        ];
        for (bound, expected) in cases {
            assert_eq!(canonical_bound(bound), expected);
        }
    }

    proptest! {
        #[test]
        fn any_number_is_read_back_bit_by_bit(value in any::<f64>()) {
            let text = float(value);
            if value.is_finite() {
                prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
                prop_assert!(text.len() <= 24, "{}", text);
            }
        }

        #[test]
        fn any_bound_is_read_back_bit_by_bit(bound in any::<f64>().prop_filter("finite", |bound| bound.is_finite())) {
            prop_assert_eq!(canonical_bound(bound).parse::<f64>().unwrap().to_bits(), bound.to_bits());
        }
    }
}
