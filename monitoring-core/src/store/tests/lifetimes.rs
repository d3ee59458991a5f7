//! Random records and sweeps on a store with small budgets, beside a model of which series there are and what they hold.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::super::{Series, TenantCounter, TenantHistogram, View};
use super::*;

const TENANTS: usize = 6;
const NAMES: u16 = 20;

/// The sweeps without a change after which a series is about to end.
const SWEEPS: u8 = 2;

const TIERS: [Tier; 3] = [Tier::Free, Tier::Standard, Tier::Enterprise];

#[derive(Clone, Copy, Debug)]
enum Operation {
    /// By a tenant, into the series of a name.
    Record(usize, u16, u32),
    Sweep,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let record = (0..TENANTS, prop_oneof![0..4_u16, 0..NAMES], 1..1_000_u32);
    let operation = prop_oneof![
        4 => record.prop_map(|(tenant, name, amount)| Operation::Record(tenant, name, amount)),
        1 => Just(Operation::Sweep),
    ];
    prop::collection::vec(operation, 0..250)
}

fn budgets() -> impl Strategy<Value = CardinalityBudget> {
    (2..30_usize, 1..12_usize, prop::array::uniform3(0..10_usize)).prop_map(|(per_family, per_tenant, shares)| {
        let mut left = per_family;
        let mut budget = CardinalityBudget::default().per_family(per_family).per_tenant(per_tenant);
        for (tier, share) in TIERS.into_iter().zip(shares) {
            budget = budget.reserve(tier, share.min(left));
            left -= share.min(left);
        }
        budget
    })
}

/// The sum and the number of records of each series: by the number of the tenant, or `None` for `__other__`.
type Shown = BTreeMap<(Option<usize>, u16), [u64; 2]>;

/// Series that end together: those of one page.
#[derive(Clone, Copy, Debug, Default)]
struct Page {
    is_changed: bool,
    unchanged: u8,
    is_retired: bool,
}

struct Model {
    budget: CardinalityBudget,
    floor: usize,
    series_in_page: u16,
    shown: Shown,
    pages: BTreeMap<(usize, u16), Page>,
    /// The tiers that were refused, and are not admitted before there is room again.
    closed: [bool; 3],
    overflow: u64,
    /// What series held that have ended.
    ended: [u64; 2],
    recorded: [u64; 2],
}

const fn tier(tenant: usize) -> usize {
    tenant % 3
}

impl Model {
    fn new(budget: CardinalityBudget, series_in_page: u16) -> Self {
        Self {
            budget,
            floor: (budget.per_family / 2 / TENANTS).max(1).min(budget.per_tenant),
            series_in_page,
            shown: Shown::new(),
            pages: BTreeMap::new(),
            closed: [false; 3],
            overflow: 0,
            ended: [0; 2],
            recorded: [0; 2],
        }
    }

    /// The page of a name's series: the first place is that of the overflow combination.
    fn page(&self, tenant: usize, name: u16) -> (usize, u16) {
        (tenant, (name + 1) / self.series_in_page)
    }

    fn series(&self, is_counted: impl Fn(usize) -> bool) -> usize {
        self.shown.keys().filter(|(tenant, _)| tenant.is_some_and(&is_counted)).count()
    }

    /// What a tier may have, and what of that it has: its reservation, and the budget without those of others.
    fn limits(&self, of: usize) -> [(usize, usize); 2] {
        let used = [0, 1, 2].map(|of| self.series(|tenant| tier(tenant) == of));
        let reserved = self.budget.reserved;
        let kept: usize =
            (0..3).filter(|other| *other != of).map(|other| reserved[other].saturating_sub(used[other])).sum();
        [(reserved[of], used[of]), (self.budget.per_family - kept, used.iter().sum())]
    }

    fn admits(&mut self, tenant: usize, name: u16) -> bool {
        let of_tenant = self.series(|other| other == tenant);
        if of_tenant < self.floor {
            return true;
        }
        if of_tenant >= self.budget.per_tenant || self.closed[tier(tenant)] {
            return false;
        }
        let is_admitted = self.limits(tier(tenant)).iter().any(|(series, used)| used < series);
        self.closed[tier(tenant)] = !is_admitted;
        // Whoever asks keeps the page where the series would be, refused or not.
        let page = self.page(tenant, name);
        if let Some(page) = self.pages.get_mut(&page).filter(|page| page.is_retired) {
            (page.is_retired, page.unchanged) = (false, 0);
        }
        is_admitted
    }

    fn record(&mut self, tenant: usize, name: u16, amount: u32) {
        let is_own = self.shown.contains_key(&(Some(tenant), name)) || self.admits(tenant, name);
        if is_own {
            *self.pages.entry(self.page(tenant, name)).or_default() = Page { is_changed: true, ..Page::default() };
        } else {
            self.overflow += 1;
        }
        let of = is_own.then_some(tenant);
        for total in [self.shown.entry((of, name)).or_default(), &mut self.recorded] {
            total[0] += u64::from(amount);
            total[1] += 1;
        }
    }

    /// Ends what is idle. `found` is what the store shows after its sweep: it compares only a part of what it knows of a
    /// page, and so may take a changed one for unchanged once in a long while, and end it a sweep early.
    fn sweep(&mut self, found: &Shown) {
        let mut ended = Vec::new();
        for (place, page) in &mut self.pages {
            let is_early = page.unchanged + 1 >= SWEEPS && !page.is_changed;
            let is_gone = || {
                let names = (0..NAMES).filter(|name| (name + 1) / self.series_in_page == place.1);
                let mut known = names.filter(|name| self.shown.contains_key(&(Some(place.0), *name)));
                known.all(|name| !found.contains_key(&(Some(place.0), name)))
            };
            if page.is_retired || is_early && is_gone() {
                ended.push(*place);
            } else if page.is_changed {
                *page = Page::default();
            } else {
                page.unchanged += 1;
                page.is_retired = page.unchanged >= SWEEPS;
            }
        }
        for place in ended {
            self.pages.remove(&place);
            for name in (0..NAMES).filter(|name| (name + 1) / self.series_in_page == place.1) {
                if let Some(held) = self.shown.remove(&(Some(place.0), name)) {
                    (0..2).for_each(|word| self.ended[word] += held[word]);
                }
            }
        }
        for of in 0..3 {
            let has_room =
                self.limits(of).iter().any(|(series, used)| used < series && *used <= series - series.div_ceil(10));
            self.closed[of] &= !has_room;
        }
    }

    /// All that was recorded is in a series, or was in one that has ended.
    fn adds_up(&self) -> bool {
        let of_word = |word: usize| self.shown.values().map(|words| words[word]).sum::<u64>() + self.ended[word];
        [of_word(0), of_word(1)] == self.recorded
    }
}

/// What a family shows, the tenant `__none__` left out; how many records a counter has had is not known.
fn shown(family: &Family, is_counter: bool) -> Shown {
    let mut shown = Shown::new();
    let mut series = Series::default();
    while family.read(View::Whole, &mut series) {
        let (tenant, combination) = family.labels(&series);
        let tenant = tenant.unwrap().id().to_owned();
        let text = combination.unwrap().text();
        let name = text.strip_prefix("kind=\"red\",name=\"").and_then(|text| text.strip_suffix('"')).unwrap();
        let records = if is_counter { 0 } else { series.words[1..].iter().sum() };
        if tenant != "__none__" {
            let number = tenant.strip_prefix("tenant-").map(|number| number.parse().unwrap());
            shown.insert((number, name.parse().unwrap()), [series.words[0], records]);
        }
        series.advance();
    }
    shown
}

fn run(budget: CardinalityBudget, operations: &[Operation], is_counter: bool) -> Result<(), TestCaseError> {
    let monitoring = Monitoring::builder("test").max_tenants(TENANTS).cardinality_budget(budget).build().unwrap();
    let counter: TenantCounter<Labels> = monitoring.registry().tenant_counter(&TENANT_COUNTER).unwrap();
    let duration: TenantHistogram<Labels> = monitoring.registry().tenant_histogram(&TENANT_DURATION).unwrap();
    let record = |tenant, name: u16, amount: u32| {
        let labels = labels(&monitoring, Color::Red, &name.to_string());
        if is_counter {
            counter.add(tenant, labels, u64::from(amount));
        } else {
            duration.record(tenant, labels, Duration::from_nanos(u64::from(amount)));
        }
    };
    let name = if is_counter { "test_tenant_total" } else { "test_tenant_duration_seconds" };
    let family = family(&monitoring, name);
    let tenants: Vec<_> = (0..TENANTS)
        .map(|number| {
            let id = format!("tenant-{number}").parse().unwrap();
            monitoring.tenants().register(id, TIERS[tier(number)]).unwrap()
        })
        .collect();
    // The names get their numbers in this order.
    (0..NAMES).for_each(|name| record(Tenant::NONE, name, 1));

    let mut model = Model::new(budget, if is_counter { 7 } else { 1 });
    for (number, operation) in operations.iter().enumerate() {
        let found = match *operation {
            Operation::Record(tenant, name, amount) => {
                record(tenants[tenant], name, amount);
                model.record(tenant, name, amount);
                shown(family, is_counter)
            }
            Operation::Sweep => {
                family.sweep(SWEEPS);
                let found = shown(family, is_counter);
                model.sweep(&found);
                found
            }
        };
        let mut expected = model.shown.clone();
        if is_counter {
            expected.values_mut().for_each(|words| words[1] = 0);
        }
        prop_assert_eq!(found, expected, "after {}: {:?}", number, operation);
        prop_assert!(model.adds_up());
        prop_assert_eq!(family.overflow(), model.overflow);
        let own = model.shown.keys().filter(|(tenant, _)| tenant.is_some()).count();
        prop_assert_eq!(family.table.all_cells().table(), own);
        prop_assert!(own <= budget.per_family + model.floor * TENANTS);
    }
    // And as it is rendered.
    let samples = samples(&monitoring);
    let total = model.shown.values().map(|words| words[0]).sum::<u64>() as f64;
    let none = f64::from(NAMES);
    if is_counter {
        prop_assert_eq!(samples.sum(name, &[]), total + none);
    } else {
        let records = model.shown.values().map(|words| words[1]).sum::<u64>() as f64;
        prop_assert_eq!(samples.sum(&format!("{name}_count"), &[]), records + none);
        let sum = samples.sum(&format!("{name}_sum"), &[]);
        prop_assert!((sum * 1e9 - (total + none)).abs() < 0.1);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn every_counter_shows_what_was_added_since_it_began(budget in budgets(), operations in operations()) {
        run(budget, &operations, true)?;
    }

    #[test]
    fn every_histogram_shows_what_was_counted_since_it_began(budget in budgets(), operations in operations()) {
        run(budget, &operations, false)?;
    }
}
