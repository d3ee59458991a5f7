//! What a call carries is told nowhere.

use std::io;
use std::sync::{Arc, Mutex};

use monitoring_core::propagation::TraceContext;
use tower::{Layer, Service};
use tracing_subscriber::fmt::MakeWriter;

use crate::measured;
use crate::peer::{Peer, nobody};

/// All that is logged, whatever its level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn neither_url_nor_headers_nor_errors_are_told() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_env_filter("monitoring_core=trace,monitoring=trace")
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    tracing::warn!(target: "monitoring", "the log works");

    let (monitoring, layer) = measured();
    let peer = Peer::start().await;
    let defaults = [("x-api-key".parse().unwrap(), "canary".parse().unwrap())].into_iter().collect();
    let mut client = layer.layer(reqwest::Client::builder().default_headers(defaults).no_proxy().build().unwrap());
    let mut told = String::new();
    TraceContext::new_root()
        .scope(async {
            let (_port, nobody) = nobody();
            for address in [peer.address, nobody] {
                let url = format!("http://canary:canary@{address}/canary?token=canary#canary");
                let mut request = reqwest::Request::new(reqwest::Method::POST, url.parse().unwrap());
                request.headers_mut().insert("authorization", "Bearer canary".parse().unwrap());
                request.headers_mut().insert("baggage", "user=canary".parse().unwrap());
                *request.body_mut() = Some("canary".into());
                let call = client.call(request);
                told += &format!("{client:?} {call:?}");
                let _ = call.await;
            }
        })
        .await;
    told += &format!("{layer:?}");
    told += &monitoring.render();
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the log works"));
    assert!(!told.contains("canary"), "{told}");
    assert!(!log.contains("canary"), "{log}");
}
