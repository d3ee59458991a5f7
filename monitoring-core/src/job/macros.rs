//! `job!`.

/// Runs a future as the job with that name, for a tenant: `job!("invoice-export", tenant, async { … }).await`. Without
/// the tenant, `job!("invoice-export", async { … })`, it is for the one that is current.
///
/// It is [`job(name)`](crate::job::job()) with a name that must be a constant: a text that is only known when the program
/// runs does not compile. What the future returns says whether it succeeded ([`JobResult`](crate::job::JobResult)), and is
/// given back as it is.
///
/// ```
/// use monitoring_core::{Tenant, job};
///
/// # #[tokio::main] async fn main() {
/// let tenant = Tenant::NONE;
/// let written = job!("invoice-export", tenant, async { Ok::<_, std::io::Error>(12) }).await;
/// # assert_eq!(written.unwrap(), 12);
/// # }
/// ```
///
/// ```compile_fail
/// # let name = std::env::args().next().unwrap();
/// monitoring_core::job!(&name, async {});
/// ```
#[macro_export]
macro_rules! job {
    (@run $name:expr, $tenant:expr, $future:expr $(,)?) => {
        $crate::job::job($name).tenant($tenant).run($future)
    };
    (@run $name:expr, $future:expr $(,)?) => {
        $crate::job::job($name).run($future)
    };
    // A text is checked also where the code around it is never compiled to the end.
    ($name:literal, $($rest:tt)+) => {{
        const _: &str = $crate::job::checked_name($name);
        $crate::job!(@run $name, $($rest)+)
    }};
    ($name:expr, $($rest:tt)+) => {
        $crate::job!(@run const { $crate::job::checked_name($name) }, $($rest)+)
    };
}

/// The longest name of a job, in bytes.
const MAX_NAME: usize = 64;

/// The name of a job, if it can be one. Only for constants: there it fails when compiling.
///
/// # Panics
/// If it cannot be one.
#[doc(hidden)]
pub const fn checked_name(name: &'static str) -> &'static str {
    assert!(!name.is_empty(), "a job needs a name: it becomes the label `job_name`");
    assert!(name.len() <= MAX_NAME, "the name of a job has at most 64 bytes: it becomes the label `job_name`");
    name
}
