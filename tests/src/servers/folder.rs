//! Where a server keeps its files.

use std::{
    env, fs,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{Program, ServerError, account::Account};

/// A folder of one server: temporary, and then removed on drop, or given by the caller, and then kept.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    program: Program,
    temporary: Option<TempDir>,
}

impl Folder {
    pub(super) fn temporary(program: Program) -> Result<Self, ServerError> {
        Self::temporary_in(&env::temp_dir(), program)
    }

    fn temporary_in(parent: &Path, program: Program) -> Result<Self, ServerError> {
        let folder = tempfile::Builder::new()
            .prefix(program.name())
            .tempdir_in(parent)
            .map_err(|source| Self::error(program, parent, source))?;
        Ok(Self { path: folder.path().to_owned(), program, temporary: Some(folder) })
    }

    pub(super) fn given(path: &Path, program: Program) -> Result<Self, ServerError> {
        let path = fs::create_dir_all(path)
            .and_then(|()| path.canonicalize())
            .map_err(|source| Self::error(program, path, source))?;
        Ok(Self { path, program, temporary: None })
    }

    /// A temporary folder that `account` can reach, also where `TMPDIR` is private to the caller.
    pub(super) fn reachable_by(account: Option<Account>, program: Program) -> Result<Self, ServerError> {
        let reached = |path: &Path| account.is_none_or(|account| account.reaches(path));
        let parent = Some(env::temp_dir()).filter(|parent| reached(parent)).unwrap_or_else(|| PathBuf::from("/tmp"));
        let folder = Self::temporary_in(&parent, program)?;
        if account.is_some() {
            // Only for passing through: what is inside is the account's own, and private.
            fs::set_permissions(&folder.path, fs::Permissions::from_mode(0o711))
                .map_err(|source| Self::error(program, &folder.path, source))?;
        }
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join(format!("{}.log", self.program.name()))
    }

    pub(super) fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    /// Makes a folder inside, private to `account` or to the caller.
    pub(super) fn make_private_folder(&self, name: &str, account: Option<Account>) -> Result<PathBuf, ServerError> {
        let path = self.path.join(name);
        fs::create_dir_all(&path)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o700)))
            .and_then(|()| account.map_or(Ok(()), |account| account.own(&path)))
            .map_err(|source| Self::error(self.program, &path, source))?;
        Ok(path)
    }

    /// Writes a file inside, readable by `account` or by the caller only.
    pub(super) fn write_private(
        &self,
        name: &str,
        text: &str,
        account: Option<Account>,
    ) -> Result<PathBuf, ServerError> {
        let path = self.path.join(name);
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| account.map_or(Ok(()), |account| account.own(&path)))
            .map_err(|source| Self::error(self.program, &path, source))?;
        Ok(path)
    }

    fn error(program: Program, path: &Path, source: std::io::Error) -> ServerError {
        ServerError::Folder { program: program.name(), path: path.to_owned(), source }
    }
}
