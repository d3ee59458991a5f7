//! Reading a text with the parser, within bounds.

use monitoring_core::database::System;
use sqlparser::ast::{self, CopySource, SetExpr};
use sqlparser::dialect::{Dialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::sanitised::sanitised;
use super::summary::Summary;

/// How deeply brackets, subqueries and the like may be nested.
const MAX_DEPTH: usize = 40;

/// How many keywords and operators a statement may have. A chain such as `a OR b OR c` makes a tree as deep as it is long.
const MAX_LINKS: usize = 400;

/// The stack on which a text is read, so that no statement can overflow that of its caller: 20 KiB for each link.
const STACK: usize = 8 << 20;

/// What a text says.
#[derive(Debug)]
pub(super) struct Parsed {
    /// The operation, where the first keyword does not tell it.
    pub(super) operation: Option<&'static str>,
    /// The table, if the statement is about one.
    pub(super) collection: Option<Box<str>>,
    /// The operations and tables; absent if the statement has no table and no text.
    pub(super) summary: Option<Box<str>>,
    /// The text without literals.
    pub(super) text: Option<Box<str>>,
    pub(super) is_select: bool,
}

/// What the text says, or `None` if it is too much, or not understood.
pub(super) fn parse(system: System, text: &str) -> Option<Parsed> {
    let dialect = dialect(system)?;
    let tokens = Tokenizer::new(dialect, text).tokenize_with_location().ok()?;
    if tokens.iter().filter(|token| is_link(token)).count() > MAX_LINKS {
        return None;
    }
    stacker::grow(STACK, || parse_tokens(system, dialect, tokens))
}

fn dialect(system: System) -> Option<&'static dyn Dialect> {
    match system {
        System::Postgresql => Some(&PostgreSqlDialect {}),
        System::Sqlite => Some(&SQLiteDialect {}),
        System::Mysql => Some(&MySqlDialect {}),
        _ => None,
    }
}

fn is_link(token: &TokenWithSpan) -> bool {
    use sqlparser::keywords::Keyword;
    match &token.token {
        Token::Word(word) => word.keyword != Keyword::NoKeyword,
        Token::Whitespace(_)
        | Token::Comma
        | Token::Period
        | Token::LParen
        | Token::RParen
        | Token::Placeholder(_)
        | Token::Number(..)
        | Token::SingleQuotedString(_) => false,
        _ => true,
    }
}

fn parse_tokens(system: System, dialect: &dyn Dialect, tokens: Vec<TokenWithSpan>) -> Option<Parsed> {
    let mut parser = Parser::new(dialect).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens);
    let mut statements = parser.parse_statements().ok()?;
    // The operation of a batch is that of its first statement, which its keyword tells.
    let [statement] = statements.as_mut_slice() else { return None };
    Some(parse_statement(system, dialect, statement))
}

fn parse_statement(system: System, dialect: &dyn Dialect, statement: &mut ast::Statement) -> Parsed {
    let summary = Summary::of(statement);
    match statement {
        ast::Statement::Query(_)
        | ast::Statement::Insert(_)
        | ast::Statement::Update(_)
        | ast::Statement::Delete(_)
        | ast::Statement::Merge(_) => {
            let (operation, is_select) = operation(statement);
            Parsed {
                operation,
                collection: summary.collection(),
                summary: Some(summary.text()),
                is_select: is_select && summary.is_read_only(),
                text: sanitised(system, dialect, statement),
            }
        }
        ast::Statement::Copy { source: CopySource::Table { table_name, .. }, .. } => {
            let summary = Summary::of_table("COPY", table_name);
            Parsed {
                operation: None,
                collection: summary.collection(),
                summary: Some(summary.text()),
                text: None,
                is_select: false,
            }
        }
        // Definitions, settings and passwords: there is no text of these that is known to hold no secret.
        _ => Parsed { operation: None, collection: None, summary: None, text: None, is_select: false },
    }
}

/// What a statement does that may begin with `WITH` or a bracket, and whether it is a `SELECT`.
fn operation(statement: &ast::Statement) -> (Option<&'static str>, bool) {
    let ast::Statement::Query(query) = statement else { return (None, false) };
    let mut body = &*query.body;
    loop {
        return match body {
            SetExpr::Query(query) => {
                body = &query.body;
                continue;
            }
            SetExpr::SetOperation { left, .. } => {
                body = left;
                continue;
            }
            SetExpr::Select(_) => (Some("SELECT"), true),
            SetExpr::Insert(_) => (Some("INSERT"), false),
            SetExpr::Update(_) => (Some("UPDATE"), false),
            SetExpr::Delete(_) => (Some("DELETE"), false),
            SetExpr::Merge(_) => (Some("MERGE"), false),
            SetExpr::Values(_) => (Some("VALUES"), false),
            SetExpr::Table(_) => (Some("TABLE"), false),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operation_is_that_of_the_statement_behind_with_and_brackets() {
        let cases = [
            ("WITH x AS (SELECT 1) SELECT * FROM x", Some("SELECT")),
            ("WITH x AS (SELECT 1) DELETE FROM item WHERE id IN (SELECT * FROM x)", Some("DELETE")),
            ("WITH x AS (SELECT 1) INSERT INTO item SELECT * FROM x", Some("INSERT")),
            ("(SELECT 1) UNION SELECT 2", Some("SELECT")),
            ("VALUES (1)", Some("VALUES")),
            ("UPDATE item SET id = 1", None),
        ];
        for (text, operation) in cases {
            assert_eq!(parse(System::Postgresql, text).unwrap().operation, operation, "{text}");
        }
    }

    #[test]
    fn only_a_select_that_changes_and_locks_nothing_is_one() {
        let is_select = |text| parse(System::Postgresql, text).unwrap().is_select;
        assert!(is_select("SELECT * FROM item WHERE id = 1"));
        assert!(is_select("WITH x AS (SELECT 1) SELECT * FROM x JOIN item ON true"));
        for text in [
            "WITH x AS (DELETE FROM item RETURNING id) SELECT * FROM x",
            "SELECT * INTO copy FROM item",
            "INSERT INTO item SELECT 1",
            "VALUES (1)",
        ] {
            assert!(!is_select(text), "{text}");
        }
    }

    #[test]
    fn the_table_of_a_copy_is_its_table() {
        for text in ["COPY public.item (id) FROM STDIN", "COPY item TO STDOUT WITH (FORMAT csv)"] {
            let parsed = parse(System::Postgresql, text).unwrap();
            assert_eq!(parsed.collection.as_deref(), Some("item"), "{text}");
            assert_eq!(parsed.summary.as_deref(), Some("COPY item"), "{text}");
        }
    }

    #[test]
    fn what_may_hold_a_secret_has_no_text_and_no_table() {
        for text in [
            "CREATE TABLE canary (id INT)",
            "CREATE USER app WITH PASSWORD 'canary'",
            "SET app.key = 'canary'",
            "DROP TABLE IF EXISTS canary",
            "NOTIFY canary, 'canary'",
        ] {
            let parsed = parse(System::Postgresql, text);
            let is_silent = |parsed: Parsed| parsed.text.or(parsed.collection).or(parsed.summary).is_none();
            assert!(parsed.is_none_or(is_silent), "{text}");
        }
    }

    #[test]
    fn no_statement_is_deep_enough_to_overflow_the_stack() {
        let long = |link: &str| format!("SELECT 1{}", link.repeat(16_000 / link.len()));
        let nested = |open: &str, close: &str| format!("SELECT {}1{}", open.repeat(3_000), close.repeat(3_000));
        let statements = [
            long("+1"),
            long(" OR 1"),
            long("::int"),
            long(" IS NULL"),
            long("[1]"),
            long(" UNION SELECT 1"),
            nested("(", ")"),
            nested("-", ""),
            nested("NOT ", ""),
            nested("f(", ")"),
            format!("SELECT {}", "(SELECT ".repeat(2_000)),
            format!("SELECT a{}", ".a".repeat(8_000)),
        ];
        // The stack of a test's thread is as small as that of a worker of tokio.
        for statement in statements {
            for system in [System::Postgresql, System::Sqlite, System::Mysql] {
                let _ = parse(system, &statement);
            }
        }
        let just_fits = format!("SELECT 1{}", " OR 1".repeat(MAX_LINKS - 1));
        assert!(parse(System::Sqlite, &just_fits).unwrap().text.is_some());
    }

    #[test]
    fn a_batch_has_neither_table_nor_text() {
        assert!(parse(System::Sqlite, "SELECT * FROM item; DELETE FROM item").is_none());
        assert!(parse(System::Sqlite, "SELECT * FROM item;").is_some());
        assert!(parse(System::Sqlite, "").is_none());
    }
}
