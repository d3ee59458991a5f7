//! A process whose allocator is jemalloc.

use monitoring_core::Monitoring;
use monitoring_core::runtime::{self, RuntimeConfig};
use monitoring_tests::exposition::Samples;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[test]
fn what_a_program_allocates_is_seen_at_the_next_scrape() {
    const BYTES: usize = 64 << 20;

    let monitoring = Monitoring::builder("test").build().unwrap();
    runtime::observe(&monitoring, &RuntimeConfig::new()).unwrap();
    let scrape = || monitoring.render().parse::<Samples>().unwrap();
    let bytes = |samples: &Samples, kind| samples.value("saas_runtime_allocator_bytes", &[("kind", kind)]).unwrap();
    let before = scrape();
    assert!(bytes(&before, "allocated") > 0.0 && bytes(&before, "resident") >= bytes(&before, "allocated"));
    assert!(bytes(&before, "retained") >= 0.0);
    let held = vec![1_u8; BYTES];
    let during = scrape();
    for kind in ["allocated", "resident"] {
        assert!(bytes(&during, kind) - bytes(&before, kind) >= 0.9 * BYTES as f64, "{kind}");
    }
    drop(held);
    assert!(bytes(&during, "allocated") - bytes(&scrape(), "allocated") >= 0.9 * BYTES as f64);
}
