//! A million tenants thrown at ours, which nobody else bounds: tenants that are not registered, and tenants that are
//! but for whom the budget of series has no room.

use std::error::Error;
use std::fs;
use std::time::Instant;

use monitoring_benches::{Row, works};
use monitoring_core::CardinalityBudget;

use crate::measure::Shuffle;
use crate::stores::ours::Ours;
use crate::stores::{ROUTES, Series, Store, Texts};

const MILLION: usize = 1_000_000;
/// What a store has that nobody has configured otherwise, in series of a family.
const BUDGET: usize = 100_000;
const MEBIBYTE: f64 = 1_048_576.0;

pub(crate) fn run() -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = unknown()?;
    rows.extend(registered()?);
    Ok(rows)
}

/// A service with 4 000 tenants of 20 series each, when a million ids come that are not registered.
fn unknown() -> Result<Vec<Row>, Box<dyn Error>> {
    let texts = Texts::new(4_000);
    let ours = Ours::within(&texts, CardinalityBudget::default().per_family(BUDGET))?;
    for tenant in 0..texts.tenants.len() {
        for route in 0..ROUTES {
            ours.count(Series::of(tenant, route));
        }
    }
    let mut shuffle = Shuffle::new(1);
    let ids: Vec<String> =
        (0..MILLION).map(|id| format!("{:08x}-{id:06x}", shuffle.below(u32::MAX as usize))).collect();
    let (nanoseconds, growth, resident) = grown(|| {
        for (place, id) in ids.iter().enumerate() {
            ours.count_by_text(id, Series::of(0, place % ROUTES));
        }
    })?;
    Ok(vec![
        Row::new(&works::UNKNOWN_SERIES, ours.series() as f64),
        Row::new(&works::UNKNOWN_GROWTH, growth),
        Row::new(&works::UNKNOWN_RESIDENT, resident),
        Row::new(&works::UNKNOWN_FOLD, nanoseconds),
    ])
}

/// A service that has registered a million tenants, each of which has the one series that it is sure of, when a million
/// more series are asked for.
fn registered() -> Result<Vec<Row>, Box<dyn Error>> {
    let texts = Texts::new(MILLION);
    let ours = Ours::within(&texts, CardinalityBudget::default().per_family(BUDGET))?;
    for tenant in 0..MILLION {
        ours.count(Series::of(tenant, 0));
    }
    let mut shuffle = Shuffle::new(1);
    let (nanoseconds, growth, _) = grown(|| {
        for _ in 0..MILLION {
            ours.count(Series::of(shuffle.below(MILLION), 1));
        }
    })?;
    Ok(vec![
        Row::new(&works::REGISTERED_SERIES, ours.series() as f64),
        Row::new(&works::REGISTERED_GROWTH, growth),
        Row::new(&works::REGISTERED_FOLD, nanoseconds),
    ])
}

/// Nanoseconds for each of a million, and the MiB that are held afterwards beyond those before: as the allocator counts
/// them, and as the operating system does.
fn grown(attack: impl FnOnce()) -> Result<(f64, f64, f64), Box<dyn Error>> {
    let before = resident()?;
    let mut nanoseconds = 0.0;
    let counted = allocation_counter::measure(|| {
        let start = Instant::now();
        attack();
        nanoseconds = start.elapsed().as_nanos() as f64 / MILLION as f64;
    });
    let grown = |bytes: f64| bytes.max(0.0) / MEBIBYTE;
    Ok((nanoseconds, grown(counted.bytes_current as f64), grown(resident()? - before)))
}

/// The bytes of this process that are in memory.
fn resident() -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("the kernel tells no VmRSS")?;
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kibibytes * 1_024.0)
}
