//! A password for a server that lives for one test or one demo.

use std::{fmt::Write as _, fs::File, io::Read as _};

use super::ServerError;

/// 128 random bits in hexadecimal. Other users of the machine reach loopback ports too, and a superuser of
/// PostgreSQL can run programs.
pub(super) fn random() -> Result<String, ServerError> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|source| ServerError::NoPassword { source })?;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
