//! Signing in, and telling whose request it is.
//!
//! This is where the monitoring learns the tenant: [`enter`] names it through the [`TenantSlot`] as soon as it is
//! verified, and from then on everything that the request does counts for it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::post;
use axum::{Extension, Json, Router};
use monitoring_axum::TenantSlot;
use serde::Serialize;

use crate::app::App;
use crate::error::ApiError;
use crate::identity_provider::{Credentials, Subject};

/// Who has signed in: what handlers go by, as an extension of the request.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) tenant: Arc<str>,
    pub(crate) user: Arc<str>,
}

/// What a client sends along from now on.
#[derive(Serialize)]
pub(crate) struct Token {
    token: String,
}

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/session/renew", post(renew))
}

/// `POST /login`
pub(crate) async fn login(
    State(app): State<Arc<App>>,
    slot: TenantSlot,
    Json(credentials): Json<Credentials>,
) -> Result<Json<Token>, ApiError> {
    app.identity_provider.sign_in(&credentials).await?;
    enter(&app, slot, &credentials.tenant)?;
    let token = app.tokens.issue(&credentials.tenant, &credentials.user)?;
    Ok(Json(Token { token }))
}

/// `POST /api/v1/session/renew`
async fn renew(State(app): State<Arc<App>>, Extension(session): Extension<Session>) -> Result<Json<Token>, ApiError> {
    app.identity_provider.renew(&Subject { tenant: &session.tenant, user: &session.user }).await?;
    let token = app.tokens.issue(&session.tenant, &session.user)?;
    Ok(Json(Token { token }))
}

/// Lets a request through that has a valid token of a listed tenant.
pub(crate) async fn require_session(
    State(app): State<Arc<App>>,
    slot: TenantSlot,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let token = bearer_token(request.headers()).ok_or(ApiError::NotSignedIn)?;
    let claims = app.tokens.verify(token).ok_or(ApiError::NotSignedIn)?;
    enter(&app, slot, &claims.org)?;
    request.extensions_mut().insert(Session { tenant: claims.org.into(), user: claims.sub.into() });
    Ok(next.run(request).await)
}

/// Makes the request the tenant's, which is verified. One that is not listed is refused, and counted as unknown: the
/// directory has registered all the others, so that looking them up is enough.
fn enter(app: &App, slot: TenantSlot, tenant: &str) -> Result<(), ApiError> {
    slot.set(app.monitoring.tenants().lookup(tenant));
    if app.directory.lists(tenant) { Ok(()) } else { Err(ApiError::UnlistedTenant) }
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}
