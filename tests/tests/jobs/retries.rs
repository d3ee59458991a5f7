//! Attempts by backon, as the guide shows it.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use monitoring_core::Tenant;

use super::{runs, samples, set_up};

const ATTEMPTS: u32 = 4;

#[tokio::test]
async fn attempts_and_jobs_are_counted_apart_around_a_loop_of_backon() {
    let (monitoring, jobs, [acme, zeta]) = set_up();
    let import = |tenant: Tenant, failures: u32| {
        let (jobs, number) = (jobs.clone(), Cell::new(0));
        async move {
            let attempt = || {
                number.set(number.get() + 1);
                let job = jobs.job("import").tenant(tenant).attempt(number.get()).of(ATTEMPTS);
                let fails = number.get() <= failures;
                job.run(async move { if fails { Err(io::Error::other("not yet")) } else { Ok(()) } })
            };
            let backoff = ExponentialBuilder::new()
                .with_min_delay(Duration::from_millis(1))
                .with_max_times(ATTEMPTS as usize - 1);
            attempt.retry(backoff).sleep(tokio::time::sleep).await
        }
    };
    assert!(import(acme, 0).await.is_ok());
    assert!(import(acme, 2).await.is_ok());
    assert!(import(zeta, u32::MAX).await.is_err());

    let samples = samples(&monitoring);
    let of = |tenant| ["ok", "retried", "dead"].map(|outcome| runs(&samples, tenant, "import", outcome));
    assert_eq!((of("acme"), of("zeta")), ([2.0, 2.0, 0.0], [0.0, 3.0, 1.0]));
    // Three jobs, eight attempts.
    assert_eq!(samples.value("saas_job_starts_total", &[("job_name", "import")]), Some(8.0));
}
