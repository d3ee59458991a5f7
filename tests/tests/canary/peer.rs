//! The service that is called.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::StatusCode;

use crate::seen::canary;

/// Answers everything with the canary, and keeps what it was told.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<String>>,
}

impl Peer {
    pub(crate) async fn start() -> Self {
        let received: Arc<Mutex<String>> = Arc::default();
        let kept = Arc::clone(&received);
        let app = Router::new().fallback(async move |request: Request| {
            let (head, body) = request.into_parts();
            let body = to_bytes(body, 10_000).await.unwrap();
            *kept.lock().unwrap() += &format!("{head:?} {}\n", String::from_utf8_lossy(&body));
            let is_broken = head.uri.path().starts_with("/broken");
            let status = if is_broken { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
            (status, [("x-answer", canary("peers-header"))], canary("peers-body"))
        });
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, app).into_future());
        Self { address, received }
    }

    pub(crate) fn received(&self) -> String {
        self.received.lock().unwrap().clone()
    }
}
