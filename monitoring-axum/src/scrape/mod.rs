//! How a scrape is answered.
//!
//! `content.rs` reads from a request what is asked for: whose metrics, in which format, in which encoding (`encoding.rs`).
//! `admission.rs` lets a scrape join one that asks for the same and has only just begun, begins a new one where there is
//! room, or refuses it; `limits.rs` says how many there may be, and how slow. A `render.rs` is the work that several
//! readers share: chunks of an exposition, compressed once for all (`chunks.rs`), in a window of bounded size; a
//! `place.rs` is how far one of them is, and how long others have waited for it. `body.rs` is one reader of it, as the body
//! of a response; its alarm rings when the reader takes nothing any more, and then `connection.rs` ends the connection if
//! that is ours. `answer.rs` puts a response together.

mod admission;
mod answer;
mod body;
mod chunks;
mod connection;
mod content;
mod encoding;
mod limits;
mod place;
mod render;
#[cfg(test)]
mod tests;

pub(crate) use answer::{answer, caching, longest_scrape, refuse};
pub(crate) use connection::Connection;
pub(crate) use content::View;
pub use limits::ScrapeLimits;
