//! What a client has to know of the sample service. It repeats, on purpose, a few lines of `saas::directory`: the load
//! generator shares no code with the service that it checks.

/// Words of the tenant names. Tenant `i` of the service is called `WORDS[i mod 8]-iiii`, for example `umbrella-0003`.
const WORDS: [&str; 8] = ["acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "wonka"];

/// The user who signs in for each tenant.
pub(crate) const USER: &str = "ada";

/// A tenant that the service never lists, however many it has.
pub(crate) const UNLISTED_TENANT: &str = "unlisted-9999";

/// The secret that the service uses when it is given none.
pub(crate) const DEVELOPMENT_SECRET: &str = "development-only-secret-of-the-sample";

/// The name of the tenant at `index`.
pub(crate) fn tenant_name(index: u32) -> String {
    let word = WORDS.get(index as usize % WORDS.len()).copied().unwrap_or("acme");
    format!("{word}-{index:04}")
}

/// The password of each user of `tenant` at the sample's identity provider.
pub(crate) fn password(tenant: &str) -> String {
    format!("{tenant}-password")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_those_of_the_service() {
        assert_eq!(tenant_name(0), "acme-0000");
        assert_eq!(tenant_name(7), "wonka-0007");
        assert_eq!(tenant_name(299), "umbrella-0299");
        assert_eq!(password("acme-0000"), "acme-0000-password");
    }
}
