//! `LISTEN` and what is notified.

use std::fmt;

use futures_core::stream::BoxStream;
use futures_util::stream;
use monitoring_core::catalogue::{SAAS_DB_LISTENER_DISCONNECTS, SAAS_DB_NOTIFICATIONS};
use monitoring_core::database::Operation;
use monitoring_core::{Counter, LabelSet, Registry, RegistryError, Symbol};
use sqlx::postgres::PgNotification;
use sqlx::{Error, Postgres};

use crate::pool::Pool;
use crate::record::{Call, Recorder, finish};

/// The families that listeners are recorded in.
pub(crate) struct ListenerFamilies {
    notifications: Counter<PoolLabels>,
    disconnects: Counter<PoolLabels>,
}

#[derive(Clone, Copy, LabelSet)]
struct PoolLabels {
    db_client_connection_pool_name: Symbol,
}

impl ListenerFamilies {
    pub(crate) fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            notifications: registry.counter(&SAAS_DB_NOTIFICATIONS)?,
            disconnects: registry.counter(&SAAS_DB_LISTENER_DISCONNECTS)?,
        })
    }
}

/// sqlx's [`PgListener`](sqlx::postgres::PgListener), measured: it holds one connection of a pool.
///
/// `LISTEN` and `UNLISTEN` are operations. The wait for a notification is none, however long it is: what comes is counted in
/// `saas_db_notifications_total`, and each time the connection was lost, or could not be made again, in
/// `saas_db_listener_disconnects_total`. Both carry the pool's name, and neither channel nor payload.
///
/// ```no_run
/// # async fn example(pool: monitoring_sqlx::PgPool) -> Result<(), sqlx::Error> {
/// let mut listener = monitoring_sqlx::PgListener::connect_with(&pool).await?;
/// listener.listen("invoice_paid").await?;
/// loop {
///     let notification = listener.recv().await?;
///     println!("something was paid on {}", notification.channel());
/// }
/// # }
/// ```
pub struct PgListener {
    listener: sqlx::postgres::PgListener,
    recorder: Recorder,
}

impl PgListener {
    /// Takes a connection of the pool to listen on. Without one, an operation `CONNECT` has failed, or is cancelled.
    ///
    /// # Errors
    /// As [`Pool::acquire`].
    pub async fn connect_with(pool: &Pool<Postgres>) -> Result<Self, Error> {
        let recorder = pool.recorder().clone();
        let running = Call::new(Operation::CONNECT).wait::<Postgres>(&recorder);
        match sqlx::postgres::PgListener::connect_with(pool.as_sqlx()).await {
            Ok(listener) => {
                running.discard();
                Ok(Self { listener, recorder })
            }
            Err(error) => finish::<Postgres, _>(running, Err(error)),
        }
    }

    /// Listens to a channel.
    ///
    /// # Errors
    /// When the connection is lost, and cannot be made again.
    pub async fn listen(&mut self, channel: &str) -> Result<(), Error> {
        let running = Call::new("LISTEN").start::<Postgres>(&self.recorder);
        finish::<Postgres, _>(running, self.listener.listen(channel).await)
    }

    /// Listens to several channels.
    ///
    /// # Errors
    /// As [`listen`](Self::listen).
    pub async fn listen_all<'c>(&mut self, channels: impl IntoIterator<Item = &'c str>) -> Result<(), Error> {
        let running = Call::new("LISTEN").start::<Postgres>(&self.recorder);
        finish::<Postgres, _>(running, self.listener.listen_all(channels).await)
    }

    /// Listens to a channel no longer.
    ///
    /// # Errors
    /// As [`listen`](Self::listen).
    pub async fn unlisten(&mut self, channel: &str) -> Result<(), Error> {
        let running = Call::new("UNLISTEN").start::<Postgres>(&self.recorder);
        finish::<Postgres, _>(running, self.listener.unlisten(channel).await)
    }

    /// Listens to no channel any longer.
    ///
    /// # Errors
    /// As [`listen`](Self::listen).
    pub async fn unlisten_all(&mut self) -> Result<(), Error> {
        let running = Call::new("UNLISTEN").start::<Postgres>(&self.recorder);
        finish::<Postgres, _>(running, self.listener.unlisten_all().await)
    }

    /// The next notification. When the connection is lost, it is made again; what was notified meanwhile is lost.
    ///
    /// # Errors
    /// When the connection cannot be made again, or the pool is closed.
    pub async fn recv(&mut self) -> Result<PgNotification, Error> {
        loop {
            if let Some(notification) = self.try_recv().await? {
                return Ok(notification);
            }
        }
    }

    /// The next notification, or `None` when the connection was lost: what was notified meanwhile is lost too, so look
    /// what you have missed.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub async fn try_recv(&mut self) -> Result<Option<PgNotification>, Error> {
        let received = self.listener.try_recv().await;
        if let Some((families, db_client_connection_pool_name)) = self.recorder.listeners() {
            let labels = PoolLabels { db_client_connection_pool_name };
            match &received {
                Ok(Some(_)) => families.notifications.add(labels, 1),
                // The service itself has closed the pool.
                Err(Error::PoolClosed) => {}
                Ok(None) | Err(_) => families.disconnects.add(labels, 1),
            }
        }
        received
    }

    /// All notifications to come, as by [`recv`](Self::recv); after an error there are no more.
    pub fn into_stream(self) -> BoxStream<'static, Result<PgNotification, Error>> {
        Box::pin(stream::try_unfold(self, async |mut listener| {
            let notification = listener.recv().await?;
            Ok(Some((notification, listener)))
        }))
    }

    /// sqlx's listener, for its settings. What is received with it **is not counted**.
    pub fn as_sqlx_mut(&mut self) -> &mut sqlx::postgres::PgListener {
        &mut self.listener
    }
}

impl fmt::Debug for PgListener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PgListener").finish_non_exhaustive()
    }
}
