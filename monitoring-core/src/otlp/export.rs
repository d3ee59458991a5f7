//! One export: the whole store, request after request.
//!
//! At most one request is under way and at most one walk's worth of points is made ([`MAX_POINTS`](super::batch::MAX_POINTS)
//! and [`MAX_BYTES`](super::batch::MAX_BYTES)): the store itself is the queue, and a newer reading of it takes the place of
//! an older one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::account::Account;
use super::acknowledged::Acknowledged;
use super::batch::{Batch, Walk};
use super::config::OtlpConfig;
use super::exporter::{Stop, pauses};
use super::point::nanoseconds;
use super::resource::{resource, scope};
use super::transport::{Answer, Fault, Transport, tls};
use crate::dropped::DropReason;
use crate::error::ConfigError;
use crate::store::Registry;

/// The threads of an export's runtime beside its own, for resolving names.
const BLOCKING_THREADS: usize = 4;

/// How an export went.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Why the export was ended before its time.
    pub(super) outage: Option<Fault>,
    /// The points of the request that ended it.
    pub(super) lost: u64,
    /// Why the first of the requests, or of the points, was not accepted while others may have been.
    pub(super) refusal: Option<Fault>,
    /// The points of such requests.
    pub(super) refused: u64,
    /// Whether a request was accepted.
    pub(super) has_arrived: bool,
    /// Whether the collector may be back soon.
    pub(super) collector_is_away: bool,
    /// How long the collector wants to be left alone.
    pub(super) wish: Option<Duration>,
    /// Whether the time to stop came first.
    pub(super) was_cut_short: bool,
}

/// What became of one request in the end.
enum Delivery {
    Accepted {
        rejected: u64,
        message: String,
    },
    /// This one request is lost.
    Refused(Fault),
    /// So is any other one.
    Closed(Fault),
    /// So is any other one for now.
    Away {
        fault: Fault,
        wish: Option<Duration>,
    },
}

/// The longest that an export waits for what is collected.
const PATIENCE: Duration = Duration::from_secs(10);

/// What exports need from one to the next.
pub(super) struct Export {
    registry: Registry,
    config: OtlpConfig,
    resource: Resource,
    scope: InstrumentationScope,
    headers: HeaderMap,
    tenant_header: Option<HeaderName>,
    target: http::Uri,
    account: Arc<Account>,
    stop: watch::Receiver<Stop>,
    /// Read when first needed: the system's certificates are many.
    tls: Option<ClientConfig>,
    /// What deltas are counted from.
    acknowledged: Option<Acknowledged>,
    /// The tenant to begin with: the one after that where the last export ended.
    first_tenant: usize,
    /// When the store was read last, in nanoseconds since the epoch.
    last: u64,
    /// When the last complete export began, by the clock; since then there may be exemplars that were not sent.
    exemplars_since: u64,
}

impl Export {
    pub(super) fn new(
        registry: Registry,
        service_name: &str,
        config: &OtlpConfig,
        account: Arc<Account>,
        stop: watch::Receiver<Stop>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            registry,
            resource: resource(service_name, config),
            scope: scope(),
            headers: config.header_map()?,
            tenant_header: config.tenant_header_name()?,
            target: config.target()?,
            account,
            stop,
            tls: None,
            acknowledged: config.is_delta().then(Acknowledged::default),
            first_tenant: 0,
            last: 0,
            exemplars_since: 0,
            config: config.clone(),
        })
    }

    /// Exports everything, on this thread.
    pub(super) fn run(&mut self, tries: Tries) -> Report {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("otlp-blocking")
            .build();
        let (runtime, mut transport) = match (runtime, self.transport()) {
            (Ok(runtime), Ok(transport)) => (runtime, transport),
            (Err(error), _) => return self.fail(Fault::new(DropReason::CollectorUnavailable, error.to_string())),
            (_, Err(fault)) => return self.fail(fault),
        };
        let export = AssertUnwindSafe(async {
            let stop_before = *self.stop.borrow();
            self.collect().await;
            self.walk(&mut transport, tries, stop_before).await
        });
        // Also in here the application has a say: its subscriber is asked whether it wants to know of what is traced.
        let report = catch_unwind(AssertUnwindSafe(|| runtime.block_on(export)));
        // Whatever hangs in there does not keep this thread.
        drop(transport);
        Runtime::shutdown_background(runtime);
        report.unwrap_or_else(|_panic| {
            // The request that was under way.
            let points = self.account.status().queued;
            self.account.give_up(points, DropReason::Unanswered);
            let fault = Fault::new(DropReason::Unanswered, "the export has panicked");
            Report { lost: points, ..self.fail(fault) }
        })
    }

    /// An export that could not begin.
    fn fail(&self, fault: Fault) -> Report {
        self.account.fail();
        Report { outage: Some(fault), collector_is_away: true, ..Report::default() }
    }

    fn transport(&mut self) -> Result<Transport, Fault> {
        let tls = match &self.tls {
            Some(tls) => tls.clone(),
            None => self.tls.insert(self.client_tls()?).clone(),
        };
        Ok(Transport::new(self.config.protocol, self.target.clone(), tls, self.config.compression))
    }

    fn client_tls(&self) -> Result<ClientConfig, Fault> {
        if self.target.scheme_str() != Some("https") {
            return tls::client(Some(RootCertStore::empty()), None);
        }
        let roots = self.config.certificate.as_deref().map(tls::authorities).transpose();
        let roots = roots.map_err(|error| Fault::new(DropReason::CollectorUnavailable, error.to_string()))?;
        tls::client(roots, self.config.client_identity.as_ref())
    }

    /// Brings what is collected up to date; the collectors of the application may hang, this does not.
    async fn collect(&self) {
        let mut stop = self.stop.clone();
        let before = *stop.borrow_and_update();
        let patience = PATIENCE.min(self.config.timeout);
        let patience = patience.min(self.left(Instant::now() + patience) / 2);
        tokio::select! {
            () = self.registry.collect_within(patience, Duration::ZERO) => {}
            _ = stop.wait_for(|stop| *stop != before) => {}
        }
    }

    async fn walk(&mut self, transport: &mut Transport, tries: Tries, stop_before: Stop) -> Report {
        let mut report = Report::default();
        let began = nanoseconds(SystemTime::now());
        let registry = self.registry.clone();
        let mut walk = match self.tenant_header {
            Some(_) => Walk::by_tenant(&registry, self.first_tenant, self.last),
            None => Walk::whole(&registry, self.last),
        };
        walk.exemplars_since = self.exemplars_since;
        while let Some(mut batch) = walk.next(self.acknowledged.as_mut()) {
            // Told to stop during an export: the last one follows, and says all of the rest.
            if stop_before == Stop::Never && *self.stop.borrow() != Stop::Never {
                self.last = walk.now();
                return report;
            }
            let points = batch.points as u64;
            self.account.produce(points);
            if self.is_over() {
                self.account.give_up(points, DropReason::Shutdown);
                report.lost += points;
                report.was_cut_short = true;
                report.outage = Some(Fault::new(DropReason::Shutdown, "the shutdown's deadline"));
                return report;
            }
            if batch.points == 0 {
                continue;
            }
            match self.deliver(transport, &mut batch, tries).await {
                Delivery::Accepted { rejected, message } => {
                    report.has_arrived = true;
                    self.account.accept(points, rejected);
                    if let Some(acknowledged) = &mut self.acknowledged {
                        acknowledged.accept(batch.marks);
                    }
                    if rejected > 0 {
                        report.refused += rejected;
                        report.refusal.get_or_insert_with(|| Fault::new(DropReason::CollectorRejected, message));
                    }
                    continue;
                }
                Delivery::Refused(fault) => {
                    self.account.give_up(points, fault.reason);
                    report.refused += points;
                    report.refusal.get_or_insert(fault);
                    continue;
                }
                Delivery::Closed(fault) => report.outage = Some(fault),
                Delivery::Away { fault, wish } => {
                    report.outage = Some(fault);
                    (report.collector_is_away, report.wish) = (true, wish);
                }
            }
            // The rest of the store stays unread: the next export has it, and more.
            let reason = report.outage.as_ref().map_or(DropReason::CollectorUnavailable, |fault| fault.reason);
            self.account.give_up(points, reason);
            report.lost += points;
            report.was_cut_short = self.is_over();
            // Else a tenant whose requests always fail would stand before the same others each time.
            let behind = registry.tenants().len().saturating_sub(walk.remaining());
            self.first_tenant = self.first_tenant.wrapping_add(behind + 1);
            self.last = walk.now();
            return report;
        }
        self.last = walk.now();
        self.exemplars_since = began;
        if let Some(acknowledged) = &mut self.acknowledged {
            acknowledged.forget_the_rest();
        }
        report
    }

    /// Sends one request, as often as it takes and as time allows.
    async fn deliver(&mut self, transport: &mut Transport, batch: &mut Batch, tries: Tries) -> Delivery {
        let mut headers = self.headers.clone();
        if let (Some(name), Some(tenant)) = (&self.tenant_header, &batch.tenant) {
            // The alphabet of tenants is one of headers.
            if let Ok(value) = HeaderValue::from_str(tenant) {
                headers.insert(name, value);
            }
        }
        let message = transport.prepare(batch.encode(&self.resource, &self.scope));
        let deadline = Instant::now() + self.config.export_timeout;
        let mut pauses = pauses();
        let mut may_have_arrived = false;
        loop {
            let (after, mut fault) = match self.attempt(transport, &message, &headers, deadline).await {
                Answer::Accepted { rejected, message } => return Delivery::Accepted { rejected, message },
                Answer::Never(mut fault) => {
                    self.account.fail();
                    fault.note(may_have_arrived);
                    return Delivery::Refused(fault);
                }
                Answer::Closed(mut fault) => {
                    self.account.fail();
                    fault.note(may_have_arrived);
                    // The credentials and the place may be those of one tenant.
                    let is_of_all = self.tenant_header.is_none();
                    return if is_of_all { Delivery::Closed(fault) } else { Delivery::Refused(fault) };
                }
                Answer::Later { after, fault } => (after, fault),
            };
            self.account.fail();
            // A limit of one tenant does not hold up the others; the next export says the same and more.
            let is_of_the_tenant = fault.reason == DropReason::CollectorThrottled && self.tenant_header.is_some();
            may_have_arrived |= fault.reason == DropReason::Unanswered;
            fault.note(may_have_arrived);
            let pause = pauses.next().unwrap_or_default().max(after.unwrap_or_default());
            let ends = tries == Tries::One || is_of_the_tenant || pause > self.left(deadline);
            if ends || !self.pause(pause).await {
                return if is_of_the_tenant { Delivery::Refused(fault) } else { Delivery::Away { fault, wish: after } };
            }
        }
    }

    /// Sends one request once, within its time.
    async fn attempt(
        &self,
        transport: &mut Transport,
        message: &Bytes,
        headers: &HeaderMap,
        deadline: Instant,
    ) -> Answer {
        let late = |reason, text: &str| Answer::Later { after: None, fault: Fault::new(reason, text) };
        tokio::select! {
            answer = transport.send(message, headers) => answer,
            () = sleep_until(deadline.min(Instant::now() + self.config.timeout)) => {
                late(DropReason::Unanswered, "no answer in time")
            }
            () = stopped(self.stop.clone()) => {
                late(DropReason::Unanswered, "no answer before the shutdown's deadline")
            }
        }
    }

    /// Waits; `false` if it was told to stop meanwhile.
    async fn pause(&self, pause: Duration) -> bool {
        let mut stop = self.stop.clone();
        let before = *stop.borrow_and_update();
        tokio::select! {
            () = sleep(pause) => true,
            _ = stop.wait_for(|stop| *stop != before) => false,
        }
    }

    /// The time until the deadline, or until the thread is to end if that is sooner.
    fn left(&self, deadline: Instant) -> Duration {
        let deadline = match *self.stop.borrow() {
            Stop::Never => deadline,
            Stop::By(by) => deadline.min(by.into()),
            Stop::Now => return Duration::ZERO,
        };
        deadline.saturating_duration_since(Instant::now())
    }

    fn is_over(&self) -> bool {
        match *self.stop.borrow() {
            Stop::Never => false,
            Stop::By(by) => by <= std::time::Instant::now(),
            Stop::Now => true,
        }
    }
}

/// How often a request is tried.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tries {
    One,
    Many,
}

/// Resolves when the thread is to have ended.
async fn stopped(mut stop: watch::Receiver<Stop>) {
    loop {
        let told = *stop.borrow_and_update();
        let end = async {
            match told {
                Stop::Never => std::future::pending().await,
                Stop::By(by) => sleep_until(by.into()).await,
                Stop::Now => {}
            }
        };
        tokio::select! {
            () = end => return,
            // An error means that nobody is left who could wait.
            changed = stop.changed() => if changed.is_err() { return },
        }
    }
}
