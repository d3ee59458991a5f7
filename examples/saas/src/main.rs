//! Runs the sample service until it is told to stop.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use saas::{App, Config, StartError, monitoring, serve};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// How long each of the four steps of stopping may take: ending the requests, the reports, the database's work and the
/// monitoring. Together that is less than the 30 seconds after which Kubernetes would kill the process.
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
    let listen_error = |source| StartError::Listen { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    let metrics = monitoring_axum::listen(&monitoring).await?;
    println!("listening on http://{address}");
    println!("metrics on http://{}/metrics", metrics.address());

    serve(&app, listener, told_to_stop(), DEADLINE).await.map_err(StartError::Serve)?;
    app.stop(DEADLINE).await;
    // Last, so that everything before is still measured and can be scraped.
    monitoring.shutdown(DEADLINE).await?;
    Ok(())
}

async fn told_to_stop() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signals) => drop(signals.recv().await),
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be received: it will end the process at once");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
