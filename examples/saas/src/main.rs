//! Runs the sample service until it is told to stop.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use monitoring_core::health::Drain;
use saas::{App, Config, StartError, monitoring, serve, watch};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The allocator that the monitoring can look at.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long each of the last steps of stopping may take: the reports, the database's work and the monitoring. They come on
/// top of the drain's 25 seconds, so Kubernetes has to be told `terminationGracePeriodSeconds: 45`.
const DEADLINE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    match run(Config::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("saas: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> Result<(), StartError> {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env()?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();

    let mut monitoring = monitoring()?;
    if let Some(address) = config.metrics {
        monitoring = monitoring.metrics_address(address);
    }
    let monitoring = monitoring.install()?;

    let app = App::start(&config, monitoring.clone()).await?;
    watch(&app)?;
    let listen_error = |source| StartError::Listen { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    let metrics = monitoring_axum::listen(&monitoring).await?;
    println!("listening on http://{address}");
    println!("metrics on http://{}/metrics", metrics.address());

    let draining = Drain::from_env(&monitoring)?.on_signals()?;
    serve(&app, listener, &draining).await?;
    app.stop(DEADLINE).await;
    // Last, so that everything before is still measured and can be scraped.
    monitoring.shutdown(DEADLINE).await?;
    Ok(())
}
