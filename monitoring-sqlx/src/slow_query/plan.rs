//! What is shown of a plan.

use std::fmt;

/// A node of a plan: what an allow-list takes of it. No condition is among it, since conditions hold literals.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    kind: String,
    table: Option<String>,
    index: Option<String>,
    cost: f64,
    rows: f64,
    inputs: Vec<Self>,
}

/// How many nodes below one another are read.
const MAX_DEPTH: usize = 30;

/// The longest name that is shown, in characters.
const MAX_NAME: usize = 64;

impl Plan {
    /// The plan in the answer to `EXPLAIN (FORMAT JSON)`.
    pub(super) fn of_postgres(answer: &str) -> Option<Self> {
        let answer: serde_json::Value = serde_json::from_str(answer).ok()?;
        Self::node(answer.get(0)?.get("Plan")?, MAX_DEPTH)
    }

    fn node(node: &serde_json::Value, depth: usize) -> Option<Self> {
        let name = |key| node.get(key)?.as_str().map(|name| name.chars().take(MAX_NAME).collect::<String>());
        let number = |key| node.get(key).and_then(serde_json::Value::as_f64);
        let inputs = node.get("Plans").and_then(serde_json::Value::as_array).map_or(&[][..], Vec::as_slice);
        let inputs = if depth == 0 { &[] } else { inputs };
        Some(Self {
            kind: name("Node Type")?,
            table: name("Relation Name"),
            index: name("Index Name"),
            cost: number("Total Cost").unwrap_or(0.0),
            rows: number("Plan Rows").unwrap_or(0.0),
            inputs: inputs.iter().filter_map(|input| Self::node(input, depth - 1)).collect(),
        })
    }
}

/// In one line: `Hash Join cost=12.5 rows=40 (Seq Scan on invoice cost=8 rows=400, …)`.
impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.kind)?;
        if let Some(index) = &self.index {
            write!(formatter, " using {index}")?;
        }
        if let Some(table) = &self.table {
            write!(formatter, " on {table}")?;
        }
        write!(formatter, " cost={} rows={}", self.cost, self.rows)?;
        for (number, input) in self.inputs.iter().enumerate() {
            write!(formatter, "{}{input}", if number == 0 { " (" } else { ", " })?;
        }
        if !self.inputs.is_empty() {
            formatter.write_str(")")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_shown_without_its_conditions() {
        let answer = r#"[{"Plan": {"Node Type": "Nested Loop", "Total Cost": 12.5, "Plan Rows": 40, "Join Filter": "(a = 'canary')",
            "Output": ["'canary'"], "Plans": [
            {"Node Type": "Seq Scan", "Relation Name": "invoice", "Alias": "canary", "Total Cost": 8, "Plan Rows": 400, "Filter": "(x = 'canary'::text)"},
            {"Node Type": "Index Scan", "Index Name": "item_pkey", "Relation Name": "item", "Total Cost": 0.3, "Plan Rows": 1, "Index Cond": "(id = 4711)"}]}}]"#;
        let plan = Plan::of_postgres(answer).unwrap();
        assert_eq!(
            plan.to_string(),
            "Nested Loop cost=12.5 rows=40 (Seq Scan on invoice cost=8 rows=400, \
             Index Scan using item_pkey on item cost=0.3 rows=1)"
        );
        assert!(!format!("{plan:?}").contains("canary"));
    }

    #[test]
    fn what_is_no_plan_is_none() {
        for answer in ["", "canary", "[]", "{}", r#"[{"Plan": "canary"}]"#, r#"[{"Plan": {"Node Type": 1}}]"#] {
            assert_eq!(Plan::of_postgres(answer), None, "{answer}");
        }
    }
}
