//! Tests of ids and the registry here, of scopes in `scopes.rs`.

mod scopes;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::thread;

use proptest::prelude::*;

use super::{Tenant, TenantId, TenantIdError, TenantRegistry, TenantRegistryError, Tier};

fn registry(max_tenants: usize) -> TenantRegistry {
    TenantRegistry::new(max_tenants, true)
}

fn id(text: &str) -> TenantId {
    text.parse().unwrap()
}

#[test]
fn an_id_of_the_alphabet_is_kept_as_it_is() {
    for text in ["a", "_", "_a", "a__", "0", "Acme.Corp_7:eu-west-1", &"x".repeat(64), ".", "-", ":"] {
        let id = id(text);
        assert_eq!(id.as_str(), text);
        assert_eq!(id.to_string(), text);
        assert_eq!(TenantId::try_from(text), Ok(id));
    }
}

#[test]
fn a_hostile_id_is_refused_with_its_reason() {
    let illegal = |position| TenantIdError::IllegalCharacter { position };
    let megabyte = "a".repeat(1 << 20);
    for (text, expected) in [
        ("", TenantIdError::Empty),
        (&*"x".repeat(65), TenantIdError::TooLong { len: 65 }),
        (&*megabyte, TenantIdError::TooLong { len: 1 << 20 }),
        ("__", TenantIdError::Reserved),
        ("__none__", TenantIdError::Reserved),
        ("__x", TenantIdError::Reserved),
        ("acme\0", illegal(4)),
        ("acme\n", illegal(4)),
        ("\nacme", illegal(0)),
        ("acme\"", illegal(4)),
        ("ac\\me", illegal(2)),
        ("ac me", illegal(2)),
        ("ac/me", illegal(2)),
        ("acme\u{202e}moc", illegal(4)),
        ("acme\u{200b}", illegal(4)),
        ("a\u{0301}cme", illegal(1)),
        ("ácme", illegal(0)),
        ("аcme", illegal(0)),
        ("acme}", illegal(4)),
        ("acme{x=\"y\"}", illegal(4)),
    ] {
        assert_eq!(text.parse::<TenantId>(), Err(expected), "{:?}", text.chars().take(20).collect::<String>());
    }
}

#[test]
fn the_error_of_an_id_does_not_repeat_it() {
    for text in ["acme\nInjected: header", "__injected", &"injected".repeat(100)] {
        let error = text.parse::<TenantId>().unwrap_err();
        assert!(!format!("{error} {error:?}").to_lowercase().contains("injected"));
    }
}

proptest! {
    #[test]
    fn no_text_panics_and_a_valid_one_is_valid_by_the_documented_rule(text in "\\PC{0,70}|[A-Za-z0-9._:-]{0,70}") {
        let documented = (1..=64).contains(&text.len())
            && !text.starts_with("__")
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte));
        prop_assert_eq!(text.parse::<TenantId>().is_ok(), documented);
    }

    #[test]
    fn different_ids_are_different_tenants(ids in prop::collection::hash_set("[aA01._:-]{1,6}", 1..40)) {
        let registry = registry(100);
        let mut tenants = HashSet::new();
        let valid: Vec<_> = ids.iter().filter_map(|id| id.parse::<TenantId>().ok()).collect();
        for id in &valid {
            tenants.insert(registry.register(id.clone(), Tier::Free).unwrap());
        }
        prop_assert_eq!(tenants.len(), valid.len());
        for id in &valid {
            prop_assert_eq!(registry.id(registry.lookup(id.as_str())), id.as_str());
        }
    }

    #[test]
    fn a_look_up_of_any_text_names_a_registered_tenant_or_none(text in prop_oneof!["acme", "[a-z]{4}", any::<String>()]) {
        let registry = registry(10);
        registry.register(id("acme"), Tier::Free).unwrap();
        let tenant = registry.lookup(&text);
        prop_assert_eq!(tenant.is_known(), text == "acme");
        prop_assert_eq!(registry.id(tenant), if text == "acme" { "acme" } else { "__unknown__" });
        prop_assert_eq!(registry.len(), 1);
    }
}

#[test]
fn a_look_up_registers_nobody_and_an_admission_does() {
    let registry = registry(10);
    assert!(registry.is_empty());
    assert_eq!(registry.lookup("acme"), Tenant::UNKNOWN);
    assert_eq!(registry.len(), 0);

    let acme = registry.admit("acme");
    assert!(acme.is_known());
    assert_eq!(acme.tier(), Tier::Standard);
    assert_eq!(registry.lookup("acme"), acme);
    assert_eq!(registry.admit("acme"), acme);
    assert_eq!(registry.len(), 1);
}

#[test]
fn an_invalid_id_is_not_admitted() {
    let registry = registry(10);
    for text in ["", "__none__", "__other__", "a b", "ä", &"x".repeat(1 << 20)] {
        assert_eq!(registry.admit(text), Tenant::UNKNOWN);
    }
    assert_eq!(registry.len(), 0);
}

#[test]
fn admission_that_is_switched_off_admits_only_who_is_registered() {
    let registry = TenantRegistry::new(10, false);
    assert_eq!(registry.admit("acme"), Tenant::UNKNOWN);
    let acme = registry.register(id("acme"), Tier::Free).unwrap();
    assert_eq!(registry.admit("acme"), acme);
}

#[test]
fn reserved_labels_cannot_be_looked_up_as_tenants() {
    let registry = registry(10);
    for reserved in ["__none__", "__unknown__", "__other__"] {
        assert_eq!(registry.lookup(reserved), Tenant::UNKNOWN);
    }
    assert_eq!(registry.id(Tenant::NONE), "__none__");
    assert_eq!(registry.id(Tenant::UNKNOWN), "__unknown__");
    assert_eq!(registry.id(Tenant::OTHER), "__other__");
    assert!(![Tenant::NONE, Tenant::UNKNOWN, Tenant::OTHER].iter().any(|tenant| tenant.is_known()));
}

#[test]
fn a_full_registry_keeps_its_tenants_and_says_how_to_make_room() {
    let registry = registry(2);
    let first = registry.admit("first");
    let second = registry.register(id("second"), Tier::Free).unwrap();
    let error = registry.register(id("third"), Tier::Free).unwrap_err();

    assert_eq!(error, TenantRegistryError::Full { max_tenants: 2 });
    assert!(error.to_string().contains("MONITORING_MAX_TENANTS"), "{error}");
    assert_eq!(registry.admit("third"), Tenant::UNKNOWN);
    assert_eq!(registry.len(), 2);
    assert_eq!((registry.lookup("first"), registry.lookup("second")), (first, second));
    assert_eq!(registry.register(id("second"), Tier::Enterprise).unwrap().tier(), Tier::Enterprise);
}

#[test]
fn a_new_tier_is_seen_by_the_next_look_up_and_the_tenant_stays_the_same() {
    let registry = registry(10);
    let before = registry.register(id("acme"), Tier::Free).unwrap();
    let after = registry.register(id("acme"), Tier::Enterprise).unwrap();

    assert_eq!(before.tier(), Tier::Free);
    assert_eq!(after.tier(), Tier::Enterprise);
    assert_eq!(registry.lookup("acme").tier(), Tier::Enterprise);
    // A verified identity says nothing of the tier.
    assert_eq!(registry.admit("acme").tier(), Tier::Enterprise);
    let state = RandomState::new();
    assert_eq!(before, after);
    assert_eq!(state.hash_one(before), state.hash_one(after));
}

#[test]
fn a_handle_of_another_registry_is_an_unknown_tenant() {
    let (ours, theirs) = (registry(10), registry(10));
    let our_tenant = ours.admit("acme");
    let their_tenant = theirs.admit("umbrella");

    assert_ne!(our_tenant, their_tenant);
    assert_eq!(theirs.id(our_tenant), "__unknown__");
    assert_eq!(ours.id(their_tenant), "__unknown__");
    assert_eq!(ours.clone().id(our_tenant), "acme");
}

#[test]
fn threads_that_admit_the_same_tenants_get_the_same_handles() {
    let registry = registry(64);
    let admit_all = || (0..100).map(|number| registry.admit(&format!("tenant-{number}"))).collect::<Vec<_>>();
    let seen: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(admit_all)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });

    assert_eq!(registry.len(), 64);
    for number in 0..100 {
        let handles: HashSet<_> =
            seen.iter().map(|tenants| tenants[number]).filter(|tenant| tenant.is_known()).collect();
        assert!(handles.len() <= 1, "tenant-{number} has {} handles", handles.len());
        for handle in handles {
            assert_eq!(registry.id(handle), format!("tenant-{number}"));
        }
    }
}

#[test]
fn a_tier_is_read_from_its_own_name_only() {
    for tier in [Tier::Free, Tier::Standard, Tier::Enterprise] {
        assert_eq!(tier.as_str().parse(), Ok(tier));
    }
    let error = format!("gold{}", "!".repeat(1000)).parse::<Tier>().unwrap_err().to_string();
    assert!(error.contains("`enterprise`") && error.len() < 150, "{error}");
    assert!("Free".parse::<Tier>().is_err());
}

#[test]
fn what_is_shown_of_a_handle_is_no_id() {
    let registry = registry(10);
    assert_eq!(format!("{:?}", Tenant::NONE), "Tenant(__none__)");
    assert_eq!(format!("{:?}", Tenant::UNKNOWN), "Tenant(__unknown__)");
    assert_eq!(format!("{:?}", Tenant::OTHER), "Tenant(__other__)");
    assert_eq!(format!("{:?}", registry.admit("acme")), "Tenant(#3, standard)");
    assert_eq!(size_of::<Tenant>(), 8);
}
