//! sqlx's `Executor` for `&Pool` and `&mut Connection`: every method of the trait, each measured as one operation.

use async_stream::try_stream;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::TryStreamExt;
use sqlx::{Describe, Either, Error, Execute, Executor, SqlStr};

use crate::connection::Connection;
use crate::database::MeasuredDatabase;
use crate::pool::Pool;
use crate::query::named;
use crate::record::{Call, MeasuredRows, finish};

/// Writes the methods of `Executor`, which are the same wherever the connection comes from.
///
/// `$outer` is the lifetime of the executor. `$future!` and `$rows!` are the macros that call a method of the driver and
/// measure the future or the stream that it returns. They are macros and not functions with a closure, because the
/// driver borrows the connection inside the future: a closure cannot say that its query outlives that borrow.
macro_rules! methods {
    ($outer:lifetime, $future:ident, $rows:ident) => {
        type Database = DB;

        methods!(@of_query $outer, $future, execute -> BoxFuture<DB::QueryResult>);
        methods!(@of_query $outer, $rows, execute_many -> BoxStream<DB::QueryResult>);
        methods!(@of_query $outer, $rows, fetch -> BoxStream<DB::Row>);
        methods!(@of_query $outer, $rows, fetch_many -> BoxStream<Either<DB::QueryResult, DB::Row>>);
        methods!(@of_query $outer, $future, fetch_all -> BoxFuture<Vec<DB::Row>>);
        methods!(@of_query $outer, $future, fetch_one -> BoxFuture<DB::Row>);
        methods!(@of_query $outer, $future, fetch_optional -> BoxFuture<Option<DB::Row>>);

        fn prepare<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<DB::Statement, Error>>
        where
            $outer: 'e,
        {
            $future!(self, "PREPARE", prepare(sql))
        }

        fn prepare_with<'e>(
            self,
            sql: SqlStr,
            parameters: &'e [DB::TypeInfo],
        ) -> BoxFuture<'e, Result<DB::Statement, Error>>
        where
            $outer: 'e,
        {
            $future!(self, "PREPARE", prepare_with(sql, parameters))
        }

        #[doc(hidden)]
        fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<DB>, Error>>
        where
            $outer: 'e,
        {
            $future!(self, "DESCRIBE", describe(sql))
        }
    };
    (@of_query $outer:lifetime, $measure:ident, $method:ident -> $boxed:ident<$output:ty>) => {
        fn $method<'e, 'q: 'e, E>(self, query: E) -> $boxed<'e, Result<$output, Error>>
        where
            $outer: 'e,
            E: 'q + Execute<'q, DB>,
        {
            let (name, query) = named(query);
            $measure!(self, name, $method(query))
        }
    };
}

macro_rules! future_on_connection {
    ($connection:ident, $name:expr, $method:ident($($argument:ident),+)) => {{
        let name = $name;
        Box::pin(async move {
            let (connection, instruments) = $connection.parts();
            let operation = Call::new(name).start::<DB>(instruments);
            let result = DB::executor(connection).$method($($argument),+).await;
            finish::<DB, _>(operation, result)
        })
    }};
}

macro_rules! rows_on_connection {
    ($connection:ident, $name:expr, $method:ident($query:ident)) => {{
        let call = Call::new($name);
        let (connection, instruments) = $connection.parts();
        let rows = DB::executor(connection).$method($query);
        Box::pin(MeasuredRows::<DB, _>::of_call(call, instruments, rows))
    }};
}

macro_rules! future_on_pool {
    ($pool:ident, $name:expr, $method:ident($($argument:ident),+)) => {{
        let (pool, name) = ($pool.clone(), $name);
        Box::pin(async move {
            let (operation, mut connection) = pool.acquire_for(Call::new(name)).await?;
            let (connection, _) = connection.parts();
            let result = DB::executor(connection).$method($($argument),+).await;
            finish::<DB, _>(operation, result)
        })
    }};
}

macro_rules! rows_on_pool {
    ($pool:ident, $name:expr, $method:ident($query:ident)) => {{
        let (pool, call) = ($pool.clone(), Call::new($name));
        Box::pin(try_stream! {
            let (operation, mut connection) = pool.acquire_for(call).await?;
            let (connection, _) = connection.parts();
            let mut rows = MeasuredRows::<DB, _>::of_operation(operation, DB::executor(connection).$method($query));
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
