//! What can be measured.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A part of the benchmarks, which runs in a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A counter and a histogram sample.
    Record,
    /// A series that every thread adds to.
    Hot,
    /// Memory, and the text of the whole store.
    Memory,
    /// Tenants that nobody has heard of.
    Hostile,
    /// The HTTP layer.
    Http,
    /// The SQL wrapper.
    Sql,
    /// The Redis wrapper.
    Redis,
}

impl Part {
    /// All parts, in the order in which they are shown.
    pub const ALL: [Self; 7] =
        [Self::Record, Self::Hot, Self::Memory, Self::Hostile, Self::Http, Self::Sql, Self::Redis];

    /// The part's name, as it is given to the benchmarks.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Hot => "hot",
            Self::Memory => "memory",
            Self::Hostile => "hostile",
            Self::Http => "http",
            Self::Sql => "sql",
            Self::Redis => "redis",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|part| part.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join("`, `");
            format!("no part of the benchmarks is called {text:?}: expected one of `{names}`")
        })
    }
}

/// Which of two values is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// The lower one: time, memory.
    Lower,
    /// The higher one: throughput.
    Higher,
}

/// One thing that is measured of ours and of the peers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// What is done: works of one group make one table.
    pub group: &'static str,
    /// Under which circumstances, and what is measured.
    pub detail: &'static str,
    /// The unit of the values.
    pub unit: &'static str,
    /// Which value is the better one.
    pub better: Better,
    /// What ours must reach.
    pub goal: Option<f64>,
}

impl Work {
    pub(crate) const fn lower(group: &'static str, detail: &'static str, unit: &'static str) -> Self {
        Self { group, detail, unit, better: Better::Lower, goal: None }
    }

    pub(crate) const fn higher(group: &'static str, detail: &'static str, unit: &'static str) -> Self {
        Self { group, detail, unit, better: Better::Higher, goal: None }
    }

    pub(crate) const fn goal(self, goal: f64) -> Self {
        Self { goal: Some(goal), ..self }
    }

    /// The work's name, which stays the same from run to run.
    pub fn name(&self) -> String {
        format!("{}, {}", self.group, self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_by_its_name_and_no_other() {
        for part in Part::ALL {
            assert_eq!(part.name().parse(), Ok(part));
        }
        let error = "recrod".parse::<Part>().unwrap_err();
        assert!(error.contains("recrod") && error.contains("`hostile`"), "{error}");
    }
}
