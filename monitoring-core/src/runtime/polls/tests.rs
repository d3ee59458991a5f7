//! Long polls, of futures whose polls take as long as they are told.

use std::convert::Infallible;
use std::future::{pending, poll_fn, ready};
use std::task::Waker;

use super::*;

fn long_polls(monitoring: &Monitoring) -> Option<f64> {
    let samples: monitoring_tests::exposition::Samples = monitoring.render().parse().unwrap();
    samples.value("saas_tokio_long_polls_total", &[])
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Blocks until so much time has passed.
fn block(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() <= time {
        std::hint::spin_loop();
    }
}

#[test]
fn each_poll_that_takes_longer_than_the_threshold_counts() {
    let monitoring = Monitoring::builder("test").build().unwrap();
    let long = Duration::from_millis(2);
    let long_polls_of = LongPolls::of(&monitoring).unwrap().threshold(long);
    assert_eq!(long_polls(&monitoring), Some(0.0));
    let mut polls = 0;
    let future = poll_fn(|_task| {
        polls += 1;
        block(long);
        if polls < 3 { Poll::Pending } else { Poll::Ready(polls) }
    });
    let mut future = std::pin::pin!(long_polls_of.measure(future));
    assert!(poll(future.as_mut()).is_pending());
    assert!(poll(future.as_mut()).is_pending());
    assert_eq!(poll(future.as_mut()), Poll::Ready(3));
    assert_eq!(long_polls(&monitoring), Some(3.0));
}

#[test]
fn polls_within_the_threshold_do_not_count_and_a_wait_is_no_poll() {
    let monitoring = Monitoring::builder("test").build().unwrap();
    let long_polls_of = LongPolls::of(&monitoring).unwrap().threshold(Duration::from_secs(3600));
    let mut waiting = std::pin::pin!(long_polls_of.measure(pending::<()>()));
    assert!(poll(waiting.as_mut()).is_pending());
    assert_eq!(poll(std::pin::pin!(long_polls_of.measure(ready(1)))), Poll::Ready(1));
    assert_eq!(long_polls(&monitoring), Some(0.0));
}

#[test]
fn a_service_in_the_layer_has_the_polls_of_its_responses_timed() {
    #[derive(Clone)]
    struct Blocks;

    impl Service<Duration> for Blocks {
        type Response = &'static str;
        type Error = Infallible;
        type Future = Pin<Box<dyn Future<Output = Result<&'static str, Infallible>> + Send>>;

        fn poll_ready(&mut self, _task: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, time: Duration) -> Self::Future {
            Box::pin(async move {
                block(time);
                Ok("done")
            })
        }
    }

    let monitoring = Monitoring::builder("test").build().unwrap();
    let layer = LongPolls::of(&monitoring).unwrap().threshold(Duration::from_millis(2));
    let mut service = layer.layer(Blocks);
    let response = poll(std::pin::pin!(service.call(Duration::from_millis(2))));
    assert_eq!(response, Poll::Ready(Ok("done")));
    assert_eq!(long_polls(&monitoring), Some(1.0));
}

#[test]
fn before_the_monitoring_is_installed_a_future_is_only_polled() {
    assert_eq!(poll(std::pin::pin!(ready(7).measure_polls())), Poll::Ready(7));
}

#[test]
fn a_poll_allocates_nothing() {
    let monitoring = Monitoring::builder("test").build().unwrap();
    let long_polls_of = LongPolls::of(&monitoring).unwrap();
    let measure = || {
        assert_eq!(poll(std::pin::pin!(long_polls_of.measure(ready(7)))), Poll::Ready(7));
    };
    assert_eq!(allocation_counter::measure(measure).count_total, 0);
}
