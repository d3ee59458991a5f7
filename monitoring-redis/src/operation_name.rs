//! The names of commands: an allow-list, because the text of a command is the caller's and may be a key.

use deadpool_redis::redis::{Arg, Cmd, Pipeline};
use monitoring_core::database::Operation;

const PIPELINE: &str = "PIPELINE";
const MULTI: &str = "MULTI";

/// The commands of Redis 8 and of its modules for JSON, search, time series and sketches: upper case, sorted by their bytes.
// One name a line would make this file four times as long.
#[rustfmt::skip]
static COMMANDS: &[&str] = &[
    "ACL", "APPEND", "ASKING", "AUTH", "BF.ADD", "BF.CARD", "BF.EXISTS", "BF.INFO", "BF.INSERT", "BF.LOADCHUNK",
    "BF.MADD", "BF.MEXISTS", "BF.RESERVE", "BF.SCANDUMP", "BGREWRITEAOF", "BGSAVE", "BITCOUNT", "BITFIELD",
    "BITFIELD_RO", "BITOP", "BITPOS", "BLMOVE", "BLMPOP", "BLPOP", "BRPOP", "BRPOPLPUSH", "BZMPOP", "BZPOPMAX",
    "BZPOPMIN", "CF.ADD", "CF.ADDNX", "CF.COUNT", "CF.DEL", "CF.EXISTS", "CF.INFO", "CF.INSERT", "CF.INSERTNX",
    "CF.LOADCHUNK", "CF.MEXISTS", "CF.RESERVE", "CF.SCANDUMP", "CLIENT", "CLUSTER", "CMS.INCRBY", "CMS.INFO",
    "CMS.INITBYDIM", "CMS.INITBYPROB", "CMS.MERGE", "CMS.QUERY", "COMMAND", "CONFIG", "COPY", "DBSIZE", "DEBUG",
    "DECR", "DECRBY", "DEL", "DELEX", "DIGEST", "DISCARD", "DUMP", "ECHO", "EVAL", "EVALSHA", "EVALSHA_RO",
    "EVAL_RO", "EXEC", "EXISTS", "EXPIRE", "EXPIREAT", "EXPIRETIME", "FAILOVER", "FCALL", "FCALL_RO", "FLUSHALL",
    "FLUSHDB", "FT.AGGREGATE", "FT.ALIASADD", "FT.ALIASDEL", "FT.ALIASUPDATE", "FT.ALTER", "FT.CONFIG", "FT.CREATE",
    "FT.CURSOR", "FT.DICTADD", "FT.DICTDEL", "FT.DICTDUMP", "FT.DROPINDEX", "FT.EXPLAIN", "FT.EXPLAINCLI",
    "FT.HYBRID", "FT.INFO", "FT.PROFILE", "FT.SEARCH", "FT.SPELLCHECK", "FT.SUGADD", "FT.SUGDEL", "FT.SUGGET",
    "FT.SUGLEN", "FT.SYNDUMP", "FT.SYNUPDATE", "FT.TAGVALS", "FT._LIST", "FUNCTION", "GEOADD", "GEODIST", "GEOHASH",
    "GEOPOS", "GEORADIUS", "GEORADIUSBYMEMBER", "GEORADIUSBYMEMBER_RO", "GEORADIUS_RO", "GEOSEARCH",
    "GEOSEARCHSTORE", "GET", "GETBIT", "GETDEL", "GETEX", "GETRANGE", "GETSET", "HDEL", "HELLO", "HEXISTS",
    "HEXPIRE", "HEXPIREAT", "HEXPIRETIME", "HGET", "HGETALL", "HGETDEL", "HGETEX", "HINCRBY", "HINCRBYFLOAT",
    "HKEYS", "HLEN", "HMGET", "HMSET", "HOTKEYS", "HPERSIST", "HPEXPIRE", "HPEXPIREAT", "HPEXPIRETIME", "HPTTL",
    "HRANDFIELD", "HSCAN", "HSET", "HSETEX", "HSETNX", "HSTRLEN", "HTTL", "HVALS", "INCR", "INCRBY", "INCRBYFLOAT",
    "INCREX", "INFO", "JSON.ARRAPPEND", "JSON.ARRINDEX", "JSON.ARRINSERT", "JSON.ARRLEN", "JSON.ARRPOP",
    "JSON.ARRTRIM", "JSON.CLEAR", "JSON.DEBUG", "JSON.DEL", "JSON.FORGET", "JSON.GET", "JSON.MERGE", "JSON.MGET",
    "JSON.MSET", "JSON.NUMINCRBY", "JSON.NUMMULTBY", "JSON.OBJKEYS", "JSON.OBJLEN", "JSON.RESP", "JSON.SET",
    "JSON.STRAPPEND", "JSON.STRLEN", "JSON.TOGGLE", "JSON.TYPE", "KEYS", "LASTSAVE", "LATENCY", "LCS", "LINDEX",
    "LINSERT", "LLEN", "LMOVE", "LMPOP", "LOLWUT", "LPOP", "LPOS", "LPUSH", "LPUSHX", "LRANGE", "LREM", "LSET",
    "LTRIM", "MEMORY", "MGET", "MIGRATE", "MODULE", "MONITOR", "MOVE", "MSET", "MSETEX", "MSETNX", "MULTI",
    "OBJECT", "PERSIST", "PEXPIRE", "PEXPIREAT", "PEXPIRETIME", "PFADD", "PFCOUNT", "PFDEBUG", "PFMERGE",
    "PFSELFTEST", "PING", "PSETEX", "PSUBSCRIBE", "PSYNC", "PTTL", "PUBLISH", "PUBSUB", "PUNSUBSCRIBE", "QUIT",
    "RANDOMKEY", "READONLY", "READWRITE", "RENAME", "RENAMENX", "REPLCONF", "REPLICAOF", "RESET", "RESTORE",
    "RESTORE-ASKING", "ROLE", "RPOP", "RPOPLPUSH", "RPUSH", "RPUSHX", "SADD", "SAVE", "SCAN", "SCARD", "SCRIPT",
    "SDIFF", "SDIFFSTORE", "SELECT", "SENTINEL", "SET", "SETBIT", "SETEX", "SETNX", "SETRANGE", "SHUTDOWN",
    "SINTER", "SINTERCARD", "SINTERSTORE", "SISMEMBER", "SLAVEOF", "SLOWLOG", "SMEMBERS", "SMISMEMBER", "SMOVE",
    "SORT", "SORT_RO", "SPOP", "SPUBLISH", "SRANDMEMBER", "SREM", "SSCAN", "SSUBSCRIBE", "STRLEN", "SUBSCRIBE",
    "SUBSTR", "SUNION", "SUNIONSTORE", "SUNSUBSCRIBE", "SWAPDB", "SYNC", "TDIGEST.ADD", "TDIGEST.BYRANK",
    "TDIGEST.BYREVRANK", "TDIGEST.CDF", "TDIGEST.CREATE", "TDIGEST.INFO", "TDIGEST.MAX", "TDIGEST.MERGE",
    "TDIGEST.MIN", "TDIGEST.QUANTILE", "TDIGEST.RANK", "TDIGEST.RESET", "TDIGEST.REVRANK", "TDIGEST.TRIMMED_MEAN",
    "TIME", "TOPK.ADD", "TOPK.COUNT", "TOPK.INCRBY", "TOPK.INFO", "TOPK.LIST", "TOPK.QUERY", "TOPK.RESERVE",
    "TOUCH", "TS.ADD", "TS.ALTER", "TS.CREATE", "TS.CREATERULE", "TS.DECRBY", "TS.DEL", "TS.DELETERULE", "TS.GET",
    "TS.INCRBY", "TS.INFO", "TS.MADD", "TS.MGET", "TS.MRANGE", "TS.MREVRANGE", "TS.QUERYINDEX", "TS.RANGE",
    "TS.REVRANGE", "TTL", "TYPE", "UNLINK", "UNSUBSCRIBE", "UNWATCH", "VADD", "VCARD", "VDIM", "VEMB", "VGETATTR",
    "VINFO", "VISMEMBER", "VLINKS", "VRANDMEMBER", "VRANGE", "VREM", "VSETATTR", "VSIM", "WAIT", "WAITAOF", "WATCH",
    "XACK", "XACKDEL", "XADD", "XAUTOCLAIM", "XCFGSET", "XCLAIM", "XDEL", "XDELEX", "XGROUP", "XINFO", "XLEN",
    "XNACK", "XPENDING", "XRANGE", "XREAD", "XREADGROUP", "XREVRANGE", "XSETID", "XTRIM", "ZADD", "ZCARD", "ZCOUNT",
    "ZDIFF", "ZDIFFSTORE", "ZINCRBY", "ZINTER", "ZINTERCARD", "ZINTERSTORE", "ZLEXCOUNT", "ZMPOP", "ZMSCORE",
    "ZPOPMAX", "ZPOPMIN", "ZRANDMEMBER", "ZRANGE", "ZRANGEBYLEX", "ZRANGEBYSCORE", "ZRANGESTORE", "ZRANK", "ZREM",
    "ZREMRANGEBYLEX", "ZREMRANGEBYRANK", "ZREMRANGEBYSCORE", "ZREVRANGE", "ZREVRANGEBYLEX", "ZREVRANGEBYSCORE",
    "ZREVRANK", "ZSCAN", "ZSCORE", "ZUNION", "ZUNIONSTORE",
];

/// The command's name if it is a known one, `_OTHER` if not.
pub(crate) fn of_command(command: &Cmd) -> &'static str {
    match command.args_iter().next() {
        Some(Arg::Simple(name)) => known(name),
        _ => Operation::OTHER,
    }
}

/// A pipeline is one operation, whatever it is made of.
pub(crate) fn of_pipeline(pipeline: &Pipeline) -> &'static str {
    if pipeline.is_transaction() { MULTI } else { PIPELINE }
}

/// Compares ignoring case, as the server does, without a copy.
fn known(name: &[u8]) -> &'static str {
    COMMANDS
        .binary_search_by(|command| command.bytes().cmp(name.iter().map(u8::to_ascii_uppercase)))
        .ok()
        .and_then(|position| COMMANDS.get(position))
        .map_or(Operation::OTHER, |command| command)
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::{cmd, pipe};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_list_is_sorted_upper_case_and_without_repetition() {
        assert!(COMMANDS.is_sorted_by(|one, next| one.as_bytes() < next.as_bytes()));
        assert!(COMMANDS.iter().all(|command| !command.bytes().any(|byte| byte.is_ascii_lowercase())));
    }

    #[test]
    fn each_command_is_found_in_either_case() {
        for command in COMMANDS {
            assert_eq!(of_command(&cmd(command)), *command);
            assert_eq!(of_command(&cmd(&command.to_lowercase())), *command);
        }
    }

    #[test]
    fn the_name_is_the_first_argument_only() {
        assert_eq!(of_command(cmd("get").arg("SET")), "GET");
        assert_eq!(of_command(Cmd::new().arg("HSET").arg("key").arg("field")), "HSET");
        assert_eq!(of_command(cmd("CONFIG").arg("GET").arg("maxmemory")), "CONFIG");
    }

    #[test]
    fn what_is_no_command_is_other() {
        for name in ["", "GETS", "GE", "GET ", " GET", "GET key", "PIPELINE", "CONNECT", "user:42", "\u{1F980}"] {
            assert_eq!(of_command(&cmd(name)), Operation::OTHER, "{name:?}");
        }
        assert_eq!(of_command(&Cmd::new()), Operation::OTHER);
        assert_eq!(of_command(Cmd::new().cursor_arg(0)), Operation::OTHER);
    }

    #[test]
    fn a_pipeline_has_one_name() {
        assert_eq!(of_pipeline(pipe().get("a").set("b", 1)), "PIPELINE");
        assert_eq!(of_pipeline(pipe().atomic().get("a")), "MULTI");
    }

    #[test]
    fn finding_a_name_allocates_nothing() {
        let command = cmd("get").arg("key").take();
        let find = || assert_eq!(of_command(&command), "GET");
        assert_eq!(allocation_counter::measure(find).count_total, 0);
    }

    proptest! {
        /// The returned text is always the list's own, never the caller's.
        #[test]
        fn no_text_from_outside_the_list_is_ever_returned(name in prop::collection::vec(any::<u8>(), 0..64)) {
            let returned = known(&name);
            let listed = COMMANDS.iter().find(|command| command.as_bytes().eq_ignore_ascii_case(&name));
            prop_assert_eq!(returned, listed.copied().unwrap_or(Operation::OTHER));
        }

        /// Near misses of real commands, where a search by halves would go wrong first.
        #[test]
        fn a_command_with_something_added_or_removed_is_no_other_command(
            position in 0..COMMANDS.len(), cut in 0_usize..4, added in "[A-Za-z0-9:. _-]{0,3}",
        ) {
            let command = COMMANDS[position];
            let name = format!("{}{added}", &command[..command.len().saturating_sub(cut)]);
            let listed = COMMANDS.iter().find(|command| command.eq_ignore_ascii_case(&name));
            prop_assert_eq!(known(name.as_bytes()), listed.copied().unwrap_or(Operation::OTHER));
        }
    }
}
