//! How environment variables are read.

use std::env::VarError;

use percent_encoding::percent_decode_str;

use crate::error::ConfigError;

/// The environment, or what stands for it.
pub(crate) struct Variables<F>(pub(crate) F);

impl<F: Fn(&str) -> Result<String, VarError>> Variables<F> {
    /// The variable's text; an empty one counts as unset, as the OpenTelemetry specification wants it.
    pub(crate) fn text(&self, name: &'static str) -> Result<Option<String>, ConfigError> {
        match (self.0)(name) {
            Ok(text) if text.is_empty() => Ok(None),
            Ok(text) => Ok(Some(text)),
            Err(VarError::NotPresent) => Ok(None),
            Err(VarError::NotUnicode(_)) => Err(ConfigError::Invalid { setting: name, expected: "UTF-8 text" }),
        }
    }

    /// The attributes of the resource, names and values percent-encoded.
    pub(crate) fn resource_attributes(&self) -> Result<Vec<(String, String)>, ConfigError> {
        Ok(self.parse("OTEL_RESOURCE_ATTRIBUTES", LIST, attributes)?.unwrap_or_default())
    }

    /// The variable's value; the text that cannot be read is in the error.
    pub(crate) fn parse<T>(
        &self,
        name: &'static str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        match self.text(name)? {
            None => Ok(None),
            Some(text) => match parse(text.trim()) {
                Some(value) => Ok(Some(value)),
                None => {
                    let found = text.chars().take(64).collect();
                    Err(ConfigError::Unreadable { setting: name, found, expected })
                }
            },
        }
    }
}

/// What a list of attributes or headers looks like.
pub(crate) const LIST: &str = "a list such as `name=value,other=value`, percent-encoded";

/// Each `name=value` of a list; `None` where there is no name.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = Option<(&str, &str)>> {
    text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((name.trim(), value.trim())).filter(|(name, _)| !name.is_empty())
    })
}

/// What is percent-encoded.
pub(crate) fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

fn attributes(text: &str) -> Option<Vec<(String, String)>> {
    pairs(text).map(|pair| pair.and_then(|(name, value)| Some((decoded(name)?, decoded(value)?)))).collect()
}

pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}
