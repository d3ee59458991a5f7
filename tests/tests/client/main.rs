//! Calls to other services, by the clients that people use, over real sockets.
//!
//! `peer.rs` is what they call: servers that answer, are silent, break off or talk nonsense. `outcomes.rs`: how each
//! failure is told; `clients.rs`: reqwest, reqwest-middleware and hyper side by side; `redirects.rs`: who gets the trace when
//! a peer points to another one; `secrets.rs`: what is told nowhere.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test calls may panic as the test may")]

mod clients;
mod outcomes;
mod peer;
mod redirects;
mod secrets;

use monitoring_core::Monitoring;
use monitoring_core::client::{self, ClientLayer, Dependency};
use monitoring_tests::exposition::Samples;

/// A monitoring, and the layer that records into it: everything on this machine is the trusted dependency `peer`.
fn measured() -> (Monitoring, ClientLayer) {
    let monitoring = Monitoring::builder("test").build().unwrap();
    let peer = Dependency::new("peer").host("127.0.0.1").host("localhost").host("*.invalid").trusted();
    let layer = client::layer().dependency(peer).monitoring(&monitoring).unwrap();
    (monitoring, layer)
}

/// reqwest's client, whatever proxy the environment names.
fn reqwest_client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// The `status error_type` of all calls, sorted.
fn ends(monitoring: &Monitoring) -> Vec<String> {
    let samples: Samples = monitoring.render().parse().unwrap();
    let counts = samples.iter().filter(|(series, _)| series.name == "http_client_request_duration_seconds_count");
    let mut ends: Vec<String> = counts
        .flat_map(|(series, count)| {
            let labels = ["http_response_status_code", "error_type"];
            let labels = labels.map(|name| series.labels.get(name).cloned().unwrap_or_else(|| "-".to_owned()));
            std::iter::repeat_n(labels.join(" "), count as usize)
        })
        .collect();
    ends.sort();
    ends
}
