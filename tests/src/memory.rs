//! What the process has in memory.

use std::{fs, io};

/// The memory of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The bytes that are in RAM.
    pub resident: u64,
}

impl Memory {
    /// What the kernel counts now. It counts page by page, exactly, which costs some tenths of a millisecond.
    ///
    /// # Errors
    /// If `/proc` cannot be read.
    pub fn of_this_process() -> io::Result<Self> {
        let text = fs::read_to_string("/proc/self/smaps_rollup")?;
        let line = text.lines().find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix(" kB"));
        let kibibytes: Option<u64> = line.and_then(|number| number.trim().parse().ok());
        let resident = kibibytes.ok_or_else(|| io::Error::other("/proc/self/smaps_rollup has no line `Rss:`"))? * 1024;
        Ok(Self { resident })
    }

    /// How many bytes more than `earlier` are in RAM.
    #[must_use]
    pub fn growth_since(self, earlier: Self) -> u64 {
        self.resident.saturating_sub(earlier.resident)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_to_is_resident() {
        let before = Memory::of_this_process().unwrap();
        let block = vec![1_u8; 32 << 20];
        let growth = Memory::of_this_process().unwrap().growth_since(before);
        assert!(growth > 24 << 20, "{growth} bytes for {} ones", block.iter().filter(|byte| **byte == 1).count());
    }
}
