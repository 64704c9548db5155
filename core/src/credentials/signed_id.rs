//! Ids that only we can make: what a challenge hands out for its next step, and the secrets of links that are mailed. The id finds
//! the row, the MAC proves that we made it, for this purpose and for what the row says; so the storage keeps no secret of it.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::Uuid;

use super::{digits, sealed, unsealed};
use crate::model::{
    error::{Error, Reason, Result},
    secret::Secret,
};

/// The MAC is cut to so many bytes: 192 bits.
const TAG_BYTES: usize = 24;

/// What a signed id is good for; none passes for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The next step of a sign-in.
    Challenge,
    /// A passkey's answer.
    Passkey,
    /// A new password.
    Reset,
    /// The proof of an address.
    Verification,
    /// A change of address.
    EmailChange,
    /// Undoing one.
    EmailRevert,
    /// Signing in.
    MailSignIn,
    /// A token of another issuer, to link its subject.
    Identity,
    /// An invitation.
    Invitation,
    /// An account that somebody asked for.
    Registration,
}

impl Purpose {
    /// What its texts begin with, by which secret scanners find them.
    pub const fn prefix(self) -> &'static str {
        match self {
            Purpose::Challenge => "rkx_",
            Purpose::Passkey => "rkw_",
            Purpose::Reset => "rkp_",
            Purpose::Verification => "rkv_",
            Purpose::EmailChange => "rke_",
            Purpose::EmailRevert => "rku_",
            Purpose::MailSignIn => "rkm_",
            Purpose::Identity => "rkn_",
            Purpose::Invitation => "rki_",
            Purpose::Registration => "rkg_",
        }
    }
}

/// Signs an id together with what it is bound to.
pub fn issue(key: &[u8], purpose: Purpose, id: Uuid, bound: &[&[u8]]) -> Result<Secret> {
    Ok(sealed::<TAG_BYTES>(purpose.prefix(), id.as_bytes(), mac(key, purpose, id, bound)?))
}

/// The id that a text claims, to look up what it is bound to. Proves nothing.
pub fn read(purpose: Purpose, text: &Secret) -> Result<Uuid> {
    parse(purpose, text).map(|(id, _)| id)
}

/// Proves that we signed it, for this purpose and what it is bound to, in constant time (V11.2.4).
pub fn verify(key: &[u8], purpose: Purpose, text: &Secret, bound: &[&[u8]]) -> Result<Uuid> {
    let (id, tag) = parse(purpose, text)?;
    mac(key, purpose, id, bound)?.verify_truncated_left(&tag).map_err(|_| invalid())?;
    Ok(id)
}

/// A code of eight digits for an id and what it is bound to: short enough to type, and worth nothing without a challenge that
/// counts how often somebody guesses.
pub fn code(key: &[u8], purpose: Purpose, id: Uuid, bound: &[&[u8]]) -> Result<[u8; 8]> {
    let tag = mac(key, purpose, id, bound)?.finalize().into_bytes();
    let word = tag.first_chunk().ok_or_else(invalid)?;
    // Of 64 bits the last eight digits are as good as random ones.
    Ok(digits::of_number(u64::from_be_bytes(*word)))
}

fn parse(purpose: Purpose, text: &Secret) -> Result<(Uuid, [u8; TAG_BYTES])> {
    let (id, tag) = unsealed(purpose.prefix(), text).ok_or_else(invalid)?;
    Ok((Uuid::from_bytes(id), tag))
}

fn mac(key: &[u8], purpose: Purpose, id: Uuid, bound: &[&[u8]]) -> Result<Hmac<Sha256>> {
    let mac = super::keyed(key)?.chain_update(purpose.prefix()).chain_update(id.as_bytes());
    Ok(super::with_parts(mac, bound))
}

fn invalid() -> Error {
    Error::new(Reason::InvalidToken, "it was not issued here, or is no longer valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_4_only_our_ids_verify_for_what_they_are_bound_to() {
        let (key, id) = ([1; 32], Uuid::from_u128(9));
        let bound: [&[u8]; 2] = [b"user", b"7"];
        let text = issue(&key, Purpose::Challenge, id, &bound).unwrap();
        assert!(text.expose().starts_with("rkx_") && text.expose().len() == 4 + 54, "{}", text.expose());
        assert_eq!(verify(&key, Purpose::Challenge, &text, &bound), Ok(id));
        assert_eq!(read(Purpose::Challenge, &text), Ok(id));
        assert!(verify(&[2; 32], Purpose::Challenge, &text, &bound).is_err());
        assert!(verify(&key, Purpose::Challenge, &text, &[b"user", b"8"]).is_err());
        assert!(verify(&key, Purpose::Challenge, &text, &[b"user7", b""]).is_err());
        assert!(verify(&key, Purpose::Challenge, &text, &[b"user7"]).is_err());
        let whole = text.expose();
        for at in 0..whole.len() {
            let mut spoilt = whole.as_bytes().to_vec();
            spoilt[at] = if spoilt[at] == b'A' { b'B' } else { b'A' };
            let spoilt = String::from_utf8(spoilt).unwrap();
            assert!(verify(&key, Purpose::Challenge, &spoilt.as_str().into(), &bound).is_err(), "{spoilt}");
            assert!(verify(&key, Purpose::Challenge, &whole[..at].into(), &bound).is_err(), "{at}");
        }
        for text in ["", "rkx_", "rkx_AAAA", "rkr_AAAA", &whole.replace("rkx_", "rkr_"), &format!("{whole}A")] {
            assert!(read(Purpose::Challenge, &text.into()).is_err(), "{text}");
            assert!(verify(&key, Purpose::Challenge, &text.into(), &bound).is_err(), "{text}");
        }
    }
}
