//! Set up by the variables of a real environment: each test runs itself once more, in a process that has them.

use std::env;
use std::io;
use std::process::{Command, Output};

use monitoring_core::catalogue::{Descriptor, Unit};
use monitoring_core::{Counter, InstrumentSet, Instruments, Monitoring, Registry, RegistryError};

const CALLS: Descriptor = Descriptor::counter("acme.calls", Unit::Count("{call}"), "Calls.");

struct Families(Counter<()>);

impl InstrumentSet for Families {
    fn register(registry: &Registry) -> Result<Self, RegistryError> {
        registry.counter(&CALLS).map(Self)
    }
}

const INSIDE: &str = "ENVIRONMENT_TEST_INSIDE";

/// Runs the named test with these variables, unless this is that run.
fn outside(test: &str, variables: &[(&str, &str)]) -> io::Result<Option<Output>> {
    if env::var_os(INSIDE).is_some() {
        return Ok(None);
    }
    let mut command = Command::new(env::current_exe()?);
    command.args(["--exact", test, "--nocapture"]).env(INSIDE, "1").envs(variables.iter().copied());
    command.output().map(Some)
}

fn assert_passed(output: &Output) {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn a_disabled_monitoring_is_installed_and_records_nothing() {
    let variables = [("OTEL_SDK_DISABLED", "true"), ("OTEL_SERVICE_NAME", "quiet")];
    if let Some(output) = outside("a_disabled_monitoring_is_installed_and_records_nothing", &variables).unwrap() {
        return assert_passed(&output);
    }
    let monitoring = Monitoring::from_env("fallback").unwrap().install().unwrap();
    assert!(!monitoring.is_enabled());
    assert_eq!(monitoring.service_name(), "quiet");
    for instruments in [Instruments::<Families>::global(), Instruments::of(&monitoring).unwrap()] {
        if let Some(families) = instruments.get() {
            families.0.add((), 1);
        }
    }
    metrics::counter!("facade_calls").increment(1);
    assert!(!monitoring.render().contains("calls"));
    // The facade is free for another recorder.
    assert!(metrics::set_global_recorder(metrics::NoopRecorder).is_ok());
}

#[test]
fn the_environment_is_read() {
    let variables = [
        ("OTEL_SERVICE_NAME", "billing"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "19464"),
        ("MONITORING_METRICS_TOKEN", "0123456789abcdef"),
        ("MONITORING_MAX_TENANTS", "1"),
    ];
    if let Some(output) = outside("the_environment_is_read", &variables).unwrap() {
        return assert_passed(&output);
    }
    let monitoring = Monitoring::from_env("fallback").unwrap().build().unwrap();
    assert_eq!(monitoring.service_name(), "billing");
    assert_eq!(monitoring.metrics_address().to_string(), "127.0.0.1:19464");
    assert!(monitoring.has_metrics_token());
    assert!(monitoring.is_metrics_token(b"0123456789abcdef"));
    assert!(!monitoring.is_metrics_token(b"0123456789abcdee"));
    assert!(monitoring.tenants().admit("first").is_known());
    assert!(!monitoring.tenants().admit("second").is_known());
}

#[test]
fn a_bad_variable_is_one_clear_error() {
    let variables = [("MONITORING_MAX_TENANTS", "plenty"), ("MONITORING_METRICS_TOKEN", "hush")];
    if let Some(output) = outside("a_bad_variable_is_one_clear_error", &variables).unwrap() {
        return assert_passed(&output);
    }
    let error = Monitoring::from_env("test").unwrap_err().to_string();
    assert_eq!(
        error,
        "MONITORING_MAX_TENANTS is \"plenty\": expected a whole number from 1 to 16000000; correct it or unset it"
    );
    assert!(Monitoring::global().is_none());
}
