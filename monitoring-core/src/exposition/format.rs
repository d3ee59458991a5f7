//! In which formats the store can be read, and which of them a reader wants.

use mediatype::{MediaType, MediaTypeList, Name, ReadParams};

/// A format of the [`Exposition`](crate::Exposition).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// The Prometheus text format 0.0.4, which every reader takes. It has neither exemplars nor native histograms.
    #[default]
    Text,
    /// OpenMetrics 1.0.0: text with exemplars and units.
    OpenMetrics,
    /// Delimited protobuf messages `io.prometheus.client.MetricFamily`: the one format with native histograms, and with
    /// exemplars too. A family of many series is several messages of the same name.
    #[cfg(feature = "protobuf")]
    Protobuf,
}

/// A longer header line is not looked at: Prometheus sends less than 400 bytes.
const MAX_ACCEPT: usize = 4_096;

/// What is looked at of the media ranges that a reader lists.
const MAX_RANGES: usize = 64;

impl Format {
    /// The format that the `Accept` header lines of a request ask for: the one of the highest quality, of several the one
    /// listed first; [`Format::Text`] if they ask for none that there is.
    ///
    /// The names of metrics and labels are legal in every version of Prometheus, so any `escaping` that a reader asks for
    /// leaves them as they are. The header may hold anything: what is no media range is passed over.
    ///
    /// ```
    /// use monitoring_core::Format;
    ///
    /// let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    /// assert_eq!(Format::negotiate([accept]), Format::OpenMetrics);
    /// assert_eq!(Format::negotiate(None), Format::Text);
    /// ```
    pub fn negotiate<'a>(accept: impl IntoIterator<Item = &'a str>) -> Self {
        let lines = accept.into_iter().filter(|line| line.len() <= MAX_ACCEPT);
        let mut best = (0, Self::Text);
        for range in lines.flat_map(MediaTypeList::new).take(MAX_RANGES).flatten() {
            if let (Some(format), Some(quality)) = (Self::of(&range), quality(&range))
                && quality > best.0
            {
                best = (quality, format);
            }
        }
        best.1
    }

    /// What `Content-Type` says of it.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
            #[cfg(feature = "protobuf")]
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// The format that a media range asks for, if there is one.
    fn of(range: &MediaType<'_>) -> Option<Self> {
        let is = |ty: &str, subtype: &str| range.suffix.is_none() && range.ty == *ty && range.subty == *subtype;
        let has = |name, values: &[&str]| {
            let value = range.get_param(Name::new_unchecked(name));
            value.map_or(values.contains(&""), |value| values.contains(&&*value.unquoted_str()))
        };
        if is("*", "*") || is("text", "*") {
            Some(Self::Text)
        } else if is("text", "plain") {
            // What is asked for as 1.0.0 differs only where a name is not legal in 0.0.4.
            has("version", &["", "0.0.4", "1.0.0"]).then_some(Self::Text)
        } else if is("application", "openmetrics-text") {
            // Every reader of the draft 0.0.1 takes 1.0.0.
            has("version", &["", "0.0.1", "1.0.0"]).then_some(Self::OpenMetrics)
        } else {
            #[cfg(feature = "protobuf")]
            if is("application", "vnd.google.protobuf")
                && has("proto", &["io.prometheus.client.MetricFamily"])
                && has("encoding", &["delimited"])
            {
                return Some(Self::Protobuf);
            }
            None
        }
    }
}

/// The quality of a media range in thousandths; `None` if it is not a number from 0 to 1.
fn quality(range: &MediaType<'_>) -> Option<u16> {
    let Some(value) = range.get_param(Name::new_unchecked("q")) else { return Some(1_000) };
    let quality: f32 = value.unquoted_str().parse().ok()?;
    (0.0..=1.0).contains(&quality).then_some((quality * 1_000.0) as u16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Format;

    /// What Prometheus asks for as a rule, by version.
    const PROMETHEUS_2_30: &str =
        "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    const PROMETHEUS_2_42: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
                                   version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    const PROMETHEUS_3: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                                application/openmetrics-text;version=0.0.1;q=0.5,\
                                text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,\
                                */*;q=0.2";

    fn of(accept: &str) -> Format {
        Format::negotiate([accept])
    }

    #[test]
    fn prometheus_gets_open_metrics_by_default() {
        for accept in [PROMETHEUS_2_30, PROMETHEUS_2_42, PROMETHEUS_3] {
            assert_eq!(of(accept), Format::OpenMetrics, "{accept}");
        }
    }

    #[test]
    #[cfg(feature = "protobuf")]
    fn prometheus_gets_protobuf_when_it_wants_native_histograms() {
        for accept in [
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
             application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
             application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.5,*/*;q=0.1",
        ] {
            assert_eq!(of(accept), Format::Protobuf, "{accept}");
        }
        for other in ["encoding=text", "encoding=compact-text", "", "encoding=delimited;proto=other"] {
            let accept = format!(
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;{other},text/plain;q=0.1"
            );
            assert_eq!(of(&accept), Format::Text, "{accept}");
        }
    }

    #[test]
    #[cfg(not(feature = "protobuf"))]
    fn protobuf_is_not_given_by_a_build_without_it() {
        let accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
                      application/openmetrics-text;version=1.0.0;q=0.8";
        assert_eq!(of(accept), Format::OpenMetrics);
    }

    #[test]
    fn the_highest_quality_wins_and_then_what_is_listed_first() {
        let cases = [
            ("text/plain;q=0.4, application/openmetrics-text;q=0.5", Format::OpenMetrics),
            ("text/plain;q=0.5, application/openmetrics-text;q=0.4", Format::Text),
            ("application/openmetrics-text, text/plain", Format::OpenMetrics),
            ("text/plain, application/openmetrics-text", Format::Text),
            ("*/*, application/openmetrics-text;q=0.9", Format::Text),
            ("application/openmetrics-text;q=0, */*;q=0.001", Format::Text),
            ("text/*;q=0.3, application/openmetrics-text;q=\"0.31\"", Format::OpenMetrics),
            ("APPLICATION/OpenMetrics-Text; Version=1.0.0; Q=1.0", Format::OpenMetrics),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::Text),
        ];
        for (accept, expected) in cases {
            assert_eq!(of(accept), expected, "{accept}");
        }
    }

    #[test]
    fn several_header_lines_are_one_list() {
        let lines = ["text/plain;q=0.5", "application/openmetrics-text"];
        assert_eq!(Format::negotiate(lines), Format::OpenMetrics);
    }

    #[test]
    fn what_there_is_not_becomes_text() {
        let long = format!("application/openmetrics-text;{}", "a=b;".repeat(2_000));
        for accept in [
            "",
            ",,;,",
            "/;q=0.1",
            "application/json",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text+gzip",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=-1",
            "application/openmetrics-text;q=1.1",
            "application/openmetrics-text;q=NaN",
            "application/openmetrics-text;q=",
            "application/openmetrics-text;version=\"",
            &long,
        ] {
            assert_eq!(of(accept), Format::Text, "{accept}");
        }
        assert_eq!(Format::negotiate(None), Format::Text);
    }

    #[test]
    fn only_the_first_ranges_of_an_endless_list_are_looked_at() {
        let accept = format!("{}application/openmetrics-text", "a/b,".repeat(100));
        assert_eq!(of(&accept), Format::Text);
        assert_eq!(of(&accept["a/b,".len() * 50..]), Format::OpenMetrics);
    }

    #[test]
    fn the_content_type_names_the_version_and_the_escaping() {
        assert_eq!(Format::Text.content_type(), "text/plain; version=0.0.4; charset=utf-8");
        let open_metrics = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores";
        assert_eq!(Format::OpenMetrics.content_type(), open_metrics);
        // Who sends a content type back as what it accepts gets the same again.
        assert_eq!(of(open_metrics), Format::OpenMetrics);
        #[cfg(feature = "protobuf")]
        assert_eq!(of(Format::Protobuf.content_type()), Format::Protobuf);
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_panic(
            accept in prop_oneof![
                any::<String>(),
                "[a-z*/;,=\"\\\\ +.0-9ü\0]{0,200}",
                "(text/plain|application/openmetrics-text|\\*/\\*)(;(q|version|escaping)=\"?[0-9.a-z\\\\]{0,5}\"?){0,4}(,.*)?",
            ],
        ) {
            let format = of(&accept);
            prop_assert!(format == Format::Text || accept.to_ascii_lowercase().contains("application/"));
        }
    }
}
