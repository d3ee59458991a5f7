//! A tenant comes from the registry, never from a text.

use monitoring_core::TenantCounter;

fn count(logins: &TenantCounter<()>) {
    logins.add("acme", (), 1);
}

fn main() {}
