//! The store as a row of requests, made one at a time.
//!
//! What is open never exceeds [`MAX_POINTS`] points and about [`MAX_BYTES`]. When each tenant has requests of its own, the
//! walk first sends what belongs to no registered tenant, then goes tenant by tenant.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::SystemTime;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::acknowledged::{Acknowledged, Change, Key, Mark};
use super::names::Names;
use super::point::{Point, Shape, Values, nanoseconds};
use crate::catalogue::{Kind, TARGET_INFO};
use crate::store::{Family, Registry, Series, View};
use crate::tenant::{Tenant, TenantRegistry};

/// The points of one request.
pub(super) const MAX_POINTS: usize = 2_000;

/// The bytes of one request, before it is compressed; one point more may be over it.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// The steps after which a walk comes up for air, whether it has found points or not.
const MAX_STEPS: usize = 20_000;

/// The points of one request.
#[derive(Default)]
pub(super) struct Batch {
    /// The tenant that the request is of, if each has its own.
    pub(super) tenant: Option<Box<str>>,
    pub(super) points: usize,
    /// What the collector has once it has accepted the request.
    pub(super) marks: Vec<(Key, Mark)>,
    metrics: Vec<Metric>,
    /// The place of the family of the last metric.
    place: Option<usize>,
}

impl Batch {
    /// The request, encoded.
    pub(super) fn encode(&mut self, resource: &Resource, scope: &InstrumentationScope) -> Bytes {
        let scope_metrics = ScopeMetrics {
            scope: Some(scope.clone()),
            metrics: std::mem::take(&mut self.metrics),
            ..ScopeMetrics::default()
        };
        let resource_metrics = ResourceMetrics {
            resource: Some(resource.clone()),
            scope_metrics: vec![scope_metrics],
            ..ResourceMetrics::default()
        };
        Bytes::from(ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }.encode_to_vec())
    }

    fn add(&mut self, place: usize, point: Point, metric: impl FnOnce(Point) -> Metric) {
        self.points += 1;
        let last = self.metrics.last_mut().filter(|_| self.place == Some(place));
        let rest = match last {
            Some(metric) => point.add_to(metric),
            None => Some(point),
        };
        if let Some(point) = rest {
            self.metrics.push(metric(point));
            self.place = Some(place);
        }
    }
}

/// Which families a part of the walk goes through, and which of their series.
#[derive(Clone, Copy)]
enum Part {
    Everything,
    Platform,
    Tenant(Tenant),
}

/// A walk through the whole store.
pub(super) struct Walk<'a> {
    registry: &'a Registry,
    /// Whether each tenant has requests of its own.
    is_split: bool,
    /// What is still to be gone through, the last one first.
    parts: Vec<Part>,
    place: usize,
    series: Option<Series>,
    /// What the families look like, by their place.
    shapes: BTreeMap<usize, Rc<Shape>>,
    /// The batches being filled, by tenant.
    open: BTreeMap<Option<Box<str>>, Batch>,
    points: usize,
    bytes: usize,
    ready: VecDeque<Batch>,
    /// When the open batches are read, in nanoseconds since the epoch; never earlier than before.
    now: u64,
    /// Older exemplars of totals were sent already, in nanoseconds since the epoch.
    pub(super) exemplars_since: u64,
    pub(super) clock: fn() -> SystemTime,
    names: Names,
}

impl<'a> Walk<'a> {
    /// Through everything, in requests that tenants share.
    pub(super) fn whole(registry: &'a Registry, not_before: u64) -> Self {
        Self::new(registry, false, vec![Part::Everything], not_before)
    }

    /// Through everything, tenant by tenant, beginning with the `first`.
    pub(super) fn by_tenant(registry: &'a Registry, first: usize, not_before: u64) -> Self {
        let tenants = registry.tenants();
        let mut registered: Vec<Part> = (TenantRegistry::RESERVED..)
            .map_while(|row| tenants.text(row))
            .map(|text| Part::Tenant(tenants.lookup(text.id())))
            .collect();
        let count = registered.len().max(1);
        registered.rotate_left(first % count);
        registered.reverse();
        registered.extend([Tenant::OTHER, Tenant::UNKNOWN, Tenant::NONE].map(Part::Tenant));
        registered.push(Part::Platform);
        Self::new(registry, true, registered, not_before)
    }

    fn new(registry: &'a Registry, is_split: bool, parts: Vec<Part>, not_before: u64) -> Self {
        Self {
            registry,
            is_split,
            parts,
            place: 0,
            series: None,
            shapes: BTreeMap::new(),
            open: BTreeMap::new(),
            points: 0,
            bytes: 0,
            ready: VecDeque::new(),
            now: not_before,
            exemplars_since: 0,
            clock: SystemTime::now,
            names: Names::default(),
        }
    }

    /// When it has read last, in nanoseconds since the epoch.
    pub(super) fn now(&self) -> u64 {
        self.now
    }

    /// The tenants that are still to be gone through.
    pub(super) fn remaining(&self) -> usize {
        self.parts.len()
    }

    /// The next request, which may be empty; `None` at the end. With `acknowledged` counters and histograms are deltas.
    pub(super) fn next(&mut self, mut acknowledged: Option<&mut Acknowledged>) -> Option<Batch> {
        if self.ready.is_empty() {
            self.now = self.now.max(nanoseconds((self.clock)()));
            let mut steps = 0;
            while steps < MAX_STEPS
                && self.points < MAX_POINTS
                && self.bytes < MAX_BYTES
                && self.read(acknowledged.as_deref_mut())
            {
                steps += 1;
            }
            self.ready.extend(std::mem::take(&mut self.open).into_values());
            (self.points, self.bytes) = (0, 0);
        }
        self.ready.pop_front().or_else(|| (!self.parts.is_empty()).then(Batch::default))
    }

    /// Reads one series, or goes on to the next family or part; `false` where a request ends.
    fn read(&mut self, acknowledged: Option<&mut Acknowledged>) -> bool {
        let Some(part) = self.parts.last().copied() else { return false };
        let Some(family) = self.registry.family_at(self.place) else {
            self.parts.pop();
            self.place = 0;
            self.series = None;
            // A tenant's points do not wait for the next tenant's.
            return !self.is_split || self.open.is_empty();
        };
        let view = match part {
            Part::Everything => View::Whole,
            Part::Platform if !family.is_per_tenant() => View::Whole,
            Part::Tenant(tenant) if family.is_per_tenant() => View::Tenant(tenant),
            Part::Platform | Part::Tenant(_) => return self.go_on(),
        };
        // The resource says the same.
        if family.descriptor().is_some_and(|descriptor| descriptor.name() == TARGET_INFO.name()) {
            return self.go_on();
        }
        let mut series = self.series.take().unwrap_or_default();
        if !family.read(view, &mut series) {
            return self.go_on();
        }
        self.add(family, &series, acknowledged);
        series.advance();
        self.series = Some(series);
        true
    }

    fn go_on(&mut self) -> bool {
        self.place += 1;
        self.series = None;
        true
    }

    fn add(&mut self, family: &Family, series: &Series, acknowledged: Option<&mut Acknowledged>) {
        let now = self.now;
        let names = &mut self.names;
        let shape = self.shapes.entry(self.place);
        let shape = Rc::clone(shape.or_insert_with(|| Rc::new(Shape::of(family, names.at(self.registry, self.place)))));
        // It is later than now once the clock was put back; a point must not say so, but a mark has it as it is.
        let start = nanoseconds(family.start_time(series));
        let counts_up = matches!(family.reading().kind(), Kind::Counter | Kind::Histogram);
        let mut mark = None;
        let (point, temporality) = match acknowledged.filter(|_| counts_up) {
            Some(acknowledged) => {
                let key = acknowledged.key(self.place, family, series);
                let Some(change) = acknowledged.change(key, start, family.reading(), series) else { return };
                mark = Some((key, acknowledged.mark(start, now, series)));
                let Change { since, words, exponential } = &change;
                let exponential = exponential.as_ref();
                let values =
                    Values { words, exponential, since: (*since).min(now), now, exemplars_since: (*since).min(now) };
                (Point::new(family, &shape, series, &values), AggregationTemporality::Delta)
            }
            None => {
                let exponential = series.exponential.as_ref();
                let (since, exemplars_since) = (start.min(now), self.exemplars_since);
                let values = Values { words: &series.words, exponential, since, now, exemplars_since };
                (Point::new(family, &shape, series, &values), AggregationTemporality::Cumulative)
            }
        };
        self.points += 1;
        self.bytes += point.encoded_len();
        let tenant = if self.is_split { tenant_of(family, series) } else { None };
        let batch =
            self.open.entry(tenant).or_insert_with_key(|tenant| Batch { tenant: tenant.clone(), ..Batch::default() });
        batch.marks.extend(mark);
        batch.add(self.place, point, |point| shape.metric(family, point, temporality));
    }
}

/// The registered tenant that a series is of, also if it was recorded through the `metrics` facade.
fn tenant_of(family: &Family, series: &Series) -> Option<Box<str>> {
    let (tenant, combination) = family.labels(series);
    let id: Option<Box<str>> = match tenant {
        Some(tenant) => Some(tenant.id().into()),
        None => combination?.pairs().find(|(name, _)| *name == "tenant").map(|(_, id)| id.as_ref().into()),
    };
    id.filter(|id| !id.starts_with("__"))
}
