//! Stands for the tenants of the store, of which a budget knows the tier.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "the models need one of them")]
pub(crate) enum Tier {
    Free,
    Standard,
    Enterprise,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    Full,
}
