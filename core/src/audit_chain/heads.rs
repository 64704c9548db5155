//! The ends of all chains as one text, which the application keeps elsewhere: what the log was then, it must be ever after.

use super::{AuditHead, AuditKeys};
use crate::model::{check::Invalid, decode::FieldCode, time::Time};

/// What such a text begins with.
const PREFIX: &str = "rka1";
/// What is sealed begins with this, so that nothing else passes for it.
const CONTEXT: &[u8] = b"rolekeep-audit-heads-1";
/// The longest that is read, in bytes: more lanes than there will be.
const LONGEST: usize = 16 * 1024;

/// Where a chain ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The chain.
    pub lane: i64,
    /// The place of its last entry then.
    pub seq: i64,
    /// That entry's hash.
    pub hash: String,
}

/// Writes the ends of all chains, sealed with the key of today: `rka1.TIME.LANE-SEQ-HASH….KEY.MAC`.
pub fn write(heads: &[AuditHead], at: Time, keys: &AuditKeys) -> String {
    let mut text = format!("{PREFIX}.{}", at.as_microsecond());
    for head in heads {
        text += &format!(".{}-{}-{}", head.lane, head.seq, head.hash);
    }
    let key = keys.sealing();
    text += &format!(".{}", key.id());
    let mac = key.mac(&[CONTEXT, text.as_bytes()]);
    text + "." + &mac
}

/// Reads such a text.
///
/// # Errors
/// A text of another form, and one that no key of this log sealed.
pub fn parse(text: &str, keys: &AuditKeys) -> Result<Vec<End>, Invalid> {
    let malformed = || Invalid::new(FieldCode::InvalidFormat, "is not a head that `audit.head` hands out");
    if text.len() > LONGEST {
        return Err(malformed());
    }
    let (signed, mac) = text.rsplit_once('.').ok_or_else(malformed)?;
    let mut parts: Vec<&str> = signed.split('.').collect();
    let id = parts.pop().ok_or_else(malformed)?;
    if parts.len() < 2 || parts.first() != Some(&PREFIX) {
        return Err(malformed());
    }
    if keys.seal(id, &[CONTEXT, signed.as_bytes()], mac).is_none() {
        return Err(Invalid::new(FieldCode::InvalidFormat, "was not sealed with a key of this audit log"));
    }
    let end = |part: &&str| {
        let mut words = part.splitn(3, '-');
        let mut number = || words.next()?.parse().ok();
        let (lane, seq) = (number()?, number()?);
        Some(End { lane, seq, hash: words.next()?.to_owned() })
    };
    parts.iter().skip(2).map(end).collect::<Option<_>>().ok_or_else(malformed)
}
