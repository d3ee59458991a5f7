//! What a statement does, told by its first keyword.

use monitoring_core::database::Operation;

/// The names that an operation can have, so that no statement can add a series. The frequent ones come first, because
/// the list is searched in this order.
#[rustfmt::skip] // A line for each group says more than a line for each word.
const KEYWORDS: &[&str] = &[
    "SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "BEGIN", "COMMIT", "ROLLBACK",
    "SET", "SAVEPOINT", "RELEASE", "START", "END", "ABORT",
    "MERGE", "REPLACE", "VALUES", "TABLE", "COPY", "CALL", "DO",
    "CREATE", "ALTER", "DROP", "TRUNCATE", "COMMENT", "GRANT", "REVOKE", "LOCK",
    "SHOW", "RESET", "DISCARD", "EXPLAIN",
    "ANALYZE", "VACUUM", "REINDEX", "CLUSTER", "REFRESH", "CHECKPOINT",
    "PREPARE", "EXECUTE", "DEALLOCATE", "DESCRIBE", "DECLARE", "FETCH", "MOVE", "CLOSE",
    "LISTEN", "NOTIFY", "UNLISTEN",
    "PRAGMA", "ATTACH", "DETACH",
];

/// The label `db_operation_name` of a statement: its first keyword in upper case if that is on the list, else `_OTHER`.
/// Reads up to the end of that keyword, and allocates nothing.
pub(crate) fn operation_name(statement: &str) -> &'static str {
    let statement = without_leading_noise(statement.as_bytes());
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let end = statement.iter().position(|byte| !is_letter(byte)).unwrap_or(statement.len());
    let (word, _) = statement.split_at(end);
    KEYWORDS.iter().find(|keyword| keyword.as_bytes().eq_ignore_ascii_case(word)).unwrap_or(&Operation::OTHER)
}

/// Skips white space, comments, and the brackets and semicolons that may stand before the first keyword.
fn without_leading_noise(mut statement: &[u8]) -> &[u8] {
    loop {
        statement = match statement {
            [byte, rest @ ..] if byte.is_ascii_whitespace() || matches!(byte, b'(' | b';') => rest,
            [b'-', b'-', rest @ ..] => after_line(rest),
            [b'/', b'*', rest @ ..] => after_block_comment(rest),
            _ => return statement,
        };
    }
}

fn after_line(comment: &[u8]) -> &[u8] {
    comment.iter().position(|&byte| byte == b'\n').map_or(&[], |end| comment.split_at(end).1)
}

/// Comments nest in PostgreSQL. They do not in SQLite, where a `/*` within a comment is as rare as it is confusing.
fn after_block_comment(mut comment: &[u8]) -> &[u8] {
    let mut depth = 1_usize;
    loop {
        comment = match comment {
            [b'*', b'/', rest @ ..] if depth == 1 => return rest,
            [b'*', b'/', rest @ ..] => {
                depth -= 1;
                rest
            }
            [b'/', b'*', rest @ ..] => {
                depth += 1;
                rest
            }
            [_, rest @ ..] => rest,
            [] => return comment,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_keyword_names_the_operation_whatever_its_case() {
        assert_eq!(operation_name("SELECT 1"), "SELECT");
        assert_eq!(operation_name("insert into t values (1)"), "INSERT");
        assert_eq!(operation_name("WITH x AS (SELECT 1) DELETE FROM t"), "WITH");
        assert_eq!(operation_name("commit"), "COMMIT");
        assert_eq!(operation_name("VALUES(1)"), "VALUES");
    }

    #[test]
    fn white_space_comments_and_brackets_before_the_keyword_are_skipped() {
        assert_eq!(operation_name("\n\t (SELECT 1) UNION SELECT 2"), "SELECT");
        assert_eq!(operation_name("-- who = 'me'\nUPDATE t SET a = 1"), "UPDATE");
        assert_eq!(operation_name("/* a */ /* b */; DELETE FROM t"), "DELETE");
        assert_eq!(operation_name("/* a /* SELECT */ b */INSERT INTO t"), "INSERT");
    }

    #[test]
    fn what_is_not_on_the_list_is_other() {
        let statements =
            ["", "  ", "SELECTED", "SELECT2", "secret()", "-- only a comment", "/* open", "'SELECT'", "é", "--", "/*"];
        for statement in statements {
            assert_eq!(operation_name(statement), Operation::OTHER, "{statement:?}");
        }
    }

    #[test]
    fn each_keyword_names_itself() {
        for keyword in KEYWORDS {
            assert_eq!(operation_name(keyword), *keyword);
            assert_eq!(operation_name(&format!("{} x", keyword.to_lowercase())), *keyword);
        }
    }
}
