//! Which scrapes are answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use monitoring_core::{DropReason, Dropped, Exposition, Instruments, Monitoring, Signal};

use super::body::ScrapeBody;
use super::connection::Connection;
use super::content::{Content, View};
use super::limits::ScrapeLimits;
use super::render::{Released, Render};

/// So many renders one tenant may have at a time, of those that all tenants may have together.
const RENDERS_PER_TENANT: usize = 2;

/// The scrapes of a monitoring, over all its routers and listeners.
#[derive(Debug)]
pub(super) struct Scrapes {
    running: Mutex<Running>,
    dropped: Option<Instruments<Dropped>>,
}

/// What becomes of a scrape.
#[derive(Debug)]
pub(super) enum Admission {
    Granted(ScrapeBody),
    /// There are too many already.
    Refused,
    /// There is room, and nobody to join.
    NeedsExposition,
}

#[derive(Debug, Default)]
struct Running {
    limits: ScrapeLimits,
    /// In the order in which they began.
    renders: Vec<Arc<Render>>,
}

impl Scrapes {
    pub(super) fn of(monitoring: &Monitoring) -> Arc<Self> {
        monitoring.shared(|| Self {
            running: Mutex::default(),
            // If the name is taken by another metric, a refusal is answered all the same.
            dropped: Instruments::of(monitoring).ok(),
        })
    }

    pub(super) fn set_limits(&self, limits: ScrapeLimits) {
        self.lock().limits = limits;
    }

    /// The body that answers a scrape, or nothing if there are too many already.
    ///
    /// # Panics
    /// Outside of a Tokio runtime with its timer enabled.
    pub(super) async fn answer(
        &self,
        monitoring: &Monitoring,
        content: Content,
        connection: Option<Connection>,
    ) -> Option<ScrapeBody> {
        let mut exposition = None;
        loop {
            match self.admit(content, connection.clone(), exposition.take()) {
                Admission::Granted(body) => return Some(body),
                Admission::Refused => return None,
                // Only for whom nobody else has made one. Others may have come meanwhile, so it asks again.
                Admission::NeedsExposition => exposition = Some(content.exposition(monitoring).await),
            }
        }
    }

    /// Lets a scrape join another, or begin one with that exposition.
    pub(super) fn admit(
        &self,
        content: Content,
        connection: Option<Connection>,
        exposition: Option<Exposition>,
    ) -> Admission {
        let mut released = Vec::new();
        let admission = self.lock().admit(content, connection, exposition, self.dropped.as_ref(), &mut released);
        released.into_iter().for_each(Released::release);
        if matches!(admission, Admission::Refused) {
            self.count_refusal();
        }
        admission
    }

    pub(super) fn count_refusal(&self) {
        if let Some(dropped) = self.dropped.as_ref().and_then(Instruments::get) {
            dropped.count(Signal::Scrapes, DropReason::ScrapeCap, 1);
        }
    }

    pub(super) fn limits(&self) -> ScrapeLimits {
        self.lock().limits
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        // Nothing panics while it is held.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn admit(
        &mut self,
        content: Content,
        connection: Option<Connection>,
        exposition: Option<Exposition>,
        dropped: Option<&Instruments<Dropped>>,
        released: &mut Vec<Released>,
    ) -> Admission {
        self.keep_read(|render| released.push(render.cut_off_due()));
        // Only the latest of a content is joined: what a client has seen once never seems to fall.
        let latest = self.renders.iter().rev().find(|render| render.content == content);
        if let Some(reader) = latest.and_then(|render| render.join(connection.clone())) {
            return Admission::Granted(ScrapeBody::new(reader));
        }
        if !self.has_room_for(content.view) {
            // Where nobody takes anything in a place that this could have.
            self.keep_read(|render| {
                if (render.content.view == View::Platform) == (content.view == View::Platform) {
                    released.push(render.cut_off_idle());
                }
            });
        }
        if !self.has_room_for(content.view) {
            return Admission::Refused;
        }
        let Some(exposition) = exposition else { return Admission::NeedsExposition };
        let (render, reader) = Render::begin(exposition, content, self.limits, dropped.cloned(), connection);
        self.renders.push(render);
        Admission::Granted(ScrapeBody::new(reader))
    }

    /// Forgets the renders that nobody reads after that.
    fn keep_read(&mut self, mut cut_off: impl FnMut(&Render)) {
        self.renders.retain(|render| {
            cut_off(render);
            render.is_read()
        });
    }

    fn has_room_for(&self, view: View) -> bool {
        let count =
            |counts: &dyn Fn(View) -> bool| self.renders.iter().filter(|render| counts(render.content.view)).count();
        match view {
            View::Platform => count(&|other| other == View::Platform) < self.limits.renders,
            View::Tenant(_) => {
                count(&|other| other != View::Platform) < self.limits.renders
                    && count(&|other| other == view) < RENDERS_PER_TENANT
            }
        }
    }
}
