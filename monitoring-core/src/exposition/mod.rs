//! How the store is read by others. `text.rs` writes the Prometheus text format.

#[cfg(test)]
mod tests;
mod text;

pub use text::Exposition;
