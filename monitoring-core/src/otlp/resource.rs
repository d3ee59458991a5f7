//! Who sends the metrics: the resource and the scope of every request.

use std::sync::OnceLock;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use uuid::Uuid;

use super::config::OtlpConfig;

/// An attribute with a text.
pub(super) fn text(name: impl Into<String>, value: impl Into<String>) -> KeyValue {
    attribute(name, Value::StringValue(value.into()))
}

/// An attribute that is true.
pub(super) fn flag(name: impl Into<String>) -> KeyValue {
    attribute(name, Value::BoolValue(true))
}

fn attribute(name: impl Into<String>, value: Value) -> KeyValue {
    KeyValue { key: name.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// The service and this instance of it, with the attributes that the application gave.
pub(super) fn resource(service_name: &str, config: &OtlpConfig) -> Resource {
    // The instance is the process: two stores in one process have families of different names, or clash in any backend.
    static INSTANCE: OnceLock<String> = OnceLock::new();
    let instance = INSTANCE.get_or_init(|| Uuid::new_v4().to_string());

    let version = env!("CARGO_PKG_VERSION");
    let mut attributes = vec![text("service.name", service_name)];
    let given = config.attributes.iter().filter(|(name, _)| name != "service.name");
    attributes.extend(given.map(|(name, value)| text(name, value)));
    for (name, value) in [
        ("service.instance.id", instance.as_str()),
        ("telemetry.sdk.name", env!("CARGO_PKG_NAME")),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.version", version),
    ] {
        if attributes.iter().all(|attribute| attribute.key != name) {
            attributes.push(text(name, value));
        }
    }
    Resource { attributes, ..Resource::default() }
}

/// This crate, which made the points.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}
