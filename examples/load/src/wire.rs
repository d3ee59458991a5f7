//! Sends one request and says how it ended.
//!
//! Every request is sent once: no retry, no redirect, no proxy. Its answer is read to the end, so what the client saw is
//! what the service finished. A feed has a connection of its own, and leaving it closes that connection.

use std::fmt;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, StatusCode};
use thiserror::Error;

/// Longer than the service's own time limit, so that the service always answers first.
const PATIENCE: Duration = Duration::from_secs(30);

const REQUEST_ID: &str = "x-request-id";

/// The two clients: one that reuses connections, one that never does.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) reusing: Client,
    pub(crate) single_use: Client,
}

impl Wire {
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        let client = || {
            Client::builder()
                .retry(reqwest::retry::never())
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .http1_only()
                .tcp_nodelay(true)
                .connect_timeout(PATIENCE)
        };
        Ok(Self {
            reusing: client().timeout(PATIENCE).build()?,
            single_use: client().pool_max_idle_per_host(0).build()?,
        })
    }
}

/// A complete answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A field of the JSON body.
    pub(crate) fn field(&self, name: &str) -> Option<serde_json::Value> {
        let mut body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        body.get_mut(name).map(serde_json::Value::take)
    }
}

/// The body stays out: that of a sign-in is a token.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// An ending that tells nothing certain about what the service has counted.
#[derive(Debug, Error)]
pub(crate) enum WireFault {
    #[error("{what}: {source}")]
    Transport { what: &'static str, source: reqwest::Error },
    #[error("the service answered with the request id {echoed:?} instead of {sent:?}")]
    RequestId { sent: String, echoed: Option<String> },
    #[error("the feed was ended by the service")]
    FeedEnded,
    #[error("the feed sent nothing for {} s", PATIENCE.as_secs())]
    FeedSilent,
}

fn transport(what: &'static str) -> impl FnOnce(reqwest::Error) -> WireFault {
    move |source| WireFault::Transport { what, source }
}

/// Sends a request and reads its answer to the end.
pub(crate) async fn exchange(request: RequestBuilder, id: &str) -> Result<Answer, WireFault> {
    let response = request
        .header(REQUEST_ID, id)
        .send()
        .await
        .map_err(transport("a request could not be sent or was not answered"))?;
    check_echo(id, response.headers())?;
    let status = response.status();
    let body = response.bytes().await.map_err(transport("an answer broke off"))?;
    Ok(Answer { status, body: body.into() })
}

/// How a visit to the feed ended.
#[derive(Debug)]
pub(crate) enum Visit {
    /// The feed was flowing and the client left.
    Left,
    /// The service refused the feed.
    Refused(Answer),
}

/// Opens a feed, waits until the service has answered and the first bytes have come, stays for `hold`, and leaves.
pub(crate) async fn watch(request: RequestBuilder, id: &str, hold: Duration) -> Result<Visit, WireFault> {
    let mut response = tokio::time::timeout(PATIENCE, request.header(REQUEST_ID, id).send())
        .await
        .map_err(|_| WireFault::FeedSilent)?
        .map_err(transport("a feed could not be opened"))?;
    check_echo(id, response.headers())?;
    let status = response.status();
    if !status.is_success() {
        let body = response.bytes().await.map_err(transport("an answer broke off"))?;
        return Ok(Visit::Refused(Answer { status, body: body.into() }));
    }
    let first = tokio::time::timeout(PATIENCE, response.chunk()).await.map_err(|_| WireFault::FeedSilent)?;
    if first.map_err(transport("a feed broke off"))?.is_none() {
        return Err(WireFault::FeedEnded);
    }
    // Keep reading while holding on: a feed that ends by itself meanwhile was not cancelled.
    let reading = async {
        loop {
            match response.chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => return WireFault::FeedEnded,
                Err(source) => return WireFault::Transport { what: "a feed broke off", source },
            }
        }
    };
    match tokio::time::timeout(hold, reading).await {
        Ok(fault) => Err(fault),
        Err(_) => Ok(Visit::Left),
    }
}

fn check_echo(sent: &str, headers: &HeaderMap) -> Result<(), WireFault> {
    let echoed = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    if echoed == Some(sent) {
        Ok(())
    } else {
        Err(WireFault::RequestId { sent: sent.to_owned(), echoed: echoed.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::*;

    const FEED: &str = "HTTP/1.1 200 OK\r\nx-request-id: a\r\ntransfer-encoding: chunked\r\n\r\n";
    const CHUNK: &str = "5\r\nhello\r\n";
    const LAST_CHUNK: &str = "0\r\n\r\n";

    /// What the service does after its answer.
    enum Then {
        Close,
        /// Waits until the client has closed the connection.
        Wait,
    }

    /// A service for one request: answers with `parts`, one packet each.
    async fn service(parts: &'static [&'static str], then: Then) -> (String, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                assert_ne!(connection.read_buf(&mut request).await.unwrap(), 0);
            }
            for part in parts {
                connection.write_all(part.as_bytes()).await.unwrap();
                connection.flush().await.unwrap();
            }
            if let Then::Wait = then {
                // The end of the stream, or a reset: either way the client has left.
                let _ = connection.read(&mut [0]).await;
            }
        });
        (url, serving)
    }

    async fn watched(parts: &'static [&'static str], then: Then, hold: Duration) -> Result<Visit, WireFault> {
        let (url, serving) = service(parts, then).await;
        let visit = watch(Wire::new().unwrap().single_use.get(url), "a", hold).await;
        serving.await.unwrap();
        visit
    }

    async fn exchanged(parts: &'static [&'static str]) -> Result<Answer, WireFault> {
        let (url, serving) = service(parts, Then::Close).await;
        let answer = exchange(Wire::new().unwrap().reusing.get(url), "a").await;
        serving.await.unwrap();
        answer
    }

    #[tokio::test]
    async fn leaving_a_feed_closes_its_connection() {
        let visit = watched(&[FEED, CHUNK], Then::Wait, Duration::from_millis(10)).await;
        assert!(matches!(visit, Ok(Visit::Left)), "{visit:?}");
    }

    #[tokio::test]
    async fn a_feed_that_ends_by_itself_is_not_counted_as_cancelled() {
        for parts in [&[FEED, LAST_CHUNK][..], &[FEED, CHUNK, LAST_CHUNK]] {
            let visit = watched(parts, Then::Close, PATIENCE).await;
            assert!(matches!(visit, Err(WireFault::FeedEnded)), "{visit:?}");
        }
    }

    #[tokio::test]
    async fn a_feed_that_breaks_off_is_not_counted_as_cancelled() {
        let visit = watched(&[FEED, CHUNK], Then::Close, PATIENCE).await;
        assert!(matches!(visit, Err(WireFault::Transport { .. })), "{visit:?}");
    }

    #[tokio::test]
    async fn a_refused_feed_is_counted_by_its_status() {
        const REFUSAL: &str = "HTTP/1.1 503 Service Unavailable\r\nx-request-id: a\r\ncontent-length: 0\r\n\r\n";
        let visit = watched(&[REFUSAL], Then::Close, PATIENCE).await;
        assert!(
            matches!(visit, Ok(Visit::Refused(Answer { status: StatusCode::SERVICE_UNAVAILABLE, .. }))),
            "{visit:?}"
        );
    }

    #[tokio::test]
    async fn an_answer_is_read_to_its_end() {
        const HEAD: &str = "HTTP/1.1 200 OK\r\nx-request-id: a\r\ncontent-length: 8\r\n\r\n";
        let answer = exchanged(&[HEAD, "{\"id\"", ":7}"]).await.unwrap();
        assert_eq!(answer.field("id"), Some(7.into()));
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_not_counted() {
        const HEAD: &str = "HTTP/1.1 200 OK\r\nx-request-id: a\r\ncontent-length: 8\r\n\r\n";
        let answer = exchanged(&[HEAD, "half"]).await;
        assert!(matches!(answer, Err(WireFault::Transport { .. })), "{answer:?}");
    }

    #[tokio::test]
    async fn an_answer_to_somebody_elses_request_is_not_counted() {
        let answer = exchanged(&["HTTP/1.1 200 OK\r\nx-request-id: b\r\ncontent-length: 0\r\n\r\n"]).await;
        assert!(matches!(&answer, Err(WireFault::RequestId { echoed: Some(id), .. }) if id == "b"), "{answer:?}");
    }
}
