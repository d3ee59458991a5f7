//! Runs variants of the same work side by side, and tells what each costs over the first.
//!
//! The variants take turns, round by round, so that whatever else the machine does hits all of them alike; a figure is
//! the median of the rounds. Differences below about 25 ns mean nothing on a shared machine: read the ratios.

use std::alloc::System;
use std::hint::black_box;
use std::time::{Duration, Instant};

use comfy_table::{CellAlignment, Table};
pub use stats_alloc::INSTRUMENTED_SYSTEM;
use stats_alloc::{Region, StatsAlloc};

/// The allocator that a benchmark must install as its global one, to count allocations.
pub type Allocator = StatsAlloc<System>;

/// One way to do the work.
pub struct Variant<'a> {
    name: &'static str,
    gives: &'static str,
    /// Does the work that many times.
    work: Box<dyn FnMut(u32) + 'a>,
}

impl<'a> Variant<'a> {
    /// A variant with its name, what its user gets, and the work, to be done as many times as it is told.
    pub fn new(name: &'static str, gives: &'static str, work: impl FnMut(u32) + 'a) -> Self {
        Self { name, gives, work: Box::new(work) }
    }
}

/// What a variant costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Nanoseconds for doing the work once: the median of the rounds.
    pub nanoseconds: f64,
    /// Heap allocations for doing the work once.
    pub allocations: f64,
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Rounds in which each variant has a turn.
    pub rounds: usize,
    /// How often a turn does the work.
    pub iterations: u32,
}

/// Measures the variants in turns.
pub fn measure(variants: &mut [Variant<'_>], effort: Effort) -> Vec<Cost> {
    for variant in variants.iter_mut() {
        (variant.work)(black_box(effort.iterations));
    }
    let mut rounds: Vec<Vec<Duration>> = variants.iter().map(|_| Vec::with_capacity(effort.rounds)).collect();
    let mut allocations = vec![0_usize; variants.len()];
    for _ in 0..effort.rounds {
        for ((variant, times), allocations) in variants.iter_mut().zip(&mut rounds).zip(&mut allocations) {
            let region = Region::new(&INSTRUMENTED_SYSTEM);
            let start = Instant::now();
            (variant.work)(black_box(effort.iterations));
            times.push(start.elapsed());
            *allocations += region.change().allocations;
        }
    }
    let iterations = f64::from(effort.iterations);
    rounds
        .iter_mut()
        .zip(allocations)
        .map(|(times, allocations)| Cost {
            nanoseconds: median(times).as_nanos() as f64 / iterations,
            allocations: (allocations as f64 / (iterations * effort.rounds as f64)).round(),
        })
        .collect()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// A table of what each variant costs over the first one, and how many times what `ours` costs that is.
pub fn table(variants: &[Variant<'_>], costs: &[Cost], ours: &str) -> Table {
    let over = |cost: &Cost| cost.nanoseconds - costs.first().map_or(0.0, |first| first.nanoseconds);
    let reference = variants.iter().position(|variant| variant.name == ours).and_then(|place| costs.get(place));
    let mut table = Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(["variant", "ns", "ns over the first", "x ours", "allocations over the first", "gives"]);
    for (place, (variant, cost)) in variants.iter().zip(costs).enumerate() {
        let ratio = reference.map_or(f64::NAN, |ours| over(cost) / over(ours));
        let base = costs.first().map_or(0.0, |first| first.allocations);
        table.add_row([
            variant.name.to_owned(),
            format!("{:.0}", cost.nanoseconds),
            if place == 0 { String::from("-") } else { format!("+{:.0}", over(cost)) },
            if place == 0 { String::from("-") } else { format!("{ratio:.2}") },
            if place == 0 { format!("({base:.0})") } else { format!("+{:.0}", cost.allocations - base) },
            variant.gives.to_owned(),
        ]);
    }
    for column in 1..5 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
