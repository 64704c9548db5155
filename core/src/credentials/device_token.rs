//! Device tokens: that somebody signed in as this account from this device before. They let nobody in; they decide which
//! limit a sign-in counts against, so that strangers who guess at an account do not shut out its owner (V6.1.1).
//!
//! A token holds for 180 days, also after a change of the password or of a name.

use hmac::Mac;
use uuid::Uuid;

use super::{sealed, unsealed};
use crate::model::{error::Result, id::UserId, secret::Secret, time::Time};

/// What tokens begin with, by which secret scanners find them.
const PREFIX: &str = "rkd_";
/// For so long a device is known: 180 days.
const SECONDS: i64 = 180 * 24 * 3600;

/// The MAC is cut to so many bytes: 192 bits.
const TAG_BYTES: usize = 24;
/// An id, and when it was issued.
const BODY_BYTES: usize = 16 + 8;

/// Issues a token for a user.
pub fn issue(key: &[u8], id: Uuid, user: UserId, now: Time) -> Result<Secret> {
    let body = [id.as_bytes().as_slice(), &now.as_second().to_be_bytes()].concat();
    Ok(sealed::<TAG_BYTES>(PREFIX, &body, mac(key, &body, user)?))
}

/// The id of a token that is good for this user; none for any other text.
pub fn read(key: &[u8], token: &Secret, user: UserId, now: Time) -> Option<Uuid> {
    let (body, tag) = unsealed::<BODY_BYTES, TAG_BYTES>(PREFIX, token)?;
    mac(key, &body, user).ok()?.verify_truncated_left(&tag).ok()?;
    let (id, issued) = body.split_first_chunk::<16>()?;
    let issued = i64::from_be_bytes(issued.try_into().ok()?);
    (now.as_second().saturating_sub(issued) < SECONDS).then(|| Uuid::from_bytes(*id))
}

fn mac(key: &[u8], body: &[u8], user: UserId) -> Result<hmac::Hmac<sha2::Sha256>> {
    Ok(super::keyed(key)?.chain_update(PREFIX).chain_update(body).chain_update(user.0.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_7_a_device_token_is_good_for_its_user_and_its_time() {
        let (key, id, now) = ([1; 32], Uuid::from_u128(9), Time::from_second(1_000_000).unwrap());
        let [ada, bob] = [1, 2].map(|user| UserId(Uuid::from_u128(user)));
        let token = issue(&key, id, ada, now).unwrap();
        assert!(token.expose().starts_with(PREFIX) && token.expose().len() == 4 + 64);
        assert_eq!(read(&key, &token, ada, now), Some(id));
        assert_eq!(read(&key, &token, ada, now.plus_seconds(SECONDS - 1)), Some(id));
        assert_eq!(read(&key, &token, ada, now.plus_seconds(-3600)), Some(id), "a clock that was set back");
        assert_eq!(read(&key, &token, ada, now.plus_seconds(SECONDS)), None);
        assert_eq!(read(&key, &token, bob, now), None);
        assert_eq!(read(&[2; 32], &token, ada, now), None);
        let whole = token.expose();
        for at in 0..whole.len() {
            let mut spoilt = whole.as_bytes().to_vec();
            spoilt[at] = if spoilt[at] == b'A' { b'B' } else { b'A' };
            let spoilt = String::from_utf8(spoilt).unwrap();
            assert_eq!(read(&key, &spoilt.as_str().into(), ada, now), None, "{spoilt}");
            assert_eq!(read(&key, &whole[..at].into(), ada, now), None, "{at}");
        }
        for text in ["", "rkd_", "rkd_AAAA", &format!("{whole}A"), &whole.replace("rkd_", "rkx_")] {
            assert_eq!(read(&key, &text.into(), ada, now), None, "{text}");
        }
    }
}
