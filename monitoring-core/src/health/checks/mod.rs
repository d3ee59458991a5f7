//! The checks that come with the crate: `tcp.rs` connects, `http.rs` asks for a page, `disk.rs` looks how full a file system
//! is, `certificate.rs` (feature `health-tls`) how long a certificate is still valid. `target.rs` is whom they ask; `tls.rs`
//! whom they trust. Those of pools are in the crates of the pools.

#[cfg(feature = "health-tls")]
mod certificate;
#[cfg(unix)]
mod disk;
mod http;
mod target;
mod tcp;
#[cfg(feature = "health-tls")]
mod tls;

#[cfg(feature = "health-tls")]
pub use certificate::TlsCertificate;
#[cfg(unix)]
pub use disk::DiskSpace;
pub use http::HttpGet;
pub use tcp::TcpConnect;
