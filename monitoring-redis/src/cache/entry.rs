//! An entry: its key in Redis, and the text of its value. Both name the tenant, so that a value which somebody else has put
//! under the key, or a key that was made wrongly, is seen when it is read.

use monitoring_core::TenantId;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Neither an id of a tenant nor the name of a cache contains it, so that no two pairs of them begin a key alike.
const BETWEEN: char = '/';

/// Where one value is.
#[derive(Debug)]
pub(super) struct Entry {
    /// `tenant/cache/key`; `/cache/key` in a cache of all tenants.
    pub(super) key: String,
    tenant_length: usize,
}

/// Why the text of a value cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It is of another tenant.
    Foreign,
    /// It is not of the type that was asked for, or no text of this cache at all.
    Malformed,
}

impl Entry {
    /// The entry of that tenant; an empty id is all of them.
    pub(super) fn new(tenant: &str, cache: &str, key: &str) -> Self {
        Self { key: format!("{tenant}{BETWEEN}{cache}{BETWEEN}{key}"), tenant_length: tenant.len() }
    }

    fn tenant(&self) -> &[u8] {
        self.key.as_bytes().get(..self.tenant_length).unwrap_or_default()
    }

    /// The tenant's id, the end of the line, and the value as JSON; `None` if JSON has no form for it.
    pub(super) fn encode<V: Serialize>(&self, value: &V) -> Option<Vec<u8>> {
        let mut text = self.tenant().to_vec();
        text.push(b'\n');
        serde_json::to_writer(&mut text, value).ok()?;
        Some(text)
    }

    pub(super) fn decode<V: DeserializeOwned>(&self, text: &[u8]) -> Result<V, Unusable> {
        let line = text.iter().position(|byte| *byte == b'\n').ok_or(Unusable::Malformed)?;
        let (tenant, value) = text.split_at(line);
        if tenant != self.tenant() {
            let is_id = str::from_utf8(tenant).is_ok_and(|id| id.parse::<TenantId>().is_ok());
            return Err(if is_id { Unusable::Foreign } else { Unusable::Malformed });
        }
        // What the error says of the value is dropped with it.
        serde_json::from_slice(value).map_err(|_error| Unusable::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_value_is_read_by_the_tenant_that_wrote_it_only() {
        let [acme, zeta, all] = ["acme", "zeta", ""].map(|tenant| Entry::new(tenant, "invoices", "42"));
        assert_eq!(acme.key, "acme/invoices/42");
        assert_eq!(all.key, "/invoices/42");
        let text = acme.encode(&vec![1, 2]).unwrap();
        assert_eq!(acme.decode::<Vec<u8>>(&text), Ok(vec![1, 2]));
        assert_eq!(zeta.decode::<Vec<u8>>(&text), Err(Unusable::Foreign));
        assert_eq!(all.decode::<Vec<u8>>(&text), Err(Unusable::Foreign));
        assert_eq!(acme.decode::<Vec<u8>>(&all.encode(&vec![1, 2]).unwrap()), Err(Unusable::Malformed));
    }

    #[test]
    fn what_is_no_text_of_this_cache_is_malformed() {
        let entry = Entry::new("acme", "invoices", "42");
        for text in ["", "acme", "acme\n", "acme\n\"x\"", "acme\n[1] [2]", "[\n1]", "\n[1]"] {
            assert_eq!(entry.decode::<Vec<u8>>(text.as_bytes()), Err(Unusable::Malformed), "{text:?}");
        }
        assert_eq!(entry.encode(&HashMap::from([((1, 2), 3)])), None);
    }

    proptest! {
        /// Whatever tenants, caches and keys are called, two different entries have two different keys.
        #[test]
        fn no_two_entries_have_the_same_key(
            one in ("[a:/]{0,4}", "[a:]{1,3}", "[a:/]{0,4}"), other in ("[a:/]{0,4}", "[a:]{1,3}", "[a:/]{0,4}"),
        ) {
            let is_tenant = |id: &str| id.is_empty() || id.parse::<TenantId>().is_ok();
            prop_assume!(is_tenant(&one.0) && is_tenant(&other.0));
            let key = |(tenant, cache, key): &(String, String, String)| Entry::new(tenant, cache, key).key;
            prop_assert_eq!(key(&one) == key(&other), one == other);
        }

        #[test]
        fn a_value_comes_back_as_it_was(value in prop::collection::vec(".*", 0..4)) {
            let entry = Entry::new("acme", "invoices", "42");
            prop_assert_eq!(entry.decode::<Vec<String>>(&entry.encode(&value).unwrap()), Ok(value));
        }
    }
}
