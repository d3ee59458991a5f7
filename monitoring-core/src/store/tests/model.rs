//! Random operations on a store with small budgets, beside hash maps that do the same.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use proptest::prelude::*;

use super::super::{Counter, Gauge, Histogram, TenantCounter, TenantGauge, TenantHistogram, UpDownCounter};
use super::*;

#[derive(Clone, Copy, Debug)]
struct Operation {
    kind: Kind,
    /// 0 to 2 are the reserved tenants.
    tenant: usize,
    color: Color,
    name: u16,
    amount: u32,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Count,
    CountTime,
    CountOfTenant,
    Shift,
    Set,
    Clear,
    SetOfTenant,
    ClearOfTenant,
    Observe,
    ObserveOfTenant,
}

const TENANTS: usize = 9;

fn operations(names: u16) -> impl Strategy<Value = Vec<Operation>> {
    use Kind::*;
    let kinds =
        [Count, CountTime, CountOfTenant, Shift, Set, Clear, SetOfTenant, ClearOfTenant, Observe, ObserveOfTenant];
    let operation = (
        prop::sample::select(kinds.to_vec()),
        0..TENANTS,
        prop::sample::select(vec![Color::Red, Color::Blue, Color::None]),
        // Low numbers come often, so that series are met again.
        prop_oneof![0..8_u16, 0..names],
        any::<u32>(),
    )
        .prop_map(|(kind, tenant, color, name, amount)| Operation { kind, tenant, color, name, amount });
    prop::collection::vec(operation, 0..600)
}

/// The texts of the two labels.
type Texts = (String, String);

/// A family as a hash map: by tenant and labels, with the same budgets.
#[derive(Default)]
struct Model {
    combinations: HashSet<Texts>,
    /// By row, and by texts unless it is the overflow series.
    series: HashMap<(usize, Option<Texts>), Vec<i128>>,
    overflow: u64,
    /// Past the budget a gauge is not set.
    is_gauge: bool,
    /// A tenant was refused: none is admitted beyond its floor before the next sweep.
    is_closed: bool,
}

impl Model {
    /// The series that is recorded into, made if need be.
    fn series(&mut self, limits: CardinalityBudget, tenant: Option<usize>, labels: Texts) -> Option<&mut Vec<i128>> {
        let room = self.combinations.len() < limits.combinations as usize;
        let combination = if self.combinations.contains(&labels) || room {
            self.combinations.insert(labels.clone());
            Some(labels)
        } else {
            None
        };
        let mut row = tenant.unwrap_or(0);
        let has_place = combination.is_some() || !self.is_gauge;
        let is_folded =
            has_place && !self.series.contains_key(&(row, combination.clone())) && !self.admits(limits, row);
        if is_folded {
            row = 2;
        }
        if is_folded || combination.is_none() {
            self.overflow += 1;
            if self.is_gauge {
                return None;
            }
        }
        Some(self.series.entry((row, combination)).or_default())
    }

    fn admits(&mut self, limits: CardinalityBudget, row: usize) -> bool {
        let of_row = self.series.keys().filter(|(of, _)| *of == row).count();
        // The floor of one series is each tenant's.
        if row < 3 || of_row == 0 {
            return true;
        }
        if of_row >= limits.per_tenant || self.is_closed {
            return false;
        }
        self.is_closed = self.series.keys().filter(|(of, _)| *of >= 3).count() >= limits.per_family;
        !self.is_closed
    }

    /// A gauge that is cleared gives its room to others.
    fn clear(&mut self, tenant: Option<usize>, labels: Texts) {
        self.series.remove(&(tenant.unwrap_or(0), Some(labels)));
    }

    fn compare(&self, samples: &Samples, name: &str, per_tenant: bool, value: impl Fn(&[i128]) -> Option<f64>) {
        let ids = ["__none__", "__unknown__", "__other__"].map(str::to_owned).into_iter();
        let ids: Vec<_> = ids.chain((3..TENANTS).map(|number| format!("tenant-{number}"))).collect();
        let mut shown = 0;
        for ((row, combination), words) in &self.series {
            let mut labels = Vec::new();
            if per_tenant {
                labels.push(("tenant", ids[*row].as_str()));
            }
            match combination {
                Some((kind, name)) => labels.extend([("kind", kind.as_str()), ("name", name.as_str())]),
                None => labels.push(("otel_metric_overflow", "true")),
            }
            labels.retain(|(_, text)| !text.is_empty());
            assert_eq!(samples.value(name, &labels), value(words), "{name} {labels:?}");
            shown += usize::from(value(words).is_some());
        }
        assert_eq!(samples.iter().filter(|(series, _)| series.name == name).count(), shown, "{name}");
    }
}

const NAMES: [&str; 8] = [
    "test_counter_total",
    "test_time_seconds_total",
    "test_tenant_total",
    "test_level",
    "test_gauge",
    "test_tenant_gauge",
    "test_duration_seconds",
    "test_tenant_duration_seconds",
];

fn run(limits: CardinalityBudget, operations: &[Operation]) {
    let monitoring = limited(limits.per_family, limits.per_tenant, limits.combinations);
    let registry = monitoring.registry();
    let count: Counter<Labels> = registry.counter(&COUNTER).unwrap();
    let time: Counter<Labels, Duration> = registry.counter(&TIME).unwrap();
    let of_tenant: TenantCounter<Labels> = registry.tenant_counter(&TENANT_COUNTER).unwrap();
    let level: UpDownCounter<Labels> = registry.up_down_counter(&LEVEL).unwrap();
    let gauge: Gauge<Labels> = registry.gauge(&GAUGE).unwrap();
    let gauge_of_tenant: TenantGauge<Labels> = registry.tenant_gauge(&TENANT_GAUGE).unwrap();
    let duration: Histogram<Labels> = registry.histogram(&DURATION).unwrap();
    let duration_of_tenant: TenantHistogram<Labels> = registry.tenant_histogram(&TENANT_DURATION).unwrap();
    let mut tenants = vec![Tenant::NONE, Tenant::UNKNOWN, Tenant::OTHER];
    tenants.extend((3..TENANTS).map(|number| tenant(&monitoring, &format!("tenant-{number}"))));

    let mut models: [Model; 8] = Default::default();
    models[4].is_gauge = true;
    models[5].is_gauge = true;
    for operation in operations {
        let name = format!("n{}", operation.name);
        let labels = labels(&monitoring, operation.color, &name);
        let color = ["red", "deep blue", ""][operation.color as usize];
        let texts = (color.to_owned(), name);
        let who = tenants[operation.tenant];
        let (amount, nanoseconds) = (u64::from(operation.amount), Duration::from_nanos(u64::from(operation.amount)));
        let mut model = |family: usize, tenant: Option<usize>, change: &dyn Fn(&mut Vec<i128>)| {
            if let Some(words) = models[family].series(limits, tenant, texts.clone()) {
                change(words);
            }
        };
        let add = |words: &mut Vec<i128>| {
            words.resize(1, 0);
            words[0] += i128::from(amount);
        };
        let observe = |words: &mut Vec<i128>| {
            words.resize(5, 0);
            let bucket = [10_000_000, 100_000_000, 1_000_000_000].iter().filter(|bound| **bound < amount).count();
            words[bucket] += 1;
            words[4] += i128::from(amount);
        };
        let set = |words: &mut Vec<i128>| *words = vec![i128::from(amount)];
        match operation.kind {
            Kind::Count => {
                count.add(labels, amount);
                model(0, None, &add);
            }
            Kind::CountTime => {
                time.add(labels, nanoseconds);
                model(1, None, &add);
            }
            Kind::CountOfTenant => {
                of_tenant.add(who, labels, amount);
                model(2, Some(operation.tenant), &add);
            }
            Kind::Shift => {
                let amount = i64::from(operation.amount) - i64::from(u32::MAX / 2);
                level.add(labels, amount);
                model(3, None, &|words| {
                    words.resize(1, 0);
                    words[0] += i128::from(amount);
                });
            }
            Kind::Set => {
                gauge.set(labels, amount as f64);
                model(4, None, &set);
            }
            Kind::SetOfTenant => {
                gauge_of_tenant.set(who, labels, amount as f64);
                model(5, Some(operation.tenant), &set);
            }
            Kind::Clear => {
                gauge.clear(labels);
                models[4].clear(None, texts);
            }
            Kind::ClearOfTenant => {
                gauge_of_tenant.clear(who, labels);
                models[5].clear(Some(operation.tenant), texts);
            }
            Kind::Observe => {
                duration.record(labels, nanoseconds);
                model(6, None, &observe);
            }
            Kind::ObserveOfTenant => {
                duration_of_tenant.record(who, labels, nanoseconds);
                model(7, Some(operation.tenant), &observe);
            }
        }
    }

    let samples = samples(&monitoring);
    let whole = |words: &[i128]| words.first().map(|word| *word as f64);
    let seconds = |nanoseconds: i128| {
        format!("{}.{:09}", nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000).parse::<f64>().unwrap()
    };
    models[0].compare(&samples, NAMES[0], false, whole);
    models[1].compare(&samples, NAMES[1], false, |words| Some(seconds(words[0])));
    models[2].compare(&samples, NAMES[2], true, whole);
    models[3].compare(&samples, NAMES[3], false, whole);
    models[4].compare(&samples, NAMES[4], false, whole);
    models[5].compare(&samples, NAMES[5], true, whole);
    for (family, per_tenant) in [(6, false), (7, true)] {
        let sum = format!("{}_sum", NAMES[family]);
        let count = format!("{}_count", NAMES[family]);
        models[family].compare(&samples, &sum, per_tenant, |words| Some(seconds(words[4])));
        models[family].compare(&samples, &count, per_tenant, |words| Some(words[..4].iter().sum::<i128>() as f64));
        let buckets: i128 = models[family].series.values().map(|words| words[0]).sum();
        assert_eq!(samples.sum(&format!("{}_bucket", NAMES[family]), &[("le", "0.01")]), buckets as f64);
    }
    for (name, model) in NAMES.iter().zip(&models) {
        let overflow = samples.value("monitoring_series_overflow_total", &[("family", name)]);
        assert_eq!(overflow, Some(model.overflow as f64), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_hash_maps_with_its_budgets_do(
        per_family in 1..60_usize,
        per_tenant in 1..20_usize,
        combinations in 1..80_u32,
        operations in operations(60),
    ) {
        run(CardinalityBudget::default().per_family(per_family).per_tenant(per_tenant).combinations(combinations), &operations);
    }

    #[test]
    fn the_store_does_what_hash_maps_do_while_its_tables_grow(operations in operations(2_000)) {
        // 600 operations make the table of combinations grow from 32 slots several times over.
        run(CardinalityBudget::default(), &operations);
    }
}

#[test]
fn a_table_that_has_grown_many_times_finds_every_series() {
    let monitoring = limited(100_000, 100_000, 20_000);
    let counter: TenantCounter<Labels> = monitoring.registry().tenant_counter(&TENANT_COUNTER).unwrap();
    let acme = tenant(&monitoring, "acme");
    for round in 1..=3 {
        for number in 0..10_000 {
            counter.add(acme, labels(&monitoring, Color::Red, &number.to_string()), round * number);
        }
    }
    let samples = samples(&monitoring);
    for number in 0..10_000_u32 {
        let labels = [("tenant", "acme"), ("kind", "red"), ("name", &*number.to_string())];
        assert_eq!(samples.value("test_tenant_total", &labels), Some(6.0 * f64::from(number)));
    }
}
