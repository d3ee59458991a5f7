//! Why a family cannot be registered.

use std::panic::Location;

use crate::catalogue::{Kind, Unit};

/// Why a family was not registered. All of these are mistakes in the program, found when it starts.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Two different metrics have one name.
    #[error(
        "metric {name} has a name that a different metric has, or a line of a histogram: they are registered at {first} \
         and at {second}; rename one of them"
    )]
    Clash {
        /// The name.
        name: String,
        /// Where it was registered first.
        first: &'static Location<'static>,
        /// Where it was registered again.
        second: &'static Location<'static>,
    },
    /// The labels of the label set are not those of the descriptor.
    #[error("metric {name} has the labels {expected:?}, but its label set has the fields {found:?}: make them equal")]
    Labels {
        /// The metric's name.
        name: &'static str,
        /// The labels of the descriptor.
        expected: Vec<String>,
        /// The fields of the label set.
        found: &'static [&'static str],
    },
    /// A label has a name that the store gives its own labels.
    #[error("metric {name} has a label `{label}`, which the store writes itself: name it otherwise")]
    ReservedLabel {
        /// The metric's name.
        name: &'static str,
        /// The label.
        label: &'static str,
    },
    /// The bounds of a histogram's buckets cannot be used.
    #[error("metric {name} has unusable buckets: give them finite upper bounds from 0 on, in ascending order")]
    Buckets {
        /// The metric's name.
        name: &'static str,
    },
    /// The measure does not fit the unit.
    #[error("metric {name} is measured in {unit:?}: use `Duration` for seconds, `u64` for bytes and numbers of things")]
    Unit {
        /// The metric's name.
        name: &'static str,
        /// Its unit.
        unit: Unit,
    },
    /// The method does not fit the descriptor.
    #[error("metric {name} is a {kind:?} {tenancy}: register it with the method for that")]
    Sort {
        /// The metric's name.
        name: &'static str,
        /// Its kind.
        kind: Kind,
        /// Whether it has tenants.
        tenancy: &'static str,
    },
}
