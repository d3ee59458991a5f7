//! The same as a middleware of reqwest-middleware.

use std::sync::Arc;

use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next};

use super::call::Call;
use super::failure::FailedCall;
use super::labels::End;
use super::layer::{ClientLayer, Settings};

/// Measures the calls of a `reqwest_middleware::ClientWithMiddleware`, made by [`ClientLayer::into_middleware`]. Put before
/// `reqwest-retry` it counts calls, and after it attempts.
#[derive(Clone, Debug)]
pub struct ClientMiddleware {
    settings: Arc<Settings>,
}

impl ClientLayer {
    /// The layer as a middleware of reqwest-middleware.
    ///
    /// ```
    /// use monitoring_core::client::{self, Dependency};
    ///
    /// let calls = client::layer().dependency(Dependency::new("auth0").host("*.auth0.com"));
    /// let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(calls.into_middleware()).build();
    /// # let _ = client;
    /// ```
    pub fn into_middleware(self) -> ClientMiddleware {
        ClientMiddleware { settings: self.settings }
    }
}

#[async_trait::async_trait]
impl Middleware for ClientMiddleware {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let mut call = Call::start(&self.settings, &mut request);
        let result = next.run(request, extensions).await;
        call.end(match &result {
            Ok(response) => End::Response(response.status()),
            Err(error) => End::Failed(error.client_error()),
        });
        result
    }
}
