//! A strict reader of the Prometheus text format 0.0.4, for comparing scrapes.
//!
//! It refuses what a lenient reader would skip: a test must fail on a line that Prometheus would not take.
//!
//! ```
//! use monitoring_tests::exposition::Samples;
//!
//! let before: Samples = "logins_total{tenant=\"acme\"} 3\n".parse()?;
//! let after: Samples = "logins_total{tenant=\"acme\"} 5\nlogins_total{tenant=\"zeta\"} 1\n".parse()?;
//!
//! assert_eq!(after.sum("logins_total", &[]), 6.0);
//! assert_eq!(after.value("logins_total", &[("tenant", "acme")]), Some(5.0));
//! let changed: Vec<String> = after.since(&before).iter().map(|(series, by)| format!("{series} {by:+}")).collect();
//! assert_eq!(changed, [r#"logins_total{tenant="acme"} +2"#, r#"logins_total{tenant="zeta"} +1"#]);
//! # Ok::<(), monitoring_tests::exposition::ExpositionError>(())
//! ```

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    str::FromStr,
};

use thiserror::Error;

/// The identity of a series: its name and labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// The name of the metric, with its `_bucket`, `_sum` or `_count`.
    pub name: String,
    /// All labels, unescaped.
    pub labels: BTreeMap<String, String>,
}

impl Series {
    /// A series by name and labels.
    #[must_use]
    pub fn new(name: &str, labels: &[(&str, &str)]) -> Self {
        Self {
            name: name.to_owned(),
            labels: labels.iter().map(|&(label, value)| (label.to_owned(), value.to_owned())).collect(),
        }
    }

    fn matches(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.name == name
            && labels.iter().all(|&(label, value)| self.labels.get(label).is_some_and(|found| found == value))
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        let mut separator = '{';
        for (label, value) in &self.labels {
            write!(f, "{separator}{label}={value:?}")?;
            separator = ',';
        }
        if separator == ',' {
            f.write_str("}")?;
        }
        Ok(())
    }
}

/// The values of one scrape by series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    by_series: BTreeMap<Series, f64>,
}

impl Samples {
    /// The value of the series with exactly these labels.
    #[must_use]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.by_series.get(&Series::new(name, labels)).copied()
    }

    /// The sum over all series of this name that have these labels among theirs; 0 if there is none.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        // Folded from +0, since the sum of an empty iterator of floats is -0.
        self.iter().filter(|(series, _)| series.matches(name, labels)).fold(0.0, |sum, (_, value)| sum + value)
    }

    /// What has changed since an earlier scrape, and by how much. A series that was not there counts from 0;
    /// one that is gone since appears with its value taken away.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> BTreeMap<Series, f64> {
        let mut changes = self.by_series.clone();
        for (series, value) in earlier.iter() {
            *changes.entry(series.clone()).or_insert(0.0) -= value;
        }
        changes.retain(|_, change| *change != 0.0);
        changes
    }

    /// All series with their values, by name and labels.
    pub fn iter(&self) -> impl Iterator<Item = (&Series, f64)> {
        self.by_series.iter().map(|(series, value)| (series, *value))
    }

    /// The number of series.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_series.len()
    }

    /// Whether there is no series.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_series.is_empty()
    }
}

impl FromStr for Samples {
    type Err = ExpositionError;

    fn from_str(text: &str) -> Result<Self, ExpositionError> {
        if !text.is_empty() && !text.ends_with('\n') {
            return Err(ExpositionError::new(text.lines().count(), "the last line has no line feed"));
        }
        let mut samples = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_matches([' ', '\t']);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (series, value) = sample(line).map_err(|reason| ExpositionError::new(number, reason))?;
            match samples.by_series.entry(series) {
                Entry::Vacant(entry) => entry.insert(value),
                Entry::Occupied(entry) => {
                    let reason = format!("{} appears a second time", entry.key());
                    return Err(ExpositionError::new(number, reason));
                }
            };
        }
        Ok(samples)
    }
}

/// Why a text is no exposition.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line} of the exposition: {reason}")]
pub struct ExpositionError {
    line: usize,
    reason: String,
}

impl ExpositionError {
    fn new(line: usize, reason: impl Into<String>) -> Self {
        Self { line, reason: reason.into() }
    }
}

/// `name{label="value",…} value [timestamp]`
fn sample(line: &str) -> Result<(Series, f64), String> {
    let (name, rest) = split_name(line, |c| c == '_' || c == ':')?;
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let mut fields = rest.split_ascii_whitespace();
    let value = fields.next().ok_or("there is no value")?;
    let value = number(value).ok_or_else(|| format!("{value:?} is no number"))?;
    if let Some(timestamp) = fields.next() {
        timestamp.parse::<i64>().map_err(|_| format!("{timestamp:?} is no timestamp"))?;
    }
    if let Some(surplus) = fields.next() {
        return Err(format!("{surplus:?} follows the timestamp"));
    }
    let name = name.to_owned();
    Ok((Series { name, labels }, value))
}

/// `label="value",…}`, and what follows it.
fn labels(mut rest: &str) -> Result<(BTreeMap<String, String>, &str), String> {
    let mut labels = BTreeMap::new();
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let (label, after) = split_name(rest, |c| c == '_')?;
        let after = after.strip_prefix("=\"").ok_or_else(|| format!("label {label} has no quoted value"))?;
        let (value, after) = quoted(after)?;
        if labels.insert(label.to_owned(), value).is_some() {
            return Err(format!("label {label} appears twice"));
        }
        rest = match after.strip_prefix(',') {
            Some(rest) => rest,
            None if after.starts_with('}') => after,
            None => return Err(format!("neither a comma nor a brace follows label {label}")),
        };
    }
}

/// The text up to the closing quote, unescaped, and what follows it.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return Ok((value, characters.as_str())),
            '\\' => value.push(match characters.next() {
                Some('n') => '\n',
                Some(escaped @ ('\\' | '"')) => escaped,
                other => return Err(format!("{other:?} is no escape")),
            }),
            other => value.push(other),
        }
    }
    Err("a label value has no closing quote".to_owned())
}

/// A name of ASCII letters, digits (not first) and `extra`, and what follows it.
fn split_name(text: &str, extra: impl Fn(char) -> bool) -> Result<(&str, &str), String> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !extra(c)).unwrap_or(text.len());
    match text.split_at_checked(end) {
        Some((name, rest)) if name.starts_with(|c: char| !c.is_ascii_digit()) => Ok((name, rest)),
        _ => Err(format!("a name was expected at {text:?}")),
    }
}

/// A number as Prometheus writes and reads it.
fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        // Rust also takes other spellings of infinity and NaN, which start with a letter.
        _ => text.parse().ok().filter(|_| text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<Samples>().unwrap_err().to_string()
    }

    #[test]
    fn names_labels_escapes_numbers_and_timestamps_are_read() {
        let samples: Samples = concat!(
            "# HELP a_total What it is.\n",
            "# TYPE a_total counter\n",
            "a_total 1e3\n",
            "a_total{path=\"C:\\\\x\",says=\"\\\"hi\\\"\\n, {ok}=1\",} 2.5 1700000000000\n",
            "\n",
            "a:b_bucket{le=\"+Inf\"} +Inf\n",
        )
        .parse()
        .unwrap();
        assert_eq!(samples.len(), 3);
        assert_eq!(samples.value("a_total", &[]), Some(1000.0));
        assert_eq!(samples.value("a_total", &[("says", "\"hi\"\n, {ok}=1"), ("path", "C:\\x")]), Some(2.5));
        assert_eq!(samples.sum("a_total", &[]), 1002.5);
        assert_eq!(samples.sum("a:b_bucket", &[("le", "+Inf")]), f64::INFINITY);
    }

    #[test]
    fn what_prometheus_would_refuse_is_refused_with_its_line() {
        for (text, expected) in [
            ("a 1\na 2\n", "line 2 of the exposition: a appears a second time"),
            ("a 1", "line 1 of the exposition: the last line has no line feed"),
            ("a{b=\"c\n", "line 1 of the exposition: a label value has no closing quote"),
            ("a{b=\"\\t\"} 1\n", "line 1 of the exposition: Some('t') is no escape"),
            ("a{b=\"c\",b=\"d\"} 1\n", "line 1 of the exposition: label b appears twice"),
            ("a{b=\"c\"d=\"e\"} 1\n", "line 1 of the exposition: neither a comma nor a brace follows label b"),
            ("a{b=c} 1\n", "line 1 of the exposition: label b has no quoted value"),
            ("1a 1\n", "line 1 of the exposition: a name was expected at \"1a 1\""),
            ("a\n", "line 1 of the exposition: there is no value"),
            ("a infinity\n", "line 1 of the exposition: \"infinity\" is no number"),
            ("a 1 2 3\n", "line 1 of the exposition: \"3\" follows the timestamp"),
        ] {
            assert_eq!(error(text), expected);
        }
    }

    #[test]
    fn a_series_that_is_gone_shows_as_a_change() {
        let before: Samples = "a 2\nb 1\n".parse().unwrap();
        let after: Samples = "b 1\nc 4\n".parse().unwrap();
        let changes: Vec<_> = after.since(&before).into_iter().map(|(series, by)| (series.name, by)).collect();
        assert_eq!(changes, [("a".to_owned(), -2.0), ("c".to_owned(), 4.0)]);
    }
}
