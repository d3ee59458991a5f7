//! The derive macros of `monitoring-core`: `LabelValue` for the values of a label, `LabelSet` for the labels of a metric.
//!
//! Use them through `monitoring_core`, which re-exports them beside the traits they implement.
//! `label_value.rs` and `label_set.rs` each hold one macro.

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

mod label_set;
mod label_value;

/// Implements `monitoring_core::LabelValue` for an enum without fields: the text of a variant is its name in
/// snake case, or what `#[label("text")]` says. `#[label("")]` leaves the label away.
#[proc_macro_derive(LabelValue, attributes(label))]
pub fn derive_label_value(input: TokenStream) -> TokenStream {
    label_value::expand(&parse_macro_input!(input as DeriveInput))
        .unwrap_or_else(|error| error.into_compile_error())
        .into()
}

/// Implements `monitoring_core::LabelSet` for a struct whose fields all implement `LabelValue`: a field's name is the
/// label's name, in the order of the metric's descriptor.
#[proc_macro_derive(LabelSet)]
pub fn derive_label_set(input: TokenStream) -> TokenStream {
    label_set::expand(&parse_macro_input!(input as DeriveInput))
        .unwrap_or_else(|error| error.into_compile_error())
        .into()
}
