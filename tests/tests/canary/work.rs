//! What the service does for a request, with the canary in all of it.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use monitoring_core::client::{self, ClientLayer, Dependency, FailedCall};
use monitoring_core::job::{self, Attempt, BackupReport, JobEnvelope};
use monitoring_core::propagation::TraceContext;
use monitoring_core::{Tenant, TenantFutureExt};
use monitoring_redis::redis::{AsyncCommands, Script, Value, cmd, pipe};
use monitoring_redis::{Cache, Pool, Subscriber};
use monitoring_sqlx::sqlx::{self, AssertSqlSafe, Executor};
use monitoring_sqlx::{ExplainSlow, PgListener, PgPool, SlowQueries};
use monitoring_tests::servers::{PostgreSql, Redis};
use reqwest_middleware::ClientBuilder;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::seen::{CANARY, Seen, canary, is_in};

pub(crate) struct Work {
    database: PgPool,
    cache: Pool,
    redis_url: String,
    names: Cache<String>,
    calls: ClientLayer,
    peer: SocketAddr,
    seen: Seen,
}

impl Work {
    pub(crate) async fn new(database: &PostgreSql, cache: &Redis, peer: SocketAddr, seen: &Seen) -> Self {
        let password = canary("password");
        let owner = sqlx::PgPool::connect(&database.url()).await.unwrap();
        let set_up = format!(
            "CREATE ROLE app LOGIN PASSWORD '{password}'; GRANT ALL ON SCHEMA public TO app;
             CREATE TABLE secret (id serial PRIMARY KEY, text text UNIQUE); ALTER TABLE secret OWNER TO app"
        );
        owner.execute(AssertSqlSafe(set_up)).await.unwrap();
        let slow = SlowQueries::default().threshold(Duration::ZERO).events_per_minute(60_000);
        let builder = PgPool::builder()
            .name("shop")
            .slow_queries(slow.explain(ExplainSlow::default().at_most_every(Duration::from_millis(1))));
        seen.debug("monitoring_sqlx::PoolBuilder", &builder);
        let url = database.url();
        let (_, name) = url.rsplit_once('/').unwrap();
        let url = format!("postgres://app:{password}@{}/{name}", database.address());
        let database = builder.connect(&url).await.unwrap();

        assert!(cache.ask(&format!("ACL SETUSER app on >{password} ~* &* +@all")).unwrap().contains("OK"));
        let redis_url = format!("redis://app:{password}@{}/", cache.address());
        let builder = Pool::builder().url(&redis_url);
        seen.debug("monitoring_redis::PoolBuilder", &builder);
        let cache = builder.build().unwrap();
        let names = Cache::builder("names");
        seen.debug("CacheBuilder", &names);
        let names = names.build(cache.clone()).unwrap();
        let no_url = Pool::from_url(&format!("redis://app:{password}@:no-port/")).unwrap_err();
        seen.error("monitoring_redis::SetupError", no_url);
        let refused = Pool::from_url(&format!("redis://app:{password}@{peer}/")).unwrap();
        seen.error("monitoring_redis::PoolError", refused.get().await.unwrap_err());
        let calls = client::layer().dependency(Dependency::new("peer").host("127.0.0.1").trusted());
        seen.debug("ClientLayer", &calls);
        Self { database, cache, redis_url, names, calls, peer, seen: seen.clone() }
    }

    /// Does all of it for the current tenant, and says what it has got back.
    pub(crate) async fn done(&self, trace: &TraceContext) -> String {
        assert!(Tenant::current().is_known());
        assert!(is_in(trace.tracestate().as_bytes()));
        self.seen.debug("TraceContext", trace);
        self.seen.debug("InTrace", trace.scope(std::future::ready(())));
        self.seen.error("InvalidTraceContext", TraceContext::parse(CANARY, Some(CANARY)).unwrap_err());
        self.statements().await;
        self.commands().await;
        self.calls().await;
        self.jobs().await;
        sqlx::query_scalar("SELECT string_agg(text, ' ') FROM secret").fetch_one(&self.database).await.unwrap()
    }

    async fn statements(&self) {
        let (database, seen) = (&self.database, &self.seen);
        let insert = "INSERT INTO secret (text) VALUES ($1)";
        sqlx::query(insert).bind(canary("bind")).execute(database).await.unwrap();
        let violation = sqlx::query(insert).bind(canary("bind")).execute(database).await.unwrap_err();
        assert!(format!("{violation:?}").contains(&canary("bind")), "a unique violation quotes the value");

        let literal = canary("literal");
        for statement in [
            format!("SELECT text FROM secret WHERE text <> '{literal}' -- {literal}"),
            format!("SELECT /* {literal} */ text FROM secret WHERE text LIKE '%{literal}%' OR text = $q${literal}$q$"),
            format!("SELECT E'{literal}\\n' || U&'{literal}' || '''{literal}' AS text"),
            format!("WITH found AS (VALUES ('{literal}')) SELECT * FROM found"),
            format!("UPDATE secret SET text = text || '{literal}' WHERE text = '{literal}'"),
            format!("INSERT INTO secret (text) SELECT '{literal}' ON CONFLICT (text) DO UPDATE SET text = '{literal}'"),
            format!("DELETE FROM secret WHERE text IN ('{literal}-', '-{literal}')"),
            format!("DO $$ BEGIN PERFORM '{literal}'; END $$"),
            format!("SET application_name = '{literal}'"),
            format!("COMMENT ON TABLE secret IS '{literal}'"),
            format!("ALTER ROLE app PASSWORD '{}'", canary("password")),
            format!("NOTIFY shop, '{literal}'"),
            format!("SELECT text FROM secret; SELECT '{literal}'"),
        ] {
            sqlx::raw_sql(AssertSqlSafe(statement.clone())).fetch_all(database).await.unwrap();
            // As a prepared one, some of them are refused.
            let _ = sqlx::query(AssertSqlSafe(statement)).fetch_all(database).await;
        }
        for wrong in [
            format!("SELECT '{literal}"),
            format!("SELEC '{literal}'"),
            format!("SELECT '{literal}'::int"),
            format!("DO $$ BEGIN RAISE EXCEPTION '{literal}'; END $$"),
        ] {
            let error = sqlx::query(AssertSqlSafe(wrong.clone())).execute(database).await.unwrap_err();
            assert!(is_in(format!("{wrong}{error:?}").as_bytes()));
        }

        let mut transaction = database.begin().await.unwrap();
        let mut savepoint = transaction.begin().await.unwrap();
        sqlx::query(insert).bind(canary("savepoint")).execute(&mut *savepoint).await.unwrap();
        seen.debug("Transaction", &savepoint);
        savepoint.commit().await.unwrap();
        transaction.commit().await.unwrap();
        let mut connection = database.acquire().await.unwrap();
        let copied = canary("copied");
        let lines = connection.copy_in_raw("COPY secret (text) FROM STDIN", copied.as_bytes()).await.unwrap();
        assert_eq!(lines, 1);
        seen.debug("PoolConnection", &connection);
        drop(connection);
        let mut listener = PgListener::connect_with(database).await.unwrap();
        listener.listen(&canary("channel")).await.unwrap();
        seen.debug("PgListener", &listener);
        seen.debug("monitoring_sqlx::Pool", database);
    }

    async fn commands(&self) {
        let (cache, seen) = (&self.cache, &self.seen);
        let mut connection = cache.get().await.unwrap();
        let (key, value) = (canary("key"), canary("value"));
        let _: () = connection.set(&key, &value).await.unwrap();
        assert_eq!(connection.get::<_, String>(&key).await.unwrap(), value);
        let _: Value =
            pipe().atomic().hset(canary("hash"), canary("field"), &value).query_async(&mut connection).await.unwrap();
        let _: Value = pipe().get(&key).get(canary("missing")).query_async(&mut connection).await.unwrap();
        let script = Script::new(&format!("return redis.call('GET', KEYS[1]) .. ARGV[1] .. '{}'", canary("script")));
        let said: String = script.key(&key).arg(canary("argument")).invoke_async(&mut connection).await.unwrap();
        assert!(said.contains(&canary("script")));
        let failing = Script::new(&format!("return redis.error_reply('{}')", canary("reply")));
        let error = failing.invoke_async::<_, Value>(&mut connection).await.unwrap_err();
        assert!(is_in(error.to_string().as_bytes()), "{error}");
        assert!(cmd(&canary("command")).arg(canary("argument")).exec_async(&mut connection).await.is_err());
        assert!(connection.lpush::<_, _, u64>(&key, canary("element")).await.is_err());
        seen.debug("monitoring_redis::Connection", &connection);
        seen.debug("SharedConnection", connection.into_shared());

        let names = &self.names;
        for _ in 0..2 {
            let computed = async || Ok::<_, Infallible>(canary("computed"));
            assert_eq!(names.get_or_compute(&canary("name"), computed).await, Ok(canary("computed")));
        }
        let failed = names.get_or_compute(&canary("none"), async || Err::<String, _>(canary("failure"))).await;
        assert_eq!(failed, Err(canary("failure")));
        let mut connection = cache.get().await.unwrap();
        let keys: Vec<String> = cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
        let of_cache = format!("acme/names/{}", canary("name"));
        assert!(keys.contains(&of_cache), "{keys:?}");
        // What is in the cache is not what the cache has put there.
        let _: () = connection.set(&of_cache, canary("garbage")).await.unwrap();
        assert_eq!(names.get(&canary("name")).await, None);
        let _: () = connection.del(&of_cache).await.unwrap();
        let _: () = connection.hset(&of_cache, canary("field"), 1).await.unwrap();
        assert_eq!(names.get(&canary("name")).await, None);
        let error = names.insert(&canary("name"), &value).in_tenant(Tenant::NONE).await.unwrap_err();
        seen.error("CacheError", error);
        seen.debug("Cache", names);

        let builder = Subscriber::builder(&self.redis_url);
        seen.debug("SubscriberBuilder", &builder);
        let mut subscriber = builder.connect().await.unwrap();
        subscriber.subscribe(canary("channel")).await.unwrap();
        subscriber.psubscribe(canary("pattern") + "*").await.unwrap();
        let _: u64 = connection.publish(canary("channel"), canary("message")).await.unwrap();
        let message = subscriber.next().await.unwrap();
        assert_eq!(message.get_payload_bytes(), canary("message").as_bytes());
        seen.debug("Subscriber", &subscriber);
        let wrong = Subscriber::builder(self.redis_url.replace(&canary("password"), &canary("wrong"))).connect().await;
        seen.error("SubscriberError", wrong.unwrap_err());
        seen.debug("monitoring_redis::Pool", cache);
    }

    async fn calls(&self) {
        let (calls, seen) = (&self.calls, &self.seen);
        let middleware = calls.clone().into_middleware();
        seen.debug("ClientMiddleware", &middleware);
        let plain = reqwest::Client::builder().no_proxy().user_agent(canary("agent")).build().unwrap();
        let client = ClientBuilder::new(plain.clone()).with(middleware).build();
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let url = |address: SocketAddr| {
            let (user, password) = (canary("user"), canary("userinfo"));
            format!("http://{user}:{password}@{address}/{}?token={}#{CANARY}", canary("called"), canary("called-query"))
        };
        let request = |address| {
            let request =
                client.post(url(address)).header("x-secret", canary("called-header")).body(canary("called-body"));
            request.header("baggage", format!("user={}", canary("baggage")))
        };
        let answer = request(self.peer).send().await.unwrap();
        assert!(is_in(answer.headers()["x-answer"].as_bytes()) && is_in(&answer.bytes().await.unwrap()));
        let error = request(nobody).send().await.unwrap_err();
        assert!(is_in(format!("{error:?}").as_bytes()), "an error of reqwest quotes the URL: {error:?}");
        seen.debug("ClientError", error.client_error());

        let mut service = calls.layer(plain);
        for address in [self.peer, nobody] {
            let call = service
                .ready()
                .await
                .unwrap()
                .call(reqwest::Request::new(reqwest::Method::GET, url(address).parse().unwrap()));
            seen.debug("client::ResponseFuture", &call);
            assert_eq!(call.await.is_ok(), address == self.peer);
        }
        seen.debug("ClientService", &service);
        // Given up at once.
        drop(service.call(reqwest::Request::new(reqwest::Method::GET, url(self.peer).parse().unwrap())));
    }

    async fn jobs(&self) {
        let seen = &self.seen;
        let envelope = JobEnvelope::new(canary("payload"));
        assert!(is_in(envelope.tracestate().unwrap().as_bytes()), "the trace goes along");
        seen.debug("JobEnvelope", &envelope);
        let failed = envelope.run("export", |payload| async { Err::<(), _>(io::Error::other(payload)) }).await;
        assert!(is_in(failed.unwrap_err().to_string().as_bytes()));
        let hostile = format!(
            r#"{{"tenant":"{CANARY}/../acme","traceparent":"{CANARY}","tracestate":"a={CANARY}","enqueued_at_ms":1,
                "payload":"{CANARY}"}}"#
        );
        for tenant in [hostile.clone(), hostile.replace("/../acme", "")] {
            let envelope: JobEnvelope<String> = serde_json::from_str(&tenant).unwrap();
            assert!(is_in(envelope.tenant_id().unwrap().as_bytes()));
            seen.debug("JobEnvelope", &envelope);
            let done = envelope
                .run("import", |payload| async move { if is_in(payload.as_bytes()) { Ok(()) } else { Err(()) } });
            assert_eq!(done.await, Ok(()));
        }
        let job = job::job("panics").attempt(2).of(5);
        seen.debug("Job", &job);
        let run = job.run(async { if true { panic!("{}", canary("job-panic")) } else { Ok::<(), Infallible>(()) } });
        seen.debug("JobFuture", &run);
        let panicked = AssertUnwindSafe(run).catch_unwind().await.unwrap_err();
        assert!(panicked.downcast_ref::<String>().is_some_and(|message| is_in(message.as_bytes())));
        let layer = job::layer("sends").attempt(|_: &String| Attempt::number(1).of(1));
        seen.debug("JobLayer", &layer);
        let sends = ServiceBuilder::new().layer(layer);
        let sends = sends.service(service_fn(|text: String| async { Err::<(), _>(io::Error::other(text)) }));
        seen.debug("JobService", &sends);
        assert!(sends.oneshot(canary("request")).await.is_err());
        let backup = job::backup("postgres");
        let failed = backup.run(async { Err::<BackupReport, _>(io::Error::other(canary("backup"))) }).await;
        assert!(failed.is_err());
    }
}
