//! Messages of channels, on a connection of their own.

use std::fmt;
use std::io;
use std::time::Duration;

use deadpool_redis::redis::aio::{PubSubSink, PubSubStream};
use deadpool_redis::redis::{Client, IntoConnectionInfo, Msg, RedisError, RedisResult};
use futures_util::StreamExt;
use monitoring_core::database::{DatabaseInstruments, Operation, System};
use monitoring_core::{Instruments, Monitoring, RegistryError};
use thiserror::Error;
use tokio::time::timeout;

use crate::error_type;
use crate::instruments::{MessageLabels, RedisInstruments};

/// Receives what is published on the channels that it has subscribed to.
///
/// `SUBSCRIBE`, `PSUBSCRIBE`, their opposites and `PING` are measured as operations, and messages are counted in
/// `saas_pubsub_messages_total` by the subscriber's name; names of channels are never recorded. Messages are for no tenant
/// until the code that handles one says for which: [`in_tenant`](monitoring_core::TenantFutureExt::in_tenant).
///
/// ```
/// use monitoring_redis::{Subscriber, SubscriberError};
///
/// async fn follow(url: &str) -> Result<(), SubscriberError> {
///     let mut subscriber = Subscriber::builder(url).name("prices").connect().await?;
///     subscriber.subscribe("prices").await?;
///     loop {
///         while let Some(message) = subscriber.next().await {
///             let _price: &[u8] = message.get_payload_bytes();
///         }
///         // The connection is lost, and so is what is published until there is a new one: read anew what matters.
///         subscriber.reconnect().await?;
///     }
/// }
/// ```
pub struct Subscriber {
    settings: SubscriberBuilder,
    client: Client,
    sink: PubSubSink,
    stream: PubSubStream,
    channels: Vec<String>,
    patterns: Vec<String>,
}

/// Sets up a [`Subscriber`]. Made by [`Subscriber::builder`].
#[must_use = "a builder does nothing until it connects"]
pub struct SubscriberBuilder {
    url: String,
    name: String,
    timeout: Duration,
    idle: Duration,
    instruments: Instruments<DatabaseInstruments>,
    own: Instruments<RedisInstruments>,
}

/// A subscriber cannot connect, or Redis does not do what it asks for. Neither the URL nor the channel is named.
#[derive(Error)]
#[error("the Redis subscriber `{subscriber}` {attempt}: {source}; is the server running, and is its URL right?")]
pub struct SubscriberError {
    subscriber: Box<str>,
    attempt: &'static str,
    source: RedisError,
}

/// Says what `Display` says, because a `main` that returns its error prints it with `Debug`.
impl fmt::Debug for SubscriberError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl SubscriberError {
    /// What Redis or the connection to it says.
    pub fn redis(&self) -> &RedisError {
        &self.source
    }
}

impl SubscriberBuilder {
    /// The subscriber's name in the labels `subscriber` and `db_client_connection_pool_name`, at most 256 bytes. Default
    /// `redis`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// How long it may take to connect, to subscribe and to answer a ping. Default 1 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long it may be silent before a ping asks whether the connection still is one. Default 30 s.
    pub fn ping_when_idle_for(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Where it is recorded. By default that is the global monitoring, from the moment it is installed.
    ///
    /// # Errors
    /// When the name of a metric is taken by a different one.
    pub fn monitoring(mut self, monitoring: &Monitoring) -> Result<Self, RegistryError> {
        self.instruments = Instruments::of(monitoring)?;
        self.own = Instruments::of(monitoring)?;
        Ok(self)
    }

    /// Connects. It has subscribed to nothing yet.
    ///
    /// # Errors
    /// When the URL is invalid, or the server cannot be reached or turns us away.
    pub async fn connect(self) -> Result<Subscriber, SubscriberError> {
        let parsed = self.url.as_str().into_connection_info().and_then(Client::open);
        let client = parsed.map_err(|source| self.error("has an invalid URL", source))?;
        let (sink, stream) = self.connection(&client).await?;
        Ok(Subscriber { settings: self, client, sink, stream, channels: Vec::new(), patterns: Vec::new() })
    }

    async fn connection(&self, client: &Client) -> Result<(PubSubSink, PubSubStream), SubscriberError> {
        // As with a pool, only who gets no connection is an operation, one that failed or was cancelled.
        let operation = Operation::waiting(&self.instruments, System::Redis, Operation::CONNECT);
        match self.limited(client.get_async_pubsub()).await {
            Ok(connection) => {
                operation.discard();
                if let Some(own) = self.own.get() {
                    own.connection_created(&self.name);
                }
                Ok(connection.split())
            }
            Err(source) => {
                operation.failed(error_type::of_error(&source));
                Err(self.error("cannot connect", source))
            }
        }
    }

    /// Does what the operation of that name is.
    async fn measured(
        &self,
        name: &'static str,
        request: impl Future<Output = RedisResult<()>>,
    ) -> Result<(), SubscriberError> {
        let operation = Operation::start(&self.instruments, System::Redis, name);
        let done = self.limited(request).await;
        operation.end(done.as_ref().err().map(error_type::of_error));
        done.map_err(|source| self.error("gets an error", source))
    }

    async fn limited<R>(&self, request: impl Future<Output = RedisResult<R>>) -> RedisResult<R> {
        let limited = timeout(self.timeout, request).await;
        limited.unwrap_or_else(|_elapsed| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    fn error(&self, attempt: &'static str, source: RedisError) -> SubscriberError {
        SubscriberError { subscriber: self.name.as_str().into(), attempt, source }
    }
}

impl Subscriber {
    /// Sets up a subscriber at the server with that URL, such as `redis://127.0.0.1:6379`.
    pub fn builder(url: impl Into<String>) -> SubscriberBuilder {
        SubscriberBuilder {
            url: url.into(),
            name: "redis".to_owned(),
            timeout: Duration::from_secs(1),
            idle: Duration::from_secs(30),
            instruments: Instruments::global(),
            own: Instruments::global(),
        }
    }

    /// Subscribes to a channel.
    ///
    /// # Errors
    /// When the server refuses, or the connection is lost. [`reconnect`](Self::reconnect) does not try it again then.
    pub async fn subscribe(&mut self, channel: impl Into<String>) -> Result<(), SubscriberError> {
        let channel = channel.into();
        self.settings.measured("SUBSCRIBE", self.sink.subscribe(&channel)).await?;
        add(&mut self.channels, channel);
        Ok(())
    }

    /// Subscribes to all channels whose names match, such as `prices.*`.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub async fn psubscribe(&mut self, pattern: impl Into<String>) -> Result<(), SubscriberError> {
        let pattern = pattern.into();
        self.settings.measured("PSUBSCRIBE", self.sink.psubscribe(&pattern)).await?;
        add(&mut self.patterns, pattern);
        Ok(())
    }

    /// Ends the subscription to a channel, also for the next [`reconnect`](Self::reconnect).
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn unsubscribe(&mut self, channel: &str) -> Result<(), SubscriberError> {
        self.channels.retain(|one| one != channel);
        self.settings.measured("UNSUBSCRIBE", self.sink.unsubscribe(channel)).await
    }

    /// Ends the subscription to a pattern, also for the next [`reconnect`](Self::reconnect).
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn punsubscribe(&mut self, pattern: &str) -> Result<(), SubscriberError> {
        self.patterns.retain(|one| one != pattern);
        self.settings.measured("PUNSUBSCRIBE", self.sink.punsubscribe(pattern)).await
    }

    /// The next message; `None` once the connection is lost, which a ping finds out if it is silent for long.
    ///
    /// Dropped before its end, it has lost no message.
    pub async fn next(&mut self) -> Option<Msg> {
        loop {
            match timeout(self.settings.idle, self.stream.next()).await {
                Ok(Some(message)) => {
                    self.count_message();
                    return Some(message);
                }
                Ok(None) => return None,
                Err(_idle) => self.ping().await.ok()?,
            }
        }
    }

    /// Asks the server whether it is there.
    ///
    /// # Errors
    /// When it does not answer in time, or the connection is lost.
    pub async fn ping(&mut self) -> Result<(), SubscriberError> {
        self.settings.measured("PING", self.sink.ping()).await
    }

    /// Makes a new connection in place of the old one, and subscribes to the same channels and patterns again. It tries once;
    /// how often and when to try again is the caller's. What was published meanwhile is lost.
    ///
    /// # Errors
    /// When the server cannot be reached, turns us away, or refuses a subscription.
    pub async fn reconnect(&mut self) -> Result<(), SubscriberError> {
        let (mut sink, stream) = self.settings.connection(&self.client).await?;
        if !self.channels.is_empty() {
            self.settings.measured("SUBSCRIBE", sink.subscribe(&self.channels)).await?;
        }
        if !self.patterns.is_empty() {
            self.settings.measured("PSUBSCRIBE", sink.psubscribe(&self.patterns)).await?;
        }
        (self.sink, self.stream) = (sink, stream);
        Ok(())
    }

    fn count_message(&self) {
        let Some(own) = self.settings.own.get() else { return };
        own.messages.add(MessageLabels { subscriber: own.registry.symbol(&self.settings.name) }, 1);
    }
}

/// Redis, too, has a subscription once.
fn add(subscriptions: &mut Vec<String>, one: String) {
    if !subscriptions.contains(&one) {
        subscriptions.push(one);
    }
}

impl fmt::Debug for SubscriberBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SubscriberBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Subscriber")
            .field("name", &self.settings.name)
            .field("channels", &self.channels.len())
            .field("patterns", &self.patterns.len())
            .finish_non_exhaustive()
    }
}
