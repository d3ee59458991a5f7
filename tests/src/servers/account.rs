//! The unprivileged user of a server that refuses to be root.

use std::{fs, io, os::unix::fs::MetadataExt, os::unix::process::CommandExt, path::Path, process::Command};

use super::ServerError;

/// A user of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    user: u32,
    group: u32,
}

impl Account {
    /// The account to run PostgreSQL as: `None` is the caller's own, which is right unless that is root.
    pub(super) fn for_postgresql() -> Result<Option<Self>, ServerError> {
        Self::for_server_of("postgres")
    }

    /// The account to run MariaDB as, in the same way.
    pub(super) fn for_mariadb() -> Result<Option<Self>, ServerError> {
        Self::for_server_of("mysql")
    }

    fn for_server_of(name: &str) -> Result<Option<Self>, ServerError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Self::named(name, &users)
            .or_else(|| Self::named("nobody", &users))
            .map(Some)
            .ok_or(ServerError::NoUnprivilegedUser)
    }

    fn named(name: &str, users: &str) -> Option<Self> {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            if fields.next() != Some(name) {
                return None;
            }
            let mut numbers = fields.skip(1).map_while(|field| field.parse().ok());
            Some(Self { user: numbers.next()?, group: numbers.next()? })
        })
    }

    /// Makes `command` run as this user, without any further groups.
    pub(super) fn apply_to(self, command: &mut Command) {
        command.uid(self.user).gid(self.group);
    }

    /// Gives a file or folder to this user.
    pub(super) fn own(self, path: &Path) -> io::Result<()> {
        std::os::unix::fs::chown(path, Some(self.user), Some(self.group))
    }

    /// Whether this user may pass through `folder` and all folders above it.
    pub(super) fn reaches(self, folder: &Path) -> bool {
        folder.ancestors().all(|folder| {
            fs::metadata(folder).is_ok_and(|folder| {
                let bit = if folder.uid() == self.user {
                    0o100
                } else if folder.gid() == self.group {
                    0o010
                } else {
                    0o001
                };
                folder.mode() & bit != 0
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let users = "postgresql:x:1:2::/:/bin/sh\npostgres:x:101:104:PostgreSQL,,,:/var/lib:/bin/bash\n";
        let postgres = Account { user: 101, group: 104 };
        assert_eq!(Account::named("postgres", users), Some(postgres));
        assert_eq!(Account::named("nobody", users), None);
    }

    #[test]
    fn a_folder_below_a_private_one_is_out_of_reach() {
        let stranger = Account { user: 4_000_001, group: 4_000_001 };
        let outer = tempfile::tempdir_in("/tmp").unwrap();
        let inner = outer.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::set_permissions(outer.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!stranger.reaches(&inner));
        fs::set_permissions(outer.path(), fs::Permissions::from_mode(0o711)).unwrap();
        assert!(stranger.reaches(&inner));
    }
}
