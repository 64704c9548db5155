//! Where a store is kept: which settings go together.

use super::{Config, DEFAULT_SCHEMA};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::model::error::{Error, Result};
use crate::model::{
    check::{Checks, Invalid},
    decode::FieldCode,
    text,
};

impl Config {
    pub(super) fn check_storage(&self, checks: &mut Checks) {
        let mut goes_with = |field, kept: &str| {
            checks.error(field, Invalid::new(FieldCode::Disagrees, format!("goes with {kept} alone")));
        };
        if self.exclusive && self.sqlite.is_none() {
            goes_with("exclusive", "`sqlite`");
        }
        if !self.migrates && self.sqlite.is_none() && self.postgres.is_none() {
            goes_with("migrates", "`sqlite` or `postgres`");
        }
        if self.postgres.is_none() && self.postgres_listener.is_some() {
            goes_with("postgres_listener", "`postgres`");
        }
        if self.postgres.is_none() && self.postgres_replica.is_some() {
            goes_with("postgres_replica", "`postgres`");
        }
        if self.postgres.is_none() && self.postgres_schema != DEFAULT_SCHEMA {
            goes_with("postgres_schema", "`postgres`");
        } else {
            checks.field("postgres_schema", text::schema(&self.postgres_schema));
        }
    }

    /// What is wrong with the place that the settings give, by the variable or the file that gives it.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn check_place(&self, check: impl FnOnce(&mut Checks)) -> Result<()> {
        let mut checks = Checks::default();
        check(&mut checks);
        checks.finish_as(Error::config).map_err(|found| self.sources.named_all(found))
    }
}
