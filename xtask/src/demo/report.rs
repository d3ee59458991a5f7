//! What the demo shows at its end: the table, and `summary.json`.

use std::{collections::BTreeMap, fmt, fs, io, path::Path};

use comfy_table::{Cell, CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;

use super::{
    counts::{Comparison, Counts},
    tenant_view::TenantView,
};

/// What Prometheus has of one tenant, or of all together, since the service was started.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Measured {
    /// Requests by outcome.
    pub(crate) outcomes: Counts,
    /// Server errors among all requests, from 0 to 1; `null` without a request.
    pub(crate) error_ratio: Option<f64>,
    /// Quantiles of the duration of requests.
    pub(crate) latency_seconds: Latency,
    /// Time spent waiting for databases, by `db_system_name`. Free tenants have none by name: it is that of `__other__`.
    pub(crate) database_seconds: BTreeMap<String, f64>,
    /// Runs of background jobs; `null` if there was none, or none by the tenant's name.
    pub(crate) jobs: Option<u64>,
    /// Of what was asked of the cache, what it had, from 0 to 1; `null` if it was not asked.
    pub(crate) cache_hit_ratio: Option<f64>,
    /// Time spent waiting for other services; `null` if none was asked.
    pub(crate) external_seconds: Option<f64>,
}

/// A connection pool, since the service was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Pool {
    /// The most connections that it may open.
    pub(crate) max: u64,
    /// How often a connection was taken and given back.
    pub(crate) taken: u64,
    /// For how long connections were held, all together.
    pub(crate) use_seconds: f64,
    /// What 95 of 100 waits for a connection did not exceed; `null` without a wait.
    pub(crate) wait_seconds_p95: Option<f64>,
}

impl Measured {
    fn redis_seconds(&self) -> Option<f64> {
        self.database_seconds.get(REDIS).copied()
    }

    fn sql_seconds(&self) -> Option<f64> {
        let systems = self.database_seconds.iter().filter(|(system, _)| *system != REDIS);
        systems.map(|(_, seconds)| *seconds).reduce(|sum, seconds| sum + seconds)
    }
}

const REDIS: &str = "redis";

/// Quantiles of a duration in seconds; `null` where there was no request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: Option<f64>,
    pub(crate) p95: Option<f64>,
    pub(crate) p99: Option<f64>,
}

impl Latency {
    pub(crate) const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];

    /// Sets one of [`QUANTILES`](Self::QUANTILES).
    pub(crate) fn set(&mut self, quantile: f64, seconds: Option<f64>) {
        if quantile <= 0.5 {
            self.p50 = seconds;
        } else if quantile <= 0.95 {
            self.p95 = seconds;
        } else {
            self.p99 = seconds;
        }
    }
}

/// The whole result, as it is written to `summary.json`.
///
/// Every number but those of `comparison.differences[].load`, `formats` and `tenant_view` is read from Prometheus.
/// Durations are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// The seed of the first round; each further round adds 1.
    pub(crate) seed: u64,
    /// How long the load generator was told to play, a round.
    pub(crate) seconds: u64,
    /// How many rounds were played; 1 if headless.
    pub(crate) rounds: u64,
    /// What was run, by name.
    pub(crate) versions: BTreeMap<&'static str, String>,
    /// How long the parts of the demo took.
    pub(crate) durations: Durations,
    /// Whether Prometheus and the load generator agree.
    pub(crate) comparison: Comparison,
    /// How often Prometheus has scraped the service; none of the scrapes has failed.
    pub(crate) scrapes: u64,
    /// What the service's metric store holds.
    pub(crate) store: Store,
    /// The bytes of a scrape by format, not compressed.
    pub(crate) formats: BTreeMap<&'static str, usize>,
    /// What the busiest tenant was shown of itself.
    pub(crate) tenant_view: TenantView,
    /// What `promtool check metrics` says of `metrics.txt`; all of it is allowed.
    pub(crate) promtool: Vec<String>,
    /// The connection pools, by name.
    pub(crate) pools: BTreeMap<String, Pool>,
    /// All tenants together.
    pub(crate) total: Measured,
    /// Each tenant, by the value of the `tenant` label.
    pub(crate) tenants: BTreeMap<String, Measured>,
}

/// The metric store of the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Store {
    pub(crate) series: u64,
    pub(crate) bytes: u64,
}

/// How long the parts of the demo took, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Durations {
    /// Until all servers and the service answered.
    pub(crate) start: f64,
    /// While the load was played, over all rounds.
    pub(crate) load: f64,
    /// From the end of the load until two further scrapes had succeeded, in the last round.
    pub(crate) settle: f64,
}

impl Summary {
    pub(crate) fn write(&self, file: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(file, text)
    }

    /// The tenants with the most requests, `rows` at most, and a line for all.
    pub(crate) fn table(&self, rows: usize) -> Table {
        let mut tenants: Vec<(&String, &Measured)> = self.tenants.iter().collect();
        // The sort is stable, so tenants with equally many requests stay in the order of their names.
        tenants.sort_by_key(|(_, row)| std::cmp::Reverse(row.outcomes.total()));
        let hidden = tenants.len().saturating_sub(rows);
        tenants.truncate(rows);

        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header([
            "tenant",
            "requests",
            "server errors",
            "p50",
            "p95",
            "p99",
            "SQL time",
            "Redis time",
            "external",
            "jobs",
            "cache hits",
        ]);
        for (tenant, row) in tenants {
            table.add_row(cells(tenant, row));
        }
        let name = match hidden {
            0 => format!("all {}", self.tenants.len()),
            _ => format!("all {}, {hidden} not shown", self.tenants.len()),
        };
        table.add_row(cells(&name, &self.total));
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// A few lines on the store, and on those who look into it.
    pub(crate) fn store_and_readers(&self) -> String {
        let formats: Vec<_> =
            self.formats.iter().map(|(name, bytes)| format!("{} KiB in {name}", bytes.div_ceil(1_024))).collect();
        let Store { series, bytes } = self.store;
        let TenantView { tenant, series: own } = &self.tenant_view;
        format!(
            "The store holds {series} series in {} KiB. A scrape of it is {}.\n\
             {tenant} has signed in and asked for its own metrics: {own} lines, and none of another tenant.",
            bytes.div_ceil(1_024),
            formats.join(", "),
        )
    }

    /// The connection pools: how many connections there may be, how many were in use on average while the load was
    /// played, and how long it took to get one.
    pub(crate) fn pools(&self) -> Table {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["pool", "connections", "in use on average", "taken", "p95 of waits"]);
        for (name, pool) in &self.pools {
            table.add_row([
                Cell::new(name),
                Cell::new(pool.max),
                Cell::new(format!("{:.2}", pool.use_seconds / self.durations.load)),
                Cell::new(pool.taken),
                Cell::new(Seconds(pool.wait_seconds_p95)),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// The rows in which Prometheus and the load generator differ.
    pub(crate) fn differences(&self) -> Table {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["tenant", "outcome", "load generator", "Prometheus"]);
        for row in &self.comparison.differences {
            table.add_row([
                row.tenant.clone(),
                row.outcome.to_owned(),
                row.load.to_string(),
                row.prometheus.to_string(),
            ]);
        }
        table
    }
}

fn cells(name: &str, row: &Measured) -> Vec<Cell> {
    let percent = |ratio: Option<f64>, digits| {
        ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.digits$} %", 100.0 * ratio))
    };
    let Latency { p50, p95, p99 } = row.latency_seconds;
    vec![
        Cell::new(name),
        Cell::new(row.outcomes.total()),
        Cell::new(percent(row.error_ratio, 2)),
        Cell::new(Seconds(p50)),
        Cell::new(Seconds(p95)),
        Cell::new(Seconds(p99)),
        Cell::new(Seconds(row.sql_seconds())),
        Cell::new(Seconds(row.redis_seconds())),
        Cell::new(Seconds(row.external_seconds)),
        Cell::new(row.jobs.map_or_else(|| "-".to_owned(), |jobs| jobs.to_string())),
        Cell::new(percent(row.cache_hit_ratio, 1)),
    ]
}

/// A duration with three digits or so.
struct Seconds(Option<f64>);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("-"),
            Some(seconds) if seconds >= 1.0 => write!(f, "{seconds:.2} s"),
            Some(seconds) => write!(f, "{:.1} ms", 1000.0 * seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::counts::Difference;

    fn measured(ok: u64, server_error: u64) -> Measured {
        Measured {
            outcomes: Counts { ok, server_error, ..Counts::default() },
            error_ratio: Some(0.015),
            latency_seconds: Latency { p50: Some(0.0042), p95: Some(0.25), p99: Some(1.5) },
            database_seconds: BTreeMap::from([("postgresql".to_owned(), 2.5), ("redis".to_owned(), 0.125)]),
            jobs: Some(3),
            cache_hit_ratio: Some(0.875),
            external_seconds: Some(0.5),
        }
    }

    fn summary() -> Summary {
        Summary {
            seed: 7,
            seconds: 60,
            rounds: 1,
            versions: BTreeMap::from([("prometheus", "2.42.0".to_owned())]),
            durations: Durations { start: 1.5, load: 60.0, settle: 2.0 },
            comparison: Comparison {
                equal: false,
                compared: 8,
                differences: vec![Difference { tenant: "acme".into(), outcome: "ok", load: 9, prometheus: 8 }],
            },
            scrapes: 63,
            store: Store { series: 1_200, bytes: 65_537 },
            formats: BTreeMap::from([("text", 10_240), ("protobuf", 1)]),
            tenant_view: TenantView { tenant: "acme".to_owned(), series: 20 },
            promtool: vec![],
            pools: BTreeMap::from([(
                "postgresql".to_owned(),
                Pool { max: 10, taken: 1_234, use_seconds: 90.0, wait_seconds_p95: Some(0.0015) },
            )]),
            total: measured(1_234, 20),
            tenants: BTreeMap::from([
                ("acme".to_owned(), measured(8, 1)),
                ("quiet".to_owned(), Measured::default()),
                ("zeta".to_owned(), measured(1_226, 19)),
            ]),
        }
    }

    #[test]
    fn the_table_begins_with_the_busiest_tenants_and_ends_with_all() {
        let expected = "\
┌────────────────────┬──────────┬───────────────┬────────┬──────────┬────────┬──────────┬────────────┬──────────┬──────┬────────────┐
│ tenant             ┆ requests ┆ server errors ┆    p50 ┆      p95 ┆    p99 ┆ SQL time ┆ Redis time ┆ external ┆ jobs ┆ cache hits │
╞════════════════════╪══════════╪═══════════════╪════════╪══════════╪════════╪══════════╪════════════╪══════════╪══════╪════════════╡
│ zeta               ┆     1245 ┆        1.50 % ┆ 4.2 ms ┆ 250.0 ms ┆ 1.50 s ┆   2.50 s ┆   125.0 ms ┆ 500.0 ms ┆    3 ┆     87.5 % │
│ acme               ┆        9 ┆        1.50 % ┆ 4.2 ms ┆ 250.0 ms ┆ 1.50 s ┆   2.50 s ┆   125.0 ms ┆ 500.0 ms ┆    3 ┆     87.5 % │
│ all 3, 1 not shown ┆     1254 ┆        1.50 % ┆ 4.2 ms ┆ 250.0 ms ┆ 1.50 s ┆   2.50 s ┆   125.0 ms ┆ 500.0 ms ┆    3 ┆     87.5 % │
└────────────────────┴──────────┴───────────────┴────────┴──────────┴────────┴──────────┴────────────┴──────────┴──────┴────────────┘";
        assert_eq!(summary().table(2).to_string(), expected);
        let whole = summary().table(3).to_string();
        assert!(whole.contains("quiet") && whole.contains("all 3 "), "{whole}");
    }

    #[test]
    fn a_tenant_without_database_time_by_name_has_none_in_the_table() {
        let summary = Summary { tenants: [("free".to_owned(), Measured::default())].into(), ..summary() };
        let table = summary.table(1).to_string();
        assert!(table.lines().any(|line| line.contains("free") && line.matches("- ").count() == 9), "{table}");
    }

    #[test]
    fn the_store_and_its_readers_are_told_in_two_lines() {
        assert_eq!(
            summary().store_and_readers(),
            "The store holds 1200 series in 65 KiB. A scrape of it is 1 KiB in protobuf, 10 KiB in text.\n\
             acme has signed in and asked for its own metrics: 20 lines, and none of another tenant."
        );
    }

    #[test]
    fn a_pool_is_shown_by_how_much_of_it_is_in_use() {
        let table = summary().pools().to_string();
        assert!(
            table.lines().any(|line| {
                ["postgresql", " 10 ", " 1.50 ", " 1234 ", " 1.5 ms "].iter().all(|cell| line.contains(cell))
            }),
            "{table}"
        );
    }

    #[test]
    fn differing_rows_are_shown_with_both_numbers() {
        let expected = "\
┌────────┬─────────┬────────────────┬────────────┐
│ tenant ┆ outcome ┆ load generator ┆ Prometheus │
╞════════╪═════════╪════════════════╪════════════╡
│ acme   ┆ ok      ┆ 9              ┆ 8          │
└────────┴─────────┴────────────────┴────────────┘";
        assert_eq!(summary().differences().to_string(), expected);
    }

    #[test]
    fn the_summary_has_the_documented_shape() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("summary.json");
        summary().write(&file).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let row = |ok: u64, server_error: u64| {
            serde_json::json!({
                "outcomes": {"ok": ok, "client_error": 0, "server_error": server_error, "cancelled": 0},
                "error_ratio": 0.015,
                "latency_seconds": {"p50": 0.0042, "p95": 0.25, "p99": 1.5},
                "database_seconds": {"postgresql": 2.5, "redis": 0.125},
                "jobs": 3,
                "cache_hit_ratio": 0.875,
                "external_seconds": 0.5,
            })
        };
        assert_eq!(
            written,
            serde_json::json!({
                "seed": 7,
                "seconds": 60,
                "rounds": 1,
                "versions": {"prometheus": "2.42.0"},
                "durations": {"start": 1.5, "load": 60.0, "settle": 2.0},
                "comparison": {
                    "equal": false,
                    "compared": 8,
                    "differences": [{"tenant": "acme", "outcome": "ok", "load": 9, "prometheus": 8}],
                },
                "scrapes": 63,
                "store": {"series": 1_200, "bytes": 65_537},
                "formats": {"text": 10_240, "protobuf": 1},
                "tenant_view": {"tenant": "acme", "series": 20},
                "promtool": [],
                "pools": {"postgresql": {"max": 10, "taken": 1_234, "use_seconds": 90.0, "wait_seconds_p95": 0.0015}},
                "total": row(1_234, 20),
                "tenants": {
                    "acme": row(8, 1),
                    "quiet": {
                        "outcomes": {"ok": 0, "client_error": 0, "server_error": 0, "cancelled": 0},
                        "error_ratio": null,
                        "latency_seconds": {"p50": null, "p95": null, "p99": null},
                        "database_seconds": {},
                        "jobs": null,
                        "cache_hit_ratio": null,
                        "external_seconds": null,
                    },
                    "zeta": row(1_226, 19),
                },
            })
        );
    }
}
