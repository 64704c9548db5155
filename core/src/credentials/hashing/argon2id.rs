//! Argon2id (RFC 9106), by which passwords are hashed here.

use argon2::{
    Algorithm, Argon2, KeyId, Params, ParamsBuilder, Version,
    password_hash::phc::{Output, Salt},
};
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};

use super::{Memory, Pepper, failed};
use crate::model::{check::Invalid, decode::FieldCode, error::Result};

/// What a stored hash may cost at most: memory in KiB, passes and lanes.
pub const MOST: (u32, u32, u32) = (1024 * 1024, 100, 16);

/// The cost of Argon2id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashingCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl HashingCost {
    /// OWASP's equal alternatives, as (KiB, passes); less than all of them is refused.
    const FLOORS: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

    /// The cost in tests of what is not about hashing: the least that Argon2 knows, which no store takes that is built
    /// without the feature `testing`.
    #[cfg(feature = "testing")]
    const OF_TESTS: Self = Self { memory_kib: 8, iterations: 1, parallelism: 1 };

    /// Refuses a cost below OWASP's minimum, or one that Argon2 does not know.
    pub fn check(self) -> Result<(), Invalid> {
        #[cfg(feature = "testing")]
        if self == Self::OF_TESTS {
            return Ok(());
        }
        let enough =
            Self::FLOORS.iter().any(|(memory, passes)| self.memory_kib >= *memory && self.iterations >= *passes);
        if !enough {
            let message =
                "the cost of password hashing is below OWASP's minimum (19,456 KiB with 2 passes, or an equal)";
            return Err(Invalid::new(FieldCode::OutOfRange, message));
        }
        let unknown = |problem| Invalid::new(FieldCode::OutOfRange, format!("cost of password hashing: {problem}"));
        self.params(None).map(|_| ()).map_err(unknown)
    }

    /// As Argon2 takes it; the pepper's id is kept with each hash.
    pub(super) fn params(self, pepper: Option<&Pepper>) -> Result<Params, argon2::Error> {
        let mut params = ParamsBuilder::new();
        params.m_cost(self.memory_kib).t_cost(self.iterations).p_cost(self.parallelism);
        if let Some(pepper) = pepper {
            params.keyid(KeyId::new(&pepper.id)?);
        }
        params.build()
    }

    /// As it stands in each hash: `argon2id$v=19$m=19456,t=2,p=1`.
    pub(super) fn text(self, pepper: Option<&Pepper>) -> String {
        let Self { memory_kib, iterations, parallelism } = self;
        let id = pepper.map(|pepper| format!(",keyid={}", BASE64_STANDARD_NO_PAD.encode(pepper.id)));
        format!("argon2id$v=19$m={memory_kib},t={iterations},p={parallelism}{}", id.unwrap_or_default())
    }
}

/// A variant of Argon2 with its parameters.
pub(super) struct Variant {
    pub(super) algorithm: Algorithm,
    pub(super) version: Version,
    pub(super) params: Params,
}

impl Variant {
    /// That of today.
    pub(super) fn today(params: Params) -> Self {
        Self { algorithm: Algorithm::Argon2id, version: Version::V0x13, params }
    }

    /// Hashes a text.
    pub(super) fn compute(
        &self,
        pepper: Option<&Pepper>,
        text: &str,
        salt: &Salt,
        length: usize,
        memory: &mut Memory,
    ) -> Result<Output> {
        let (algorithm, version, params) = (self.algorithm, self.version, self.params.clone());
        let argon2 = match pepper {
            Some(pepper) => {
                Argon2::new_with_secret(&pepper.secret, algorithm, version, params).map_err(|_| failed())?
            }
            None => Argon2::new(algorithm, version, params),
        };
        super::work::note(|| format!("{algorithm} {}", argon2.params()), 1);
        let blocks = memory.blocks(argon2.params().block_count())?;
        let mut hash = zeroize::Zeroizing::new([0; Output::MAX_LENGTH]);
        let hash = hash.get_mut(..length).ok_or_else(failed)?;
        argon2.hash_password_into_with_memory(text.as_bytes(), salt, hash, &mut *blocks).map_err(|_| failed())?;
        Output::new(hash).map_err(|_| failed())
    }
}

/// A salt and an output as they stand at the end of a hash.
pub(super) fn read_tail(tail: &str) -> Option<(Salt, Output)> {
    let (salt, output) = tail.split_once('$')?;
    let decoded = |text| BASE64_STANDARD_NO_PAD.decode(text).ok();
    Some((Salt::new(&decoded(salt)?).ok()?, Output::new(&decoded(output)?).ok()?))
}

/// The other way round.
pub(super) fn write_tail(salt: &Salt, output: &Output) -> String {
    format!("{}${}", BASE64_STANDARD_NO_PAD.encode(salt), BASE64_STANDARD_NO_PAD.encode(output))
}
