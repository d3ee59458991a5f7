//! A statement's text without literals: what may be shown of it.
//!
//! Literals are taken out of the syntax tree. Then what the tree writes is read as tokens again, and whatever is neither a
//! word nor punctuation is taken out too: options and hints that the tree keeps as mere text.

use std::ops::ControlFlow;

use monitoring_core::database::System;
use sqlparser::ast::{Expr, InTarget, Query, SetExpr, Statement, Value, ValueWithSpan, VisitMut, VisitorMut};
use sqlparser::dialect::Dialect;
use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

/// The longest text that is shown, in bytes.
const MAX_LEN: usize = 2_048;

const PLACEHOLDER: &str = "?";

/// The text of a statement, each literal and each argument replaced by `?`; lists of these are one `?`. The statement is
/// changed on the way.
pub(super) fn sanitised(system: System, dialect: &dyn Dialect, statement: &mut Statement) -> Option<Box<str>> {
    let _ = statement.visit(&mut WithoutLiterals { system });
    let written = statement.to_string();
    let tokens = Tokenizer::new(dialect, &written).with_unescape(false).tokenize().ok()?;
    let mut text = String::with_capacity(written.len());
    for token in tokens {
        match token {
            Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab) => {
                if !text.ends_with(' ') {
                    text.push(' ');
                }
            }
            // A comment says nothing that the database reads.
            Token::Whitespace(_) => {}
            Token::Word(word) => text.push_str(&word.to_string()),
            other => {
                let other = other.to_string();
                text.push_str(if is_punctuation(&other) { &other } else { PLACEHOLDER });
            }
        }
    }
    shorten(&mut text);
    Some(text.into())
}

/// Whether it is an operator or the like. All literals have a quote, a digit, a letter or a dollar.
fn is_punctuation(token: &str) -> bool {
    token.chars().all(|letter| letter.is_ascii_punctuation() && !matches!(letter, '\'' | '"' | '`' | '$'))
}

fn shorten(text: &mut String) {
    const END: &str = "…";
    if text.len() > MAX_LEN {
        text.truncate(text.floor_char_boundary(MAX_LEN - END.len()));
        text.push_str(END);
    }
}

struct WithoutLiterals {
    system: System,
}

fn placeholder() -> ValueWithSpan {
    Value::Placeholder(PLACEHOLDER.to_owned()).with_empty_span()
}

fn is_placeholder(expression: &Expr) -> bool {
    matches!(expression, Expr::Value(ValueWithSpan { value: Value::Placeholder(_), .. }))
}

impl VisitorMut for WithoutLiterals {
    type Break = ();

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        if value.value != Value::Null {
            *value = placeholder();
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        match expression {
            // SQLite takes a name in double quotes for a text if it is not that of a column.
            Expr::Identifier(name) if self.system == System::Sqlite && name.quote_style == Some('"') => {
                *expression = Expr::Value(placeholder());
            }
            // However many there are, it is the same statement.
            Expr::In { target: InTarget::List(list), .. } if list.iter().all(is_placeholder) => list.truncate(1),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Values(values) = &mut *query.body
            && values.rows.iter().all(|row| row.content.iter().all(is_placeholder))
        {
            values.rows.truncate(1);
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;

    fn text(system: System, statement: &str) -> String {
        parse(system, statement).unwrap().text.unwrap().into()
    }

    #[test]
    fn literals_and_arguments_are_question_marks() {
        let cases = [
            ("SELECT * FROM item WHERE name = 'canary' AND id > 4711", "SELECT * FROM item WHERE name = ? AND id > ?"),
            ("SELECT * FROM item WHERE id = $1 LIMIT 20", "SELECT * FROM item WHERE id = ? LIMIT ?"),
            ("SELECT id FROM item WHERE id IN (1, 2, 3)", "SELECT id FROM item WHERE id IN (?)"),
            ("INSERT INTO item (id, name) VALUES ($1, $2), ($3, $4)", "INSERT INTO item (id, name) VALUES (?, ?)"),
            ("INSERT INTO item (id) VALUES (1), (f(2))", "INSERT INTO item (id) VALUES (?), (f(?))"),
            ("SELECT NULL, TRUE -- canary", "SELECT NULL, ?"),
            ("select /* canary */ 1", "SELECT ?"),
            (
                "SELECT CAST(x AS VARCHAR(10)), a->>'canary' FROM item",
                "SELECT CAST(x AS VARCHAR(?)), a ->> ? FROM item",
            ),
            (
                "UPDATE item SET name = E'can\\'ary' WHERE at > now() - INTERVAL '1 canary'",
                "UPDATE item SET name = ? WHERE at > now() - INTERVAL ?",
            ),
        ];
        for (statement, expected) in cases {
            assert_eq!(text(System::Postgresql, statement), expected);
        }
    }

    #[test]
    fn no_literal_of_any_database_is_left() {
        let statements = [
            (
                System::Postgresql,
                "SELECT $$canary$$, $a$canary$a$, E'canary', U&'canary', N'canary', B'101', X'CA', DATE '4711-01-01'",
            ),
            (System::Postgresql, "SELECT * FROM item WHERE name ~ 'canary' AND tags @> ARRAY['canary'] ORDER BY 4711"),
            (System::Postgresql, "SELECT json '{\"canary\": 4711}' #>> '{canary}', 4711::text, 'canary' COLLATE \"C\""),
            (System::Postgresql, "SELECT x FROM item TABLESAMPLE BERNOULLI (4711) REPEATABLE (4711)"),
            (
                System::Postgresql,
                "INSERT INTO item VALUES ('canary') ON CONFLICT (id) DO UPDATE SET name = 'canary' RETURNING 'canary'",
            ),
            (
                System::Postgresql,
                "SELECT string_agg(x, 'canary') FILTER (WHERE y = 4711) OVER (ROWS 4711 PRECEDING) FROM item",
            ),
            (System::Sqlite, "SELECT * FROM item WHERE name = \"canary\" AND x LIKE 'canary' ESCAPE '\\'"),
            (System::Sqlite, "SELECT x'CA4711', json_extract(doc, \"$.canary\") FROM item LIMIT 4711 OFFSET 4711"),
            (System::Mysql, "SELECT /*+ canary(4711) */ \"canary\", _utf8'canary', 0x4711, N'canary' FROM item"),
            (System::Mysql, "INSERT INTO item SET name = 'canary' ON DUPLICATE KEY UPDATE name = \"canary\""),
            (System::Mysql, "SELECT 'a\\'canary', 'it''s canary' FROM item WHERE MATCH (name) AGAINST ('canary')"),
        ];
        for (system, statement) in statements {
            // What is not understood has no text at all, which is as good.
            if let Some(parsed) = parse(system, statement) {
                let text = parsed.text.unwrap();
                assert!(!text.contains("canary") && !text.contains("4711"), "{text}");
            }
        }
    }

    #[test]
    fn most_of_these_are_understood() {
        let statements = [
            "SELECT $$canary$$, E'canary'",
            "SELECT * FROM item WHERE name ~ 'canary' AND tags @> ARRAY['canary'] ORDER BY 4711",
            "SELECT DISTINCT ON (a) a, b FROM item ORDER BY a, b DESC NULLS LAST FOR UPDATE SKIP LOCKED",
            "INSERT INTO item VALUES ('canary') ON CONFLICT (id) DO UPDATE SET name = 'canary' RETURNING id",
            "SELECT count(*) FILTER (WHERE y = 1) OVER (PARTITION BY x) FROM item",
            "SELECT * FROM item LEFT JOIN LATERAL (SELECT 1) AS x ON true",
        ];
        for statement in statements {
            assert!(parse(System::Postgresql, statement).is_some(), "{statement}");
        }
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let columns: Vec<_> = (0..600).map(|_| "größe").collect();
        let text = text(System::Sqlite, &format!("SELECT {} FROM item", columns.join(", ")));
        assert!(text.len() <= MAX_LEN && text.ends_with('…'), "{}", text.len());
    }
}
