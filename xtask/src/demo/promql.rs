//! Everything that is read back from Prometheus, and the PromQL that asks for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant, SystemTime},
};

use prometheus_http_query::{
    Client,
    response::{ActiveTarget, InstantVector},
};
use thiserror::Error;

use super::{
    counts::CountsByTenant,
    report::{Latency, Measured, Pool, Store},
};

/// The `job` label of the sample service.
pub(crate) const JOB: &str = "saas";

/// Raw counters, since `increase` extrapolates.
pub(crate) const REQUESTS: &str = r#"sum by (tenant, outcome) (saas_tenant_requests_total{job="saas"})"#;

const ERROR_RATIO: &str = r#"(sum by (tenant) (saas_tenant_requests_total{job="saas", outcome="server_error"})
    or 0 * sum by (tenant) (saas_tenant_requests_total{job="saas"}))
    / sum by (tenant) (saas_tenant_requests_total{job="saas"})"#;
const TOTAL_ERROR_RATIO: &str = r#"(sum (saas_tenant_requests_total{job="saas", outcome="server_error"}) or vector(0))
    / sum (saas_tenant_requests_total{job="saas"})"#;

pub(crate) const DATABASE_TIME: &str =
    r#"sum by (tenant, db_system_name) (saas_tenant_db_time_seconds_total{job="saas"})"#;
const TOTAL_DATABASE_TIME: &str = r#"sum by (db_system_name) (saas_tenant_db_time_seconds_total{job="saas"})"#;

const JOBS: &str = r#"sum by (tenant) (saas_job_runs_total{job="saas"})"#;
const TOTAL_JOBS: &str = r#"sum (saas_job_runs_total{job="saas"})"#;
/// Of what a cache was asked for; a failure of the cache is no hit.
const CACHE_HITS: &str = r#"(sum by (tenant) (saas_cache_requests_total{job="saas", result="hit"})
    or 0 * sum by (tenant) (saas_cache_requests_total{job="saas"}))
    / sum by (tenant) (saas_cache_requests_total{job="saas"})"#;
const TOTAL_CACHE_HITS: &str = r#"(sum (saas_cache_requests_total{job="saas", result="hit"}) or vector(0))
    / sum (saas_cache_requests_total{job="saas"})"#;
const EXTERNAL_TIME: &str = r#"sum by (tenant) (saas_tenant_dependency_time_seconds_total{job="saas"})"#;
const TOTAL_EXTERNAL_TIME: &str = r#"sum (saas_tenant_dependency_time_seconds_total{job="saas"})"#;

const POOL_MAX: &str = r#"sum by (db_client_connection_pool_name) (db_client_connection_max{job="saas"})"#;
const POOL_USE: &str =
    r#"sum by (db_client_connection_pool_name) (db_client_connection_use_time_seconds_sum{job="saas"})"#;
const POOL_TAKEN: &str =
    r#"sum by (db_client_connection_pool_name) (db_client_connection_use_time_seconds_count{job="saas"})"#;
const POOL_WAIT: &str = r#"histogram_quantile(0.95,
    sum by (db_client_connection_pool_name, le) (db_client_connection_wait_time_seconds_bucket{job="saas"}))"#;

/// The lowest value of `up` since the demo began: 1 if no scrape has failed.
const EVERY_SCRAPE: &str = r#"min_over_time(up{job="saas"}[1d])"#;
const SCRAPES: &str = r#"count_over_time(up{job="saas"}[1d])"#;

const SERIES: &str = r#"sum (monitoring_series{job="saas"})"#;
const SERIES_BYTES: &str = r#"sum (monitoring_series_bytes{job="saas"})"#;

/// A quantile over all requests since the service began: the buckets are cumulative counters.
pub(crate) fn latency(quantile: f64, by: &str) -> String {
    format!(
        r#"histogram_quantile({quantile}, sum by ({by}) (saas_tenant_request_duration_seconds_bucket{{job="saas"}}))"#
    )
}

/// Reads from one Prometheus.
pub(crate) struct Reader {
    client: Client,
}

impl Reader {
    /// A reader of the Prometheus at `url`.
    ///
    /// # Errors
    /// [`ReadError::Client`] if there can be no HTTP client.
    pub(crate) fn new(url: &str) -> Result<Self, ReadError> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()
            .map_err(ReadError::Client)?;
        Ok(Self { client: Client::from(client, url)? })
    }

    /// The requests that Prometheus has counted.
    pub(crate) async fn counts(&self) -> Result<CountsByTenant, ReadError> {
        counts_of(self.vector(REQUESTS).await?)
    }

    /// All rows of the report, by the value of the `tenant` label.
    pub(crate) async fn tenants(&self, counts: &CountsByTenant) -> Result<BTreeMap<String, Measured>, ReadError> {
        let mut tenants: BTreeMap<String, Measured> = counts
            .iter()
            .map(|(tenant, outcomes)| (tenant.clone(), Measured { outcomes: *outcomes, ..Measured::default() }))
            .collect();
        for (labels, ratio) in self.vector(ERROR_RATIO).await? {
            tenants.entry(label(&labels, "tenant")?).or_default().error_ratio = finite(ratio);
        }
        for quantile in Latency::QUANTILES {
            for (labels, seconds) in self.vector(&latency(quantile, "tenant, le")).await? {
                let row = tenants.entry(label(&labels, "tenant")?).or_default();
                row.latency_seconds.set(quantile, finite(seconds));
            }
        }
        for (labels, seconds) in self.vector(DATABASE_TIME).await? {
            let row = tenants.entry(label(&labels, "tenant")?).or_default();
            row.database_seconds.insert(label(&labels, "db_system_name")?, seconds);
        }
        for (labels, runs) in self.vector(JOBS).await? {
            tenants.entry(label(&labels, "tenant")?).or_default().jobs = Some(whole(runs)?);
        }
        for (labels, ratio) in self.vector(CACHE_HITS).await? {
            tenants.entry(label(&labels, "tenant")?).or_default().cache_hit_ratio = finite(ratio);
        }
        for (labels, seconds) in self.vector(EXTERNAL_TIME).await? {
            tenants.entry(label(&labels, "tenant")?).or_default().external_seconds = Some(seconds);
        }
        Ok(tenants)
    }

    /// The row of all tenants together.
    pub(crate) async fn total(&self, counts: &CountsByTenant) -> Result<Measured, ReadError> {
        let mut total = Measured::default();
        for outcomes in counts.values() {
            total.outcomes += *outcomes;
        }
        total.error_ratio = self.scalar(TOTAL_ERROR_RATIO).await?.and_then(finite);
        for quantile in Latency::QUANTILES {
            let seconds = self.scalar(&latency(quantile, "le")).await?;
            total.latency_seconds.set(quantile, seconds.and_then(finite));
        }
        for (labels, seconds) in self.vector(TOTAL_DATABASE_TIME).await? {
            total.database_seconds.insert(label(&labels, "db_system_name")?, seconds);
        }
        total.jobs = self.scalar(TOTAL_JOBS).await?.map(whole).transpose()?;
        total.cache_hit_ratio = self.scalar(TOTAL_CACHE_HITS).await?.and_then(finite);
        total.external_seconds = self.scalar(TOTAL_EXTERNAL_TIME).await?;
        Ok(total)
    }

    /// The connection pools of the service, by name.
    pub(crate) async fn pools(&self) -> Result<BTreeMap<String, Pool>, ReadError> {
        const NAME: &str = "db_client_connection_pool_name";
        let mut pools = BTreeMap::<String, Pool>::new();
        for (labels, max) in self.vector(POOL_MAX).await? {
            pools.entry(label(&labels, NAME)?).or_default().max = whole(max)?;
        }
        for (labels, taken) in self.vector(POOL_TAKEN).await? {
            pools.entry(label(&labels, NAME)?).or_default().taken = whole(taken)?;
        }
        for (labels, seconds) in self.vector(POOL_USE).await? {
            pools.entry(label(&labels, NAME)?).or_default().use_seconds = seconds;
        }
        for (labels, seconds) in self.vector(POOL_WAIT).await? {
            pools.entry(label(&labels, NAME)?).or_default().wait_seconds_p95 = finite(seconds);
        }
        Ok(pools)
    }

    /// What the metric store of the service holds.
    pub(crate) async fn store(&self) -> Result<Store, ReadError> {
        Ok(Store {
            series: whole(self.scalar(SERIES).await?.unwrap_or_default())?,
            bytes: whole(self.scalar(SERIES_BYTES).await?.unwrap_or_default())?,
        })
    }

    /// Waits until two scrapes that began after `moment` have succeeded.
    ///
    /// # Errors
    /// [`ReadError::NoScrape`] if they have not within `patience`, with what the last one failed of.
    pub(crate) async fn wait_for_two_scrapes_after(
        &self,
        moment: SystemTime,
        patience: Duration,
    ) -> Result<(), ReadError> {
        let started = Instant::now();
        let mut seen = BTreeSet::new();
        loop {
            let target = self.target().await?;
            if let Some(target) = &target
                && target.health().is_up()
                && *target.last_scrape() > moment
            {
                seen.insert(*target.last_scrape());
            }
            if seen.len() >= 2 {
                return Ok(());
            }
            if started.elapsed() > patience {
                let reason = target.map_or_else(|| "it has no such target".to_owned(), |target| reason_of(&target));
                return Err(ReadError::NoScrape { waited: patience, reason });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How many scrapes there were, having made sure that none has failed.
    ///
    /// # Errors
    /// [`ReadError::FailedScrape`] if one has.
    pub(crate) async fn scrapes(&self) -> Result<u64, ReadError> {
        let target = self.target().await?;
        let reason = target.as_ref().map(reason_of).unwrap_or_default();
        if self.scalar(EVERY_SCRAPE).await? != Some(1.0) || target.is_none_or(|target| !target.last_error().is_empty())
        {
            return Err(ReadError::FailedScrape { reason });
        }
        whole(self.scalar(SCRAPES).await?.unwrap_or_default())
    }

    async fn target(&self) -> Result<Option<ActiveTarget>, ReadError> {
        let targets = self.client.targets(None).await?;
        Ok(targets.active().iter().find(|target| target.scrape_pool() == JOB).cloned())
    }

    async fn vector(&self, query: &str) -> Result<Vec<Row>, ReadError> {
        let result = self.client.query(query).get().await?;
        let (data, _) = result.into_inner();
        let rows = data.into_vector().map_err(|_| ReadError::NoVector { query: query.to_owned() })?;
        Ok(rows.into_iter().map(InstantVector::into_inner).map(|(labels, sample)| (labels, sample.value())).collect())
    }

    async fn scalar(&self, query: &str) -> Result<Option<f64>, ReadError> {
        Ok(self.vector(query).await?.first().map(|(_, value)| *value))
    }
}

type Labels = std::collections::HashMap<String, String>;
type Row = (Labels, f64);

fn counts_of(rows: Vec<Row>) -> Result<CountsByTenant, ReadError> {
    let mut counts = CountsByTenant::new();
    for (labels, value) in rows {
        let outcome = label(&labels, "outcome")?;
        let tenant = counts.entry(label(&labels, "tenant")?).or_default();
        let count = tenant.outcome_mut(&outcome).ok_or(ReadError::Outcome { outcome })?;
        *count = whole(value)?;
    }
    Ok(counts)
}

fn label(labels: &Labels, name: &'static str) -> Result<String, ReadError> {
    labels.get(name).cloned().ok_or(ReadError::Label { name })
}

fn whole(value: f64) -> Result<u64, ReadError> {
    // Beyond 2^53 not every whole number is a float.
    if value.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&value) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number in range")]
        Ok(value as u64)
    } else {
        Err(ReadError::Fraction { value })
    }
}

/// A quantile of no request is NaN.
fn finite(value: f64) -> Option<f64> {
    Some(value).filter(|value| value.is_finite())
}

fn reason_of(target: &ActiveTarget) -> String {
    match target.last_error() {
        "" => format!("the last scrape of {} began at {} and succeeded", target.scrape_url(), target.last_scrape()),
        error => format!("the last scrape of {} failed: {error}", target.scrape_url()),
    }
}

/// What Prometheus did not tell.
#[derive(Debug, Error)]
pub(crate) enum ReadError {
    #[error("Prometheus did not answer")]
    Api(#[from] prometheus_http_query::Error),
    #[error("there is no HTTP client to ask Prometheus with")]
    Client(#[source] reqwest::Error),
    #[error("Prometheus answered with something else than a vector to: {query}")]
    NoVector { query: String },
    #[error("Prometheus answered with a series that lacks the label `{name}`")]
    Label { name: &'static str },
    #[error("Prometheus has the unexpected outcome {outcome:?}")]
    Outcome { outcome: String },
    #[error("Prometheus has counted {value} requests, which is no count")]
    Fraction { value: f64 },
    #[error("Prometheus has not scraped the service twice within {} s after the load: {reason}", waited.as_secs())]
    NoScrape { waited: Duration, reason: String },
    #[error("a scrape of the service has failed; {reason}")]
    FailedScrape { reason: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(tenant: &str, outcome: &str, value: f64) -> Row {
        let labels = [("tenant", tenant), ("outcome", outcome)];
        (labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(), value)
    }

    #[test]
    fn rows_become_counts_per_tenant_and_outcome() {
        let rows = vec![row("acme", "ok", 3.0), row("acme", "cancelled", 1.0), row("__none__", "client_error", 2.0)];
        let counts = counts_of(rows).unwrap();
        assert_eq!(
            counts["acme"].by_outcome(),
            [("ok", 3), ("client_error", 0), ("server_error", 0), ("cancelled", 1)]
        );
        assert_eq!(counts["__none__"].total(), 2);
    }

    #[test]
    fn a_fraction_or_an_unknown_outcome_is_no_count() {
        assert!(matches!(counts_of(vec![row("acme", "ok", 2.5)]), Err(ReadError::Fraction { .. })));
        assert!(matches!(counts_of(vec![row("acme", "ok", f64::NAN)]), Err(ReadError::Fraction { .. })));
        assert!(matches!(counts_of(vec![row("acme", "fine", 2.0)]), Err(ReadError::Outcome { .. })));
    }
}
