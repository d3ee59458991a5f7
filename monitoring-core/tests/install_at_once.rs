//! `install` by several threads at once, in a process of its own.

use std::sync::Barrier;
use std::thread;

use monitoring_core::{InstallError, Monitoring};

#[test]
fn of_several_installations_at_once_one_succeeds_and_the_others_say_why_not() {
    const THREADS: usize = 16;
    let start = Barrier::new(THREADS);
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    Monitoring::builder(&format!("service-{number}")).install()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });

    let installed: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    assert_eq!(installed.len(), 1);
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert_eq!(*error, InstallError::AlreadyInstalled);
    }
    // The recorder and the instruments are of the same one.
    metrics::counter!("calls").increment(1);
    assert_eq!(Monitoring::global().map(Monitoring::service_name), Some(installed[0].service_name()));
    assert_eq!(installed[0].render().contains("calls 1\n"), cfg!(feature = "metrics"));
}
