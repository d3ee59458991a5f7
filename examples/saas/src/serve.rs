//! Serving, and ending without losing a request.

use std::sync::Arc;

use axum::serve::ListenerExt;
use monitoring_core::health::{DrainError, Draining};
use tokio::net::TcpListener;

use crate::app::{App, router};

/// Serves until the service has drained: nobody else is let in then, the live feeds have ended, and everybody has the answer
/// that was being made, but for those who are slower than the deadline. A client that has stopped reading would keep the
/// service from ending for ever.
///
/// # Errors
/// When the listener fails.
pub async fn serve(app: &Arc<App>, listener: TcpListener, draining: &Draining) -> Result<(), DrainError> {
    let listener = listener.tap_io(|connection| {
        // Without it answers are only later, so a failure is nothing to give up for.
        let _ = connection.set_nodelay(true);
    });
    let (closes, stopping) = (draining.listener_closes(), Arc::clone(app));
    let serving = axum::serve(listener, router(app)).with_graceful_shutdown(async move {
        closes.await;
        stopping.end_feeds();
    });
    match draining.finish(serving).await {
        Err(DrainError::Late) => {
            tracing::warn!("stopped while answers were still being made or read");
            Ok(())
        }
        served => served,
    }
}
