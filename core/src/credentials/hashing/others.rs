//! Hashes that are not made today: Argon2 of another cost or of another system in PHC form, and those of [`foreign`].
//! Browsers load this on demand.

use argon2::{
    Algorithm, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};

use super::{
    Attempt, Hashing, Memory, Pepper,
    argon2id::{MOST, Variant},
    cost_of_argon2, foreign,
};
use crate::model::error::Result;

/// What the hash of another system may cost at most.
const MOST_OF_OTHERS: (u32, u32, u32) = (128 * 1024, 20, 16);
/// Its memory in KiB, as often as it is passed over.
const MOST_WORK_OF_OTHERS: u32 = 1024 * 1024;

/// What is called from outside.
#[derive(Clone, Copy)]
pub(super) struct Functions {
    /// The cost of a hash that is none of Argon2's, as text; none: it cannot be read, or costs more than it may.
    pub(super) cost_of: fn(&str) -> Option<String>,
    /// The hash of another system by Argon2, in the one form in which it is kept; none: it cannot be read, or is too dear.
    pub(super) canonical: fn(&str) -> Option<String>,
    /// Whether an attempt is right whose hash is not of today, and whether by all that was typed; does the work of all costs
    /// but that of today.
    pub(super) verify: Verify,
}

type Verify = fn(&Hashing, &Attempt, &[&str], &mut Memory) -> Result<(bool, bool)>;

pub(super) const FUNCTIONS: Functions = Functions { cost_of: foreign::cost_of, canonical, verify };

/// A hash in PHC form, without the password.
struct Stored {
    variant: Variant,
    salt: Salt,
    output: Output,
}

impl Stored {
    /// Reads one; none: it is none, or costs more than any may.
    fn read(hash: &str) -> Option<Self> {
        let stored = PasswordHash::new(hash).ok()?;
        let params = Params::try_from(&stored).ok()?;
        let version = stored.version.map_or(Ok(Version::V0x10), Version::try_from).ok()?;
        let algorithm = Algorithm::try_from(stored.algorithm.as_str()).ok()?;
        let (salt, output) = (stored.salt?, stored.hash?);
        within(&params, MOST).then_some(Self { variant: Variant { algorithm, version, params }, salt, output })
    }

    /// Whether it is the hash of this text.
    fn is_of(&self, text: &str, peppers: &[Pepper], memory: &mut Memory) -> Result<bool> {
        let id = self.variant.params.keyid();
        let pepper = peppers.iter().find(|pepper| pepper.id == id);
        let output = self.variant.compute(pepper, text, &self.salt, self.output.len(), memory)?;
        // Compared in constant time, as its type does. Without its pepper nothing is right, after the same work.
        Ok((pepper.is_some() || id.is_empty()) && output == self.output)
    }
}

fn within(params: &Params, (memory, passes, lanes): (u32, u32, u32)) -> bool {
    params.m_cost() <= memory && params.t_cost() <= passes && params.p_cost() <= lanes
}

/// It is not too dear, and has no pepper, which we would not know.
fn canonical(hash: &str) -> Option<String> {
    let Stored { variant: Variant { algorithm, version, params }, salt, output } = Stored::read(hash)?;
    let is_light = params.m_cost().checked_mul(params.t_cost()).is_some_and(|work| work <= MOST_WORK_OF_OTHERS);
    let is_plain = params.keyid().is_empty() && params.data().is_empty() && output.len() >= foreign::SHORTEST;
    let hash = PasswordHash {
        algorithm: algorithm.ident(),
        version: Some(version.into()),
        params: ParamsString::try_from(&params).ok()?,
        salt: Some(salt),
        hash: Some(output),
    };
    (within(&params, MOST_OF_OTHERS) && is_light && is_plain).then(|| hash.to_string())
}

fn verify(hashing: &Hashing, attempt: &Attempt, texts: &[&str], memory: &mut Memory) -> Result<(bool, bool)> {
    let hash = attempt.hash.as_ref().map(|hash| hash.expose());
    let own_cost = hash.and_then(cost_of_argon2);
    let mut costs: Vec<&str> = attempt.costs.iter().map(String::as_str).chain(own_cost).collect();
    costs.retain(|cost| *cost != hashing.cost());
    costs.sort_unstable();
    costs.dedup();
    let (argon2, foreign): (Vec<&str>, Vec<&str>) = costs.into_iter().partition(|cost| cost.starts_with("argon2"));
    let (mut is_right, is_whole) = foreign::verify(hash.filter(|_| own_cost.is_none()), &foreign, texts);
    for cost in argon2 {
        let own = hash.filter(|_| own_cost == Some(cost)).and_then(Stored::read);
        for text in texts {
            match &own {
                Some(stored) => is_right |= stored.is_of(text, &hashing.peppers, memory)?,
                None => work(cost, text, memory)?,
            }
        }
    }
    Ok((is_right, is_whole))
}

/// The work of a cost on a text, for nothing.
fn work(cost: &str, text: &str, memory: &mut Memory) -> Result<()> {
    // Any salt and output: a sign-in that has no hash of this cost takes as long as one that has.
    let stored = Stored::read(&format!("${cost}$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    stored.map_or(Ok(()), |one| one.variant.compute(None, text, &one.salt, one.output.len(), memory).map(drop))
}
