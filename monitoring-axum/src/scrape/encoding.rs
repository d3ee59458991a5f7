//! Content codings, and which of them a scraper wants.

use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, HeaderValue};

/// How the content is encoded on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    #[cfg(feature = "gzip")]
    Gzip,
    #[cfg(feature = "zstd")]
    Zstd,
}

/// A weight in thousandths, as HTTP has them.
type Weight = u16;

const FULL: Weight = 1_000;

impl Encoding {
    /// What we can do, in the order we like it.
    const ALL: &[Self] = &[
        #[cfg(feature = "zstd")]
        Self::Zstd,
        #[cfg(feature = "gzip")]
        Self::Gzip,
        Self::Identity,
    ];

    /// What `Content-Encoding` says of it.
    pub(super) fn header(self) -> Option<HeaderValue> {
        (self != Self::Identity).then(|| HeaderValue::from_static(self.name()))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            #[cfg(feature = "gzip")]
            Self::Gzip => "gzip",
            #[cfg(feature = "zstd")]
            Self::Zstd => "zstd",
        }
    }

    fn is_called(self, name: &str) -> bool {
        // HTTP wants the old name to be understood as well.
        let name = if name.eq_ignore_ascii_case("x-gzip") { "gzip" } else { name };
        name.eq_ignore_ascii_case(self.name())
    }

    /// The coding that the scraper weighs highest; of equals the one that we like best. Who accepts nothing that we can do
    /// is sent the plain content, as HTTP allows: a scrape in a coding that was not asked for is better than none.
    pub(super) fn negotiate(headers: &HeaderMap) -> Self {
        let mut accepted: Vec<(&str, Weight)> = Vec::new();
        for value in headers.get_all(ACCEPT_ENCODING) {
            accepted.extend(value.to_str().unwrap_or_default().split(',').filter_map(weighed));
        }
        let named = |wanted: &dyn Fn(&str) -> bool| {
            accepted.iter().filter(|(name, _)| wanted(name)).map(|(_, weight)| *weight).max()
        };
        let any = named(&|name| name == "*");
        let mut best = (Self::Identity, 0);
        for encoding in Self::ALL {
            // The plain content is always acceptable, but to those who say otherwise: it comes last where it is not named.
            let unnamed = if *encoding == Self::Identity && any.is_none() { 1 } else { any.unwrap_or(0) };
            let weight = named(&|name| encoding.is_called(name)).unwrap_or(unnamed);
            if weight > best.1 {
                best = (*encoding, weight);
            }
        }
        best.0
    }
}

/// `gzip;q=0.5` as a name and its weight; nothing if it is illegal.
fn weighed(element: &str) -> Option<(&str, Weight)> {
    let (name, weight) = match element.split_once(';') {
        Some((name, parameter)) => {
            let (key, value) = parameter.split_once('=')?;
            (name, key.trim().eq_ignore_ascii_case("q").then(|| thousandths(value.trim()))??)
        }
        None => (element, FULL),
    };
    Some((name.trim(), weight))
}

/// A number from 0 to 1 with up to three decimals.
fn thousandths(text: &str) -> Option<Weight> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let decimals: Weight = format!("{decimals:0<3}").parse().ok()?;
    match whole {
        "0" => Some(decimals),
        "1" if decimals == 0 => Some(FULL),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(header: &str) -> &'static str {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, header.try_into().unwrap());
        Encoding::negotiate(&headers).name()
    }

    #[test]
    fn a_scraper_that_names_no_coding_is_sent_plain_content() {
        assert_eq!(Encoding::negotiate(&HeaderMap::new()), Encoding::Identity);
        for header in
            ["", "identity", "br", "deflate, br;q=1.0", "gzip;q=0", "*;q=0", "identity;q=0", "gzip;q=2", ";;;"]
        {
            assert_eq!(chosen(header), "identity", "{header:?}");
        }
    }

    #[cfg(feature = "gzip")]
    #[test]
    fn gzip_is_chosen_by_its_weight() {
        for header in [
            "gzip",
            "GZIP",
            "x-gzip",
            " br , gzip ; q=0.001",
            "gzip;Q=0.5, identity;q=0.4",
            "gzip;q=1.000, identity",
            "identity;q=0, gzip;q=0.1",
        ] {
            assert_eq!(chosen(header), "gzip", "{header:?}");
        }
        for header in
            ["gzip;q=0.5, identity", "gzip;q=0.5, identity;q=0.501", "gzip;q=0.0, br", "gzip;q=1.001", "gzip;q=.5"]
        {
            assert_eq!(chosen(header), "identity", "{header:?}");
        }
    }

    #[cfg(all(feature = "gzip", feature = "zstd"))]
    #[test]
    fn of_two_codings_the_one_with_more_weight_is_chosen_and_zstd_of_equals() {
        assert_eq!(chosen("gzip, zstd"), "zstd");
        assert_eq!(chosen("*"), "zstd");
        assert_eq!(chosen("gzip, zstd;q=0.9"), "gzip");
        assert_eq!(chosen("zstd;q=0, *;q=0.5"), "gzip");
    }

    #[cfg(feature = "gzip")]
    #[test]
    fn several_headers_count_as_one() {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT_ENCODING, HeaderValue::from_static("br"));
        headers.append(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(Encoding::negotiate(&headers), Encoding::Gzip);
    }
}
