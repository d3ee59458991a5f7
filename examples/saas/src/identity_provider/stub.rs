//! What stands for the identity provider.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use tokio::net::TcpListener;

use super::Credentials;
use crate::directory;

/// How the stub behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StubSettings {
    pub(crate) seed: u64,
    /// Share of the answers that are failures.
    pub(crate) failures: f64,
}

struct Weather {
    failures: f64,
    random: Mutex<Xoshiro256PlusPlus>,
}

/// Serves on a loopback port of its own, for as long as the process runs.
pub(super) async fn start(settings: StubSettings) -> io::Result<SocketAddr> {
    let weather = Arc::new(Weather {
        failures: settings.failures,
        random: Mutex::new(Xoshiro256PlusPlus::seed_from_u64(settings.seed)),
    });
    let router = Router::new()
        .route("/sign-in", post(sign_in))
        .route("/renewal", post(StatusCode::NO_CONTENT))
        .layer(from_fn_with_state(weather, far_away));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(address)
}

async fn sign_in(Json(credentials): Json<Credentials>) -> StatusCode {
    let Credentials { tenant, user, password } = credentials;
    if user == directory::USER && password == directory::password(&tenant) {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::UNAUTHORIZED
    }
}

/// The way to another company's servers: a delay on every request, and a failure now and then.
async fn far_away(State(weather): State<Arc<Weather>>, request: Request, next: Next) -> Response {
    let (delay, fails) = {
        let mut random = weather.random.lock().unwrap_or_else(PoisonError::into_inner);
        (Duration::from_millis(random.random_range(2..25)), random.random_bool(weather.failures))
    };
    tokio::time::sleep(delay).await;
    if fails { StatusCode::SERVICE_UNAVAILABLE.into_response() } else { next.run(request).await }
}
