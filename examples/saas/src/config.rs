//! The command line.

use std::net::SocketAddr;

use clap::Parser;

use crate::directory::DEVELOPMENT_SECRET;

/// A project and report tool for many tenants, measured by the monitoring crates.
#[derive(Clone, Parser)]
#[command(name = "saas", version)]
pub struct Config {
    /// Address that the service listens on.
    #[arg(long, default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,

    /// Address that /metrics listens on [default: 127.0.0.1:9464, or as OTEL_EXPORTER_PROMETHEUS_HOST and _PORT say].
    #[arg(long)]
    pub metrics: Option<SocketAddr>,

    /// Where the data is: sqlite:FILE or postgres://….
    #[arg(long, env = "DATABASE_URL", default_value = "sqlite:saas.db", hide_env_values = true)]
    pub database_url: String,

    /// The Redis that caches listings: redis://…. Without it nothing is cached.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<String>,

    /// Number of made-up tenants.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub tenants: u32,

    /// Same seed, same failures and delays of the identity provider.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Share of the identity provider's answers that are failures, from 0 to 1.
    #[arg(long, default_value_t = 0.01, value_parser = parse_share)]
    pub identity_failures: f64,

    /// Secret of at least 32 characters that signs the session tokens.
    #[arg(
        long,
        env = "JWT_SECRET",
        default_value = DEVELOPMENT_SECRET,
        hide_env_values = true,
        hide_default_value = true,
        value_parser = parse_secret
    )]
    pub jwt_secret: String,
}

fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("give a number from 0 to 1, such as 0.01".to_owned()),
    }
}

/// RFC 7518 wants a key for HS256 to be at least as long as its hash.
fn parse_secret(text: &str) -> Result<String, SecretTooShort> {
    if text.len() < 32 { Err(SecretTooShort) } else { Ok(text.to_owned()) }
}

#[derive(Debug, thiserror::Error)]
#[error("give a secret of at least 32 characters, for example by `openssl rand -hex 32`")]
struct SecretTooShort;

impl Config {
    /// Whether tokens are signed with the secret that everybody can read in the source.
    pub(crate) fn has_public_secret(&self) -> bool {
        self.jwt_secret == DEVELOPMENT_SECRET
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn refusal(arguments: &[&str]) -> String {
        let arguments = ["saas"].iter().chain(arguments);
        Config::try_parse_from(arguments).err().unwrap().to_string()
    }

    #[test]
    fn the_help_does_not_show_the_secret() {
        let help = Config::command().render_long_help().to_string();
        assert!(help.contains("--jwt-secret") && !help.contains(DEVELOPMENT_SECRET), "{help}");
    }

    #[test]
    fn a_refused_value_is_answered_with_the_setting_and_the_remedy() {
        let error = refusal(&["--identity-failures", "2"]);
        assert!(error.contains("--identity-failures") && error.contains("from 0 to 1"), "{error}");
        let error = refusal(&["--tenants", "0"]);
        assert!(error.contains("--tenants") && error.contains("1..=10000"), "{error}");
        let error = refusal(&["--listen", "3000"]);
        assert!(error.contains("--listen"), "{error}");
        let error = refusal(&["--jwt-secret", "short"]);
        assert!(error.contains("--jwt-secret") && error.contains("32 characters"), "{error}");
    }
}
