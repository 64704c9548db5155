//! What somebody proved who it is by.

use std::fmt;

use rolekeep_macros::{Describe, Word};

use super::{
    record::{Field, Kind},
    time::Time,
    value::Value,
};

/// A way to authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Word, Describe)]
#[non_exhaustive]
pub enum Proof {
    /// The account's password.
    Password,
    /// A code of an authenticator app (TOTP, RFC 6238).
    Totp,
    /// A recovery code, for when the app is lost.
    RecoveryCode,
    /// A passkey (Web Authentication, Level 3); if it is the only proof, it has verified its user.
    Passkey,
    /// A code or link that was mailed to the account's address.
    Mail,
    /// A token of another issuer, for which the account stands.
    External,
}

/// A set of proofs.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Proofs(u8);

impl Proofs {
    /// With one more.
    pub const fn with(self, proof: Proof) -> Self {
        Self(self.0 | 1 << proof as u8)
    }

    /// With a passkey. One that has not verified who is there says only that somebody has it, which counts beside a password
    /// or another issuer's word alone; none: it proves nothing.
    pub const fn with_passkey(self, is_user_verified: bool) -> Option<Self> {
        if is_user_verified || self.has_knowledge() { Some(self.with(Proof::Passkey)) } else { None }
    }

    /// Those of one or the other.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// In the order in which they are declared.
    pub fn iter(self) -> impl Iterator<Item = Proof> {
        Proof::ALL.iter().copied().filter(move |proof| self.has(*proof))
    }

    /// Whether this is one of them.
    pub const fn has(self, proof: Proof) -> bool {
        self.0 & 1 << proof as u8 != 0
    }

    /// Whether they are two factors (AAL 2 of NIST SP 800-63B-4, 2.2): something that one knows and something that one has. A
    /// passkey that has verified who is there is both (3.1.7), and one that has not is there beside the other alone. What another issuer
    /// asked for is not known, and counts as a password does.
    pub const fn are_two_factors(self) -> bool {
        let has_code = self.has(Proof::Totp) || self.has(Proof::RecoveryCode);
        self.has(Proof::Passkey) || (self.has_knowledge() && has_code)
    }

    const fn has_knowledge(self) -> bool {
        self.has(Proof::Password) || self.has(Proof::External)
    }
}

impl From<Proof> for Proofs {
    fn from(proof: Proof) -> Self {
        Self::default().with(proof)
    }
}

/// That somebody proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proved {
    /// When; of several proofs the oldest.
    pub at: Time,
    /// By what.
    pub by: Proofs,
}

impl Proved {
    /// One proof, at a moment.
    pub fn at(at: Time, by: Proof) -> Self {
        Self { at, by: by.into() }
    }
}

/// Words with a space between them.
impl fmt::Display for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, proof) in self.iter().enumerate() {
            write!(f, "{}{proof}", if at > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

impl Field for Proofs {
    const KIND: Kind = Kind::Text;

    fn to_value(&self) -> Value {
        Value::Text(self.to_string())
    }

    fn from_value(value: Value) -> Option<Self> {
        let add = |all: Self, word: &str| Some(all.with(word.parse().ok()?));
        value.as_text()?.split_whitespace().try_fold(Self::default(), add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aut_10_two_factors_are_of_two_kinds() {
        let of = |proofs: &[Proof]| proofs.iter().fold(Proofs::default(), |all, proof| all.with(*proof));
        for (proofs, are_two) in [
            (vec![], false),
            (vec![Proof::Password], false),
            (vec![Proof::Totp], false),
            (vec![Proof::RecoveryCode, Proof::Totp], false),
            (vec![Proof::Totp, Proof::Password], true),
            (vec![Proof::Password, Proof::RecoveryCode], true),
            (vec![Proof::Passkey], true),
            (vec![Proof::Password, Proof::Passkey], true),
            (vec![Proof::Password, Proof::External], false),
            (vec![Proof::External, Proof::Totp], true),
        ] {
            assert_eq!(of(&proofs).are_two_factors(), are_two, "{proofs:?}");
            assert_eq!(Proofs::from_value(of(&proofs).to_value()), Some(of(&proofs)));
        }
        assert_eq!(of(&[Proof::Totp, Proof::Password]).to_string(), "password totp");
        let [none, password] = [of(&[Proof::RecoveryCode, Proof::Totp]), of(&[Proof::Password])];
        assert_eq!(
            (none.with_passkey(false), none.with_passkey(true).map(Proofs::are_two_factors)),
            (None, Some(true))
        );
        assert_eq!(password.with_passkey(false).map(Proofs::are_two_factors), Some(true));
        assert_eq!(Proofs::from_value(Value::Text("password sms".into())), None);
    }
}
