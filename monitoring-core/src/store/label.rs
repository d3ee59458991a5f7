//! Label values and label sets as small numbers.

use std::borrow::Cow;

use super::{Symbol, Symbols};

/// The bits that the values of one label set share; one bit of 64 is the store's own.
pub const LABEL_SET_BITS: u32 = 63;

/// A value of a label: a small number, whose text is needed only when a series is made.
///
/// Derive it for an enum: `#[derive(Clone, Copy, LabelValue)] enum Outcome { Ok, #[label("client_error")] Refused }`.
/// What is not known when compiling becomes a [`Symbol`]. A value whose text is empty leaves its label away.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of a label",
    label = "this is no label value",
    note = "a label has few values, known when compiling: an enum with `#[derive(Clone, Copy, LabelValue)]`, a `bool`, a \
            `StatusCode`, or an `Option` of one",
    note = "for a text that the program knows only when it runs, such as the name of a route, use a `Symbol`"
)]
pub trait LabelValue: Copy + Send + Sync + 'static {
    /// The bits that [`id`](Self::id) needs.
    const BITS: u32;

    /// A number below 2^[`BITS`](Self::BITS), different for different values.
    fn id(self) -> u64;

    /// The value's text, unescaped.
    fn text(self, symbols: &Symbols) -> Cow<'_, str>;
}

impl LabelValue for bool {
    const BITS: u32 = 1;

    fn id(self) -> u64 {
        u64::from(self)
    }

    fn text(self, _symbols: &Symbols) -> Cow<'_, str> {
        Cow::Borrowed(if self { "true" } else { "false" })
    }
}

/// An optional value: `None` leaves the label away.
impl<V: LabelValue> LabelValue for Option<V> {
    const BITS: u32 = V::BITS + 1;

    fn id(self) -> u64 {
        self.map_or(0, |value| value.id() << 1 | 1)
    }

    fn text(self, symbols: &Symbols) -> Cow<'_, str> {
        self.map_or(Cow::Borrowed(""), |value| value.text(symbols))
    }
}

impl LabelValue for Symbol {
    const BITS: u32 = 16;

    fn id(self) -> u64 {
        self.index()
    }

    fn text(self, symbols: &Symbols) -> Cow<'_, str> {
        Cow::Borrowed(symbols.text(self))
    }
}

/// A status code of three digits, such as HTTP's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StatusCode(u16);

impl StatusCode {
    /// No status: the label is left away.
    pub const ABSENT: Self = Self(0);

    /// The code, or [`ABSENT`](Self::ABSENT) for a number that is not from 100 to 999.
    pub const fn new(code: u16) -> Self {
        if code >= 100 && code <= 999 { Self(code) } else { Self::ABSENT }
    }
}

impl LabelValue for StatusCode {
    const BITS: u32 = 10;

    fn id(self) -> u64 {
        u64::from(self.0)
    }

    fn text(self, _symbols: &Symbols) -> Cow<'_, str> {
        if self == Self::ABSENT { Cow::Borrowed("") } else { Cow::Owned(self.0.to_string()) }
    }
}

/// The labels of a metric, the tenant left out.
///
/// Derive it for a struct whose fields are [`LabelValue`]s and named as the labels; `()` is the empty set. That the
/// fields fit into [`LABEL_SET_BITS`] is checked when compiling, that they are those of the metric's descriptor when the
/// family is registered.
///
/// ```
/// use monitoring_core::{LabelSet, LabelValue};
///
/// #[derive(Clone, Copy, LabelValue)]
/// enum Outcome {
///     Ok,
///     #[label("client_error")]
///     Refused,
/// }
///
/// #[derive(Clone, Copy, LabelSet)]
/// struct ExportLabels {
///     outcome: Outcome,
///     compressed: bool,
/// }
///
/// assert_eq!(ExportLabels::NAMES, ["outcome", "compressed"]);
/// # assert_ne!(ExportLabels { outcome: Outcome::Ok, compressed: true }.key(), ExportLabels { outcome: Outcome::Refused, compressed: true }.key());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no set of labels",
    note = "use a struct with `#[derive(Clone, Copy, LabelSet)]` whose fields are named as the metric's labels, or `()`"
)]
pub trait LabelSet: Copy + Send + Sync + 'static {
    /// The labels' names, in order.
    const NAMES: &'static [&'static str];

    /// A number below 2^[`LABEL_SET_BITS`], different for different sets of values.
    fn key(self) -> u64;

    /// Shows each label's name and text to `visitor`, in order.
    fn visit(self, symbols: &Symbols, visitor: &mut dyn FnMut(&'static str, &str));
}

impl LabelSet for () {
    const NAMES: &'static [&'static str] = &[];

    fn key(self) -> u64 {
        0
    }

    fn visit(self, _symbols: &Symbols, _visitor: &mut dyn FnMut(&'static str, &str)) {}
}
