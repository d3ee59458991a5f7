//! The folder of all that the demo writes.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use super::DemoError;

/// `target/demo`, emptied, and locked against another demo for as long as this lives.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes `path`, which is made if it does not exist.
    ///
    /// # Errors
    /// [`DemoError::Busy`] if another demo has it, [`DemoError::Folder`] if it is not the caller's to empty.
    pub(crate) fn take(path: PathBuf) -> Result<Self, DemoError> {
        let failed = |source| DemoError::Folder { path: path.clone(), source };
        fs::create_dir_all(&path).map_err(failed)?;
        let lock = File::create(path.with_extension("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DemoError::Busy { path }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        fs::remove_dir_all(&path).and_then(|()| fs::create_dir_all(&path)).map_err(failed)?;
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_emptied_and_has_one_demo_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("demo");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("left-over"), "").unwrap();

        let folder = Folder::take(path.clone()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

        assert!(matches!(Folder::take(path.clone()), Err(DemoError::Busy { .. })));
        drop(folder);
        assert!(Folder::take(path).is_ok());
    }

    #[test]
    fn a_folder_that_cannot_be_emptied_is_reported_with_the_remedy() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("demo");
        fs::write(&path, "").unwrap();
        let error = Folder::take(path).unwrap_err().to_string();
        assert!(error.ends_with("was the demo run as root before? Then remove both as root"), "{error}");
    }
}
