//! How a family is named in OpenMetrics, where a counter's family has a name without `_total`.
//!
//! There all names that the families of one exposition could give to samples must be different, even those of samples
//! that we never write, such as `_created`. In the store they need not be: a gauge `jobs` and a counter `jobs_total` are
//! two names there, and here one. Then the counter is of unknown type, under the name that it has elsewhere.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use crate::catalogue::{Descriptor, Kind, TARGET_INFO, Unit};
use crate::store::{Family, Registry};

/// The families whose names would clash, found when the exposition begins.
pub(super) struct OpenMetrics {
    /// The places of the families of unknown type.
    unknown: BTreeSet<usize>,
}

/// The name of a family and of its samples.
pub(super) enum Naming<'a> {
    /// As in the store.
    Own { name: &'a str },
    /// Without `_total`, which only the samples have.
    Counter { base: &'a str },
    /// Without `_info`, which only the samples have.
    Info { base: &'a str },
    /// As in the store, but of unknown type.
    Unknown { name: &'a str },
}

impl OpenMetrics {
    /// Looks at the families that there are now.
    pub(super) fn new(registry: &Registry) -> Self {
        let families = || (0..).map_while(|place| Some((place, registry.family_at(place)?)));
        let mut claims: HashMap<Cow<'_, str>, usize> = HashMap::new();
        for (_, family) in families() {
            for name in Naming::of(family).claims(family) {
                *claims.entry(name).or_default() += 1;
            }
        }
        let unknown = families().filter_map(|(place, family)| {
            let naming = Naming::of(family);
            let clashes = naming.claims(family).iter().any(|name| claims.get(name).is_some_and(|count| *count > 1));
            (clashes && !matches!(naming, Naming::Own { .. })).then_some(place)
        });
        Self { unknown: unknown.collect() }
    }

    pub(super) fn naming<'a>(&self, family: &'a Family, place: usize) -> Naming<'a> {
        if self.unknown.contains(&place) { Naming::Unknown { name: family.name() } } else { Naming::of(family) }
    }
}

impl<'a> Naming<'a> {
    /// The name if there were no other family.
    fn of(family: &'a Family) -> Self {
        let name = family.name();
        match family.reading().kind() {
            Kind::Counter => match name.strip_suffix("_total").unwrap_or(name) {
                "" => Self::Unknown { name },
                base => Self::Counter { base },
            },
            Kind::Gauge if family.descriptor() == Some(&TARGET_INFO) => {
                Self::Info { base: name.strip_suffix("_info").unwrap_or(name) }
            }
            Kind::UpDownCounter | Kind::Gauge | Kind::Histogram => Self::Own { name },
        }
    }

    /// All names that nobody else may have.
    fn claims(&self, family: &Family) -> Vec<Cow<'a, str>> {
        let (name, suffixes): (_, &[&str]) = match *self {
            Self::Counter { base } => (base, &["_total", "_created"]),
            Self::Info { base } => (base, &["_info"]),
            Self::Own { name } if family.reading().kind() == Kind::Histogram => {
                (name, &["_bucket", "_sum", "_count", "_created"])
            }
            Self::Own { name } | Self::Unknown { name } => (name, &[]),
        };
        let suffixed = suffixes.iter().map(|suffix| Cow::Owned(format!("{name}{suffix}")));
        suffixed.chain([Cow::Borrowed(name)]).collect()
    }

    pub(super) fn family(&self) -> &'a str {
        match *self {
            Self::Own { name } | Self::Unknown { name } => name,
            Self::Counter { base } | Self::Info { base } => base,
        }
    }

    /// What the lines of samples begin with.
    pub(super) fn sample(&self) -> String {
        match self {
            Self::Own { name } | Self::Unknown { name } => (*name).to_owned(),
            Self::Counter { base } => format!("{base}_total"),
            Self::Info { base } => format!("{base}_info"),
        }
    }

    /// The type, where it is not that of the text format.
    pub(super) fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Info { .. } => Some("info"),
            Self::Unknown { .. } => Some("unknown"),
            Self::Own { .. } | Self::Counter { .. } => None,
        }
    }

    /// The unit, if the name of the family ends with it.
    pub(super) fn unit(&self, descriptor: Option<&Descriptor>) -> Option<&'static str> {
        unit(self.family(), descriptor?)
    }
}

/// The unit of a family, if its name, in which a counter has no `_total`, ends with it.
pub(super) fn unit(family: &str, descriptor: &Descriptor) -> Option<&'static str> {
    let unit = match descriptor.unit() {
        Unit::Seconds => "seconds",
        Unit::Bytes => "bytes",
        Unit::Ratio => "ratio",
        Unit::Count(_) => return None,
    };
    family.strip_suffix(unit)?.ends_with('_').then_some(unit)
}
