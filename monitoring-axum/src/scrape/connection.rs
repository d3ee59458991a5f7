//! The connection that a scrape is written to.

use std::sync::Arc;

use tokio::sync::Notify;

/// A connection of the metrics' own listener, put into the extensions of its requests. A body that nobody reads is not
/// asked for anything either, so only the connection itself can end there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connection {
    end: Arc<Notify>,
}

impl Connection {
    /// Ends the connection, whatever is still to be written.
    pub(crate) fn end(&self) {
        self.end.notify_one();
    }

    /// Resolves when the connection is to end.
    pub(crate) async fn ended(&self) {
        self.end.notified().await;
    }
}
