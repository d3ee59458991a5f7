//! The macros of `monitoring-core`: `LabelValue` for the values of a label, `LabelSet` for the labels of a metric, `job` for
//! functions that are background jobs.
//!
//! Use them through `monitoring_core`, which re-exports them beside what they are for.
//! `label_value.rs`, `label_set.rs` and `job.rs` each hold one macro.

use proc_macro::TokenStream;
use syn::{DeriveInput, ItemFn, parse_macro_input};

mod job;
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

/// Makes an `async fn` a background job: each call is one run of it, which `monitoring_core::job` records. Use it as
/// `monitoring_core::job::job`, with the feature `job`.
///
/// All in the parentheses is optional: `name = "invoice-export"` is the job's name, a constant, else it is that of the
/// function with `-` for `_`; `tenant = …` whom it is for, else the current tenant; `attempt = …` which attempt it is, a
/// number or an `Attempt`. The latter two are expressions of the function's arguments.
///
/// The function returns a `Result`, `()`, or another type that implements `JobResult`.
#[proc_macro_attribute]
pub fn job(options: TokenStream, function: TokenStream) -> TokenStream {
    let options = parse_macro_input!(options as job::Options);
    job::expand(options, parse_macro_input!(function as ItemFn))
        .unwrap_or_else(|error| error.into_compile_error())
        .into()
}
