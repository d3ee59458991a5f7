//! A tenant's name.

use std::fmt;
use std::str::FromStr;

/// The longest id, in bytes.
pub(super) const MAX_LEN: usize = 64;

/// A tenant's id, valid once built: 1 to 64 bytes of `A-Z a-z 0-9 . _ : -`, not beginning with `__`.
///
/// Ids are compared byte by byte: no two different ids are ever taken for the same tenant, whatever their case. The
/// alphabet needs no escaping in any exposition format, header, file name or URL.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Box<str>);

impl TenantId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `text` is a valid id. Looks at no more than 64 bytes, and copies nothing.
    pub(crate) fn check(text: &str) -> Result<(), TenantIdError> {
        if text.is_empty() {
            return Err(TenantIdError::Empty);
        }
        if text.len() > MAX_LEN {
            return Err(TenantIdError::TooLong { len: text.len() });
        }
        if text.starts_with("__") {
            return Err(TenantIdError::Reserved);
        }
        let illegal = |byte: &u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-'));
        match text.bytes().position(|byte| illegal(&byte)) {
            Some(position) => Err(TenantIdError::IllegalCharacter { position }),
            None => Ok(()),
        }
    }
}

impl FromStr for TenantId {
    type Err = TenantIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::check(text)?;
        Ok(Self(text.into()))
    }
}

impl TryFrom<&str> for TenantId {
    type Error = TenantIdError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl AsRef<str> for TenantId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TenantId({:?})", self.0)
    }
}

/// Why a text is no tenant id. The text itself is not repeated: it may come from an attacker.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TenantIdError {
    /// The text has no characters.
    #[error("a tenant id is empty: expected 1 to 64 bytes of A-Z a-z 0-9 . _ : -")]
    Empty,
    /// The text is longer than 64 bytes.
    #[error("a tenant id has {len} bytes: expected at most 64; use a shorter key of the tenant, such as its UUID")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The text begins with `__`, which is kept for `__none__`, `__unknown__` and `__other__`.
    #[error("a tenant id begins with `__`, which is reserved: choose an id that does not")]
    Reserved,
    /// A byte is outside the alphabet.
    #[error("a tenant id has an illegal character at byte {position}: expected only A-Z a-z 0-9 . _ : -")]
    IllegalCharacter {
        /// Where, in bytes from 0.
        position: usize,
    },
}
