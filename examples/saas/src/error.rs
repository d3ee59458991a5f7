//! How a request can fail, and what the client is told.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::WWW_AUTHENTICATE;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use thiserror::Error;

/// A request that failed. The text is for the client, the source for the log.
#[derive(Debug, Error)]
pub(crate) enum ApiError {
    #[error("sign in first, and send the token as `Authorization: Bearer …`")]
    NotSignedIn,
    #[error("tenant, user or password is wrong")]
    WrongCredentials,
    #[error("this tenant is not a customer")]
    UnlistedTenant,
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("a {0} must have 1 to 200 characters")]
    InvalidText(&'static str),
    #[error("the report could not be made; request it again")]
    ReportFailed,
    #[error("the identity provider does not answer; try again")]
    IdentityProvider(#[from] reqwest_middleware::Error),
    #[error("a token cannot be issued")]
    Token(#[from] jsonwebtoken::errors::Error),
    #[error("the database is busy or down; try again")]
    Database(#[from] sqlx::Error),
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotSignedIn | Self::WrongCredentials => StatusCode::UNAUTHORIZED,
            Self::UnlistedTenant => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::InvalidText(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::ReportFailed => StatusCode::CONFLICT,
            Self::IdentityProvider(_) => StatusCode::BAD_GATEWAY,
            Self::Database(sqlx::Error::PoolTimedOut) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Token(_) | Self::Database(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::warn!(%status, cause = ?std::error::Error::source(&self), "{self}");
        }
        let mut response = (status, Json(json!({"error": self.to_string()}))).into_response();
        if matches!(self, Self::NotSignedIn) {
            response.headers_mut().insert(WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The name or title that a client has chosen.
pub(crate) fn checked<'a>(what: &'static str, text: &'a str) -> Result<&'a str, ApiError> {
    let text = text.trim();
    if (1..=200).contains(&text.chars().count()) { Ok(text) } else { Err(ApiError::InvalidText(what)) }
}
