//! The identity provider, asked over HTTP: who a user is, is not this service's business.
//!
//! This is the client. The provider itself is `stub.rs`: in a real product another company runs it, here it is a small
//! server within the same process that is as slow and as unreliable as those are.

mod stub;

use std::time::Duration;

use monitoring_core::Monitoring;
use monitoring_core::client::{self, Dependency};
use reqwest::StatusCode;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use serde::{Deserialize, Serialize};

pub(crate) use stub::StubSettings;

use crate::error::ApiError;
use crate::startup::StartError;

/// Shorter than the time limit of a request.
const PATIENCE: Duration = Duration::from_secs(3);

/// What somebody signs in with.
#[derive(Serialize, Deserialize)]
pub(crate) struct Credentials {
    pub(crate) tenant: String,
    pub(crate) user: String,
    pub(crate) password: String,
}

/// Somebody who has signed in before.
#[derive(Serialize, Deserialize)]
pub(crate) struct Subject<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) user: &'a str,
}

pub(crate) struct IdentityProvider {
    client: ClientWithMiddleware,
    address: String,
}

impl IdentityProvider {
    /// Starts the stub, and makes a client for it.
    pub(crate) async fn start(settings: StubSettings, monitoring: &Monitoring) -> Result<Self, StartError> {
        let address = stub::start(settings).await.map_err(|error| StartError::IdentityProvider(error.into()))?;
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .map_err(|error| StartError::IdentityProvider(error.into()))?;
        // Another company's: it is not told which of our requests belong together.
        let provider = Dependency::new("identity").host(address.to_string());
        let calls = client::layer().dependency(provider).monitoring(monitoring)?;
        let client = ClientBuilder::new(client).with(calls.into_middleware()).build();
        Ok(Self { client, address: address.to_string() })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Whether the credentials are right.
    pub(crate) async fn sign_in(&self, credentials: &Credentials) -> Result<(), ApiError> {
        self.ask("sign-in", credentials).await
    }

    /// Whether the user may stay signed in.
    pub(crate) async fn renew(&self, subject: &Subject<'_>) -> Result<(), ApiError> {
        self.ask("renewal", subject).await
    }

    async fn ask(&self, what: &str, question: &impl Serialize) -> Result<(), ApiError> {
        let answer = self.client.post(format!("http://{}/{what}", self.address)).json(question).send().await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            return Err(ApiError::WrongCredentials);
        }
        answer.error_for_status().map_err(reqwest_middleware::Error::from)?;
        Ok(())
    }
}
