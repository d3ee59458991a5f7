//! Every work that is measured, by name.

use crate::work::Work;

const BY_HANDLE: &str = "record counter and histogram, tenant handle";
const BY_TEXT: &str = "record counter and histogram, tenant text";
const HOT: &str = "one hot series";
const MEMORY: &str = "memory";
const SCRAPE: &str = "text of 1M counters";
const UNKNOWN: &str = "1M unknown tenants";
const REGISTERED: &str = "1M registered tenants over budget";
const HTTP: &str = "HTTP layer, metrics only";
const SQL: &str = "SQL wrapper, SELECT 1 on SQLite";
const REDIS: &str = "Redis wrapper, GET answered in process";

/// The series that the store under attack may have in a family.
const BUDGET: f64 = 100_000.0;

macro_rules! works {
    ($($(#[$doc:meta])* $name:ident = $work:expr;)*) => {
        $($(#[$doc])* pub const $name: Work = $work;)*

        /// All works, in the order in which they are shown.
        pub const ALL: &[Work] = &[$($name),*];
    };
}

works! {
    /// One thread.
    HANDLE_1000 = Work::lower(BY_HANDLE, "1000 tenants", "ns").goal(30.0);
    /// Two threads.
    HANDLE_1000_SHARED = Work::lower(BY_HANDLE, "1000 tenants, 2 threads", "ns");
    /// One thread.
    HANDLE_10000 = Work::lower(BY_HANDLE, "10000 tenants", "ns").goal(90.0);
    /// Two threads.
    HANDLE_10000_SHARED = Work::lower(BY_HANDLE, "10000 tenants, 2 threads", "ns");
    /// Heap allocations for both.
    HANDLE_ALLOCATIONS = Work::lower(BY_HANDLE, "allocations", "allocations").goal(0.0);
    /// One thread.
    TEXT_1000 = Work::lower(BY_TEXT, "1000 tenants", "ns").goal(60.0);
    /// Two threads.
    TEXT_1000_SHARED = Work::lower(BY_TEXT, "1000 tenants, 2 threads", "ns");
    /// One thread.
    TEXT_10000 = Work::lower(BY_TEXT, "10000 tenants", "ns").goal(170.0);
    /// Two threads.
    TEXT_10000_SHARED = Work::lower(BY_TEXT, "10000 tenants, 2 threads", "ns");
    /// Heap allocations for both.
    TEXT_ALLOCATIONS = Work::lower(BY_TEXT, "allocations", "allocations").goal(0.0);

    /// One thread adds.
    HOT_ALONE = Work::lower(HOT, "1 thread", "ns");
    /// Two threads add to the same series.
    HOT_SHARED = Work::lower(HOT, "2 threads", "ns");
    /// What the second thread costs the first.
    HOT_RATIO = Work::lower(HOT, "2 threads over 1 thread", "x").goal(2.0);

    /// 1M counter series that are all there can be.
    COUNTER_FULL = Work::lower(MEMORY, "counter series, full grid", "B");
    /// 1M counter series, one in ten of those there can be.
    COUNTER_SPARSE = Work::lower(MEMORY, "counter series, 10 % of the grid", "B").goal(64.0);
    /// 100k histogram series that are all there can be.
    HISTOGRAM_FULL = Work::lower(MEMORY, "11-bucket histogram series, full grid", "B");
    /// 100k histogram series, one in ten of those there can be.
    HISTOGRAM_SPARSE = Work::lower(MEMORY, "11-bucket histogram series, 10 % of the grid", "B").goal(180.0);
    /// What samples leave behind until somebody scrapes.
    SAMPLES = Work::lower(MEMORY, "growth by 1M samples without a scrape", "MiB").goal(1.0);

    /// Text by time.
    SCRAPE_THROUGHPUT = Work::higher(SCRAPE, "throughput", "MB/s").goal(1_200.0);
    /// Time for all of it.
    SCRAPE_TIME = Work::lower(SCRAPE, "time", "ms");
    /// Memory that is held for the time of it.
    SCRAPE_PEAK = Work::lower(SCRAPE, "extra peak", "MiB").goal(4.0);
    /// What a request waits for its new series meanwhile.
    SCRAPE_WAIT = Work::lower(SCRAPE, "longest wait for a new series meanwhile", "µs");

    /// All series that are written out.
    UNKNOWN_SERIES = Work::lower(UNKNOWN, "series afterwards", "series").goal(BUDGET);
    /// By the allocator.
    UNKNOWN_GROWTH = Work::lower(UNKNOWN, "growth", "MiB").goal(64.0);
    /// By the operating system.
    UNKNOWN_RESIDENT = Work::lower(UNKNOWN, "resident growth", "MiB").goal(64.0);
    /// The look-up included.
    UNKNOWN_FOLD = Work::lower(UNKNOWN, "fold into overflow, tenant text", "ns").goal(60.0);

    /// All series that are written out: each of the tenants is sure of one, whatever others have used up.
    REGISTERED_SERIES = Work::lower(REGISTERED, "series afterwards", "series").goal(BUDGET + 1_000_000.0);
    /// By the allocator, from where the budget is used up.
    REGISTERED_GROWTH = Work::lower(REGISTERED, "growth", "MiB").goal(64.0);
    /// The tenant resolved before.
    REGISTERED_FOLD = Work::lower(REGISTERED, "fold into overflow, tenant handle", "ns");

    /// Time over what the application costs without.
    HTTP_TIME = Work::lower(HTTP, "over a bare router", "ns").goal(400.0);
    /// Beyond the two that any layer makes axum do.
    HTTP_ALLOCATIONS = Work::lower(HTTP, "allocations over a pass-through layer", "allocations").goal(0.0);

    /// The processor's time over sqlx alone, to take a connection from the pool included.
    SQL_TIME = Work::lower(SQL, "processor time over bare sqlx", "ns").goal(1_000.0);
    /// The same for allocations.
    SQL_ALLOCATIONS = Work::lower(SQL, "allocations over bare sqlx", "allocations");

    /// Time over the connection alone.
    REDIS_TIME = Work::lower(REDIS, "over the bare connection", "ns").goal(300.0);
    /// The same for allocations.
    REDIS_ALLOCATIONS = Work::lower(REDIS, "allocations over the bare connection", "allocations");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The goals that the project has set itself, in its own words.
    const GOALS: [(&str, f64); 18] = [
        ("record counter and histogram, tenant handle, 1000 tenants", 30.0),
        ("record counter and histogram, tenant handle, 10000 tenants", 90.0),
        ("record counter and histogram, tenant handle, allocations", 0.0),
        ("record counter and histogram, tenant text, 1000 tenants", 60.0),
        ("record counter and histogram, tenant text, 10000 tenants", 170.0),
        ("one hot series, 2 threads over 1 thread", 2.0),
        ("memory, counter series, 10 % of the grid", 64.0),
        ("memory, 11-bucket histogram series, 10 % of the grid", 180.0),
        ("memory, growth by 1M samples without a scrape", 1.0),
        ("text of 1M counters, throughput", 1_200.0),
        ("text of 1M counters, extra peak", 4.0),
        ("1M unknown tenants, series afterwards", 100_000.0),
        ("1M unknown tenants, growth", 64.0),
        ("1M unknown tenants, fold into overflow, tenant text", 60.0),
        ("HTTP layer, metrics only, over a bare router", 400.0),
        ("HTTP layer, metrics only, allocations over a pass-through layer", 0.0),
        ("SQL wrapper, SELECT 1 on SQLite, processor time over bare sqlx", 1_000.0),
        ("Redis wrapper, GET answered in process, over the bare connection", 300.0),
    ];

    #[test]
    fn every_goal_is_measured() {
        for (name, goal) in GOALS {
            let work = ALL.iter().find(|work| work.name() == name);
            assert_eq!(work.and_then(|work| work.goal), Some(goal), "{name}");
        }
    }

    #[test]
    fn no_two_works_have_the_same_name() {
        let names: BTreeSet<_> = ALL.iter().map(Work::name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
