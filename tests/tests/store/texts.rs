//! Texts that somebody might send.

use proptest::prelude::*;
use proptest::sample::select;

/// What breaks formats, parsers and terminals.
const HOSTILE: &[&str] = &[
    "\n",
    "\r",
    "\r\n",
    "\"",
    "\\",
    "\\n",
    "\\\"",
    "\\\\",
    "\0",
    "\t",
    " ",
    " # ",
    "# EOF\n",
    "# TYPE x counter\n",
    "{",
    "}",
    "=",
    ",",
    "\"} 1\nx{y=\"",
    "\u{202e}",
    "\u{2066}",
    "e\u{301}",
    "\u{200b}",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\u{1b}[31m",
    "\u{1c}",
    "\u{fffd}",
    "\u{ffff}",
    "\u{10ffff}",
    "\u{d7ff}",
    "é",
    "日本",
    "👩‍👩‍👧",
];

/// Any text: characters, hostile pieces, the lengths around the limits, and a megabyte.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => select(HOSTILE).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => "[a-z/]{1,8}",
    ];
    prop_oneof![
        60 => prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat()),
        2 => (250_usize..260).prop_map(|length| "x".repeat(length)),
        2 => (125_usize..131).prop_map(|length| "é".repeat(length)),
        1 => select(HOSTILE).prop_map(|piece| piece.repeat((1 << 20) / piece.len())),
    ]
}

/// Ids that the store keeps for itself.
const RESERVED: &[&str] = &["__none__", "__unknown__", "__other__"];

/// A text that names a tenant often enough.
pub(crate) fn tenant_id(known: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(known).prop_map(str::to_owned),
        1 => (select(known), select(HOSTILE)).prop_map(|(id, piece)| format!("{id}{piece}")),
        1 => select(known).prop_map(str::to_uppercase),
        1 => select(RESERVED).prop_map(str::to_owned),
        3 => text(),
    ]
}

/// A whole number, of which 512 together are less than 2^64.
pub(crate) fn number() -> impl Strategy<Value = u64> {
    const MAX: u64 = u64::MAX >> 9;
    prop_oneof![3 => 0..5_000_u64, 1 => 0..=MAX, 1 => select(&[0, 1, 64, 65, MAX - 1, MAX])]
}
