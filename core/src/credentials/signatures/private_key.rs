//! Private keys of tokens.

use ed25519_dalek::{Signer, SigningKey as EdDsaKey};
use p256::ecdsa::{Signature as Es256Signature, SigningKey as Es256Key};

use super::{Algorithm, PublicKey};

/// A private key, for one algorithm. Overwritten when it is dropped.
#[derive(Clone)]
pub struct PrivateKey {
    kind: Kind,
    public: PublicKey,
}

#[derive(Clone)]
enum Kind {
    Es256(Box<Es256Key>),
    EdDsa(Box<EdDsaKey>),
}

impl PrivateKey {
    /// A key of these bytes, which are random. None: they are none of the algorithm, as one of 2^32 texts is none of ES256, or there
    /// are no private keys of it.
    pub fn of_bytes(algorithm: Algorithm, bytes: &[u8; 32]) -> Option<Self> {
        let (kind, public) = match algorithm {
            Algorithm::Es256 => {
                let key = Es256Key::from_slice(bytes).ok()?;
                let public = PublicKey::of_es256(*key.verifying_key());
                (Kind::Es256(Box::new(key)), public)
            }
            Algorithm::EdDsa => {
                let key = EdDsaKey::from_bytes(bytes);
                let public = PublicKey::of_ed_dsa(key.verifying_key());
                (Kind::EdDsa(Box::new(key)), public)
            }
            Algorithm::Rs256 => return None,
        };
        Some(Self { kind, public })
    }

    /// Its public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a message as tokens do (RFC 7518, 3.4; RFC 8037, 3.1). Without randomness: that of ES256 follows from the message (RFC
    /// 6979).
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.kind {
            Kind::Es256(key) => {
                let signature: Es256Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
            Kind::EdDsa(key) => key.sign(message).to_bytes().to_vec(),
        }
    }
}
