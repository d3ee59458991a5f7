//! The live feed of what is done in a tenant's projects.

use std::collections::HashMap;
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use axum::routing::get;
use axum::{Extension, Router};
use futures_util::stream::{self, Stream, StreamExt};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

use crate::app::App;
use crate::auth::Session;
use crate::error::ApiError;
use crate::store::Activity;

/// Activities that a watcher may fall behind before it misses some.
const BACKLOG: usize = 32;

/// Past activities that a new watcher is told of.
const HISTORY: i64 = 10;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/activity", get(watch))
}

/// Server-sent events that go on until the client leaves or the service stops.
async fn watch(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
) -> Result<Sse<impl Stream<Item = Result<Event, axum::Error>>>, ApiError> {
    // Subscribed before the past is read, so that nothing is missed in between.
    let future = BroadcastStream::new(app.feeds.subscribe(&session.tenant));
    let past = app.store.recent_activity(&session.tenant, HISTORY).await?;

    let welcome = stream::once(ready(Ok(Event::default().event("watching").data(&session.tenant))));
    let past = stream::iter(past.into_iter().rev()).map(event);
    let future = future.filter_map(|activity| ready(activity.ok())).map(event);
    let feed = welcome.chain(past).chain(future).take_until(app.stopping.clone().cancelled_owned());
    Ok(Sse::new(feed).keep_alive(KeepAlive::default()))
}

fn event(activity: Activity) -> Result<Event, axum::Error> {
    Event::default().event("activity").json_data(activity)
}

/// One channel for each tenant that is being watched.
#[derive(Default)]
pub(crate) struct Feeds {
    channels: Mutex<HashMap<Arc<str>, broadcast::Sender<Activity>>>,
}

impl Feeds {
    fn subscribe(&self, tenant: &Arc<str>) -> broadcast::Receiver<Activity> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.entry(Arc::clone(tenant)).or_insert_with(|| broadcast::Sender::new(BACKLOG)).subscribe()
    }

    /// Tells those who watch that tenant, if anybody does.
    pub(crate) fn publish(&self, tenant: &str, activity: Activity) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if channels.get(tenant).is_some_and(|channel| channel.send(activity).is_err()) {
            channels.remove(tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_tenants_own_watchers_are_told() {
        let feeds = Feeds::default();
        let (acme, globex) = ("acme".into(), "globex".into());
        let (mut of_acme, mut of_globex) = (feeds.subscribe(&acme), feeds.subscribe(&globex));
        feeds.publish("acme", Activity::new(1, "project created", "ada"));
        assert!(of_acme.recv().await.is_ok());
        assert!(of_globex.try_recv().is_err());
    }

    #[test]
    fn a_tenant_whom_nobody_watches_any_more_has_no_channel() {
        let feeds = Feeds::default();
        drop(feeds.subscribe(&"acme".into()));
        feeds.publish("acme", Activity::new(1, "project created", "ada"));
        assert!(feeds.channels.lock().unwrap().is_empty());
    }
}
