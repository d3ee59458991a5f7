//! The queries of the guide, by Prometheus' own tests of rules: each says of each series whether it fires.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use monitoring_tests::servers::Program;

const PAGE: &str = include_str!("../../../docs/src/jobs.md");

/// The query of the guide whose comment begins with that text.
fn query(title: &str) -> String {
    let mut blocks = PAGE.split("```promql\n").skip(1).filter_map(|block| block.split("```").next());
    let block = blocks.find(|block| block.starts_with(&format!("# {title}"))).unwrap();
    block.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join(" ")
}

/// The answers to `query` at `time`, given these series with a value every ten minutes: labels with values.
fn assert_answers(query: &str, series: &[(&str, &str)], time: &str, answers: &[(&str, f64)]) {
    let mut test = String::from("evaluation_interval: 10m\ntests:\n- interval: 10m\n  input_series:\n");
    for (series, values) in series {
        writeln!(test, "  - series: '{series}'\n    values: '{values}'").unwrap();
    }
    write!(test, "  promql_expr_test:\n  - expr: |\n      {query}\n    eval_time: {time}\n    exp_samples:\n").unwrap();
    for (labels, value) in answers {
        writeln!(test, "    - labels: '{labels}'\n      value: {value}").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.yml");
    fs::write(&file, &test).unwrap();
    let promtool = Program::PROMTOOL.locate().unwrap();
    let output = Command::new(promtool).args(["test", "rules"]).arg(&file).output().unwrap();
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{test}\n{printed}");
}

#[test]
fn a_job_is_overdue_if_it_last_succeeded_too_long_ago_or_never() {
    const SUCCESS: &str = "saas_job_last_success_timestamp_seconds";
    const SINCE: &str = "saas_job_expected_since_timestamp_seconds";
    let hours = |hours: u32| f64::from(hours) * 3600.0;
    let every_two_hours: Vec<_> = ["healthy", "late", "never", "new", "loops", "restarted", "elsewhere"]
        .map(|job| (format!("saas_job_expected_interval_seconds{{job_name=\"{job}\"}}"), "7200x300"))
        .into();
    let mut series = vec![
        // Succeeds all the time.
        (format!("{SUCCESS}{{job_name=\"healthy\"}}"), "0+600x300"),
        (format!("{SINCE}{{job_name=\"healthy\"}}"), "0x300"),
        // Succeeded after an hour, and then no more.
        (format!("{SUCCESS}{{job_name=\"late\"}}"), "_x6 3600x294"),
        (format!("{SINCE}{{job_name=\"late\"}}"), "0x300"),
        // Never succeeded.
        (format!("{SINCE}{{job_name=\"never\"}}"), "0x300"),
        // Is expected for an hour.
        (format!("{SINCE}{{job_name=\"new\"}}"), "_x282 169200x18"),
        // Starts anew each ten minutes, and never gets so far as to run.
        (format!("{SINCE}{{job_name=\"loops\"}}"), "0+600x300"),
        // Succeeded an hour ago, in a process that is gone.
        (format!("{SUCCESS}{{job_name=\"restarted\",instance=\"a\"}}"), "0+600x281 stale"),
        (format!("{SINCE}{{job_name=\"restarted\",instance=\"b\"}}"), "_x282 169200x18"),
        // Succeeds in one of two replicas.
        (format!("{SUCCESS}{{job_name=\"elsewhere\",instance=\"a\"}}"), "0+600x300"),
        (format!("{SINCE}{{job_name=\"elsewhere\",instance=\"b\"}}"), "0x300"),
    ];
    series.extend(every_two_hours);
    let series: Vec<_> = series.iter().map(|(series, values)| (series.as_str(), *values)).collect();
    let fires = [
        (r#"{job_name="late"}"#, hours(47)),
        (r#"{job_name="never"}"#, hours(48)),
        (r#"{job_name="loops"}"#, hours(48)),
    ];
    assert_answers(&query("Overdue"), &series, "48h", &fires);
}

#[test]
fn jobs_that_failed_for_good_are_a_share_of_those_that_have_come_to_an_end() {
    // Of one job every fifth is dead, of the other none; what is retried or cancelled is no end.
    let series = [
        (r#"saas_job_runs_total{tenant="acme",job_name="bad",outcome="ok"}"#, "0+40x9"),
        (r#"saas_job_runs_total{tenant="acme",job_name="bad",outcome="dead"}"#, "0+10x9"),
        (r#"saas_job_runs_total{tenant="acme",job_name="bad",outcome="retried"}"#, "0+90x9"),
        (r#"saas_job_runs_total{tenant="zeta",job_name="good",outcome="ok"}"#, "0+10x9"),
        (r#"saas_job_runs_total{tenant="zeta",job_name="good",outcome="failed"}"#, "0x9"),
        (r#"saas_job_runs_total{tenant="zeta",job_name="good",outcome="retried"}"#, "0+90x9"),
        (r#"saas_job_runs_total{tenant="zeta",job_name="good",outcome="cancelled"}"#, "0+90x9"),
    ];
    let query = query("The share").replace("15m", "30m");
    assert_answers(&query, &series, "90m", &[(r#"{job_name="bad"}"#, 0.2)]);
}

#[test]
fn a_worker_that_died_leaves_starts_without_ends() {
    let series = [
        // The first worker dies within a job; the second one does another and is within a third.
        (r#"saas_job_starts_total{job_name="export",instance="a"}"#, "0 1 1 stale"),
        (r#"saas_job_ends_total{job_name="export",instance="a"}"#, "0 0 0 stale"),
        (r#"saas_job_active{job_name="export",instance="a"}"#, "0 1 1 stale"),
        (r#"saas_job_starts_total{job_name="export",instance="b"}"#, "0 0 1 2 2 2 2"),
        (r#"saas_job_ends_total{job_name="export",instance="b"}"#, "0 0 0 1 1 1 1"),
        (r#"saas_job_active{job_name="export",instance="b"}"#, "0 0 1 1 1 1 1"),
        // Nothing is amiss here, and one job is under way.
        (r#"saas_job_starts_total{job_name="import",instance="b"}"#, "0 1 2 3 3 3 3"),
        (r#"saas_job_ends_total{job_name="import",instance="b"}"#, "0 0 1 2 2 2 2"),
        (r#"saas_job_active{job_name="import",instance="b"}"#, "0 1 1 1 1 1 1"),
        // The only worker of these is gone.
        (r#"saas_job_starts_total{job_name="report",instance="c"}"#, "0 0 1 1 stale"),
        (r#"saas_job_ends_total{job_name="report",instance="c"}"#, "0 0 0 0 stale"),
        (r#"saas_job_active{job_name="report",instance="c"}"#, "0 0 1 1 stale"),
    ];
    // `increase` is a rate over the window, so that one is rarely exactly one.
    let query = format!("round({})", query("Begun and never ended"));
    let fires = [(r#"{job_name="export"}"#, 1.0), (r#"{job_name="report"}"#, 1.0)];
    assert_answers(&query, &series, "1h", &fires);
}

#[test]
fn a_queue_stands_still_and_a_backup_shrinks() {
    let ages = [
        (r#"saas_job_queue_age_seconds{queue="exports",instance="a"}"#, "900"),
        (r#"saas_job_queue_age_seconds{queue="exports",instance="b"}"#, "890"),
        (r#"saas_job_queue_age_seconds{queue="mails",instance="a"}"#, "5"),
    ];
    assert_answers(&query("A queue"), &ages, "0m", &[(r#"{queue="exports"}"#, 900.0)]);
    let sizes = [
        (r#"saas_backup_size_bytes{target="postgres"}"#, "1000x20 400"),
        (r#"saas_backup_size_bytes{target="redis"}"#, "1000x20 900"),
    ];
    let shrunk = [(r#"saas_backup_size_bytes{target="postgres"}"#, 400.0)];
    assert_answers(&query("A backup"), &sizes, "210m", &shrunk);
}
