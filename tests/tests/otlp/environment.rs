//! Set up by the variables of a real environment: the test runs itself once more, in a process that has them.

use std::process::Command;
use std::time::Duration;

use monitoring_core::Monitoring;

use super::collector::{Collector, Protocol};
use super::points::metrics;
use super::{block_on, service};

const INSIDE: &str = "OTLP_ENVIRONMENT_TEST_INSIDE";

#[test]
fn the_variables_of_opentelemetry_are_enough() {
    const TEST: &str = "environment::the_variables_of_opentelemetry_are_enough";

    if std::env::var_os(INSIDE).is_some() {
        let monitoring = Monitoring::from_env("fallback").unwrap().install().unwrap();
        assert_eq!(monitoring.service_name(), "billing, please");
        let service = service::Service::of(monitoring);
        service.work(1);
        return assert_eq!(block_on(service.monitoring.shutdown(Duration::from_secs(30))), Ok(()));
    }
    for (protocol, name) in [(Protocol::Http, "http/protobuf"), (Protocol::Grpc, "grpc")] {
        let is_http = matches!(protocol, Protocol::Http);
        let collector = Collector::start(protocol);
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", TEST, "--nocapture"])
            .env(INSIDE, "1")
            .env("OTEL_METRICS_EXPORTER", "prometheus, otlp")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("{}/", collector.url()))
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", name)
            .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20a%2Cb,x-key=1")
            .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
            .env("OTEL_RESOURCE_ATTRIBUTES", "service.name=billing%2C%20please,team=a%3Db")
            .env("MONITORING_OTLP_TENANT_HEADER", "X-Scope-OrgID")
            .output()
            .unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && text.contains("1 passed"), "{text}");

        let received = collector.received();
        assert!(received.iter().any(|one| metrics(&one.request).any(|metric| metric.name == "acme.calls")));
        for one in received.iter() {
            assert_eq!(one.path, if is_http { "/v1/metrics" } else { "" });
            assert_eq!(one.headers["authorization"], "Bearer a,b");
            assert_eq!(one.headers["x-key"], "1");
            assert_eq!(one.headers[if is_http { "content-encoding" } else { "grpc-encoding" }], "gzip");
            let resource = one.request.resource_metrics[0].resource.as_ref().unwrap();
            let text = format!("{:?}", resource.attributes);
            assert!(text.contains("billing, please") && text.contains("a=b"), "{text}");
        }
        assert!(received.iter().any(|one| one.headers.get("x-scope-orgid").is_some_and(|tenant| tenant == "alpha")));
    }
}
