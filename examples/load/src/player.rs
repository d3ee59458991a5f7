//! Keeps the plan's clock: each action starts at its time whether or not earlier ones have ended, as long as there is a
//! place among the actions in flight. A plan ends when its last action has, or when something has happened that cannot be
//! counted: then the rest would tell nothing.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::LoadError;
use crate::config::Config;
use crate::directory;
use crate::plan::Plan;
use crate::tally::Tally;
use crate::visitor::{Visitor, World};
use crate::wire::{Wire, WireFault};

/// What a run leaves behind.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) tally: Tally,
    pub(crate) faults: Faults,
    /// How long after its time the latest action started.
    pub(crate) latest: Duration,
}

/// Requests that could not be counted.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) count: u64,
    pub(crate) first: Option<String>,
}

impl Faults {
    fn add(&mut self, fault: String) {
        self.count += 1;
        self.first.get_or_insert(fault);
    }
}

/// Plays the plan and waits for everything that is in flight at its end.
///
/// # Errors
/// Only before the first request. What goes wrong later is in [`Played::faults`].
pub(crate) async fn play(plan: Plan, config: &Config) -> Result<Played, LoadError> {
    let world = Arc::new(World {
        target: config.target.clone(),
        wire: Wire::new().map_err(LoadError::Client)?,
        tally: Tally::default(),
        unlisted_token: unlisted_token(&config.jwt_secret)?,
    });
    let visitors: Vec<Arc<Visitor>> =
        (0..config.tenants).map(|index| Arc::new(Visitor::new(directory::tenant_name(index)))).collect();
    let places = Arc::new(Semaphore::new(config.concurrency as usize));

    let mut faults = Faults::default();
    let mut in_flight = JoinSet::new();
    let mut latest = Duration::ZERO;
    let start = Instant::now();
    for (id, planned) in plan.enumerate() {
        let Some(visitor) = visitors.get(planned.tenant as usize).map(Arc::clone) else { continue };
        tokio::time::sleep_until(start + planned.at).await;
        // The semaphore is never closed, so a missing place can only mean that there is none to wait for.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        latest = latest.max(start.elapsed().saturating_sub(planned.at));
        let world = Arc::clone(&world);
        in_flight.spawn(async move {
            let ended = visitor.act(planned.action, id, &world).await;
            drop(place);
            ended
        });
        while let Some(ended) = in_flight.try_join_next() {
            note(&mut faults, ended);
        }
        if faults.count > 0 {
            break;
        }
    }
    while let Some(ended) = in_flight.join_next().await {
        note(&mut faults, ended);
    }

    let tally = Arc::into_inner(world).map(|world| world.tally).unwrap_or_default();
    Ok(Played { tally, faults, latest })
}

fn note(faults: &mut Faults, ended: Result<Result<(), WireFault>, tokio::task::JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => faults.add(describe(&fault)),
        Err(panicked) => faults.add(panicked.to_string()),
    }
}

/// The fault with its causes: reqwest names the reason only there.
fn describe(fault: &WireFault) -> String {
    let mut text = fault.to_string();
    let mut cause = std::error::Error::source(fault).and_then(std::error::Error::source);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A token as the service would issue it, for a tenant that it does not list.
fn unlisted_token(secret: &str) -> Result<String, LoadError> {
    let expires = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + Duration::from_secs(2 * 24 * 3600);
    let claims = json!({"sub": directory::USER, "org": directory::UNLISTED_TENANT, "exp": expires.as_secs()});
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes()))
        .map_err(LoadError::Token)
}
