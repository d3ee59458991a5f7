//! PostgreSQL's `COPY` from and to the program.
//!
//! sqlx-postgres 0.9.0 leaves a connection in the middle of things when a copy is given up, or a `COPY … TO STDOUT` refused:
//! the next statement on it gets answers to this one. So a connection of a pool is closed then, and not given to the next
//! who asks.

use async_stream::try_stream;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use sqlx::{Error, Postgres};
use sqlx_core::bytes::Bytes;
use tokio::io::AsyncRead;

use crate::connection::Connection;
use crate::record::{Call, MeasuredRows, finish};

impl Connection<Postgres> {
    /// Sends all that there is to read from `source` to a `COPY … FROM STDIN`: one operation `COPY`, and the number of rows
    /// that were copied.
    ///
    /// If it fails or is given up, nothing was copied. A connection of a pool is then closed when it is dropped, if need be; a
    /// detached one is yours: close it.
    ///
    /// ```no_run
    /// # async fn example(pool: monitoring_sqlx::PgPool) -> Result<(), sqlx::Error> {
    /// let mut connection = pool.acquire().await?;
    /// let csv = &b"1,4200\n2,990\n"[..]; // or a file, or a body by `tokio_util::io::StreamReader`
    /// let rows = connection.copy_in_raw("COPY invoice (id, cents) FROM STDIN WITH (FORMAT csv)", csv).await?;
    /// assert_eq!(rows, 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the source cannot be read, the database refuses the statement or the data, the statement is no
    /// `COPY … FROM STDIN`, or the connection is lost.
    pub async fn copy_in_raw(&mut self, statement: &str, source: impl AsyncRead + Unpin) -> Result<u64, Error> {
        let mut unfinished = Unfinished { connection: self, is_finished: false };
        let (connection, session) = unfinished.connection.parts();
        let running = Call::new(session.recorder().read::<Postgres>(statement)).start_on::<Postgres>(session);
        let result = copy_in(connection, statement, source).await;
        let result = finish::<Postgres, _>(running, result);
        // What the database itself has refused, it is done with.
        unfinished.is_finished = matches!(result, Ok(_) | Err(Error::Database(_)));
        result
    }

    /// The data of a `COPY … TO STDOUT`: one operation `COPY`, until the last of its data was taken. A stream that is dropped
    /// before is `cancelled`; then, and when it fails, a connection of a pool is closed when it is dropped.
    ///
    /// # Errors
    /// When the database refuses, the statement is no `COPY … TO STDOUT`, or the connection is lost.
    pub async fn copy_out_raw(&mut self, statement: &str) -> Result<BoxStream<'_, Result<Bytes, Error>>, Error> {
        let read = self.recorder().read::<Postgres>(statement);
        let statement = statement.to_owned();
        let data = try_stream! {
            let mut unfinished = Unfinished { connection: self, is_finished: false };
            let (connection, session) = unfinished.connection.parts();
            let running = Call::new(read).start_on::<Postgres>(session);
            let (running, data) = match connection.copy_out_raw(&statement).await {
                Ok(data) => (running, data),
                Err(error) => {
                    finish::<Postgres, ()>(running, Err(error))?;
                    return;
                }
            };
            let mut data = MeasuredRows::<Postgres, _>::of_operation(running, data, None);
            while let Some(bytes) = data.try_next().await? {
                yield bytes;
            }
            drop(data);
            unfinished.is_finished = true;
        };
        // An error at the beginning is told at once, as sqlx does it.
        let mut data = Box::pin(data.peekable());
        if data.as_mut().peek().await.is_some_and(Result::is_err)
            && let Some(Err(error)) = data.next().await
        {
            return Err(error);
        }
        Ok(data)
    }
}

async fn copy_in(
    connection: &mut sqlx::PgConnection,
    statement: &str,
    source: impl AsyncRead + Unpin,
) -> Result<u64, Error> {
    let mut copy = connection.copy_in_raw(statement).await?;
    match copy.read_from(source).await {
        Ok(_) => copy.finish().await,
        // The source or the connection: if it is the latter, this fails too.
        Err(error) => {
            copy.abort("the data could not be read").await?;
            Err(error)
        }
    }
}

/// Dropped before the copy is finished, it keeps the connection out of the pool.
struct Unfinished<'a> {
    connection: &'a mut Connection<Postgres>,
    is_finished: bool,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            self.connection.retire();
        }
    }
}
