//! What a tenant is shown of itself: a user of it signs in, and asks for its metrics.

use std::time::Duration;

use monitoring_tests::exposition::Samples;
use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    DemoError,
    counts::{Counts, CountsByTenant},
};

/// How often signing in is tried: the identity provider of the sample service fails now and then.
const ATTEMPTS: usize = 5;

/// Who has not signed in belongs to no tenant.
const NO_TENANT: &str = "__none__";

/// What a tenant was shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct TenantView {
    pub(crate) tenant: String,
    /// Series in the text format, all of them the tenant's.
    pub(crate) series: usize,
}

/// Signs in as a user of that tenant at the service, and looks at its metrics. What that adds to the counts of the service
/// is added to `counts`.
///
/// # Errors
/// [`DemoError::Strangers`] if there are series that are not the tenant's, or none at all.
pub(crate) async fn look(service: &str, tenant: &str, counts: &mut CountsByTenant) -> Result<TenantView, DemoError> {
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().map_err(DemoError::View)?;
    let token = sign_in(&client, service, tenant, counts).await?;
    let request = client.get(format!("{service}/api/v1/metrics")).bearer_auth(token);
    let text = async { request.send().await?.error_for_status()?.text().await };
    let text = text.await.map_err(DemoError::View)?;
    counts.entry(tenant.to_owned()).or_default().ok += 1;
    own_series(tenant, &text.parse()?)
}

async fn sign_in(
    client: &Client,
    service: &str,
    tenant: &str,
    counts: &mut CountsByTenant,
) -> Result<String, DemoError> {
    #[derive(Deserialize)]
    struct Answer {
        token: String,
    }

    let credentials = json!({"tenant": tenant, "user": "ada", "password": format!("{tenant}-password")});
    for _ in 0..ATTEMPTS {
        let answer =
            client.post(format!("{service}/login")).json(&credentials).send().await.map_err(DemoError::View)?;
        if answer.status() == StatusCode::BAD_GATEWAY {
            counts.entry(NO_TENANT.to_owned()).or_default().server_error += 1;
            continue;
        }
        let answer: Answer =
            answer.error_for_status().map_err(DemoError::View)?.json().await.map_err(DemoError::View)?;
        *counts.entry(tenant.to_owned()).or_default() += Counts { ok: 1, ..Counts::default() };
        return Ok(answer.token);
    }
    Err(DemoError::SignIn { attempts: ATTEMPTS })
}

fn own_series(tenant: &str, samples: &Samples) -> Result<TenantView, DemoError> {
    let is_own = |value: Option<&String>| value.is_some_and(|value| value == tenant);
    let strangers = samples.iter().filter(|(series, _)| !is_own(series.labels.get("tenant"))).count();
    if strangers > 0 || samples.is_empty() {
        return Err(DemoError::Strangers { tenant: tenant.to_owned(), series: samples.len(), strangers });
    }
    Ok(TenantView { tenant: tenant.to_owned(), series: samples.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Result<TenantView, DemoError> {
        own_series("acme", &text.parse().unwrap())
    }

    #[test]
    fn own_series_are_counted() {
        let view = seen("logins_total{tenant=\"acme\"} 3\nlogouts_total{tenant=\"acme\"} 1\n").unwrap();
        assert_eq!(view, TenantView { tenant: "acme".to_owned(), series: 2 });
    }

    #[test]
    fn a_series_of_another_tenant_or_of_the_platform_or_none_at_all_is_an_error() {
        for stranger in ["logins_total{tenant=\"zeta\"} 1\n", "logins_total 4\n"] {
            let error = seen(&format!("logins_total{{tenant=\"acme\"}} 3\n{stranger}")).unwrap_err();
            assert!(matches!(error, DemoError::Strangers { series: 2, strangers: 1, .. }), "{error}");
        }
        assert!(matches!(seen(""), Err(DemoError::Strangers { series: 0, .. })));
    }
}
