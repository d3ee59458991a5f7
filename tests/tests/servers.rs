//! Each server starts, answers, and leaves nothing behind.
#![allow(clippy::unwrap_used, reason = "what a test calls may panic as the test may")]

use std::{
    env, fs,
    net::{SocketAddr, TcpStream},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use deadpool_redis::redis::AsyncCommands as _;
use monitoring_tests::{
    promtool_check,
    servers::{Launch, PostgreSql, Process, Program, Prometheus, Redis, ServerError, Target},
};
use sqlx::{Connection as _, PgConnection};

const DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// Every process of the group that the server leads.
fn group(process: &Process) -> Vec<PathBuf> {
    let id = process.id().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    processes
        .filter(|process| {
            let Ok(stat) = fs::read_to_string(process.join("stat")) else {
                return false;
            };
            // After the name, which is in parentheses: state, parent, group.
            let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            after_name.split_whitespace().nth(2) == Some(&id)
        })
        .collect()
}

fn assert_gone(address: SocketAddr, processes: &[PathBuf], folder: &Path) {
    assert!(!processes.is_empty(), "the server had at least one process");
    let started = Instant::now();
    while processes.iter().any(|process| process.exists()) {
        assert!(started.elapsed() < DEADLINE, "some of {processes:?} are still running");
        thread::sleep(POLL);
    }
    assert!(TcpStream::connect(address).is_err(), "{address} still answers");
    assert!(!folder.exists(), "{} was not removed", folder.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_answers_a_query_and_leaves_nothing_behind() {
    let mut server = PostgreSql::start().unwrap();
    let mut connection = PgConnection::connect(&server.url()).await.unwrap();
    let user: String = sqlx::query_scalar("select current_user::text").fetch_one(&mut connection).await.unwrap();
    assert_eq!(user, "monitoring");
    drop(connection);

    let without_password = format!("postgres://monitoring@{}/postgres", server.address());
    assert!(PgConnection::connect(&without_password).await.is_err(), "others must not get in");

    let owner = fs::metadata(server.data().join("PG_VERSION")).unwrap();
    assert_ne!(owner.uid(), 0, "it must not run as root");

    let (address, processes, folder) = (server.address(), group(server.process()), server.folder().to_owned());
    drop(server);
    assert_gone(address, &processes, &folder);
}

#[test]
fn postgresql_leaves_its_log_in_a_given_folder_though_it_is_private_to_the_caller() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let given = folder.path().join("demo/postgresql");
    let server = PostgreSql::start_in(&given).unwrap();
    let log = given.join("postgres.log");
    drop(server);
    let text = fs::read_to_string(log).unwrap();
    assert!(text.contains("ready to accept connections"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_answers_a_command_and_leaves_nothing_behind() {
    let mut server = Redis::start().unwrap();
    let client = deadpool_redis::redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let () = connection.set("greeting", "hello").await.unwrap();
    let greeting: String = connection.get("greeting").await.unwrap();
    assert_eq!(greeting, "hello");

    let stranger = deadpool_redis::redis::Client::open(format!("redis://{}/", server.address())).unwrap();
    let mut connection = stranger.get_multiplexed_async_connection().await.unwrap();
    assert!(connection.get::<_, String>("greeting").await.is_err(), "others must not get in");

    let (address, processes, folder) = (server.address(), group(server.process()), server.folder().to_owned());
    drop(server);
    assert_gone(address, &processes, &folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_scrapes_its_target_and_leaves_nothing_behind() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target { job: "saas".into(), service: "billing".into(), address: listener.local_addr().unwrap() };
    let metrics = axum::routing::get(async || "# TYPE logins_total counter\nlogins_total 7\n");
    tokio::spawn(axum::serve(listener, axum::Router::new().route("/metrics", metrics)).into_future());

    let mut server = Prometheus::start(&[target], Duration::from_millis(200)).unwrap();
    let query = format!("{}/api/v1/query?query=logins_total", server.url());
    let started = Instant::now();
    let sample = loop {
        let answer: serde_json::Value = reqwest::get(&query).await.unwrap().json().await.unwrap();
        let result = &answer["data"]["result"];
        if let Some(sample) = result.get(0) {
            break sample.clone();
        }
        assert!(started.elapsed() < DEADLINE, "nothing was scraped: {answer}\n{}", server.process().log_tail());
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(sample["value"][1], "7");
    assert_eq!(sample["metric"]["job"], "saas");
    assert_eq!(sample["metric"]["service"], "billing");

    let (address, processes, folder) = (server.address(), group(server.process()), server.folder().to_owned());
    drop(server);
    assert_gone(address, &processes, &folder);
}

/// Set in the process that plays the parent in the test below.
const PARENT_FOLDER: &str = "MONITORING_TESTS_PARENT_FOLDER";

#[test]
fn a_server_does_not_outlive_a_parent_that_is_killed() {
    if let Some(folder) = env::var_os(PARENT_FOLDER).map(PathBuf::from) {
        let server = Launch::new("/bin/sleep".into(), vec!["600".into()]).start(&folder.join("log")).unwrap();
        fs::write(folder.join("new"), server.id().to_string()).unwrap();
        fs::rename(folder.join("new"), folder.join("id")).unwrap();
        thread::sleep(DEADLINE);
        panic!("nobody has killed the parent");
    }

    let folder = tempfile::tempdir().unwrap();
    let mut parent = Command::new(env::current_exe().unwrap())
        .args(["--exact", "a_server_does_not_outlive_a_parent_that_is_killed"])
        .env(PARENT_FOLDER, folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let id = loop {
        match fs::read_to_string(folder.path().join("id")) {
            Ok(id) => break id,
            Err(error) => assert!(started.elapsed() < DEADLINE, "no server was started: {error}"),
        }
        thread::sleep(POLL);
    };
    let server = Path::new("/proc").join(id);
    assert!(server.exists());

    parent.kill().unwrap();
    parent.wait().unwrap();
    let is_running = || fs::read_to_string(server.join("stat")).is_ok_and(|stat| !stat.contains(") Z "));
    let started = Instant::now();
    while is_running() {
        assert!(started.elapsed() < DEADLINE, "the server lives on");
        thread::sleep(POLL);
    }
}

#[test]
fn a_missing_server_names_its_package_and_the_remedy() {
    let empty = tempfile::tempdir().unwrap();
    let error = Program::REDIS_SERVER.locate_in(&[empty.path().to_owned()]).unwrap_err();
    assert!(matches!(error, ServerError::Missing { .. }));
    assert_eq!(
        error.to_string(),
        "`redis-server` was not found on this machine; it is in the Debian package `redis-server`: \
         run `cargo xtask test`, which installs what is missing, or `apt-get install redis-server`"
    );
}

#[test]
fn promtool_is_content_with_a_good_scrape_and_names_what_is_wrong() {
    let good = "# HELP logins_total Logins.\n# TYPE logins_total counter\nlogins_total 1\n";
    assert_eq!(promtool_check(good).unwrap(), Vec::<String>::new());

    let without_help = "# TYPE logins counter\nlogins 1\n";
    let findings = promtool_check(without_help).unwrap();
    assert!(findings.iter().any(|finding| finding.contains("no help text")), "{findings:?}");
    assert!(findings.iter().any(|finding| finding.contains("_total")), "{findings:?}");

    let broken = "logins{ 1\n".repeat(100_000);
    assert!(!promtool_check(&broken).unwrap().is_empty());
}
