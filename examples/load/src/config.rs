//! The command line.

use std::path::{Path, PathBuf};

use clap::Parser;
use reqwest::Url;

use crate::directory::DEVELOPMENT_SECRET;
use crate::plan::PlanSettings;

/// Plays a seeded day of multi-tenant traffic against the sample service and counts what it saw.
#[derive(Clone, Parser)]
#[command(name = "load", version)]
pub(crate) struct Config {
    /// Address of the service.
    #[arg(long, default_value = "http://127.0.0.1:3000", value_parser = parse_target)]
    pub(crate) target: Url,

    /// How many seconds the day takes.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,

    /// Same seed, same plan.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,

    /// Mean number of planned actions per second; at the peak of the day it is two thirds more.
    #[arg(long, default_value_t = 150, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) rate: u32,

    /// How many tenants the service was started with.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) tenants: u32,

    /// The service's token secret; it signs the token of a tenant that the service does not list.
    #[arg(
        long,
        env = "JWT_SECRET",
        default_value = DEVELOPMENT_SECRET,
        hide_env_values = true,
        hide_default_value = true
    )]
    pub(crate) jwt_secret: String,

    /// Actions in flight at most; a later one waits for its turn.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub(crate) concurrency: u32,

    /// Where to write the counts as JSON.
    #[arg(long, value_parser = parse_summary)]
    pub(crate) summary: Option<PathBuf>,
}

impl Config {
    pub(crate) fn plan(&self) -> PlanSettings {
        PlanSettings { seed: self.seed, seconds: self.seconds, rate: self.rate, tenants: self.tenants }
    }
}

fn parse_target(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if url.scheme() == "http" && url.has_host() => Ok(url),
        _ => Err("give the address that the service prints, such as http://127.0.0.1:3000".to_owned()),
    }
}

/// Says no before the run rather than after it.
fn parse_summary(text: &str) -> Result<PathBuf, String> {
    let file = PathBuf::from(text);
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if folder.is_dir() && !file.is_dir() { Ok(file) } else { Err("name a file in a folder that exists".to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn refusal(arguments: &[&str]) -> String {
        let arguments = ["load"].iter().chain(arguments);
        Config::try_parse_from(arguments).err().unwrap().to_string()
    }

    #[test]
    fn the_help_does_not_show_the_secret() {
        let help = Config::command().render_long_help().to_string();
        assert!(help.contains("--jwt-secret") && !help.contains(DEVELOPMENT_SECRET), "{help}");
    }

    #[test]
    fn a_target_without_a_scheme_is_refused_with_an_example() {
        let error = refusal(&["--target", "127.0.0.1:3000"]);
        assert!(error.contains("--target") && error.contains("http://127.0.0.1:3000"), "{error}");
    }

    #[test]
    fn a_day_of_no_seconds_is_refused() {
        let error = refusal(&["--seconds", "0"]);
        assert!(error.contains("--seconds"), "{error}");
    }

    #[test]
    fn a_summary_that_could_not_be_written_is_refused_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        for unusable in [folder.path().join("missing").join("summary.json"), folder.path().to_owned()] {
            let unusable = unusable.to_str().unwrap();
            let error = refusal(&["--summary", unusable]);
            assert!(error.contains("--summary") && error.contains("a folder that exists"), "{error}");
        }
        for usable in [folder.path().join("summary.json").to_str().unwrap(), "summary.json"] {
            assert!(Config::try_parse_from(["load", "--summary", usable]).is_ok(), "{usable}");
        }
    }
}
