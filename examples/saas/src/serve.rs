//! Serving, and stopping within a deadline.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use tokio::net::TcpListener;

use crate::app::{App, router};

/// Serves until `told_to_stop`. From then on nobody is let in, and those who are being answered have until `deadline` to
/// read their answers: a client that has stopped reading would keep the service from ending for ever.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    app: &Arc<App>,
    listener: TcpListener,
    told_to_stop: impl Future<Output = ()> + Send + 'static,
    deadline: Duration,
) -> io::Result<()> {
    let listener = listener.tap_io(|connection| {
        // Without it answers are only later, so a failure is nothing to give up for.
        let _ = connection.set_nodelay(true);
    });
    let stopping = Arc::clone(app);
    let serving = axum::serve(listener, router(app)).with_graceful_shutdown(async move {
        told_to_stop.await;
        stopping.begin_to_stop();
    });
    let too_late = async {
        app.stopping.cancelled().await;
        tokio::time::sleep(deadline).await;
    };
    tokio::select! {
        served = serving.into_future() => served,
        () = too_late => {
            tracing::warn!("stopped while answers were still being made or read");
            Ok(())
        }
    }
}
