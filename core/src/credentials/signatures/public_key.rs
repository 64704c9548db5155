//! Public keys, and what they signed.

use ed25519_dalek::{Signature as EdDsaSignature, VerifyingKey as EdDsaKey};
use p256::ecdsa::{Signature as Es256Signature, VerifyingKey as Es256Key, signature::Verifier};

use super::{Algorithm, rs256};

/// RSA keys have 2,048 to 4,096 bits: with longer ones a sign-in would cost more than it is worth.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=512;

/// A public key, for one algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Es256(Box<Es256Key>),
    EdDsa(Box<EdDsaKey>),
    Rs256 { modulus: Vec<u8>, exponent: Vec<u8> },
}

/// What a key is written as: numbers, the first byte being the highest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicParameters {
    /// A point of P-256.
    Es256([u8; 32], [u8; 32]),
    /// A point of Ed25519.
    EdDsa([u8; 32]),
    /// A modulus and an exponent.
    Rs256(Vec<u8>, Vec<u8>),
}

impl Algorithm {
    /// Those that can be verified here.
    pub fn offered() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|algorithm| *algorithm != Self::Rs256 || rs256::is_offered())
    }
}

impl PublicKey {
    /// A point of P-256, not compressed.
    pub fn es256(x: &[u8], y: &[u8]) -> Option<Self> {
        let (x, y): (&[u8; 32], &[u8; 32]) = (x.try_into().ok()?, y.try_into().ok()?);
        let point = [[4].as_slice(), x, y].concat();
        Es256Key::from_sec1_bytes(&point).ok().map(Self::of_es256)
    }

    /// A point of Ed25519; not one under which one signature is good for many messages.
    pub fn ed_dsa(x: &[u8]) -> Option<Self> {
        let key = EdDsaKey::from_bytes(x.try_into().ok()?).ok().filter(|key| !key.is_weak())?;
        Some(Self::of_ed_dsa(key))
    }

    /// What `ring` takes too, so that no key is stored that can never verify anything.
    pub fn rs256(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
        let is_long = RSA_BYTES.contains(&modulus.len())
            && modulus
                .first()
                .is_some_and(|&first| if modulus.len() == *RSA_BYTES.start() { first > 127 } else { first > 0 });
        let is_exponent = (1..=4).contains(&exponent.len()) && exponent.first() != Some(&0) && exponent != [1];
        let key = Self(Kind::Rs256 { modulus: modulus.to_vec(), exponent: exponent.to_vec() });
        (is_long && is_exponent && is_odd(modulus) && is_odd(exponent)).then_some(key)
    }

    pub(super) fn of_es256(key: Es256Key) -> Self {
        Self(Kind::Es256(Box::new(key)))
    }

    pub(super) fn of_ed_dsa(key: EdDsaKey) -> Self {
        Self(Kind::EdDsa(Box::new(key)))
    }

    /// The algorithm that it is for, and for no other.
    pub fn algorithm(&self) -> Algorithm {
        match self.0 {
            Kind::Es256(_) => Algorithm::Es256,
            Kind::EdDsa(_) => Algorithm::EdDsa,
            Kind::Rs256 { .. } => Algorithm::Rs256,
        }
    }

    /// What it is made of.
    pub fn parts(&self) -> PublicParameters {
        match &self.0 {
            Kind::Es256(key) => {
                let point = key.to_sec1_point(false);
                let [x, y] = [point.x(), point.y()].map(|part| part.map_or([0; 32], |part| (*part).into()));
                PublicParameters::Es256(x, y)
            }
            Kind::EdDsa(key) => PublicParameters::EdDsa(key.to_bytes()),
            Kind::Rs256 { modulus, exponent } => PublicParameters::Rs256(modulus.clone(), exponent.clone()),
        }
    }

    /// Whether the key signed the message; ES256 as tokens write it, the two numbers one after the other (RFC 7518, 3.4).
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verify_as(message, signature, Es256Signature::from_slice)
    }

    /// The same with ES256 in DER, as authenticators write it (Web Authentication, 6.5.5).
    #[cfg(feature = "passkeys")]
    pub fn verify_der(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verify_as(message, signature, Es256Signature::from_der)
    }

    fn verify_as<E>(
        &self,
        message: &[u8],
        signature: &[u8],
        es256: impl FnOnce(&[u8]) -> Result<Es256Signature, E>,
    ) -> bool {
        match &self.0 {
            Kind::Es256(key) => es256(signature).is_ok_and(|given| key.verify(message, &given).is_ok()),
            Kind::EdDsa(key) => {
                EdDsaSignature::from_slice(signature).is_ok_and(|given| key.verify_strict(message, &given).is_ok())
            }
            Kind::Rs256 { modulus, exponent } => rs256::verify(modulus, exponent, message, signature),
        }
    }
}
