//! Runs variants of the same work in turns, and tells what each costs.
//!
//! The variants take turns, round by round, so that whatever else the machine does hits all of them alike; a figure is
//! the median of the rounds. Allocations are counted on the thread that makes them, without an atomic: that costs every
//! variant two or three nanoseconds an allocation, and makes no thread wait for another.

use std::hint::black_box;
use std::sync::{Barrier, LazyLock};
use std::time::{Duration, Instant};

use monitoring_benches::{Kind, Row, Work};
use rustix::time::{ClockId, clock_gettime};

/// One way to do the work.
pub(crate) struct Variant<'a> {
    name: &'static str,
    kind: Kind,
    /// Does the work as often as it is told, in an order that the seed sets.
    work: Box<dyn Fn(u64, u32) + Sync + 'a>,
    maintain: Box<dyn Fn() + 'a>,
    clock: fn() -> Duration,
}

impl<'a> Variant<'a> {
    pub(crate) fn new(name: &'static str, kind: Kind, work: impl Fn(u64, u32) + Sync + 'a) -> Self {
        Self { name, kind, work: Box::new(work), maintain: Box::new(|| {}), clock: time_of_day }
    }

    /// By the processor's time of the thread that does the work: where most of the time is a wait for another thread, and
    /// that wait takes now longer and now less.
    pub(crate) fn by_processor_time(self) -> Self {
        Self { clock: processor_time, ..self }
    }

    /// With what a thread of its own does besides every few seconds: done after each turn, and not on its clock.
    pub(crate) fn maintained(self, maintain: impl Fn() + 'a) -> Self {
        Self { maintain: Box::new(maintain), ..self }
    }

    /// How long each of that many threads takes to do the work that often, all at the same time.
    fn time(&self, threads: u32, iterations: u32) -> Duration {
        let (work, clock) = (&self.work, self.clock);
        let timed = |seed| {
            let start = clock();
            work(black_box(seed), black_box(iterations));
            clock().saturating_sub(start)
        };
        if threads == 1 {
            return timed(SEED);
        }
        let barrier = Barrier::new(threads as usize);
        let started = |thread| {
            barrier.wait();
            timed(SEED + u64::from(thread))
        };
        let times = std::thread::scope(|scope| {
            let started = &started;
            let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || started(thread))).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
        });
        times.iter().sum::<Duration>() / threads
    }
}

fn time_of_day() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

const SEED: u64 = 0x2545_F491_4F6C_DD1D;

/// What a variant costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cost {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Nanoseconds for doing the work once: the median of the rounds.
    pub(crate) nanoseconds: f64,
    /// Heap allocations for doing the work once, on one thread.
    pub(crate) allocations: f64,
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Rounds in which each variant has a turn.
    pub(crate) rounds: usize,
    /// How often a turn does the work.
    pub(crate) iterations: u32,
}

/// Measures the variants in turns, on that many threads at a time.
pub(crate) fn measure(variants: &[Variant<'_>], threads: u32, effort: Effort) -> Vec<Cost> {
    let Effort { rounds, iterations } = effort;
    // The first turn of each makes its series; the second counts.
    let allocations: Vec<u64> = variants
        .iter()
        .map(|variant| {
            (variant.work)(SEED, iterations);
            allocation_counter::measure(|| (variant.work)(SEED, iterations)).count_total
        })
        .collect();
    let mut times: Vec<Vec<Duration>> = variants.iter().map(|_| Vec::with_capacity(rounds)).collect();
    for _ in 0..rounds {
        for (variant, times) in variants.iter().zip(&mut times) {
            // What others have driven out of the caches comes back first: in service a store is not cold.
            variant.time(threads, iterations);
            times.push(variant.time(threads, iterations));
            (variant.maintain)();
        }
    }
    let once = f64::from(iterations);
    variants
        .iter()
        .zip(times.iter_mut().zip(allocations))
        .map(|(variant, (times, allocations))| Cost {
            name: variant.name,
            kind: variant.kind,
            nanoseconds: median(times).as_nanos() as f64 / once,
            allocations: (allocations as f64 / once).round(),
        })
        .collect()
}

/// A row of what the variants cost: `ours` is the name of the one that is ours.
pub(crate) fn row(work: &Work, ours: &str, costs: &[Cost], value: impl Fn(&Cost) -> f64) -> Row {
    let mut row = Row::new(work, costs.iter().find(|cost| cost.name == ours).map_or(f64::NAN, &value));
    for cost in costs {
        row.push(cost.name, cost.kind, value(cost));
    }
    row
}

/// What each costs over the one of that name, which is left out, as is what costs less than it.
pub(crate) fn over(costs: &[Cost], name: &str, value: impl Fn(&Cost) -> f64 + Copy) -> Vec<Cost> {
    let base = base(costs, name, value);
    costs
        .iter()
        .skip_while(|cost| cost.name != name)
        .skip(1)
        .map(|cost| Cost { nanoseconds: value(cost) - base, allocations: value(cost) - base, ..*cost })
        .collect()
}

pub(crate) fn base(costs: &[Cost], name: &str, value: impl Fn(&Cost) -> f64) -> f64 {
    costs.iter().find(|cost| cost.name == name).map_or(f64::NAN, value)
}

/// The one in the middle.
pub(crate) fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Numbers in an order that no prefetcher guesses, at about two nanoseconds each.
pub(crate) struct Shuffle(u64);

impl Shuffle {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`, which fits 32 bits.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (((self.0 >> 32) * limit as u64) >> 32) as usize
    }
}
