//! Migrations by name, with JSON out.

use serde::Serialize;

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
        "status" => json(&migrations.status().await?),
        "plan" => json(&migrations.plan().await?),
        "apply" => json(&migrations.apply().await?),
        "down" => json(&migrations.down().await?),
        "grants" => json(&migrations.grants()?),
        _ => Err(Error::new(Reason::UnknownOperation, "there are `status`, `plan`, `apply`, `down` and `grants`")),
    }
}

fn json(answer: &impl Serialize) -> Result<String> {
    serde_json::to_string(answer).map_err(|_| Error::new(Reason::Internal, "the answer cannot be written"))
}
