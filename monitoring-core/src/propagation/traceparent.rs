//! The text of a trace: `traceparent` and `tracestate`, by the W3C recommendation "Trace Context" of 23 November 2021.

use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

use crate::LabelValue;

/// The only version there is, `00`, has no more than this.
const LENGTH: usize = 55;
/// A later version may say more. That is not read, and this long at most.
const MAX_LENGTH: usize = 512;

/// The members of `tracestate` that are kept, and their bytes together.
const MAX_MEMBERS: usize = 32;
const MAX_STATE: usize = 512;

/// A trace context that breaks the rules: treat the request as if it had none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, LabelValue, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTraceContext {
    /// The text is no `traceparent`.
    #[error("traceparent is malformed: expected 00-<32 hexadecimal digits>-<16>-<2>, in lower case")]
    Malformed,
    /// The version `ff` is not allowed.
    #[error("traceparent has the version ff, which means that it is invalid")]
    Version,
    /// An id is all zeros.
    #[error("traceparent has an id that is all zeros, which means that there is none")]
    Zero,
    /// There are several.
    #[error("there is more than one traceparent: expected one")]
    Several,
}

/// Reads a `traceparent`.
pub(super) fn parse(text: &[u8]) -> Result<(TraceId, SpanId, TraceFlags), InvalidTraceContext> {
    let malformed = InvalidTraceContext::Malformed;
    if !(LENGTH..=MAX_LENGTH).contains(&text.len()) {
        return Err(malformed);
    }
    let (known, more) = text.split_at_checked(LENGTH).ok_or(malformed)?;
    let mut fields = known.split(|byte| *byte == b'-');
    let mut field = || fields.next().ok_or(malformed);
    let (version, trace, span, flags) =
        (hex::<1>(field()?)?, hex::<16>(field()?)?, hex::<8>(field()?)?, hex::<1>(field()?)?);
    match version {
        [0xff] => return Err(InvalidTraceContext::Version),
        [0] if !more.is_empty() => return Err(malformed),
        // What a later version adds is after another dash.
        _ if more.first().is_some_and(|byte| *byte != b'-') => return Err(malformed),
        _ => {}
    }
    if trace == [0; 16] || span == [0; 8] {
        return Err(InvalidTraceContext::Zero);
    }
    // Only the flag that this version knows is handed on.
    let [flags] = flags;
    Ok((TraceId::from_bytes(trace), SpanId::from_bytes(span), TraceFlags::new(flags) & TraceFlags::SAMPLED))
}

/// Exactly that many bytes, as hexadecimal digits in lower case.
fn hex<const N: usize>(digits: &[u8]) -> Result<[u8; N], InvalidTraceContext> {
    if digits.len() != 2 * N {
        return Err(InvalidTraceContext::Malformed);
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return Err(InvalidTraceContext::Malformed),
            };
            *byte = *byte << 4 | value;
        }
    }
    Ok(bytes)
}

/// The `tracestate` of all header lines together. What goes over a limit is left out, with all that follows; if a member
/// breaks the rules, there is none.
pub(super) fn parse_state<'a>(lines: impl IntoIterator<Item = &'a str>) -> TraceState {
    let members = lines.into_iter().flat_map(|line| line.split(',')).map(str::trim).filter(|member| !member.is_empty());
    let mut bytes = 0;
    let kept = members.take(MAX_MEMBERS).take_while(|member| {
        bytes += member.len() + 1;
        bytes <= MAX_STATE + 1
    });
    let pairs: Option<Vec<_>> = kept
        .map(|member| {
            // All other rules are checked by OpenTelemetry.
            let is_printable = member.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            member.split_once('=').filter(|(key, value)| is_printable && !key.is_empty() && !value.is_empty())
        })
        .collect();
    pairs.and_then(|pairs| TraceState::from_key_value(pairs).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_read() {
        let (trace, span, flags) = parse(GOOD.as_bytes()).unwrap();
        assert_eq!(trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(span.to_string(), "b7ad6b7169203331");
        assert!(flags.is_sampled());
    }

    #[test]
    fn a_later_version_may_say_more_and_version_zero_may_not() {
        let later = GOOD.replacen("00", "cc", 1);
        for text in [later.clone(), format!("{later}-what-the-future-brings")] {
            assert!(parse(text.as_bytes()).is_ok(), "{text}");
        }
        assert_eq!(parse(format!("{later}.x").as_bytes()), Err(InvalidTraceContext::Malformed));
        assert_eq!(parse(format!("{GOOD}-x").as_bytes()), Err(InvalidTraceContext::Malformed));
    }

    #[test]
    fn flags_that_are_not_known_are_not_handed_on() {
        let (_, _, flags) = parse(GOOD.replace("-01", "-fe").as_bytes()).unwrap();
        assert_eq!(flags.to_u8(), 0);
    }

    #[test]
    fn what_breaks_the_rules_is_refused_and_said() {
        use InvalidTraceContext::{Malformed, Version, Zero};
        let cases = [
            ("", Malformed),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", Malformed),
            ("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Malformed),
            ("00-0gf7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Malformed),
            ("00-0af7651916cd43dd8448eb211c80319cb-7ad6b7169203331-01", Malformed),
            ("00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01", Malformed),
            ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Version),
            ("00-00000000000000000000000000000000-b7ad6b7169203331-01", Zero),
            ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", Zero),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text.as_bytes()), Err(expected), "{text}");
        }
        assert_eq!(parse(format!("cc{}-{}", &GOOD[2..], "x".repeat(600)).as_bytes()), Err(Malformed));
    }

    #[test]
    fn of_a_tracestate_no_more_is_kept_than_the_limits_allow() {
        let many: Vec<String> = (0..100).map(|number| format!("v{number}=1")).collect();
        assert_eq!(parse_state([many.join(",").as_str()]).header().split(',').count(), 32);
        let lines: Vec<String> = (0..10).map(|number| format!("v{number}={}", "x".repeat(100))).collect();
        let kept = parse_state(lines.iter().map(String::as_str)).header();
        assert!(kept.len() <= 512 && kept.split(',').count() == 4, "{kept}");
        assert_eq!(parse_state([" a=1 ,, b=2", "c=3"]).header(), "a=1,b=2,c=3");
    }

    #[test]
    fn a_tracestate_with_a_member_that_breaks_the_rules_is_none() {
        for broken in ["no member at all", "UPPER=1", "a=1=2", "a=new\nline", "a=t\tb", "a=größe", "a", "a=", "=1"] {
            assert_eq!(parse_state(["a=1", broken, "b=2"]).header(), "", "{broken}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in proptest::collection::vec(any::<u8>(), 0..600), state in ".{0,600}") {
            let _ = parse(&text);
            let kept = parse_state([state.as_str()]).header();
            prop_assert!(kept.len() <= MAX_STATE && kept.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert_eq!(parse_state([kept.as_str()]).header(), kept);
        }

        #[test]
        fn every_valid_id_is_read_as_it_is(trace in 1_u128.., span in 1_u64.., sampled in any::<bool>()) {
            let text = format!("00-{trace:032x}-{span:016x}-{:02x}", u8::from(sampled));
            let (trace_id, span_id, flags) = parse(text.as_bytes()).unwrap();
            prop_assert_eq!(trace_id.to_bytes(), trace.to_be_bytes());
            prop_assert_eq!(span_id.to_bytes(), span.to_be_bytes());
            prop_assert_eq!(flags.is_sampled(), sampled);
        }
    }
}
