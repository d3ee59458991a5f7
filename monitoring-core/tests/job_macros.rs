//! `job!` and `#[job]`: what they record, and what does not compile, with the message that its author reads.
//!
//! After a change of the compiler or of a message, `TRYBUILD=overwrite cargo test -p monitoring-core --features job --test
//! job_macros` writes the messages anew; read them before they are committed.

use std::borrow::Cow;
use std::num::ParseIntError;

use monitoring_core::job::Attempt;
use monitoring_core::{Monitoring, Tenant, TenantFutureExt, Tier, job};

const NAME: &str = "invoice-export";

#[job::job]
async fn send_reminders() -> Result<usize, ParseIntError> {
    if Tenant::current() == Tenant::NONE {
        return Ok(0);
    }
    let count: usize = "3".parse()?;
    Ok(count)
}

#[job::job(name = NAME, tenant = tenant, attempt = Attempt::number(number).of(2))]
async fn export<T>(tenant: Tenant, number: u32, result: T) -> Result<T, Cow<'static, str>>
where
    T: PartialEq + Default,
{
    assert_eq!(Tenant::current(), tenant);
    if result == T::default() { Err("nothing".into()) } else { Ok(result) }
}

struct Worker {
    runs: u32,
}

impl Worker {
    #[job::job(name = "compact")]
    async fn compact(&mut self) {
        self.runs += 1;
    }
}

#[tokio::test]
async fn macros_record_by_name_tenant_and_attempt_and_give_back_what_the_code_returns() {
    let monitoring = Monitoring::builder("test").install().unwrap();
    let acme = monitoring.tenants().register("acme".parse().unwrap(), Tier::Standard).unwrap();

    assert_eq!(job!("sum", acme, async { Ok::<_, ()>(1 + 1) }).await, Ok(2));
    assert_eq!(job!(NAME, async { Err::<(), _>("no") },).await, Err("no"));
    assert_eq!(send_reminders().await, Ok(0));
    assert_eq!(send_reminders().in_tenant(acme).await, Ok(3));
    assert_eq!(export(acme, 1, 7).await, Ok(7));
    assert_eq!(export(acme, 2, 0).await, Err("nothing".into()));
    let mut worker = Worker { runs: 0 };
    worker.compact().await;
    assert_eq!(worker.runs, 1);

    let text = monitoring.render();
    for (tenant, job, outcome) in [
        ("acme", "sum", "ok"),
        ("__none__", "invoice-export", "failed"),
        ("__none__", "send-reminders", "ok"),
        ("acme", "send-reminders", "ok"),
        ("acme", "invoice-export", "ok"),
        ("acme", "invoice-export", "dead"),
        ("__none__", "compact", "ok"),
    ] {
        let series = format!(r#"saas_job_runs_total{{tenant="{tenant}",job_name="{job}",outcome="{outcome}"}} 1"#);
        assert!(text.contains(&series), "{series} is missing in\n{text}");
    }
}

#[test]
fn mistakes_with_jobs_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/job_compile_fail/*.rs");
}
