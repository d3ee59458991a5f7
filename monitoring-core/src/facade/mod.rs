//! The `metrics` facade, both ways.
//!
//! *In*: `inbound.rs` is a recorder over our store, for what any crate records through the facade.
//!
//! *Out*: what our instruments record goes to a recorder that the application runs. `setup.rs` is where it says so,
//! `outside.rs` that recorder, `meters.rs` the handles that a family has from it, one for each series in use, and `beat.rs` the
//! thread that keeps it up to date. Which series a record belongs to stays with the store: `store/outbound.rs`.

mod beat;
mod inbound;
mod meters;
mod outside;
mod setup;
#[cfg(test)]
mod tests;

pub(crate) use beat::Beat;
pub(crate) use inbound::FacadeRecorder;
pub(crate) use meters::{Birth, Meter, Meters, Sort};
pub(crate) use outside::OutsideRecorder;
