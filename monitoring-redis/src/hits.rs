//! Whether what was asked for was there, by the reply; the metric is `saas.cache.requests`.

use std::sync::OnceLock;

use deadpool_redis::redis::{Cmd, RedisResult, Value};
use monitoring_core::{Instruments, Symbol, Tenant};

use crate::instruments::{CacheLabels, CacheResult, RedisInstruments};

/// Counts hits and misses under one name.
pub(crate) struct Hits {
    instruments: Instruments<RedisInstruments>,
    name: Box<str>,
    /// The name as a label; set once monitoring is installed.
    symbol: OnceLock<Symbol>,
}

impl Hits {
    pub(crate) fn new(instruments: Instruments<RedisInstruments>, name: &str) -> Self {
        Self { instruments, name: name.into(), symbol: OnceLock::new() }
    }

    /// So many requests of the tenant ended like this.
    pub(crate) fn add(&self, tenant: Tenant, result: CacheResult, requests: u64) {
        let Some(instruments) = self.instruments.get().filter(|_| requests > 0) else { return };
        let cache = *self.symbol.get_or_init(|| instruments.registry.symbol(&self.name));
        instruments.cache_requests.add(tenant, CacheLabels { cache, result }, requests);
    }

    /// Counts the reply to a command of that name, if it is one that asks for values: one request for each of them.
    pub(crate) fn count(&self, name: &'static str, command: &Cmd, reply: &RedisResult<Value>) {
        let Some(asked) = values_asked(name, command) else { return };
        let tenant = Tenant::current();
        match reply {
            Err(_) | Ok(Value::ServerError(_)) => self.add(tenant, CacheResult::Error, asked),
            Ok(Value::Nil) => self.add(tenant, CacheResult::Miss, asked),
            Ok(Value::BulkString(_)) => self.add(tenant, CacheResult::Hit, asked),
            Ok(Value::Array(values)) => {
                let misses = values.iter().filter(|value| matches!(value, Value::Nil)).count();
                self.add(tenant, CacheResult::Miss, misses as u64);
                self.add(tenant, CacheResult::Hit, (values.len() - misses) as u64);
            }
            // Within a transaction that is sent command by command, the reply is only that it is queued.
            Ok(_) => {}
        }
    }
}

/// How many values a command of that name asks for by their keys, if that is what it does.
fn values_asked(name: &'static str, command: &Cmd) -> Option<u64> {
    let others = match name {
        "GET" | "GETDEL" | "GETEX" | "HGET" => return Some(1),
        "MGET" => 1,
        "HMGET" => 2,
        _ => return None,
    };
    Some(command.args_iter().skip(others).count() as u64)
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::{cmd, parse_redis_value};
    use monitoring_core::{Monitoring, Tier};

    use super::*;

    fn counted(name: &'static str, command: &Cmd, reply: &str) -> [f64; 3] {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let hits = Hits::new(Instruments::of(&monitoring).unwrap(), "sessions");
        let acme = monitoring.tenants().register("acme".parse().unwrap(), Tier::Standard).unwrap();
        let _acme = acme.enter();
        hits.count(name, command, &parse_redis_value(reply.as_bytes()));
        let text = monitoring.render();
        ["hit", "miss", "error"].map(|result| {
            let series = format!(r#"saas_cache_requests_total{{tenant="acme",cache="sessions",result="{result}"}} "#);
            text.lines().find_map(|line| line.strip_prefix(&series)).map_or(0.0, |value| value.parse().unwrap())
        })
    }

    #[test]
    fn one_value_is_there_or_not() {
        for name in ["GET", "GETDEL", "GETEX", "HGET"] {
            let command = cmd(name).arg("a").arg("b").take();
            assert_eq!(counted(name, &command, "$0\r\n\r\n"), [1.0, 0.0, 0.0], "{name}");
            assert_eq!(counted(name, &command, "$-1\r\n"), [0.0, 1.0, 0.0], "{name}");
            assert_eq!(counted(name, &command, "-WRONGTYPE Operation\r\n"), [0.0, 0.0, 1.0], "{name}");
            assert_eq!(counted(name, &command, "not Redis"), [0.0, 0.0, 1.0], "{name}");
        }
    }

    #[test]
    fn many_values_are_counted_one_by_one() {
        let three = "*3\r\n$1\r\nx\r\n$-1\r\n$1\r\ny\r\n";
        let mget = cmd("MGET").arg("a").arg("b").arg("c").take();
        assert_eq!(counted("MGET", &mget, three), [2.0, 1.0, 0.0]);
        assert_eq!(counted("MGET", &mget, "-CLUSTERDOWN Hash slot not served\r\n"), [0.0, 0.0, 3.0]);
        let hmget = cmd("HMGET").arg("key").arg("a").arg("b").arg("c").take();
        assert_eq!(counted("HMGET", &hmget, three), [2.0, 1.0, 0.0]);
        assert_eq!(counted("HMGET", &hmget, "-WRONGTYPE Operation\r\n"), [0.0, 0.0, 3.0]);
    }

    #[test]
    fn what_asks_for_no_value_or_is_only_queued_is_not_counted() {
        for name in ["SET", "EXISTS", "LPOP", "HGETALL", "GETRANGE", "_OTHER"] {
            assert_eq!(counted(name, &cmd(name).arg("a").take(), "$-1\r\n"), [0.0; 3], "{name}");
        }
        assert_eq!(counted("GET", &cmd("GET").arg("a").take(), "+QUEUED\r\n"), [0.0; 3]);
    }

    #[test]
    fn counting_allocates_nothing_once_the_series_exist() {
        let monitoring = Monitoring::builder("test").build().unwrap();
        let hits = Hits::new(Instruments::of(&monitoring).unwrap(), "sessions");
        let (command, reply) = (cmd("GET").arg("a").take(), Ok(Value::Nil));
        hits.count("GET", &command, &reply);
        assert_eq!(allocation_counter::measure(|| hits.count("GET", &command, &reply)).count_total, 0);
    }
}
