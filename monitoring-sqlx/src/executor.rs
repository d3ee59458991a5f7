//! sqlx's `Executor` for `&Pool` and `&mut Connection`: every method of the trait, each measured as one operation.

use async_stream::try_stream;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::TryStreamExt;
use monitoring_core::TenantFutureExt;
use sqlx::{Describe, Either, Error, Execute, Executor, SqlStr};

use crate::connection::Connection;
use crate::database::MeasuredDatabase;
use crate::pool::Pool;
use crate::query::{read, read_as};
use crate::record::{MeasuredRows, finish, finish_rows};

/// Writes the methods of `Executor`, which are the same wherever the connection comes from.
///
/// `$outer` is the lifetime of the executor. `$future!` and `$rows!` are the macros that call a method of the driver and
/// measure the future or the stream that it returns; what ends the future, or tells a row in the stream, comes last. They are
/// macros and not functions with a closure, because the driver borrows the connection inside the future: a closure cannot
/// say that its query outlives that borrow.
macro_rules! methods {
    ($outer:lifetime, $future:ident, $rows:ident) => {
        type Database = DB;

        methods!(@of_query $outer, $future, execute -> BoxFuture<DB::QueryResult>, finish::<DB, _>);
        methods!(@of_query $outer, $rows, execute_many -> BoxStream<DB::QueryResult>, None);
        methods!(@of_query $outer, $rows, fetch -> BoxStream<DB::Row>, Some(|_| true));
        methods!(@of_query $outer, $rows, fetch_many -> BoxStream<Either<DB::QueryResult, DB::Row>>, Some(Either::is_right));
        methods!(@of_query $outer, $future, fetch_all -> BoxFuture<Vec<DB::Row>>, |running, rows| {
            finish_rows::<DB, _>(running, rows, Vec::len)
        });
        methods!(@of_query $outer, $future, fetch_one -> BoxFuture<DB::Row>, |running, row| {
            finish_rows::<DB, _>(running, row, |_| 1)
        });
        methods!(@of_query $outer, $future, fetch_optional -> BoxFuture<Option<DB::Row>>, |running, row| {
            finish_rows::<DB, Option<DB::Row>>(running, row, |row| row.iter().len())
        });

        fn prepare<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<DB::Statement, Error>>
        where
            $outer: 'e,
        {
            let prepared = read_as::<DB>(self.recorder(), &sql, "PREPARE");
            $future!(self, prepared, prepare(sql), finish::<DB, _>)
        }

        fn prepare_with<'e>(
            self,
            sql: SqlStr,
            parameters: &'e [DB::TypeInfo],
        ) -> BoxFuture<'e, Result<DB::Statement, Error>>
        where
            $outer: 'e,
        {
            let prepared = read_as::<DB>(self.recorder(), &sql, "PREPARE");
            $future!(self, prepared, prepare_with(sql, parameters), finish::<DB, _>)
        }

        #[doc(hidden)]
        fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<DB>, Error>>
        where
            $outer: 'e,
        {
            let described = read_as::<DB>(self.recorder(), &sql, "DESCRIBE");
            $future!(self, described, describe(sql), finish::<DB, _>)
        }
    };
    (@of_query $outer:lifetime, $measure:ident, $method:ident -> $boxed:ident<$output:ty>, $rows:expr) => {
        fn $method<'e, 'q: 'e, E>(self, query: E) -> $boxed<'e, Result<$output, Error>>
        where
            $outer: 'e,
            E: 'q + Execute<'q, DB>,
        {
            let (read, query) = read(self.recorder(), query);
            $measure!(self, read, $method(query), $rows)
        }
    };
}

macro_rules! future_on_connection {
    ($connection:ident, $read:ident, $method:ident($($argument:ident),+), $finish:expr) => {
        Box::pin(async move {
            let (connection, session) = $connection.parts();
            let running = $read.call().start_on::<DB>(session);
            let result = DB::executor(connection).$method($($argument),+).await;
            ($finish)(running, result)
        })
    };
}

macro_rules! rows_on_connection {
    ($connection:ident, $read:ident, $method:ident($query:ident), $is_row:expr) => {{
        let call = $read.call();
        let (connection, session) = $connection.parts();
        let rows = DB::executor(connection).$method($query);
        Box::pin(MeasuredRows::<DB, _>::of_call(call, session, rows, $is_row))
    }};
}

macro_rules! future_on_pool {
    ($pool:ident, $read:ident, $method:ident($($argument:ident),+), $finish:expr) => {{
        let pool = $pool.clone();
        Box::pin(async move {
            if pool.has_transactions_only() {
                let mut transaction = Box::pin(pool.begin()).await?;
                let (connection, session) = transaction.parts();
                let running = $read.call().start_on::<DB>(session);
                let result = DB::executor(connection).$method($($argument),+).await;
                let done = ($finish)(running, result);
                // That a statement gave no row undoes nothing of it.
                if matches!(done, Ok(_) | Err(Error::RowNotFound)) {
                    transaction.commit().await?;
                }
                return done;
            }
            let (running, mut connection) = pool.acquire_for($read.call()).await?;
            let (connection, _) = connection.parts();
            let result = DB::executor(connection).$method($($argument),+).await;
            ($finish)(running, result)
        })
    }};
}

macro_rules! rows_on_pool {
    ($pool:ident, $read:ident, $method:ident($query:ident), $is_row:expr) => {{
        let (pool, call) = ($pool.clone(), $read.call());
        Box::pin(try_stream! {
            if pool.has_transactions_only() {
                let acting = call.acting();
                let mut transaction = Box::pin(pool.begin().in_tenant(acting)).await?;
                let (connection, session) = transaction.parts();
                let rows = DB::executor(connection).$method($query);
                let mut rows = MeasuredRows::<DB, _>::of_call(call, session, rows, $is_row);
                while let Some(row) = rows.try_next().await? {
                    yield row;
                }
                drop(rows);
                transaction.commit().in_tenant(acting).await?;
                return;
            }
            let (running, mut connection) = pool.acquire_for(call).await?;
            let (connection, _) = connection.parts();
            let rows = DB::executor(connection).$method($query);
            let mut rows = MeasuredRows::<DB, _>::of_operation(running, rows, $is_row);
            while let Some(row) = rows.try_next().await? {
                yield row;
            }
        })
    }};
}

impl<'c, DB: MeasuredDatabase> Executor<'c> for &'c mut Connection<DB> {
    methods!('c, future_on_connection, rows_on_connection);
}

impl<'p, DB: MeasuredDatabase> Executor<'p> for &Pool<DB> {
    methods!('p, future_on_pool, rows_on_pool);
}
