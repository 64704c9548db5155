//! The names of accounts that are gone for good: nobody takes them again, and nobody reads them (USR-7).

use super::services::Services;
use crate::{
    config::{Config, NamesAfterPurge},
    credentials,
    model::{deferred::IS_PAGE, error::Result, registry::Claim},
};

/// Whether nobody may take a name of this kind again.
pub(super) fn is_kept(config: &Config, kind: &str) -> bool {
    match config.names_after_purge {
        NamesAfterPurge::Username => kind == Claim::USERNAME,
        NamesAfterPurge::Both => kind == Claim::USERNAME || kind == Claim::EMAIL,
        NamesAfterPurge::Freed => false,
    }
}

/// What says that nobody may take a name, however it was claimed; none: names of this kind are never kept. In pages nobody is purged.
pub(super) fn gone(services: &Services, kind: &str, name: &str) -> Result<Option<Claim>> {
    if IS_PAGE || kind != Claim::USERNAME && kind != Claim::EMAIL {
        return Ok(None);
    }
    let name = Claim::canonical(kind, name);
    let name = credentials::pseudonym(&services.names.0, &[kind.as_bytes(), name.as_bytes()])?;
    Ok(Some(Claim { kind: format!("gone_{kind}"), name, owner: String::new(), held_until: None, version: 0 }))
}
