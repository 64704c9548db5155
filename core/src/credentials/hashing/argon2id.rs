//! Argon2 (RFC 9106): the hashes that are made here, and those of other systems in the same form.

use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, KeyId, Params, ParamsBuilder, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};

use super::{Memory, Pepper, failed};
use crate::model::{check::Invalid, decode::FieldCode, error::Result};

/// What a stored hash may cost at most, also where it is none of ours: memory in KiB, passes and lanes.
pub const MOST: (u32, u32, u32) = (1024 * 1024, 100, 16);
/// What the hash of another system may cost at most.
const MOST_OF_OTHERS: (u32, u32, u32) = (128 * 1024, 20, 16);

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

    /// Refuses a cost below OWASP's minimum, or one that Argon2 does not know.
    pub fn check(self) -> Result<(), Invalid> {
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
}

/// A hash in PHC form, without the password.
pub(super) struct Stored {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Salt,
    output: Output,
}

impl Stored {
    /// Reads one; none: it is none, or costs more than any may.
    pub(super) fn read(hash: &str) -> Option<Self> {
        let stored = PasswordHash::new(hash).ok()?;
        let params = Params::try_from(&stored).ok()?;
        let version = stored.version.map_or(Ok(Version::V0x10), Version::try_from).ok()?;
        let algorithm = Algorithm::try_from(stored.algorithm.as_str()).ok()?;
        let (salt, output) = (stored.salt?, stored.hash?);
        within(&params, MOST).then_some(Self { algorithm, version, params, salt, output })
    }

    /// Whether it may come from another system: it is not too dear, and has no pepper, which we would not know.
    pub(super) fn is_fit(&self) -> bool {
        within(&self.params, MOST_OF_OTHERS) && self.params.keyid().is_empty() && self.params.data().is_empty()
    }

    /// Whether it is the hash of this text.
    pub(super) fn is_of(&self, text: &str, peppers: &[Pepper], memory: &mut Memory) -> Result<bool> {
        let id = self.params.keyid();
        let pepper = peppers.iter().find(|pepper| pepper.id == id);
        let output = compute(self, pepper, text, memory)?;
        // Compared in constant time, as its type does. Without its pepper nothing is right, after the same work.
        Ok((pepper.is_some() || id.is_empty()) && output == self.output)
    }
}

fn within(params: &Params, (memory, passes, lanes): (u32, u32, u32)) -> bool {
    params.m_cost() <= memory && params.t_cost() <= passes && params.p_cost() <= lanes
}

/// Hashes a text to a PHC string.
pub(super) fn hash(
    cost: HashingCost,
    pepper: Option<&Pepper>,
    text: &str,
    salt: [u8; 16],
    memory: &mut Memory,
) -> Result<String> {
    let params = cost.params(pepper).map_err(|_| failed())?;
    let stored = Stored {
        algorithm: Algorithm::Argon2id,
        version: Version::V0x13,
        params,
        salt: Salt::new(&salt).map_err(|_| failed())?,
        output: Output::new(&[0; Params::DEFAULT_OUTPUT_LEN]).map_err(|_| failed())?,
    };
    let output = compute(&stored, pepper, text, memory)?;
    let hash = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&stored.params).map_err(|_| failed())?,
        salt: Some(stored.salt),
        hash: Some(output),
    };
    Ok(hash.to_string())
}

/// The work of a cost on a text, for nothing.
pub(super) fn work(cost: &str, text: &str, memory: &mut Memory) -> Result<()> {
    // Any salt and output: a sign-in that has no hash of this cost takes as long as one that has.
    let stored = Stored::read(&format!("${cost}$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    stored.map_or(Ok(()), |stored| compute(&stored, None, text, memory).map(drop))
}

fn compute(stored: &Stored, pepper: Option<&Pepper>, text: &str, memory: &mut Memory) -> Result<Output> {
    let (algorithm, version, params) = (stored.algorithm, stored.version, stored.params.clone());
    let argon2 = match pepper {
        Some(pepper) => Argon2::new_with_secret(&pepper.secret, algorithm, version, params).map_err(|_| failed())?,
        None => Argon2::new(algorithm, version, params),
    };
    super::work::note(|| format!("{algorithm} {}", argon2.params()), 1);
    let blocks = memory.blocks(argon2.params().block_count())?;
    let mut hash = zeroize::Zeroizing::new([0; Output::MAX_LENGTH]);
    let hash = hash.get_mut(..stored.output.len()).ok_or_else(failed)?;
    argon2.hash_password_into_with_memory(text.as_bytes(), &stored.salt, hash, blocks).map_err(|_| failed())?;
    Output::new(hash).map_err(|_| failed())
}
