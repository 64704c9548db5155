//! The names of accounts that are gone for good: nobody takes them again, and nobody reads them (USR-7).

use super::services::Services;
use crate::{
    config::{Config, NamesAfterPurge},
    credentials,
    model::{deferred::IS_PAGE, error::Result, registry::Claim},
};

/// Whether nobody may take a name of this kind again.
pub(super) fn is_kept(config: &Config, kind: &str) -> bool {
    // Who was erased does not come back by the same file.
    if Claim::is_of_import(kind) {
        return true;
    }
    match config.names_after_purge {
        NamesAfterPurge::Username => kind == Claim::USERNAME,
        NamesAfterPurge::Both => kind == Claim::USERNAME || kind == Claim::EMAIL,
        NamesAfterPurge::Freed => false,
    }
}

/// What says that nobody may take a name, nor what it looks like. The latter by every profile of usernames: who switches to another one has
/// no names any more to tell it from.
pub(super) fn all_gone(services: &Services, kind: &str, name: &str) -> Result<Vec<Claim>> {
    let mut gone: Vec<Claim> = self::gone(services, kind, name)?.into_iter().collect();
    for (kind, look) in Claim::looks(kind, name) {
        gone.extend(self::gone(services, &kind, &look)?);
    }
    Ok(gone)
}

/// What says that nobody may take a name, however it was claimed, or what names look like; none: names of this kind are never kept. In pages
/// nobody is purged.
pub(super) fn gone(services: &Services, kind: &str, name: &str) -> Result<Option<Claim>> {
    let is_kept = matches!(kind, Claim::USERNAME | Claim::LOOK | Claim::EMAIL) || Claim::is_of_import(kind);
    if IS_PAGE || !is_kept {
        return Ok(None);
    }
    let name = Claim::canonical(kind, name);
    let name = credentials::pseudonym(&services.names.0, &[kind.as_bytes(), name.as_bytes()])?;
    Ok(Some(Claim { kind: format!("gone_{kind}"), name, owner: String::new(), held_until: None, version: 0 }))
}
