//! Plays a seeded day of multi-tenant traffic against the sample service `saas`, compressed into a few seconds, and keeps
//! its own count of what it saw on the wire. Nothing here knows the monitoring crates: the count exists to be compared
//! with theirs.
//!
//! The modules in the order of the data:
//!
//! * `config`: the command line;
//! * `directory`: what a client has to know of the service: tenant names, the user, the password rule;
//! * `plan`: who sends what and when, drawn from the seed;
//! * `player`: keeps the plan's clock and bounds the requests in flight;
//! * `visitor`: turns one planned action into HTTP requests of one tenant;
//! * `wire`: sends one request, reads its answer to the end (or leaves on purpose) and says how it ended;
//! * `tally`: counts the endings per tenant label and writes the summary.

mod config;
mod directory;
mod plan;
mod player;
mod tally;
mod visitor;
mod wire;

use std::process::ExitCode;

use clap::Parser;
use config::Config;
use plan::Plan;
use thiserror::Error;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Config::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> Result<(), LoadError> {
    let plan = Plan::new(&config.plan())?;
    println!(
        "playing a day in {} s against {}, {} actions per second on average",
        config.seconds, config.target, config.rate
    );
    let played = player::play(plan, &config).await?;
    if let Some(first) = played.faults.first {
        return Err(LoadError::Unaccounted { count: played.faults.count, first });
    }
    let summary = played.tally.summary(config.seed, config.seconds);
    if let Some(file) = &config.summary {
        summary.write(file).map_err(|source| LoadError::Summary { file: file.display().to_string(), source })?;
    }
    println!("{summary}");
    println!("latest start after its planned time: {} ms", played.latest.as_millis());
    Ok(())
}

/// Why a run ended without a count that can be trusted.
#[derive(Debug, Error)]
enum LoadError {
    #[error("the distribution of tenants cannot be built ({0}); give --tenants and --rate a positive number")]
    Distribution(String),
    #[error("the HTTP client cannot be set up: {0}")]
    Client(#[source] reqwest::Error),
    #[error("the token of the unlisted tenant cannot be signed with --jwt-secret: {0}")]
    Token(#[source] jsonwebtoken::errors::Error),
    #[error("the summary cannot be written to {file} (--summary): {source}; name a file in a folder that exists")]
    Summary { file: String, source: std::io::Error },
    #[error(
        "stopped without a summary, because {count} request(s) ended in a way that cannot be counted. The first: {first}. \
         Does the service run at --target, and did it run all the time?"
    )]
    Unaccounted { count: u64, first: String },
}
