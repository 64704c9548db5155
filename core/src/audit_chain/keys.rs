//! The keys that entries are sealed with.

use std::{cmp::Ordering, fmt, sync::Arc};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use rolekeep_macros::{Describe, Word};
use sha2::{Digest, Sha256};

use crate::{
    credentials::{keyed, with_parts},
    model::{error::Result, text::hex},
};

/// Who keeps the key that the audit log is sealed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Word, Describe)]
#[non_exhaustive]
pub enum AuditKeeper {
    /// The storage, beside the log: whoever has the file can write another log.
    Store,
    /// The application (setting `audit_key`): whoever has the storage alone cannot.
    Application,
}

/// A key of the audit log.
#[derive(Clone)]
pub struct AuditKey {
    id: String,
    keeper: AuditKeeper,
    mac: Hmac<Sha256>,
}

impl AuditKey {
    /// A key from a random secret.
    ///
    /// # Errors
    /// [`crate::Reason::ConfigInvalid`] for an empty one.
    pub fn new(secret: &[u8], keeper: AuditKeeper) -> Result<Self> {
        let id = Sha256::new().chain_update(b"rolekeep audit key id\0").chain_update(secret).finalize();
        Ok(Self { id: hex(id.get(..6).unwrap_or_default()), keeper, mac: keyed(secret)? })
    }

    /// By which entries name it: twelve hexadecimal digits, which tell nothing of it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The MAC of these texts, base64url.
    pub(super) fn mac(&self, parts: &[&[u8]]) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(with_parts(self.mac.clone(), parts).finalize().into_bytes())
    }

    /// Whether this is their MAC; in constant time.
    pub(super) fn is_mac(&self, parts: &[&[u8]], mac: &str) -> bool {
        let given = BASE64_URL_SAFE_NO_PAD.decode(mac).unwrap_or_default();
        with_parts(self.mac.clone(), parts).verify_slice(&given).is_ok()
    }
}

/// The key that entries are sealed with now, and those of entries that are there.
#[derive(Clone)]
pub struct AuditKeys(Arc<Vec<AuditKey>>);

/// Without the keys.
impl fmt::Debug for AuditKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(AuditKey::id)).finish()
    }
}

impl AuditKeys {
    /// A log that this key seals.
    pub fn new(sealing: AuditKey) -> Self {
        Self(Arc::new(vec![sealing]))
    }

    /// What this key sealed is of the log, too.
    pub fn know(&mut self, older: AuditKey) {
        Arc::make_mut(&mut self.0).push(older);
    }

    /// Seals with this key from now on.
    pub fn seal_with(&mut self, key: AuditKey) {
        Arc::make_mut(&mut self.0).insert(0, key);
    }

    /// The key of today. There is always one.
    #[expect(clippy::indexing_slicing, reason = "`new` takes one")]
    pub fn sealing(&self) -> &AuditKey {
        &self.0[0]
    }

    /// Who keeps the key of today.
    pub fn keeper(&self) -> AuditKeeper {
        self.sealing().keeper
    }

    /// By whose key these texts are sealed, if this is their MAC under the key of this id.
    pub(super) fn seal(&self, id: &str, parts: &[&[u8]], mac: &str) -> Seal {
        let key = self.0.iter().find(|key| key.id == id)?;
        key.is_mac(parts, mac).then_some(key.keeper)
    }
}

/// Who keeps the key that something is sealed with; [`None`] where nothing seals it, as before there were keys. A chain never goes back.
pub(super) type Seal = Option<AuditKeeper>;

/// Whether a chain goes back to who has less to say.
pub(super) fn goes_back(before: Seal, after: Seal) -> bool {
    after.cmp(&before) == Ordering::Less
}
