//! Who sends what and when: drawn from the seed alone, never from what the service answers, so that the same seed is the
//! same plan.
//!
//! * **When**: a Poisson process whose rate follows the day: quiet at four in the morning, busiest at four in the
//!   afternoon. The day is compressed into the run.
//! * **Who**: tenants by Zipf's law, in an order that the seed shuffles, and one noisy tenant on top: a seventh of
//!   all traffic, and half of it between ten and twelve, when it imports.
//! * **What**: mostly reading; a few writes, reports and watched feeds; about 1.5 % of requests that must fail.

use std::f64::consts::TAU;
use std::time::Duration;

use rand::distr::weighted::WeightedIndex;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp, Zipf};

use crate::LoadError;

/// What a plan is drawn from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlanSettings {
    pub(crate) seed: u64,
    pub(crate) seconds: u64,
    /// Mean actions per second.
    pub(crate) rate: u32,
    pub(crate) tenants: u32,
}

/// The actions of a day in the order of their time, drawn one after the other, so that a long day takes no more memory than
/// a short one.
#[derive(Debug)]
pub(crate) struct Plan {
    rng: Xoshiro256PlusPlus,
    gap: Exp<f64>,
    rank: Zipf<f64>,
    mix: Mix,
    /// The tenants by their rank.
    ranking: Vec<u32>,
    noisy: u32,
    /// When the next candidate arrives, and when the day ends, in seconds.
    next: f64,
    length: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlannedAction {
    /// Time from the start of the run.
    pub(crate) at: Duration,
    /// The tenant's index, see [`crate::directory::tenant_name`].
    pub(crate) tenant: u32,
    pub(crate) action: Action,
}

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// One request with the tenant's token, preceded by a sign-in when there is none yet.
    Member(MemberAction),
    /// One request of somebody who has not proven to belong to a tenant that the service lists.
    Stranger(StrangerAction),
}

/// What a signed-in user does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemberAction {
    ListProjects,
    ReadProject,
    CreateProject,
    ListReports,
    RequestReport,
    DownloadReport,
    /// Asks for a fresh token, for which the service asks the identity provider.
    RenewSession,
    /// Watches the live feed for a while, then leaves without a word.
    WatchActivity {
        hold: Duration,
    },
    ReadMissingProject,
    CreateNamelessProject,
    /// Sends a method that a browser never sends.
    OddMethod {
        method: &'static str,
    },
    /// Adds a header that names another tenant.
    ForgeTenantHeader,
}

/// What everybody else does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StrangerAction {
    SignInWithWrongPassword,
    /// Looks for holes at a path that the service does not have.
    Scan {
        path: &'static str,
    },
    /// Sends a header that names a tenant, and no token.
    ForgeTenantHeader,
    /// Sends a valid token of a tenant that the service does not list.
    UnlistedTenant,
}

const SCANNED_PATHS: [&str; 6] =
    ["/.env", "/wp-login.php", "/.git/config", "/admin/", "/api/v2/users", "/cgi-bin/test"];
const ODD_METHODS: [&str; 2] = ["PROPFIND", "BREW"];

/// How far the rate swings around its mean within the day.
const SWING: f64 = 0.65;
/// Time of day with the least traffic, as a share of the day.
const QUIETEST: f64 = 4.0 / 24.0;
/// Zipf's exponent: the second tenant has half the traffic of the first.
const EXPONENT: f64 = 1.0;

impl Plan {
    /// Draws who ranks where, and begins the day.
    ///
    /// # Errors
    /// When a setting makes a distribution impossible, such as no tenant at all.
    pub(crate) fn new(settings: &PlanSettings) -> Result<Self, LoadError> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(settings.seed);
        let rank = Zipf::new(f64::from(settings.tenants), EXPONENT).map_err(impossible)?;
        // Thinning: candidates arrive at the peak rate and are kept as often as the time of day asks for.
        let gap = Exp::new(f64::from(settings.rate) * (1.0 + SWING)).map_err(impossible)?;
        let mix = Mix::new()?;
        let mut ranking: Vec<u32> = (0..settings.tenants).collect();
        ranking.shuffle(&mut rng);
        let noisy = rng.random_range(0..settings.tenants);
        let next = gap.sample(&mut rng);
        Ok(Self { rng, gap, rank, mix, ranking, noisy, next, length: settings.seconds as f64 })
    }

    fn tenant(&mut self, time_of_day: f64) -> u32 {
        if self.rng.random_bool(noisy_share(time_of_day)) {
            return self.noisy;
        }
        let rank = self.rank.sample(&mut self.rng) as usize - 1;
        self.ranking.get(rank).copied().unwrap_or(self.noisy)
    }
}

impl Iterator for Plan {
    type Item = PlannedAction;

    fn next(&mut self) -> Option<PlannedAction> {
        while self.next < self.length {
            let now = self.next;
            self.next += self.gap.sample(&mut self.rng);
            let time_of_day = now / self.length;
            if self.rng.random_bool(busyness(time_of_day) / (1.0 + SWING)) {
                let tenant = self.tenant(time_of_day);
                let action = self.mix.draw(&mut self.rng);
                return Some(PlannedAction { at: Duration::from_secs_f64(now), tenant, action });
            }
        }
        None
    }
}

fn impossible(error: impl std::fmt::Display) -> LoadError {
    LoadError::Distribution(error.to_string())
}

/// The rate at a time of day relative to its mean.
fn busyness(time_of_day: f64) -> f64 {
    1.0 - SWING * (TAU * (time_of_day - QUIETEST)).cos()
}

/// The noisy tenant's share of the traffic on top of its place in the ranking.
fn noisy_share(time_of_day: f64) -> f64 {
    if (10.0..12.0).contains(&(time_of_day * 24.0)) { 0.5 } else { 0.15 }
}

/// How often each action is taken.
#[derive(Debug)]
struct Mix {
    weights: WeightedIndex<u32>,
}

impl Mix {
    /// Weights in tenths of a percent. Parameters are filled in when an action is drawn.
    const ACTIONS: [(u32, Action); 16] = [
        (340, Action::Member(MemberAction::ListProjects)),
        (210, Action::Member(MemberAction::ReadProject)),
        (45, Action::Member(MemberAction::CreateProject)),
        (165, Action::Member(MemberAction::ListReports)),
        (55, Action::Member(MemberAction::RequestReport)),
        (110, Action::Member(MemberAction::DownloadReport)),
        (30, Action::Member(MemberAction::RenewSession)),
        (25, Action::Member(MemberAction::WatchActivity { hold: Duration::ZERO })),
        (3, Action::Member(MemberAction::ReadMissingProject)),
        (2, Action::Member(MemberAction::CreateNamelessProject)),
        (2, Action::Member(MemberAction::OddMethod { method: "" })),
        (5, Action::Member(MemberAction::ForgeTenantHeader)),
        (2, Action::Stranger(StrangerAction::SignInWithWrongPassword)),
        (3, Action::Stranger(StrangerAction::Scan { path: "" })),
        (1, Action::Stranger(StrangerAction::ForgeTenantHeader)),
        (2, Action::Stranger(StrangerAction::UnlistedTenant)),
    ];

    fn new() -> Result<Self, LoadError> {
        let weights = WeightedIndex::new(Self::ACTIONS.iter().map(|(weight, _)| *weight)).map_err(impossible)?;
        Ok(Self { weights })
    }

    fn draw(&self, rng: &mut Xoshiro256PlusPlus) -> Action {
        let listed = Self::ACTIONS.get(self.weights.sample(rng)).map(|(_, action)| *action);
        match listed.unwrap_or(Action::Member(MemberAction::ListProjects)) {
            Action::Member(MemberAction::WatchActivity { .. }) => {
                let hold = Duration::from_millis(rng.random_range(50..1_500));
                Action::Member(MemberAction::WatchActivity { hold })
            }
            Action::Member(MemberAction::OddMethod { .. }) => {
                Action::Member(MemberAction::OddMethod { method: one_of(&ODD_METHODS, rng) })
            }
            Action::Stranger(StrangerAction::Scan { .. }) => {
                Action::Stranger(StrangerAction::Scan { path: one_of(&SCANNED_PATHS, rng) })
            }
            plain => plain,
        }
    }
}

fn one_of(texts: &[&'static str], rng: &mut Xoshiro256PlusPlus) -> &'static str {
    texts.get(rng.random_range(0..texts.len())).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::mem::discriminant;

    use super::*;

    const DAY: PlanSettings = PlanSettings { seed: 7, seconds: 120, rate: 200, tenants: 300 };

    fn draw(settings: PlanSettings) -> Vec<PlannedAction> {
        Plan::new(&settings).unwrap().collect()
    }

    fn noisy_tenant() -> u32 {
        Plan::new(&DAY).unwrap().noisy
    }

    fn requests_per_tenant(plan: &[PlannedAction]) -> Vec<usize> {
        let mut counts = vec![0; DAY.tenants as usize];
        for planned in plan {
            counts[planned.tenant as usize] += 1;
        }
        counts
    }

    #[test]
    fn the_same_seed_is_the_same_plan() {
        assert_eq!(draw(DAY), draw(DAY));
    }

    #[test]
    fn another_seed_is_another_plan() {
        assert_ne!(draw(DAY), draw(PlanSettings { seed: 8, ..DAY }));
    }

    #[test]
    fn the_mean_rate_is_the_one_asked_for() {
        let actions = draw(DAY).len() as f64;
        let asked = (DAY.seconds * u64::from(DAY.rate)) as f64;
        assert!((actions / asked - 1.0).abs() < 0.05, "{actions} actions, {asked} asked for");
    }

    #[test]
    fn actions_are_in_the_order_of_time_and_within_the_day() {
        let plan = draw(DAY);
        assert!(plan.is_sorted_by_key(|planned| planned.at));
        assert!(plan.last().unwrap().at < Duration::from_secs(DAY.seconds));
    }

    #[test]
    fn the_afternoon_is_busier_than_the_night() {
        let plan = draw(DAY);
        let within = |from: f64, to: f64| {
            let hour = |planned: &&PlannedAction| planned.at.as_secs_f64() / DAY.seconds as f64 * 24.0;
            plan.iter().filter(|planned| (from..to).contains(&hour(planned))).count()
        };
        let (night, afternoon) = (within(2.0, 6.0), within(14.0, 18.0));
        assert!(afternoon > 3 * night, "{afternoon} in the afternoon, {night} at night");
    }

    #[test]
    fn the_noisy_tenant_leads_without_drowning_the_others() {
        let plan = draw(DAY);
        let counts = requests_per_tenant(&plan);
        let noisy = counts[noisy_tenant() as usize];
        assert_eq!(Some(&noisy), counts.iter().max());
        let share = noisy as f64 / plan.len() as f64;
        assert!((0.15..0.35).contains(&share), "the noisy tenant has {share} of the traffic");
    }

    #[test]
    fn the_other_tenants_follow_zipf() {
        let plan = draw(DAY);
        let mut counts = requests_per_tenant(&plan);
        counts.remove(noisy_tenant() as usize);
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let ratio = counts[0] as f64 / counts[9] as f64;
        assert!((6.0..15.0).contains(&ratio), "the first has {ratio} times the traffic of the tenth");
        assert!(counts.iter().filter(|count| **count > 0).count() > 250, "hundreds of tenants take part");
    }

    #[test]
    fn one_to_two_percent_of_the_requests_must_fail() {
        let plan = draw(DAY);
        let failing = plan.iter().filter(|planned| {
            matches!(
                planned.action,
                Action::Stranger(_)
                    | Action::Member(
                        MemberAction::ReadMissingProject
                            | MemberAction::CreateNamelessProject
                            | MemberAction::OddMethod { .. }
                    )
            )
        });
        let share = failing.count() as f64 / plan.len() as f64;
        assert!((0.01..0.02).contains(&share), "{share} of the requests must fail");
    }

    #[test]
    fn a_day_has_every_kind_of_action() {
        let plan = draw(DAY);
        let kinds: HashSet<_> = plan
            .iter()
            .map(|planned| match planned.action {
                Action::Member(action) => (Some(discriminant(&action)), None),
                Action::Stranger(action) => (None, Some(discriminant(&action))),
            })
            .collect();
        assert_eq!(kinds.len(), Mix::ACTIONS.len());
    }
}
