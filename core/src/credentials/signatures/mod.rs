//! Signatures by which a public key proves who made something: ES256, EdDSA and RS256 (RFC 7518, RFC 8037), of tokens and of
//! passkeys. RS256 is verified only.

#[cfg(feature = "asymmetric")]
mod jwk;
#[cfg(not(feature = "asymmetric"))]
mod off;
#[cfg(feature = "asymmetric")]
mod private_key;
#[cfg(feature = "asymmetric")]
mod public_key;
#[cfg(feature = "asymmetric")]
mod rs256;

#[cfg(test)]
#[cfg(feature = "asymmetric")]
mod tests;

#[cfg(feature = "asymmetric")]
pub use jwk::{KeySet, NoPrivateKey};
#[cfg(not(feature = "asymmetric"))]
pub use off::{KeySet, NotOffered as NoPrivateKey, PrivateKey, PublicKey};
#[cfg(feature = "asymmetric")]
pub use private_key::PrivateKey;
#[cfg(feature = "asymmetric")]
pub use public_key::PublicKey;
#[cfg(feature = "passkeys")]
pub use public_key::PublicParameters;

/// What a key signs by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256, of 2,048 to 4,096 bits.
    Rs256,
}

impl Algorithm {
    /// All, the preferred first.
    pub const ALL: [Self; 3] = [Self::Es256, Self::EdDsa, Self::Rs256];

    /// How tokens name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }
}
