//! Whatever crates record through the `metrics` facade, independent parsers read back.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use monitoring_core::runtime::RuntimeConfig;
use monitoring_core::{Format, Monitoring};
use monitoring_tests::prometheus_client::{self, Parser};
use monitoring_tests::promtool_check;
use proptest::prelude::*;

use super::expected::{Expected, read};
use super::metrics::tenant;
use super::texts::{number, tenant_id, text};

const KNOWN: &[&str] = &["acme", "zeta"];

/// The buckets of every histogram of the facade.
const BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The monitoring that the facade of this process records into.
pub(crate) fn installed() -> &'static Monitoring {
    static MONITORING: OnceLock<Monitoring> = OnceLock::new();
    MONITORING.get_or_init(|| {
        // What is compared is what the tests record: nothing else may change.
        let monitoring = Monitoring::builder("facade").runtime(RuntimeConfig::off()).install().unwrap();
        for id in KNOWN {
            tenant(&monitoring, id);
        }
        monitoring
    })
}

/// One record of each kind.
#[derive(Debug)]
struct Record {
    queue: String,
    tenant: String,
    whole: u64,
    float: f64,
}

fn record() -> impl Strategy<Value = Record> {
    let float = prop_oneof![
        0.0..20.0_f64,
        any::<f32>().prop_filter_map("finite", |any| Some(f64::from(any.abs())).filter(|any| any.is_finite()))
    ];
    (text(), tenant_id(KNOWN), number(), float).prop_map(|(queue, tenant, whole, float)| Record {
        queue,
        tenant,
        whole,
        float,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, max_shrink_time: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn any_label_that_comes_through_the_facade_is_read_back_as_it_was_recorded(
        records in prop::collection::vec(record(), 150..250),
        help in text(),
    ) {
        static CASES: AtomicU32 = AtomicU32::new(0);
        let monitoring = installed();
        // The store outlives the case, so each has metrics of its own.
        let prefix = format!("facade_{}_", CASES.fetch_add(1, Ordering::Relaxed));
        let [jobs, level, time] = ["jobs_total", "level", "seconds"].map(|name| format!("{prefix}{name}"));
        // Parsers may trim what is around a help.
        let help = format!("[{help}]");
        describe_counter!(jobs.clone(), help.clone());
        describe_gauge!(level.clone(), help.clone());
        describe_histogram!(time.clone(), help.clone());

        let mut expected = Expected::default();
        for Record { queue, tenant, whole, float } in &records {
            let labels = [("queue", queue.clone()), ("tenant", tenant.clone())];
            counter!(jobs.clone(), &labels).increment(*whole);
            gauge!(level.clone(), &labels).set(-*float);
            histogram!(time.clone(), &labels).record(*float);

            let queue = if queue.len() > 256 { "__other__" } else { queue };
            let known = [KNOWN, &["__none__", "__other__"]].concat();
            let tenant = if known.contains(&tenant.as_str()) { tenant } else { "__unknown__" };
            let labels = [("queue", queue), ("tenant", tenant)];
            expected.add(&jobs, &labels, *whole);
            expected.set(&level, &labels, -*float);
            expected.observe_float(&time, &labels, BUCKETS, *float);
        }
        expected.check(monitoring, &[&prefix]);

        let texts = [Format::Text, Format::OpenMetrics].map(|format| read(monitoring, format));
        for read in prometheus_client::read(&[(Parser::Text, &texts[0]), (Parser::OpenMetrics, &texts[1])]).unwrap() {
            let families = read.unwrap();
            let of_case: Vec<_> = families.iter().filter(|family| family.name.starts_with(&prefix)).collect();
            prop_assert_eq!(of_case.len(), 3);
            prop_assert!(of_case.iter().all(|family| family.help == help));
        }
    }
}

#[test]
fn any_name_becomes_one_that_independent_parsers_take() {
    let monitoring = installed();
    let names =
        ["", "7up", "größe", "a b", "a\nb_total 1\n", "x{y=\"z\"}", "__name__", "日本", "\0", "# TYPE", "NaN", "a:b"];
    for (name, number) in names.iter().zip(1_u64..) {
        for label in names {
            counter!(format!("named_{name}_total"), label => "x").increment(number);
        }
    }
    let texts = [Format::Text, Format::OpenMetrics].map(|format| read(monitoring, format));
    let [text, open_metrics] = &texts;
    for read in prometheus_client::read(&[(Parser::Text, text), (Parser::OpenMetrics, open_metrics)]).unwrap() {
        let families = read.unwrap();
        let samples = families.iter().flat_map(|family| &family.samples);
        let sum: f64 = samples.filter(|sample| sample.name.starts_with("named_")).map(|sample| sample.value).sum();
        // Each name is recorded once under each label.
        let count = names.len() as f64;
        assert_eq!(sum, count * (count + 1.0) / 2.0 * count, "{text}");
    }
    let findings = promtool_check(text).unwrap();
    // What it says of style is right, but the names are not ours.
    assert!(!findings.iter().any(|finding| finding.starts_with("error")), "{findings:?}");
}
