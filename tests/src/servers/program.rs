//! Which programs are needed, and where they are.

use std::{
    cmp::Reverse,
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::ServerError;

/// A program of a server, and the Debian package it comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    name: &'static str,
    package: &'static str,
}

impl Program {
    /// The PostgreSQL server.
    pub const POSTGRES: Self = Self::new("postgres", "postgresql");
    /// Makes the data folder of a PostgreSQL server.
    pub const INITDB: Self = Self::new("initdb", "postgresql");
    /// Asks a PostgreSQL server whether it accepts connections.
    pub const PG_ISREADY: Self = Self::new("pg_isready", "postgresql");
    /// The Redis server.
    pub const REDIS_SERVER: Self = Self::new("redis-server", "redis-server");
    /// The Prometheus server.
    pub const PROMETHEUS: Self = Self::new("prometheus", "prometheus");
    /// Prometheus' checker of scrapes, rules and configurations.
    pub const PROMTOOL: Self = Self::new("promtool", "prometheus");
    /// Runs the parsers of Python's `prometheus_client`; only the one of the system, in `/usr/bin`, has Debian's modules.
    pub const PYTHON: Self = Self::new("python3", "python3");

    /// The browser in which pages are tested.
    pub const CHROMIUM: Self = Self::new("chromium", "chromium");
    /// Has the browser do what a test says.
    pub const CHROMEDRIVER: Self = Self::new("chromedriver", "chromium-driver");

    /// Has a program see another wall clock.
    pub const FAKETIME: Self = Self::new("faketime", "faketime");

    /// The MariaDB server.
    pub const MARIADBD: Self = Self::new("mariadbd", "mariadb-server");
    /// Makes the data folder of a MariaDB server.
    pub const MARIADB_INSTALL_DB: Self = Self::new("mariadb-install-db", "mariadb-server");

    /// A pooler of PostgreSQL connections.
    pub const PGBOUNCER: Self = Self::new("pgbouncer", "pgbouncer");

    /// The programs that tests need beside [those of the demo](Self::ALL).
    pub const OF_TESTS: &'static [Self] = &[
        Self::CHROMIUM,
        Self::CHROMEDRIVER,
        Self::FAKETIME,
        Self::MARIADBD,
        Self::MARIADB_INSTALL_DB,
        Self::PGBOUNCER,
    ];

    /// The programs that both the demo and tests need.
    pub const ALL: [Self; 6] =
        [Self::POSTGRES, Self::INITDB, Self::PG_ISREADY, Self::REDIS_SERVER, Self::PROMETHEUS, Self::PROMTOOL];

    const fn new(name: &'static str, package: &'static str) -> Self {
        Self { name, package }
    }

    /// The name of the executable file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The Debian package that holds the program.
    #[must_use]
    pub const fn package(self) -> &'static str {
        self.package
    }

    /// The path of the program: in `PATH`, in the folders of system programs, or in the folder of the
    /// newest PostgreSQL, which Debian keeps out of `PATH`.
    ///
    /// # Errors
    /// [`ServerError::Missing`] names the package to install.
    pub fn locate(self) -> Result<PathBuf, ServerError> {
        self.locate_in(&search_path())
    }

    /// As [`locate`](Self::locate), in the given folders only; the first one that holds the program wins.
    ///
    /// # Errors
    /// [`ServerError::Missing`] names the package to install.
    pub fn locate_in(self, folders: &[PathBuf]) -> Result<PathBuf, ServerError> {
        folders
            .iter()
            .map(|folder| folder.join(self.name))
            .find(|path| is_executable(path))
            .ok_or(ServerError::Missing { program: self.name, package: self.package })
    }
}

fn search_path() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    folders.extend(["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"].map(PathBuf::from));
    folders.extend(postgresql_folders(Path::new("/usr/lib/postgresql")));
    folders
}

/// The `bin` folders of the installed PostgreSQL versions, the newest first.
fn postgresql_folders(root: &Path) -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_unstable_by_key(|(version, _)| Reverse(*version));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_postgresql_comes_first() {
        let root = tempfile::tempdir().unwrap();
        for version in ["9", "15", "13", "not-a-version"] {
            fs::create_dir_all(root.path().join(version).join("bin")).unwrap();
        }
        let expected = ["15", "13", "9"].map(|version| root.path().join(version).join("bin"));
        assert_eq!(postgresql_folders(root.path()), expected);
    }

    #[test]
    fn a_file_that_cannot_be_executed_is_no_program() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("redis-server");
        fs::write(&file, "").unwrap();
        let folders = [folder.path().to_owned()];
        assert!(Program::REDIS_SERVER.locate_in(&folders).is_err());

        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(Program::REDIS_SERVER.locate_in(&folders).unwrap(), file);
    }
}
