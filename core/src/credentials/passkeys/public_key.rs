//! Public keys of passkeys, as COSE writes them (RFC 9052, section 7; RFC 9053; RFC 8230), and what they signed.

use ciborium::Value;

use super::{Algorithm, Refusal, cbor};
use crate::{
    credentials::signatures::{self, PublicParameters},
    model::error::{Error, Reason, Result},
};

/// The members of a key (IANA, "COSE Key Common Parameters" and "COSE Key Type Parameters").
mod member {
    pub(super) const TYPE: i64 = 1;
    pub(super) const ALGORITHM: i64 = 3;
    /// Of a curve, and its coordinates.
    pub(super) const CURVE: i64 = -1;
    pub(super) const X: i64 = -2;
    pub(super) const Y: i64 = -3;
    /// Of RSA.
    pub(super) const MODULUS: i64 = -1;
    pub(super) const EXPONENT: i64 = -2;
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    key: signatures::PublicKey,
    cose: Vec<u8>,
}

impl PublicKey {
    /// A key that was stored.
    ///
    /// # Errors
    /// [`Reason::Corrupt`].
    pub fn from_stored(bytes: &[u8]) -> Result<Self> {
        let read = cbor::read_map(bytes).filter(|(_, rest)| rest.is_empty());
        // Also of an algorithm that cannot be verified here: then no signature is right.
        let key = read.and_then(|(map, _)| Self::of_any(&map).ok()).filter(|key| key.cose == bytes);
        key.ok_or_else(|| Error::new(Reason::Corrupt, "the public key of a passkey cannot be read"))
    }

    /// The key to store: a COSE key with the members that were looked at and no others, at most 530 bytes.
    pub fn to_stored(&self) -> &[u8] {
        &self.cose
    }

    /// The algorithm that it is for, and for no other.
    pub fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    pub(super) fn of_cose(map: &cbor::Map) -> Result<Self, Refusal> {
        let key = Self::of_any(map)?;
        if Algorithm::offered().any(|offered| offered == key.algorithm()) { Ok(key) } else { Err(Refusal::Algorithm) }
    }

    fn of_any(map: &cbor::Map) -> Result<Self, Refusal> {
        let number = |key: i64| cbor::get(map, key).and_then(Value::as_integer).map(i128::from);
        let bytes = |key: i64| cbor::get(map, key).and_then(Value::as_bytes).map(Vec::as_slice);
        let algorithm = number(member::ALGORITHM).ok_or(Refusal::PublicKey)?;
        let algorithm = Algorithm::ALL.into_iter().find(|known| i128::from(known.number()) == algorithm);
        let curve = |key_type: i128, curve: i128| {
            (number(member::TYPE) == Some(key_type) && number(member::CURVE) == Some(curve)).then_some(())
        };
        let key = match algorithm.ok_or(Refusal::Algorithm)? {
            Algorithm::Es256 => {
                curve(2, 1).and_then(|()| signatures::PublicKey::es256(bytes(member::X)?, bytes(member::Y)?))
            }
            Algorithm::EdDsa => curve(1, 6).and_then(|()| signatures::PublicKey::ed_dsa(bytes(member::X)?)),
            Algorithm::Rs256 if number(member::TYPE) == Some(3) => bytes(member::MODULUS)
                .and_then(|modulus| signatures::PublicKey::rs256(modulus, bytes(member::EXPONENT)?)),
            Algorithm::Rs256 => None,
        };
        Self::of(key.ok_or(Refusal::PublicKey)?)
    }

    fn of(key: signatures::PublicKey) -> Result<Self, Refusal> {
        let mut cose = Vec::new();
        ciborium::into_writer(&to_cose(&key), &mut cose).map_err(|_| Refusal::PublicKey)?;
        Ok(Self { key, cose })
    }

    /// Whether the key signed the message (6.5.5).
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        self.key.verify_der(message, signature).then_some(()).ok_or(Refusal::Signature)
    }
}

/// In the order of CTAP's canonical form.
fn to_cose(key: &signatures::PublicKey) -> Value {
    let algorithm = (member::ALGORITHM, key.algorithm().number().into());
    let bytes = |part: &[u8]| Value::Bytes(part.to_vec());
    let members: Vec<(i64, Value)> = match key.parts() {
        PublicParameters::Es256(x, y) => vec![
            (member::TYPE, 2.into()),
            algorithm,
            (member::CURVE, 1.into()),
            (member::X, bytes(&x)),
            (member::Y, bytes(&y)),
        ],
        PublicParameters::EdDsa(x) => {
            vec![(member::TYPE, 1.into()), algorithm, (member::CURVE, 6.into()), (member::X, bytes(&x))]
        }
        PublicParameters::Rs256(modulus, exponent) => vec![
            (member::TYPE, 3.into()),
            algorithm,
            (member::MODULUS, Value::Bytes(modulus)),
            (member::EXPONENT, Value::Bytes(exponent)),
        ],
    };
    Value::Map(members.into_iter().map(|(key, value)| (key.into(), value)).collect())
}
