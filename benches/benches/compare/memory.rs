//! What a million counters weigh, what a hundred thousand histograms do, and what it takes to write the former out.
//!
//! Weight is what the allocator has handed out and not got back, between before the store is made and after its last
//! series: everything that the store keeps, its copies of the labels included; what the allocator itself adds to each
//! allocation is left out. The texts that the application holds anyway are made before.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use monitoring_benches::{Row, Work, works};

use crate::measure::{Shuffle, median};
use crate::stores::{PRODUCTS, Product, Series, Store, Texts};

/// The combinations of labels besides the tenant.
const FULL: usize = 100;
/// Of these a tenant has one in ten.
const SPARSE: usize = 1_000;

const DURATION: Duration = Duration::from_millis(30);
const MEBIBYTE: f64 = 1_048_576.0;

pub(crate) fn run(quick: bool) -> Result<Vec<Row>, Box<dyn Error>> {
    let scrapes = if quick { 1 } else { 3 };
    let counters = Texts::new(10_000);
    let histograms = Texts::new(1_000);
    let mut values: Vec<Vec<(Work, f64)>> = Vec::new();
    for product in &PRODUCTS {
        let full = Grid { texts: &counters, combinations: FULL, share: 1 };
        let sparse = Grid { texts: &counters, combinations: SPARSE, share: 10 };
        let (store, counter_full) = full.fill(product, count)?;
        let mut of_product = vec![(works::COUNTER_FULL, counter_full)];
        let scrape = scrape(product, store.as_ref(), scrapes, &full)?;
        drop(store);
        of_product.push((works::COUNTER_SPARSE, sparse.fill(product, count)?.1));

        let full = Grid { texts: &histograms, ..full };
        let sparse = Grid { texts: &histograms, ..sparse };
        of_product.push((works::HISTOGRAM_FULL, full.fill(product, observe)?.1));
        let (store, histogram_sparse) = sparse.fill(product, observe)?;
        of_product.push((works::HISTOGRAM_SPARSE, histogram_sparse));
        of_product.push((works::SAMPLES, samples(store.as_ref())));
        of_product.extend(scrape);
        values.push(of_product);
    }
    Ok(rows(&values))
}

/// A row for each work, of what it costs each product.
fn rows(values: &[Vec<(Work, f64)>]) -> Vec<Row> {
    let Some(ours) = values.first() else { return Vec::new() };
    let row = |(place, (work, value)): (usize, &(Work, f64))| {
        let mut row = Row::new(work, *value);
        for (product, values) in PRODUCTS.iter().zip(values).skip(1) {
            if let Some((_, value)) = values.get(place) {
                row.push(product.name, product.kind, *value);
            }
        }
        row
    };
    ours.iter().enumerate().map(row).collect()
}

fn count(store: &dyn Store, series: Series) {
    store.count(series);
}

fn observe(store: &dyn Store, series: Series) {
    store.observe(series, DURATION);
}

/// The series there can be, of which there is one in `share`, chosen at random.
#[derive(Clone, Copy)]
struct Grid<'a> {
    texts: &'a Texts,
    combinations: usize,
    share: usize,
}

impl<'a> Grid<'a> {
    /// Makes a store with these series, and says how many bytes it keeps for each.
    fn fill(
        &self,
        product: &Product,
        record: fn(&dyn Store, Series),
    ) -> Result<(Box<dyn Store + 'a>, f64), Box<dyn Error>> {
        let tenants = self.texts.tenants.len();
        // A dense table has a cell for every series there can be; the others have room for some more than there are.
        let room = match product.name {
            crate::stores::floors::IN_HAND => tenants * self.combinations,
            _ => tenants * self.combinations / self.share * 11 / 10,
        };
        let mut made = None;
        let mut series = 0_u32;
        let counted = allocation_counter::measure(|| {
            let store = (product.make)(self.texts, room);
            if let Ok(store) = &store {
                let mut shuffle = Shuffle::new(1);
                for tenant in 0..tenants {
                    for combination in 0..self.combinations {
                        if shuffle.below(self.share) == 0 {
                            record(store.as_ref(), Series::of(tenant, combination));
                            series += 1;
                        }
                    }
                }
                store.maintain();
            }
            made = Some(store);
        });
        let store = made.ok_or("the store was not made")??;
        Ok((store, counted.bytes_current as f64 / f64::from(series)))
    }
}

/// What a million samples leave behind in series that exist.
fn samples(store: &dyn Store) -> f64 {
    let series = Series::of(0, 0);
    store.observe(series, DURATION);
    let counted = allocation_counter::measure(|| {
        for _ in 0..1_000_000 {
            store.observe(series, DURATION);
        }
    });
    counted.bytes_current as f64 / MEBIBYTE
}

/// Writes all out that often, while a request makes a series that is new every millisecond.
fn scrape(
    product: &Product,
    store: &dyn Store,
    times: usize,
    grid: &Grid<'_>,
) -> Result<Vec<(Work, f64)>, Box<dyn Error>> {
    let capacity = expected_size(product, grid)?;
    let mut peak = 0;
    let mut size = 0;
    let mut longest_wait = Duration::ZERO;
    let mut durations = Vec::with_capacity(times);
    for round in 0..times {
        let scrape = scrape_once(store, capacity, grid, round);
        size = scrape.size.ok_or("the store could not be written out")?;
        peak = peak.max(scrape.peak);
        longest_wait = longest_wait.max(scrape.longest_wait);
        durations.push(scrape.duration);
    }
    let duration = median(&mut durations).as_secs_f64();
    Ok(vec![
        (works::SCRAPE_THROUGHPUT, size as f64 / duration / 1e6),
        (works::SCRAPE_TIME, duration * 1e3),
        (works::SCRAPE_PEAK, peak as f64 / MEBIBYTE),
        (works::SCRAPE_WAIT, longest_wait.as_secs_f64() * 1e6),
    ])
}

/// How long the text will be, from that of a store of the same kind with a hundredth of the tenants.
fn expected_size(product: &Product, grid: &Grid<'_>) -> Result<usize, Box<dyn Error>> {
    let texts = Texts::new(grid.texts.tenants.len() / 100);
    let (store, _) = Grid { texts: &texts, ..*grid }.fill(product, count)?;
    Ok(store.scrape(0)? * 101)
}

struct Scrape {
    size: Option<usize>,
    duration: Duration,
    peak: u64,
    longest_wait: Duration,
}

fn scrape_once(store: &dyn Store, capacity: usize, grid: &Grid<'_>, round: usize) -> Scrape {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            // Combinations that no tenant has yet.
            for tenant in 0..grid.texts.tenants.len() {
                if done.load(Ordering::Acquire) {
                    break;
                }
                let start = Instant::now();
                store.count(Series::of(tenant, grid.combinations + round));
                longest = longest.max(start.elapsed());
                std::thread::sleep(Duration::from_millis(1));
            }
            longest
        });
        let mut size = None;
        let mut duration = Duration::ZERO;
        let counted = allocation_counter::measure(|| {
            let start = Instant::now();
            size = store.scrape(capacity).ok();
            duration = start.elapsed();
        });
        done.store(true, Ordering::Release);
        Scrape { size, duration, peak: counted.bytes_max, longest_wait: waits.join().unwrap_or_default() }
    })
}
