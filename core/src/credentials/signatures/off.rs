//! What stands in for keys where the feature `asymmetric` is off: there are none.
#![allow(missing_docs, reason = "it is documented where there are keys")]

use super::Algorithm;

/// There is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {}

impl PublicKey {
    pub fn thumbprint(&self) -> String {
        match *self {}
    }

    pub fn to_jwk(&self) -> String {
        match *self {}
    }

    pub fn algorithm(&self) -> Algorithm {
        match *self {}
    }

    pub fn verify(&self, _: &[u8], _: &[u8]) -> bool {
        match *self {}
    }
}

/// There is none.
#[derive(Clone)]
pub enum PrivateKey {}

impl PrivateKey {
    pub fn of_bytes(_: Algorithm, _: &[u8; 32]) -> Option<Self> {
        None
    }

    pub fn of_jwk(_: &str) -> Result<(String, Self), NotOffered> {
        Err(NotOffered)
    }

    pub fn public_key(&self) -> &PublicKey {
        match *self {}
    }

    pub fn sign(&self, _: &[u8]) -> Vec<u8> {
        match *self {}
    }
}

/// There is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySet {}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("needs the feature `asymmetric`, without which this was built")]
pub struct NotOffered;

impl KeySet {
    pub fn read(_: &str) -> Result<Self, NotOffered> {
        Err(NotOffered)
    }

    pub fn find(&self, _: Option<&str>) -> std::iter::Empty<&PublicKey> {
        match *self {}
    }
}
