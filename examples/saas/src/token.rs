//! Session tokens: JSON Web Tokens that this service issues and verifies itself.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

/// How long a session lasts.
const LIFETIME: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// The user.
    pub(crate) sub: String,
    /// The tenant.
    pub(crate) org: String,
    /// When the token expires, in seconds since 1970.
    exp: u64,
}

pub(crate) struct Tokens {
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
}

impl Tokens {
    pub(crate) fn new(secret: &str) -> Self {
        Self {
            signing: EncodingKey::from_secret(secret.as_bytes()),
            verifying: DecodingKey::from_secret(secret.as_bytes()),
            // Nothing but HS256, and no token without an expiry.
            validation: Validation::new(Algorithm::HS256),
        }
    }

    pub(crate) fn issue(&self, tenant: &str, user: &str) -> Result<String, jsonwebtoken::errors::Error> {
        let expires = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + LIFETIME;
        let claims = Claims { sub: user.to_owned(), org: tenant.to_owned(), exp: expires.as_secs() };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
    }

    /// The claims of a token that is genuine and has not expired.
    pub(crate) fn verify(&self, token: &str) -> Option<Claims> {
        jsonwebtoken::decode(token, &self.verifying, &self.validation).ok().map(|verified| verified.claims)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECRET: &str = "a-secret-of-more-than-32-characters";

    #[test]
    fn an_issued_token_is_verified() {
        let tokens = Tokens::new(SECRET);
        let claims = tokens.verify(&tokens.issue("acme", "ada").unwrap()).unwrap();
        assert_eq!((claims.org.as_str(), claims.sub.as_str()), ("acme", "ada"));
    }

    #[test]
    fn a_token_of_another_secret_is_refused() {
        let forged = Tokens::new("another-secret-of-over-32-characters").issue("acme", "ada").unwrap();
        assert!(Tokens::new(SECRET).verify(&forged).is_none());
    }

    #[test]
    fn a_token_that_is_expired_or_never_expires_is_refused() {
        for claims in [json!({"sub": "ada", "org": "acme", "exp": 1}), json!({"sub": "ada", "org": "acme"})] {
            let key = EncodingKey::from_secret(SECRET.as_bytes());
            let token = jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap();
            assert!(Tokens::new(SECRET).verify(&token).is_none(), "{claims}");
        }
    }

    #[test]
    fn a_token_without_a_signature_is_refused() {
        // {"alg":"none"} . {"sub":"ada","org":"acme","exp":4102444800}
        let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEiLCJvcmciOiJhY21lIiwiZXhwIjo0MTAyNDQ0ODAwfQ.";
        assert!(Tokens::new(SECRET).verify(token).is_none());
    }
}
