//! Requests per tenant and outcome, and the comparison of two such counts.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The requests of one tenant by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) ok: u64,
    pub(crate) client_error: u64,
    pub(crate) server_error: u64,
    pub(crate) cancelled: u64,
}

impl Counts {
    /// The outcomes by the name that they have as a label and in JSON.
    pub(crate) const fn by_outcome(&self) -> [(&'static str, u64); 4] {
        [
            ("ok", self.ok),
            ("client_error", self.client_error),
            ("server_error", self.server_error),
            ("cancelled", self.cancelled),
        ]
    }

    /// The count of the outcome of this name, if there is such an outcome.
    pub(crate) fn outcome_mut(&mut self, name: &str) -> Option<&mut u64> {
        match name {
            "ok" => Some(&mut self.ok),
            "client_error" => Some(&mut self.client_error),
            "server_error" => Some(&mut self.server_error),
            "cancelled" => Some(&mut self.cancelled),
            _ => None,
        }
    }

    pub(crate) fn total(&self) -> u64 {
        self.by_outcome().iter().map(|(_, count)| count).sum()
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.ok += other.ok;
        self.client_error += other.client_error;
        self.server_error += other.server_error;
        self.cancelled += other.cancelled;
    }
}

/// The requests of all tenants, by the value of the `tenant` label.
pub(crate) type CountsByTenant = BTreeMap<String, Counts>;

/// A tenant and outcome on which the load generator and Prometheus do not agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    pub(crate) tenant: String,
    pub(crate) outcome: &'static str,
    pub(crate) load: u64,
    pub(crate) prometheus: u64,
}

/// What came out of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Comparison {
    /// Whether there is no difference, and something was compared.
    pub(crate) equal: bool,
    /// How many pairs of tenant and outcome were compared.
    pub(crate) compared: usize,
    pub(crate) differences: Vec<Difference>,
}

impl Comparison {
    /// Compares every outcome of every tenant that either side knows; a tenant that one side lacks has had no
    /// requests there.
    pub(crate) fn of(load: &CountsByTenant, prometheus: &CountsByTenant) -> Self {
        let tenants: BTreeSet<&String> = load.keys().chain(prometheus.keys()).collect();
        let mut compared = 0;
        let mut differences = Vec::new();
        for tenant in tenants {
            let count = |side: &CountsByTenant| side.get(tenant).copied().unwrap_or_default().by_outcome();
            for ((outcome, load), (_, prometheus)) in count(load).into_iter().zip(count(prometheus)) {
                compared += 1;
                if load != prometheus {
                    differences.push(Difference { tenant: tenant.clone(), outcome, load, prometheus });
                }
            }
        }
        Self { equal: differences.is_empty() && compared > 0, compared, differences }
    }

    /// Whether there are differences, and requests of others than the load generator explain all of them.
    pub(crate) fn only_further_requests(&self) -> bool {
        !self.differences.is_empty() && self.differences.iter().all(|row| row.prometheus > row.load)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rows: &[(&str, Counts)]) -> CountsByTenant {
        rows.iter().map(|(tenant, counts)| ((*tenant).to_owned(), *counts)).collect()
    }

    #[test]
    fn equal_counts_are_equal() {
        let both =
            counts(&[("acme", Counts { ok: 3, cancelled: 1, ..Counts::default() }), ("__none__", Counts::default())]);
        let comparison = Comparison::of(&both, &both);
        assert_eq!(comparison, Comparison { equal: true, compared: 8, differences: vec![] });
    }

    #[test]
    fn one_request_more_or_of_another_outcome_or_tenant_is_a_difference() {
        let load = counts(&[
            ("acme", Counts { ok: 3, server_error: 1, ..Counts::default() }),
            ("only-load", Counts { client_error: 2, ..Counts::default() }),
        ]);
        let prometheus = counts(&[
            ("acme", Counts { ok: 4, cancelled: 1, ..Counts::default() }),
            ("only-prometheus", Counts { ok: 5, ..Counts::default() }),
        ]);
        let comparison = Comparison::of(&load, &prometheus);
        assert!(!comparison.equal);
        let rows: Vec<_> = comparison
            .differences
            .iter()
            .map(|row| (row.tenant.as_str(), row.outcome, row.load, row.prometheus))
            .collect();
        assert_eq!(
            rows,
            [
                ("acme", "ok", 3, 4),
                ("acme", "server_error", 1, 0),
                ("acme", "cancelled", 0, 1),
                ("only-load", "client_error", 2, 0),
                ("only-prometheus", "ok", 0, 5),
            ]
        );
    }

    #[test]
    fn further_requests_explain_more_in_prometheus_but_not_less() {
        let ok = |ok: u64| counts(&[("acme", Counts { ok, client_error: ok, ..Counts::default() })]);
        assert!(Comparison::of(&ok(3), &ok(4)).only_further_requests());
        assert!(!Comparison::of(&ok(3), &ok(3)).only_further_requests());
        assert!(!Comparison::of(&ok(4), &ok(3)).only_further_requests());

        let mut moved = ok(3);
        moved.insert("acme".to_owned(), Counts { ok: 4, client_error: 2, ..Counts::default() });
        assert!(!Comparison::of(&ok(3), &moved).only_further_requests(), "one is counted with another outcome");
    }

    #[test]
    fn a_comparison_of_nothing_is_no_success() {
        assert!(!Comparison::of(&CountsByTenant::new(), &CountsByTenant::new()).equal);
    }
}
