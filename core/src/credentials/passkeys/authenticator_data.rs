//! What an authenticator signs (6.1).

use super::{MAX_ID_BYTES, PublicKey, Refusal, cbor};

/// Bits of the flags; the others are reserved and not looked at.
mod flag {
    pub(super) const USER_PRESENT: u8 = 1;
    pub(super) const USER_VERIFIED: u8 = 1 << 2;
    pub(super) const BACKUP_ELIGIBLE: u8 = 1 << 3;
    pub(super) const BACKED_UP: u8 = 1 << 4;
    pub(super) const HAS_CREDENTIAL: u8 = 1 << 6;
    pub(super) const HAS_EXTENSIONS: u8 = 1 << 7;
}

/// Authenticator data, read.
pub(super) struct AuthenticatorData<'a> {
    pub(super) id_hash: &'a [u8; 32],
    pub(super) counter: u32,
    /// Only at a registration: the credential id and its key, which is CBOR.
    pub(super) credential: Option<Attested<'a>>,
    flags: u8,
}

/// The credential that was made.
pub(super) struct Attested<'a> {
    pub(super) id: &'a [u8],
    pub(super) key: cbor::Map,
}

impl<'a> AuthenticatorData<'a> {
    /// Reads the bytes, all of them.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Refusal> {
        Self::parse(bytes).ok_or(Refusal::AuthenticatorData)?
    }

    fn parse(bytes: &'a [u8]) -> Option<Result<Self, Refusal>> {
        let (id_hash, rest) = bytes.split_first_chunk::<32>()?;
        let (&flags, rest) = rest.split_first()?;
        let (counter, mut rest) = rest.split_first_chunk::<4>()?;
        let mut credential = None;
        if flags & flag::HAS_CREDENTIAL != 0 {
            let (_aaguid, after) = rest.split_first_chunk::<16>()?;
            let (length, after) = after.split_first_chunk::<2>()?;
            let length = usize::from(u16::from_be_bytes(*length));
            if !(1..=MAX_ID_BYTES).contains(&length) {
                return Some(Err(Refusal::CredentialId));
            }
            let (id, after) = after.split_at_checked(length)?;
            let (key, after) = cbor::read_map(after)?;
            (credential, rest) = (Some(Attested { id, key }), after);
        }
        if flags & flag::HAS_EXTENSIONS != 0 {
            // None was asked for; what an authenticator adds of its own is not looked at.
            (_, rest) = cbor::read_map(rest)?;
        }
        let counter = u32::from_be_bytes(*counter);
        rest.is_empty().then_some(Ok(Self { id_hash, counter, credential, flags }))
    }

    pub(super) fn is_user_present(&self) -> bool {
        self.flags & flag::USER_PRESENT != 0
    }

    pub(super) fn is_user_verified(&self) -> bool {
        self.flags & flag::USER_VERIFIED != 0
    }

    pub(super) fn is_backup_eligible(&self) -> bool {
        self.flags & flag::BACKUP_ELIGIBLE != 0
    }

    pub(super) fn is_backed_up(&self) -> bool {
        self.flags & flag::BACKED_UP != 0
    }
}

impl Attested<'_> {
    pub(super) fn public_key(&self) -> Result<PublicKey, Refusal> {
        PublicKey::of_cose(&self.key)
    }
}
