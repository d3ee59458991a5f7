//! A report, as it is read from a request.

use std::time::Duration;

use monitoring_core::Score;
use serde::Deserialize;

/// What the script sends, still as any client may have made it up. Times are in milliseconds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent<'a> {
    #[serde(rename = "p", borrow)]
    path: std::borrow::Cow<'a, str>,
    #[serde(rename = "l")]
    largest_contentful_paint: Option<f64>,
    #[serde(rename = "i")]
    interaction_to_next_paint: Option<f64>,
    #[serde(rename = "c")]
    cumulative_layout_shift: Option<f64>,
    #[serde(rename = "e")]
    errors: u32,
    #[serde(rename = "r")]
    unhandled_rejections: u32,
}

/// A report in which every number can be what it claims to be.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) path: String,
    pub(super) largest_contentful_paint: Option<Duration>,
    pub(super) interaction_to_next_paint: Option<Duration>,
    pub(super) cumulative_layout_shift: Option<Score>,
    pub(super) errors: u64,
    pub(super) unhandled_rejections: u64,
}

impl Report {
    /// The largest report, in bytes.
    pub(super) const MAX_BYTES: usize = 1_024;
    /// No page view has a time beyond it, nor as many errors or as large a shift that would be told from it.
    const LONGEST: Duration = Duration::from_secs(600);
    const MOST_ERRORS: u32 = 1_000;
    const LARGEST_SHIFT: f64 = 1_000.0;

    /// `None` if it is no report, or one that cannot be true.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let sent: Sent<'_> = serde_json::from_slice(body).ok()?;
        let is_possible = sent.errors <= Self::MOST_ERRORS && sent.unhandled_rejections <= Self::MOST_ERRORS;
        is_possible.then_some(())?;
        Some(Self {
            path: sent.path.into_owned(),
            largest_contentful_paint: all_or_nothing(sent.largest_contentful_paint, time)?,
            interaction_to_next_paint: all_or_nothing(sent.interaction_to_next_paint, time)?,
            cumulative_layout_shift: all_or_nothing(sent.cumulative_layout_shift, shift)?,
            errors: sent.errors.into(),
            unhandled_rejections: sent.unhandled_rejections.into(),
        })
    }
}

/// `None` if there is a value and it is not acceptable.
fn all_or_nothing<T>(value: Option<f64>, accept: impl FnOnce(f64) -> Option<T>) -> Option<Option<T>> {
    match value {
        Some(value) => accept(value).map(Some),
        None => Some(None),
    }
}

fn time(milliseconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(milliseconds / 1e3).ok().filter(|time| *time <= Report::LONGEST)
}

fn shift(value: f64) -> Option<Score> {
    Score::new(value).filter(|_| value <= Report::LARGEST_SHIFT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_script_sends_is_read() {
        let report = Report::read(br#"{"p":"/a/b","l":1250.5,"i":56,"c":0.015,"e":1,"r":2}"#).unwrap();
        assert_eq!(report.path, "/a/b");
        assert_eq!(report.largest_contentful_paint, Some(Duration::from_micros(1_250_500)));
        assert_eq!(report.interaction_to_next_paint, Some(Duration::from_millis(56)));
        assert_eq!(report.cumulative_layout_shift, Score::new(0.015));
        assert_eq!((report.errors, report.unhandled_rejections), (1, 2));
    }

    #[test]
    fn errors_alone_are_a_report() {
        let report = Report::read(br#"{"p":"/","e":3,"r":0}"#).unwrap();
        assert_eq!(report.largest_contentful_paint, None);
        assert_eq!(report.errors, 3);
    }

    #[test]
    fn what_cannot_be_true_is_no_report() {
        for body in [
            r#"{"p":"/","l":-1,"e":0,"r":0}"#,
            r#"{"p":"/","l":1e300,"e":0,"r":0}"#,
            r#"{"p":"/","i":600001,"e":0,"r":0}"#,
            r#"{"p":"/","c":-0.5,"e":0,"r":0}"#,
            r#"{"p":"/","c":1e12,"e":0,"r":0}"#,
            r#"{"p":"/","e":4000000000,"r":0}"#,
            r#"{"p":"/","e":-1,"r":0}"#,
            r#"{"p":7,"e":0,"r":0}"#,
            r#"{"p":"/","e":0,"r":0,"tenant":"zeta"}"#,
            r#"{"e":0,"r":0}"#,
            "[[[[[[[[",
            "",
        ] {
            assert!(Report::read(body.as_bytes()).is_none(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Report::read(&body);
        }

        #[test]
        fn no_number_makes_it_panic(vital in any::<f64>()) {
            let body = format!(r#"{{"p":"/","l":{vital},"i":{vital},"c":{vital},"e":0,"r":0}}"#);
            let _ = Report::read(body.as_bytes());
        }
    }
}
