//! The table `tenants`.

use monitoring_core::Tier;

use super::{Store, on_either};

impl Store {
    /// Lists tenants; those that are listed already stay as they are.
    pub(crate) async fn add_tenants(&self, tenants: impl Iterator<Item = (String, Tier)>) -> Result<(), sqlx::Error> {
        on_either!(self, |pool| {
            let mut transaction = pool.begin().await?;
            for (id, tier) in tenants {
                sqlx::query("INSERT INTO tenants (id, tier) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING")
                    .bind(id)
                    .bind(tier.as_str())
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await
        })
    }

    /// The id and the tier of every listed tenant.
    pub(crate) async fn tenants(&self) -> Result<Vec<(String, String)>, sqlx::Error> {
        on_either!(self, |pool| sqlx::query_as("SELECT id, tier FROM tenants ORDER BY id").fetch_all(pool).await)
    }
}
