//! The trace that work belongs to, across processes: W3C Trace Context. Feature `propagation`.
//!
//! ```
//! use monitoring_core::propagation::TraceContext;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut request = http::Request::get("/invoices/7").body(())?;
//! request.headers_mut().insert("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse()?);
//!
//! // At the edge: whether a stranger's trace is worth to be followed is for the application to say.
//! // A trace that breaks the rules is refused and counted, and the request goes on without it.
//! let trace = TraceContext::from_headers(request.headers()).ok().flatten().unwrap_or_else(TraceContext::new_root);
//! trace.scope(async {
//!     // In here it is what calls to trusted services and job envelopes carry on.
//!     let current = TraceContext::current().ok_or("no trace")?;
//!     assert_eq!(current.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
//!     Ok::<(), &str>(())
//! })
//! .await?;
//! # Ok(()) }
//! ```
//!
//! The types are those of the `opentelemetry` crate, and the current trace is that of `opentelemetry::Context`: spans of any
//! OpenTelemetry instrumentation are carried on, and the other way round. **Baggage is never read or written**: it holds what
//! other parties put into it, and says it to whoever is called.
//!
//! Limits, on what comes from outside: one `traceparent` of 55 to 512 bytes, of `tracestate` the first 32 members of at most
//! 512 bytes together, over all its header lines. What is refused is counted by its reason, in
//! `monitoring_rejected_trace_contexts_total`.
//
// `context.rs` is the trace, `scope.rs` makes it the current one; `headers.rs` reads and writes it, and `traceparent.rs`
// knows the format of its text. What is refused is counted in `rejected.rs`.

mod context;
mod headers;
mod rejected;
mod scope;
mod traceparent;

pub use context::TraceContext;
pub use headers::{TRACEPARENT, TRACESTATE};
pub use opentelemetry::trace::{SpanId, TraceFlags, TraceId};
pub use scope::{EnteredTrace, InTrace};
pub use traceparent::InvalidTraceContext;
