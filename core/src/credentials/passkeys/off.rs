//! What stands in for passkeys where the feature `passkeys` is off: there is no relying party, so that nothing can be asked of
//! one.

use super::{Algorithm, Asserted, Challenge, Handle, NewPasskey, Requirement, Stored};
use crate::model::error::{Error, Reason, Result};

/// There is none.
#[derive(Clone, Debug)]
pub enum RelyingParty {}

impl RelyingParty {
    /// # Errors
    /// [`Reason::ConfigInvalid`], always.
    pub fn new(_: &str, _: &str, _: &[&str]) -> Result<Self> {
        Err(Error::new(Reason::ConfigInvalid, "passkeys need the feature `passkeys`, without which this was built"))
    }

    pub fn id(&self) -> &str {
        match *self {}
    }

    pub fn name(&self) -> &str {
        match *self {}
    }

    pub(super) fn algorithms(&self) -> std::iter::Empty<Algorithm> {
        match *self {}
    }
}

/// There is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {}

impl PublicKey {
    /// # Errors
    /// [`Reason::NotOffered`], always.
    pub fn from_stored(_: &[u8]) -> Result<Self> {
        Err(not_offered())
    }

    pub fn to_stored(&self) -> &[u8] {
        match *self {}
    }
}

/// # Errors
/// [`Reason::NotOffered`], always.
pub fn credential_id_and_handle(_: &str) -> Result<(Vec<u8>, Option<Handle>)> {
    Err(not_offered())
}

pub fn verify_registration(of: &RelyingParty, _: &Challenge, _: Requirement, _: &str) -> Result<NewPasskey> {
    match *of {}
}

pub fn verify_assertion(of: &RelyingParty, _: &Challenge, _: Requirement, _: &Stored<'_>, _: &str) -> Result<Asserted> {
    match *of {}
}

fn not_offered() -> Error {
    Error::new(Reason::NotOffered, "there are no passkeys here")
}
