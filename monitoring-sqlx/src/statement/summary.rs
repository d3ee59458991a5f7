//! The operations and the tables of a statement, in the order in which they are written.
//!
//! After "Generating a summary of the query" of the OpenTelemetry semantic conventions 1.44.0, with one difference: a table
//! is named without its schema, which may be that of a tenant.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Insert, ObjectName, ObjectNamePart, Query, Select, SetExpr, Statement, TableFactor, Visit, Visitor,
};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

/// The longest summary, in bytes.
const MAX_LEN: usize = 255;

/// What a summary is made of.
#[derive(Debug, Default)]
pub(super) struct Summary {
    words: Vec<String>,
    tables: Vec<String>,
    /// Names that the statement gives to its own subqueries.
    subqueries: Vec<String>,
    /// Whether the next name is that of a function.
    is_function: bool,
    changes: bool,
}

impl Summary {
    pub(super) fn of(statement: &Statement) -> Self {
        let mut summary = Self::default();
        let _ = statement.visit(&mut summary);
        summary
    }

    pub(super) fn of_table(operation: &str, table: &ObjectName) -> Self {
        let mut summary = Self { words: vec![operation.to_owned()], ..Self::default() };
        summary.add_table(table);
        summary
    }

    /// The table, if there is only one.
    pub(super) fn collection(&self) -> Option<Box<str>> {
        match self.tables.as_slice() {
            [table] => Some(table.as_str().into()),
            _ => None,
        }
    }

    /// The words, as many of them as fit.
    pub(super) fn text(&self) -> Box<str> {
        let mut text = String::new();
        for word in &self.words {
            if text.len() + 1 + word.len() > MAX_LEN {
                break;
            }
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        text.into()
    }

    /// Whether nothing in it writes or locks.
    pub(super) fn is_read_only(&self) -> bool {
        !self.changes
    }

    fn add_table(&mut self, name: &ObjectName) {
        let [.., ObjectNamePart::Identifier(table)] = name.0.as_slice() else { return };
        let is_subquery =
            name.0.len() == 1 && self.subqueries.iter().any(|known| known.eq_ignore_ascii_case(&table.value));
        if is_subquery {
            return;
        }
        self.words.push(table.value.clone());
        if !self.tables.contains(&table.value) {
            self.tables.push(table.value.clone());
        }
    }
}

/// Whether it is written as `REPLACE INTO`, whose tree is that of an `INSERT`.
fn is_replace(insert: &Insert) -> bool {
    matches!(&insert.insert_token.0.token, Token::Word(word) if word.keyword == Keyword::REPLACE)
}

impl Visitor for Summary {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        let operation = match statement {
            Statement::Insert(insert) if is_replace(insert) => "REPLACE",
            Statement::Insert(_) => "INSERT",
            Statement::Update(_) => "UPDATE",
            Statement::Delete(_) => "DELETE",
            Statement::Merge(_) => "MERGE",
            _ => return ControlFlow::Continue(()),
        };
        self.changes = true;
        self.words.push(operation.to_owned());
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let subqueries = query.with.iter().flat_map(|with| &with.cte_tables);
        self.subqueries.extend(subqueries.map(|subquery| subquery.alias.name.value.clone()));
        self.changes |= !query.locks.is_empty();
        match &*query.body {
            SetExpr::Values(_) if self.words.is_empty() => self.words.push("VALUES".to_owned()),
            SetExpr::Table(table) => {
                self.words.push("TABLE".to_owned());
                if let Some(name) = &table.table_name {
                    self.add_table(&ObjectName::from(vec![name.clone()]));
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.words.push("SELECT".to_owned());
        self.changes |= select.into.is_some();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        self.is_function = matches!(factor, TableFactor::Table { args: Some(_), .. });
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        if !std::mem::take(&mut self.is_function) {
            self.add_table(relation);
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use monitoring_core::database::System;

    use super::super::parse::parse;

    #[test]
    fn a_summary_has_the_operations_and_tables_in_their_order() {
        let cases = [
            ("SELECT 1", "SELECT", None),
            ("SELECT * FROM invoice WHERE id = 7", "SELECT invoice", Some("invoice")),
            ("SELECT * FROM a JOIN b ON a.x = b.x", "SELECT a b", None),
            ("SELECT * FROM a, a AS other", "SELECT a a", Some("a")),
            ("SELECT * FROM tenant_7.invoice", "SELECT invoice", Some("invoice")),
            ("SELECT * FROM \"Invoice\"", "SELECT Invoice", Some("Invoice")),
            ("SELECT * FROM (SELECT * FROM invoice) AS x", "SELECT SELECT invoice", Some("invoice")),
            ("SELECT x FROM generate_series(1, 5) AS series (x)", "SELECT", None),
            ("WITH x AS (SELECT * FROM invoice) SELECT * FROM X", "SELECT invoice SELECT", Some("invoice")),
            ("INSERT INTO invoice (id) VALUES (1), (2)", "INSERT invoice", Some("invoice")),
            ("INSERT INTO invoice SELECT * FROM draft", "INSERT invoice SELECT draft", None),
            ("UPDATE invoice SET paid = true WHERE id = 1", "UPDATE invoice", Some("invoice")),
            (
                "DELETE FROM invoice WHERE id IN (SELECT id FROM invoice)",
                "DELETE invoice SELECT invoice",
                Some("invoice"),
            ),
            ("VALUES (1), (2)", "VALUES", None),
            ("SELECT 1 UNION SELECT id FROM invoice", "SELECT SELECT invoice", Some("invoice")),
        ];
        for (text, summary, collection) in cases {
            let parsed = parse(System::Postgresql, text).unwrap();
            assert_eq!(parsed.summary.as_deref(), Some(summary), "{text}");
            assert_eq!(parsed.collection.as_deref(), collection, "{text}");
        }
    }

    #[test]
    fn a_replace_is_its_own_operation() {
        for system in [System::Mysql, System::Sqlite] {
            let parsed = parse(system, "REPLACE INTO invoice (id) VALUES (?)").unwrap();
            assert_eq!(parsed.summary.as_deref(), Some("REPLACE invoice"), "{system:?}");
        }
    }

    #[test]
    fn a_summary_ends_with_a_whole_word() {
        let tables: Vec<_> = (0..100).map(|number| format!("table_{number}")).collect();
        let parsed = parse(System::Sqlite, &format!("SELECT * FROM {}", tables.join(", "))).unwrap();
        let summary = parsed.summary.unwrap();
        assert!(summary.len() <= super::MAX_LEN);
        assert!(tables.contains(&summary.rsplit(' ').next().unwrap().to_owned()), "{summary}");
    }
}
