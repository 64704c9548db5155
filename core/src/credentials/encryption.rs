//! What is encrypted where it is stored (decision 059): XChaCha20-Poly1305 under a key of the application's.

use std::{fmt, sync::Arc};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{keyed, with_parts};
use crate::model::{
    error::{Error, Reason, Result},
    text::hex,
};

/// What an encrypted value begins with; then the id of its key, a dot, and nonce and ciphertext in base64url.
pub(crate) const PREFIX: &str = "e1.";

/// How many random bytes one value needs: so many that two are never the same.
pub(crate) const NONCE: usize = 24;

/// The keys that an application gave: the first encrypts, all decrypt. There may be none.
#[derive(Clone, Default)]
pub(crate) struct EncryptionKeys(Arc<Vec<EncryptionKey>>);

struct EncryptionKey {
    /// Twelve hexadecimal digits, which tell nothing of it.
    id: String,
    cipher: XChaCha20Poly1305,
    /// Makes the names that rows have where their own are not to be seen.
    names: Hmac<Sha256>,
}

/// Without the keys.
impl fmt::Debug for EncryptionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}

impl EncryptionKey {
    fn new(secret: &[u8]) -> Result<Self> {
        let source = Hkdf::<Sha256>::new(None, secret);
        let derive = |purpose: &str, bytes: &mut [u8]| {
            let derived = source.expand_multi_info(&[b"rolekeep encryption ", purpose.as_bytes()], bytes);
            derived.map_err(|_| unfit())
        };
        let (mut id, mut key, mut names) = ([0; 6], Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        derive("id", &mut id)?;
        derive("key", &mut *key)?;
        derive("names", &mut *names)?;
        let cipher = XChaCha20Poly1305::new_from_slice(&*key).map_err(|_| unfit())?;
        Ok(Self { id: hex(&id), cipher, names: keyed(&*names)? })
    }
}

impl EncryptionKeys {
    /// Keys from random secrets; the first encrypts.
    pub(crate) fn new<'s>(secrets: impl Iterator<Item = &'s [u8]>) -> Result<Self> {
        Ok(Self(Arc::new(secrets.map(EncryptionKey::new).collect::<Result<_>>()?)))
    }

    /// What values begin with that are encrypted as those of today are; none without a key.
    pub(crate) fn current(&self) -> Option<String> {
        self.0.first().map(|key| format!("{PREFIX}{}.", key.id))
    }

    /// Encrypts a text, so that it is read in this place alone; none without a key.
    ///
    /// # Errors
    /// [`Reason::Internal`]: it is too long for the cipher.
    pub(crate) fn seal(&self, place: &[&[u8]], text: &str, nonce: [u8; NONCE]) -> Result<Option<String>> {
        let Some(key) = self.0.first() else { return Ok(None) };
        let payload = Payload { msg: text.as_bytes(), aad: &bound(place) };
        let sealed = key.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| unfit())?;
        let bytes: Vec<u8> = nonce.into_iter().chain(sealed).collect();
        Ok(Some(format!("{PREFIX}{}.{}", key.id, BASE64_URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// Decrypts what [`Self::seal`] made in this place. None: it is not encrypted.
    ///
    /// # Errors
    /// [`Reason::EncryptionKeyWrong`] where the key is not given, [`Reason::Corrupt`] where it was changed or stood elsewhere.
    pub(crate) fn open(&self, place: &[&[u8]], stored: &str) -> Result<Option<Zeroizing<String>>> {
        let Some(rest) = stored.strip_prefix(PREFIX) else { return Ok(None) };
        let (id, bytes) = rest.split_once('.').ok_or_else(changed)?;
        let key = self.0.iter().find(|key| key.id == id).ok_or_else(|| self.key_wrong())?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(bytes).map_err(|_| changed())?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>().ok_or_else(changed)?;
        let payload = Payload { msg: sealed, aad: &bound(place) };
        let opened = key.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| changed())?;
        String::from_utf8(opened).map(|text| Some(Zeroizing::new(text))).map_err(|_| changed())
    }

    /// What stands for a name that is not to be seen; none without a key.
    pub(crate) fn hidden(&self, name: &str) -> Option<String> {
        self.0.first().map(|key| hidden(key, name))
    }

    /// Whether that stands for this name under any of the keys.
    pub(crate) fn hides(&self, name: &str, as_what: &str) -> bool {
        self.0.iter().any(|key| hidden(key, name) == as_what)
    }

    fn key_wrong(&self) -> Error {
        let given =
            if self.0.is_empty() { "no `encryption_key` is given" } else { "under another key than those given" };
        Error::new(Reason::EncryptionKeyWrong, format!("the store is encrypted, and {given}"))
    }
}

fn hidden(key: &EncryptionKey, name: &str) -> String {
    let bytes = with_parts(key.names.clone(), &[name.as_bytes()]).finalize().into_bytes();
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The place, each part with its length, so that no two are the same bytes.
fn bound(place: &[&[u8]]) -> Vec<u8> {
    place.iter().flat_map(|part| (part.len() as u64).to_be_bytes().into_iter().chain(part.iter().copied())).collect()
}

fn changed() -> Error {
    Error::new(Reason::Corrupt, "an encrypted value was changed, or stands elsewhere than where it was written")
}

fn unfit() -> Error {
    Error::new(Reason::Internal, "a value cannot be encrypted")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secrets: &[&str]) -> EncryptionKeys {
        EncryptionKeys::new(secrets.iter().map(|secret| secret.as_bytes())).unwrap()
    }

    #[test]
    fn a_value_is_read_in_its_place_alone() {
        let keys = keys(&["one"]);
        let sealed = keys.seal(&[b"a", b"bc"], "seed", [7; NONCE]).unwrap().unwrap();
        assert!(sealed.starts_with(&keys.current().unwrap()) && !sealed.contains("seed"));
        assert_eq!(keys.open(&[b"a", b"bc"], &sealed).unwrap().unwrap().as_str(), "seed");
        for place in [&[b"ab".as_slice(), b"c"], &[b"a".as_slice(), b"bd"]] {
            assert_eq!(keys.open(place, &sealed).unwrap_err().reason(), Reason::Corrupt);
        }
        let mut torn = sealed.clone();
        torn.truncate(sealed.len() - 4);
        for torn in [torn.as_str(), "e1.", "e1.x", &keys.current().unwrap()] {
            assert!(keys.open(&[b"a", b"bc"], torn).is_err(), "{torn}");
        }
        assert_eq!(keys.open(&[b"a"], "plain").unwrap(), None);
    }

    #[test]
    fn the_first_key_encrypts_and_all_decrypt() {
        let (old, both, new) = (keys(&["one"]), keys(&["two", "one"]), keys(&["two"]));
        let sealed = old.seal(&[], "seed", [7; NONCE]).unwrap().unwrap();
        assert_eq!(both.open(&[], &sealed).unwrap().unwrap().as_str(), "seed");
        assert_eq!(both.current(), new.current());
        for without in [new, EncryptionKeys::default()] {
            assert_eq!(without.open(&[], &sealed).unwrap_err().reason(), Reason::EncryptionKeyWrong);
        }
        assert!(both.hides("users/1", &old.hidden("users/1").unwrap()));
        assert!(!both.hides("users/2", &old.hidden("users/1").unwrap()));
        assert_eq!(EncryptionKeys::default().seal(&[], "seed", [7; NONCE]).unwrap(), None);
        assert!(!format!("{both:?}").contains("two"));
    }
}
