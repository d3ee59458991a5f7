//! What is to be looked at.

use std::path::{Path, PathBuf};

/// What [`install`](crate::MonitoringBuilder::install) or [`observe`](super::observe) looks at besides the process, its
/// allocator, its container and its runtime.
///
/// ```
/// use monitoring_core::Monitoring;
/// use monitoring_core::runtime::RuntimeConfig;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let builder = Monitoring::builder("billing").runtime(RuntimeConfig::new().disk("/var/lib/billing"));
/// # let _ = builder;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it is used by `MonitoringBuilder::runtime` or `runtime::observe`"]
pub struct RuntimeConfig {
    pub(super) is_on: bool,
    pub(super) disks: Vec<PathBuf>,
}

impl RuntimeConfig {
    /// The process, its allocator, its container and its runtime.
    pub const fn new() -> Self {
        Self { is_on: true, disks: Vec::new() }
    }

    /// Nothing at all: for a process that another library tells of already.
    pub const fn off() -> Self {
        Self { is_on: false, disks: Vec::new() }
    }

    /// The filesystem that holds this path, too; it is the label `system_filesystem_mountpoint` as it is written here.
    /// Each path takes a thread, because a filesystem on the network may hang. One that is given again changes nothing.
    pub fn disk(mut self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        // Two looks at one path would add up to twice its space.
        if !self.disks.iter().any(|known| known == path) {
            self.disks.push(path.to_owned());
        }
        self
    }
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_named_twice_is_looked_at_once() {
        let config = RuntimeConfig::new().disk("/data").disk("/var").disk("/data").disk("/data/");
        assert_eq!(config, RuntimeConfig::new().disk("/data").disk("/var"));
    }
}
