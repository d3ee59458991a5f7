//! What the test gets to see, and whether the canary is in it.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

/// What is put everywhere. It is legal in a host, a header, a URL and a statement, and stays as it is in each.
pub(crate) const CANARY: &str = "canary7f3e91";

/// The canary, and where it was put.
pub(crate) fn canary(place: &str) -> String {
    format!("{CANARY}-{place}")
}

/// Whether the canary is in the text, in letters of any case, or as base64 (which is what headers make of passwords).
pub(crate) fn is_in(bytes: &[u8]) -> bool {
    // The same letters, begun at each place within a group of three bytes, without what their neighbours change.
    const ENCODED: [&[u8]; 3] = [b"Y2FuYXJ5N2YzZTkx", b"NhbmFyeTdmM2U5M", b"jYW5hcnk3ZjNlOT"];
    let contains = |part: &[u8]| bytes.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part));
    contains(CANARY.as_bytes()) || ENCODED.iter().any(|part| bytes.windows(part.len()).any(|window| window == *part))
}

/// Texts in which there must be no canary, each with a name for the message of the failure.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<Text>>>);

/// What was looked at, and what was there.
type Text = (String, Vec<u8>);

impl Seen {
    pub(crate) fn bytes(&self, what: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.lock().unwrap().push((what.into(), bytes.into()));
    }

    /// What `Debug` shows of a handle of ours.
    pub(crate) fn debug(&self, what: &str, value: impl Debug) {
        self.bytes(format!("Debug of {what}"), format!("{value:?} {value:#?}"));
    }

    /// What an error of ours shows of itself.
    pub(crate) fn error(&self, what: &str, error: impl std::error::Error) {
        self.bytes(format!("Display of {what}"), error.to_string());
        self.debug(what, error);
    }

    /// The names of those texts in which the canary is, each with the line it is in.
    pub(crate) fn leaks(&self) -> Vec<String> {
        let mut leaks = Vec::new();
        for (what, bytes) in self.0.lock().unwrap().iter().filter(|(_, bytes)| is_in(bytes)) {
            let text = String::from_utf8_lossy(bytes);
            let lines: Vec<_> = text.lines().filter(|line| is_in(line.as_bytes())).take(5).collect();
            leaks.push(format!("{what}: {lines:#?}"));
        }
        leaks
    }
}

#[test]
fn a_canary_is_found_wherever_it_is() {
    for text in
        ["xcanary7f3e91x", "CANARY7F3E91", "YTpjYW5hcnk3ZjNlOTE=", "Y2FuYXJ5N2YzZTkxOng=", "YWI6Y2FuYXJ5N2YzZTkx"]
    {
        assert!(is_in(text.as_bytes()), "{text}");
        let seen = Seen::default();
        seen.bytes("other", "nothing");
        seen.bytes("this", text);
        assert!(seen.leaks()[0].starts_with("this: ") && seen.leaks().len() == 1);
    }
    assert!(!is_in(b"canary") && !is_in(b"7f3e91"));
}
