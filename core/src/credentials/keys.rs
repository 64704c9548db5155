//! The keys of a store: one for each purpose, so that nothing made for one passes for another.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::access_token;
use crate::model::{
    error::{Error, Reason, Result},
    secret::Secret,
};

/// A key that was derived from the root key.
pub type Derived = Zeroizing<[u8; 32]>;

/// All keys of a store.
pub struct Keys {
    /// Of access tokens: the root key itself, with which other services verify them.
    pub access: access_token::Key,
    /// Of refresh tokens.
    pub refresh: Derived,
    /// Of ids that only this library can make: challenges.
    pub signed_ids: Derived,
    /// Of device tokens.
    pub devices: Derived,
    /// Of what tries are counted by, so that the storage has no addresses and no names that nobody has.
    pub limits: Derived,
}

impl Keys {
    /// The keys of this root key (RFC 5869). Their names are part of what was issued: changed, they make it void.
    pub fn new(root: &[u8]) -> Result<Self> {
        let source = Hkdf::<Sha256>::new(None, root);
        let derive = |purpose: &str| {
            let mut key = Derived::default();
            let failed = |_| Error::new(Reason::Internal, "a key could not be derived");
            source.expand(purpose.as_bytes(), &mut *key).map_err(failed)?;
            Ok::<_, Error>(key)
        };
        Ok(Self {
            access: access_token::Key::new(root),
            refresh: derive("rolekeep refresh tokens 1")?,
            signed_ids: derive("rolekeep signed ids 1")?,
            devices: derive("rolekeep device tokens 1")?,
            limits: derive("rolekeep limits 1")?,
        })
    }

    /// A root key as it is stored.
    pub fn to_base64(root: &[u8]) -> Secret {
        BASE64_URL_SAFE_NO_PAD.encode(root).into()
    }

    /// The keys of a stored root key.
    pub fn from_base64(root: &Secret) -> Result<Self> {
        let unreadable = |_| Error::new(Reason::Corrupt, "the stored signing key cannot be read");
        Self::new(&Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(root.expose()).map_err(unreadable)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_4_each_purpose_has_a_key_of_its_own() {
        let (keys, same, other) =
            (Keys::new(&[1; 32]).unwrap(), Keys::new(&[1; 32]).unwrap(), Keys::new(&[2; 32]).unwrap());
        assert_eq!((&keys.refresh, &keys.signed_ids), (&same.refresh, &same.signed_ids));
        let mut all: Vec<&[u8]> = Vec::new();
        for keys in [&keys, &other] {
            all.extend([&keys.access.secret[..], &keys.refresh[..], &keys.signed_ids[..]]);
            all.extend([&keys.devices[..], &keys.limits[..]]);
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 10);
    }
}
