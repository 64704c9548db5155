//! Migrations by name, with JSON out.

use super::written;
use crate::{
    config::Config,
    migrations::Migrations,
    model::error::{Error, Reason, Result},
};

/// Runs one of `status`, `plan`, `apply`, `down` and `grants` on the database that the configuration names, and answers as
/// [`Migrations`] does.
///
/// # Errors
/// [`Reason::UnknownOperation`] for another word, and those of [`Migrations`]
pub async fn migrate(config: &Config, word: &str) -> Result<String> {
    let migrations = Migrations::of(config)?;
    match word {
        "status" => written(&migrations.status().await?),
        "plan" => written(&migrations.plan().await?),
        "apply" => written(&migrations.apply().await?),
        "down" => written(&migrations.down().await?),
        "grants" => written(&migrations.grants()?),
        _ => Err(Error::new(Reason::UnknownOperation, "there are `status`, `plan`, `apply`, `down` and `grants`")),
    }
}
