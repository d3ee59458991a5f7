//! Those who are called.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A server that answers, and keeps the headers it was sent.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) traceparents: Arc<Mutex<Vec<Option<String>>>>,
}

impl Peer {
    pub(crate) async fn start() -> Self {
        let traceparents = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&traceparents);
        let tries = Arc::new(Mutex::new(0));
        let app = Router::new()
            .route("/", get(async || "here"))
            .route("/missing", get(async || StatusCode::NOT_FOUND))
            .route("/broken", get(async || StatusCode::INTERNAL_SERVER_ERROR))
            .route("/round", get(async || Redirect::temporary("/round")))
            .route(
                "/third-time",
                get(async move || {
                    let mut tries = tries.lock().unwrap();
                    *tries += 1;
                    if *tries < 3 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
                }),
            )
            .layer(axum::middleware::map_request(move |request: Request| {
                let sent = request.headers().get("traceparent").map(|value| value.to_str().unwrap().to_owned());
                kept.lock().unwrap().push(sent);
                std::future::ready(request)
            }));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, app).into_future());
        Self { address, traceparents }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// Reads what comes, answers each connection as told, and closes it.
pub(crate) async fn raw<F>(answer: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4_096]).await;
            tokio::spawn(answer(stream));
        }
    });
    address
}

/// Answers with these bytes.
pub(crate) async fn says(bytes: &'static [u8]) -> SocketAddr {
    raw(move |mut stream| async move {
        let _ = stream.write_all(bytes).await;
    })
    .await
}

/// Never answers.
pub(crate) async fn silent() -> SocketAddr {
    raw(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await
}

/// Nothing listens there, for as long as the socket lives that has the port.
pub(crate) fn nobody() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}
