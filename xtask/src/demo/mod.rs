//! `cargo xtask demo`: a multi-tenant service under load, watched by a real Prometheus.
//!
//! In the order of what happens:
//!
//! - `folder`: `target/demo`, which holds all that is written.
//! - `services`: PostgreSQL, Redis, the sample service `saas`, and a Prometheus that scrapes it.
//! - `load`: the load generator plays a round and keeps its own count of every request.
//! - `promql`: what Prometheus has counted meanwhile, read back from it.
//! - `counts`: the two counts are compared, per tenant and outcome. They must be equal; only requests that the
//!   user adds while rounds are played may come on top.
//! - `scrape`: the last scrape becomes `metrics.txt`, and is checked by `promtool`; each format is asked for.
//! - `tenant_view`: the busiest tenant asks for its own metrics, and must see nobody else's.
//! - `report`: the table, and `summary.json`.
//! - `error`: why a demo ended without success.

mod counts;
mod error;
mod folder;
mod load;
mod promql;
mod report;
mod scrape;
mod services;
mod tenant_view;

use std::{
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use clap::Args;
use tokio::{
    signal::unix::{SignalKind, signal},
    task,
};

use self::{
    counts::{Comparison, CountsByTenant},
    folder::Folder,
    load::Round,
    promql::Reader,
    report::{Durations, Summary},
    services::{Services, versions},
};
use crate::{
    packages::{self, Need},
    workspace::{self, Programs},
};
pub(crate) use error::DemoError;

/// A scrape a second, so two take two; the rest is for a machine that is busy.
const SCRAPED_WITHIN: Duration = Duration::from_secs(30);

/// How the demo is to run.
#[derive(Args, Clone, Debug)]
pub(crate) struct DemoArguments {
    /// Play one round of load, compare, report and end; without it, rounds are played until Ctrl-C.
    #[arg(long)]
    headless: bool,

    /// How many seconds a round of load takes.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,

    /// The same seed plays the same traffic.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// How many tenants the table shows, the busiest first.
    #[arg(long, default_value_t = 15)]
    rows: usize,
}

/// Runs the demo to its end.
pub(crate) fn run(arguments: &DemoArguments) -> Result<(), DemoError> {
    packages::install_missing(&Need::of_demo())?;
    println!("Building the sample service and the load generator; the first time takes some minutes.");
    let programs = Programs::build(&["saas", "load"])?;
    let folder = Folder::take(workspace::target().join("demo"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let result = runtime.map_err(DemoError::Runtime)?.block_on(async {
        tokio::select! {
            result = play(arguments, &programs, &folder) => result,
            interrupted = interruption() => Err(interrupted),
        }
    });
    match result {
        // Ctrl-C is how an interactive demo is meant to end.
        Err(DemoError::Interrupted) if !arguments.headless => Ok(()),
        Err(DemoError::Interrupted) | Ok(()) => result,
        Err(error) => {
            eprintln!("The logs are in {}.", folder.path().display());
            Err(error)
        }
    }
}

/// Returns when the user wants an end.
async fn interruption() -> DemoError {
    let signals = || -> std::io::Result<_> {
        Ok((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?))
    };
    match signals() {
        Err(source) => DemoError::Signals(source),
        Ok((mut interrupt, mut terminate, mut hangup)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            println!("\nEnding all processes.");
            DemoError::Interrupted
        }
    }
}

async fn play(arguments: &DemoArguments, programs: &Programs, folder: &Folder) -> Result<(), DemoError> {
    let (saas, load) = (programs.get("saas")?.to_owned(), programs.get("load")?);
    let started = Instant::now();
    let files = folder.path().to_owned();
    // In a thread of its own, so that Ctrl-C is heeded meanwhile.
    let mut services = task::spawn_blocking(move || Services::start(&files, &saas)).await??;
    let mut demo = Demo {
        arguments,
        folder: folder.path(),
        reader: Reader::new(&services.prometheus.url())?,
        expected: CountsByTenant::new(),
        rounds: 0,
        durations: Durations { start: started.elapsed().as_secs_f64(), ..Durations::default() },
    };
    if !arguments.headless {
        println!(
            "Rounds of {} s of load are played until you press Ctrl-C. Ask Prometheus meanwhile:",
            arguments.seconds
        );
        for query in [promql::REQUESTS, promql::DATABASE_TIME, &promql::latency(0.95, "tenant, le")] {
            println!("    {query}");
        }
        println!("Requests of your own to {} are counted too, and then listed as differences.", services.saas.url);
    }
    loop {
        let summary = demo.round(&mut services, load).await?;
        demo.show(&summary)?;
        if arguments.headless {
            break;
        }
    }
    task::spawn_blocking(|| services.end()).await?
}

/// A demo whose services are running.
struct Demo<'a> {
    arguments: &'a DemoArguments,
    folder: &'a Path,
    reader: Reader,
    /// What the load generator has counted in all rounds.
    expected: CountsByTenant,
    rounds: u64,
    durations: Durations,
}

impl Demo<'_> {
    /// Plays a round, and reads back what has been measured since the service was started.
    async fn round(&mut self, services: &mut Services, load: &Path) -> Result<Summary, DemoError> {
        let round = Round {
            target: services.saas.url.clone(),
            seconds: self.arguments.seconds,
            seed: self.arguments.seed.wrapping_add(self.rounds),
        };
        println!("Playing {} s of load with seed {}.", round.seconds, round.seed);
        let begun = Instant::now();
        let played = round.play(load, &self.folder.join("load")).await;
        // If the service has died, that is the news, and not what it did to the load generator.
        services.check()?;
        for (tenant, counts) in played? {
            *self.expected.entry(tenant).or_default() += counts;
        }
        self.rounds += 1;
        self.durations.load += begun.elapsed().as_secs_f64();

        let ended = Instant::now();
        self.reader.wait_for_two_scrapes_after(SystemTime::now(), SCRAPED_WITHIN).await?;
        self.durations.settle = ended.elapsed().as_secs_f64();

        let counts = self.reader.counts().await?;
        let comparison = Comparison::of(&self.expected, &counts);
        let busiest = counts.iter().filter(|(tenant, _)| !tenant.starts_with("__")).max_by_key(|(_, row)| row.total());
        let busiest = busiest.map_or("", |(tenant, _)| tenant);
        Ok(Summary {
            seed: self.arguments.seed,
            seconds: self.arguments.seconds,
            rounds: self.rounds,
            versions: versions(),
            durations: self.durations,
            comparison,
            scrapes: self.reader.scrapes().await?,
            store: self.reader.store().await?,
            formats: scrape::lengths(&services.saas.metrics_url()).await?,
            // Its requests are there at the end of the next round.
            tenant_view: tenant_view::look(&services.saas.url, busiest, &mut self.expected).await?,
            promtool: scrape::keep(&services.saas.metrics_url(), &self.folder.join("metrics.txt")).await?,
            pools: self.reader.pools().await?,
            total: self.reader.total(&counts).await?,
            tenants: self.reader.tenants(&counts).await?,
        })
    }

    /// Shows and writes the result; fails if the counts are not what they must be.
    fn show(&self, summary: &Summary) -> Result<(), DemoError> {
        println!("{}", summary.table(self.arguments.rows));
        println!("p50, p95 and p99 are interpolated by Prometheus within the buckets of the tenants' histogram.");
        println!(
            "Free tenants have no databases, calls and jobs by name: theirs are those of __other__, and in the last line."
        );
        println!("{}", summary.pools());
        println!("{}", summary.store_and_readers());
        let file = self.folder.join("summary.json");
        summary.write(&file).map_err(|source| DemoError::Write { path: file.clone(), source })?;
        println!(
            "All tenants are in {}, the last scrape in {}.",
            file.display(),
            self.folder.join("metrics.txt").display()
        );
        // Equal counts prove nothing about databases, so that part is looked at by itself.
        for system in ["postgresql", "redis"] {
            if summary.total.database_seconds.get(system).is_none_or(|seconds| *seconds <= 0.0) {
                return Err(DemoError::NotMeasured { system });
            }
        }
        for (what, is_measured) in [
            ("background job", summary.total.jobs.is_some_and(|jobs| jobs > 0)),
            ("call to another service", summary.total.external_seconds.is_some_and(|seconds| seconds > 0.0)),
            ("hit of the cache", summary.total.cache_hit_ratio.is_some_and(|ratio| ratio > 0.0)),
        ] {
            if !is_measured {
                return Err(DemoError::NothingMeasured { what });
            }
        }
        let comparison = &summary.comparison;
        if !comparison.equal {
            println!("{}", summary.differences());
            if !self.arguments.headless && comparison.only_further_requests() {
                println!("These are requests that the load generator has not sent: your own, while the demo runs.");
                return Ok(());
            }
            return Err(DemoError::Different { differences: comparison.differences.len() });
        }
        println!(
            "Prometheus' counts equal the load generator's own: {} requests, in {} pairs of tenant and outcome.",
            summary.total.outcomes.total(),
            comparison.compared,
        );
        Ok(())
    }
}
