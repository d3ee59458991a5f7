//! Whose code the processor ran.

use crate::{LabelSet, LabelValue};

/// Label `cpu_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub(super) enum Mode {
    /// The program's own.
    User,
    /// The kernel's, for the program.
    System,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelSet)]
pub(super) struct ModeLabels {
    pub(super) cpu_mode: Mode,
}
