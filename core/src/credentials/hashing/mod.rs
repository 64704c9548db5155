//! Hashes of passwords: our own by Argon2id, and those of other systems, which the first sign-in replaces.
//!
//! | file | holds |
//! |---|---|
//! | `argon2id` | Argon2id, by which passwords are hashed here |
//! | `others` | hashes of other costs and systems; browsers load it on demand |
//! | `foreign` | those that are none of Argon2's |
//! | `work` | what was computed, for tests |
//!
//! How long a sign-in takes tells nobody what hash an account has, or whether there is one (SEC-1): [`Hashing::verify`]
//! does the work of every cost that any stored hash has, each once, on the account's hash where it is of that cost.

mod argon2id;
mod foreign;
mod others;
#[cfg(test)]
mod tests;
mod work;

use std::time::Duration;

use argon2::{
    Block, Params,
    password_hash::phc::{Output, Salt},
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use argon2id::Variant;
pub use argon2id::{HashingCost, MOST};

use super::password_rule::is_too_long;
use crate::model::{
    check::Invalid,
    decode::FieldCode,
    deferred::Deferred,
    error::{Error, Reason, Result},
    secret::Secret,
    unicode,
};

/// So many costs of one form there may be among the hashes of other systems: every sign-in does the work of all.
const MOST_COSTS: usize = 4;

/// Whatever is not of today.
static OTHERS: Deferred<others::Functions> = Deferred::new(others::FUNCTIONS);

/// Puts into their places what browsers load on demand.
#[cfg(feature = "bindings")]
pub(crate) fn load_deferred() {
    OTHERS.load(others::FUNCTIONS);
}

/// How passwords are hashed now, and with which secrets they were before.
pub struct Hashing {
    variant: Variant,
    /// The cost, as it stands in each hash.
    text: String,
    /// The first is of today.
    peppers: Vec<Pepper>,
    has_pepper: bool,
}

/// A secret that goes into each hash and is kept apart from them (RFC 9106, 3.1; N 3.1.1.2-p).
pub struct Pepper {
    /// Kept with each hash; reveals nothing of a secret that is random.
    id: [u8; 6],
    secret: Zeroizing<Vec<u8>>,
}

impl Pepper {
    fn new(secret: &Secret) -> Self {
        let digest = Sha256::new().chain_update(b"rolekeep pepper id\0").chain_update(secret.expose()).finalize();
        let mut id = [0; 6];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self { id, secret: secret.expose().as_bytes().to_vec().into() }
    }
}

/// What a sign-in gave, and what its account has.
#[derive(Clone)]
pub struct Attempt {
    /// The stored hash; none: there is no account, or it has no password.
    pub hash: Option<Secret>,
    /// All costs that stored hashes have.
    pub costs: Vec<String>,
    /// What was typed.
    pub password: Secret,
    /// Fresh, for a hash of today.
    pub salt: [u8; 16],
}

/// What came of an attempt.
#[derive(Clone)]
pub struct Verified {
    /// Whether it is the password.
    pub is_right: bool,
    /// What was typed, hashed as passwords are today, where the stored hash is another and is of all that was typed.
    pub renewed: Option<Secret>,
}

impl Hashing {
    /// By this cost, with the pepper of today, and those of hashes that were made before.
    pub fn new(cost: HashingCost, pepper: Option<&Secret>, retired: &[Secret]) -> Result<Self> {
        // Settings were checked before.
        let unknown = |_| Error::new(Reason::ConfigInvalid, "passwords cannot be hashed at this cost");
        let has_pepper = pepper.is_some();
        let peppers: Vec<Pepper> = pepper.into_iter().chain(retired).map(Pepper::new).collect();
        let pepper = peppers.first().filter(|_| has_pepper);
        let (variant, text) = (Variant::today(cost.params(pepper).map_err(unknown)?), cost.text(pepper));
        Ok(Self { variant, text, peppers, has_pepper })
    }

    /// The cost of today, as it stands in each hash.
    pub fn cost(&self) -> &str {
        &self.text
    }

    /// Hashes a password as passwords are hashed today. Takes some 20 ms and the memory of the cost: not on an executor's
    /// thread. The memory is to be wiped by who has it.
    pub fn hash(&self, password: &Secret, salt: [u8; 16], memory: &mut Memory) -> Result<String> {
        if is_too_long(password) {
            return Err(Error::new(Reason::InvalidCredentials, "the password is too long"));
        }
        self.hash_text(&unicode::nfc(password.expose()), salt, memory)
    }

    fn hash_text(&self, text: &str, salt: [u8; 16], memory: &mut Memory) -> Result<String> {
        let salt = Salt::new(&salt).map_err(|_| failed())?;
        let output = self.compute(text, &salt, Params::DEFAULT_OUTPUT_LEN, memory)?;
        Ok(format!("${}${}", self.text, argon2id::write_tail(&salt, &output)))
    }

    fn compute(&self, text: &str, salt: &Salt, length: usize, memory: &mut Memory) -> Result<Output> {
        self.variant.compute(self.peppers.first().filter(|_| self.has_pepper), text, salt, length, memory)
    }

    /// Whether an attempt is right; the same work whatever hash there is, if any. The memory is to be wiped by who has it.
    ///
    /// # Errors
    /// Where it cannot be told: the memory is not to be had, or [`Reason::DeferredNotLoaded`].
    pub fn verify(&self, attempt: &Attempt, memory: &mut Memory) -> Result<Verified> {
        if is_too_long(&attempt.password) {
            return Ok(Verified { is_right: false, renewed: None });
        }
        let (raw, normal) = (attempt.password.expose(), unicode::nfc(attempt.password.expose()));
        // Ours are of what was typed in NFC (N 3.1.1.2-4n), those of other systems of what was typed.
        let mut texts = vec![&*normal];
        texts.extend((raw != &*normal).then_some(raw));
        let hash = attempt.hash.as_ref().map(Secret::expose);
        let tail = hash.and_then(|hash| hash.strip_prefix('$')?.strip_prefix(&*self.text)?.strip_prefix('$'));
        let of_today = tail.and_then(argon2id::read_tail);
        let (mut is_right, mut is_whole) = (false, true);
        if attempt.costs.iter().any(|cost| *cost != self.text) || hash.is_some() && of_today.is_none() {
            (is_right, is_whole) = (OTHERS.get()?.verify)(self, attempt, &texts, memory)?;
        }
        // What is of today comes last, so that of any other hash what was typed is hashed anew within the same work.
        let mut renewed = None;
        for text in texts {
            match &of_today {
                // Compared in constant time, as its type does.
                Some((salt, output)) => is_right |= self.compute(text, salt, output.len(), memory)? == *output,
                None => {
                    let hash = self.hash_text(text, attempt.salt, memory)?;
                    renewed.get_or_insert(hash.into());
                }
            }
        }
        // What another cost or system took more of is given back.
        memory.shrink(self.variant.params.block_count());
        Ok(Verified { is_right, renewed: renewed.filter(|_| is_whole) })
    }
}

/// The cost of a hash that stands for a password here.
///
/// # Errors
/// [`Reason::DeferredNotLoaded`]; [`Reason::Internal`] for what is no hash.
pub fn cost_of(hash: &str) -> Result<String> {
    match cost_of_argon2(hash) {
        Some(cost) => Ok(cost.to_owned()),
        None => (OTHERS.get()?.cost_of)(hash).ok_or_else(failed),
    }
}

/// `argon2id$v=19$m=19456,t=2,p=1` of a hash in PHC form: all but its salt and output.
fn cost_of_argon2(hash: &str) -> Option<&str> {
    let (rest, _) = hash.strip_prefix('$')?.rsplit_once('$')?;
    let (cost, _) = rest.rsplit_once('$')?;
    cost.starts_with("argon2").then_some(cost)
}

/// Reads the hash of another system, as it is to be kept.
///
/// # Errors
/// [`Reason::DeferredNotLoaded`]; within, what is wrong with it.
pub fn read_foreign(text: &Secret) -> Result<Result<Secret, Invalid>> {
    // Django names the family first.
    let text = text.expose();
    let text = text.strip_prefix("argon2").filter(|rest| rest.starts_with('$')).unwrap_or(text);
    let others = OTHERS.get()?;
    let kept = match cost_of_argon2(text) {
        Some(_) => (others.canonical)(text),
        None => (others.cost_of)(text).map(|_| text.to_owned()),
    };
    let message = "must be a hash of Argon2, bcrypt, scrypt, PBKDF2 or phpass in a form that the documentation names, \
                   within its limits";
    Ok(kept.map(Secret::from).ok_or_else(|| Invalid::new(FieldCode::InvalidFormat, message)))
}

/// Whether another cost is one too many of its form: every sign-in does the work of each.
pub fn is_one_too_many(known: &[String], cost: &str) -> bool {
    // The dearest of the other forms stands for all of them.
    let form = |cost: &str| ["argon2", "scrypt"].into_iter().find(|form| cost.starts_with(form));
    form(cost).is_some() && known.iter().filter(|one| form(one) == form(cost)).count() >= MOST_COSTS
}

/// How many blocks of a KiB: some ten microseconds.
const WIPED_AT_ONCE: usize = 256;

/// Memory that hashing works in, kept for the next time: an allocator that gets megabytes back may keep them, too,
/// and take others next time.
///
/// Who reads what is left of a password in it tries others against it for next to nothing: it is wiped where no other password
/// is hashed in it at once.
#[derive(Default)]
pub struct Memory {
    blocks: Vec<Block>,
    is_used: bool,
}

impl Memory {
    /// Overwrites what is left of passwords; where there is nothing, does nothing.
    pub fn wipe(&mut self) {
        self.wipe_unless(|| None::<()>);
    }

    /// The same in parts, before each of which it asks whether the memory is wanted again, and then leaves the rest to who wants it.
    pub fn wipe_unless<W>(&mut self, mut wanted: impl FnMut() -> Option<W>) -> Option<W> {
        if self.is_used {
            for part in self.blocks.chunks_mut(WIPED_AT_ONCE) {
                if let Some(wanted) = wanted() {
                    return Some(wanted);
                }
                overwrite(part);
            }
            self.is_used = false;
        }
        None
    }

    /// Whether nothing is left of a password.
    #[cfg(test)]
    pub(crate) fn is_wiped(&self) -> bool {
        self.blocks.iter().all(|block| block.as_ref().iter().all(|word| *word == 0))
    }

    /// Whether there is any.
    #[cfg(test)]
    pub(crate) fn is_held(&self) -> bool {
        !self.blocks.is_empty()
    }

    /// Gives back what is more than so many blocks, and nothing of a password with it.
    fn shrink(&mut self, count: usize) {
        if self.blocks.len() > count {
            // To shrink may be to move.
            self.wipe();
            self.blocks.truncate(count);
            self.blocks.shrink_to_fit();
        }
    }

    /// So many blocks; what they hold is written over.
    fn blocks(&mut self, count: usize) -> Result<&mut [Block]> {
        let more = count.saturating_sub(self.blocks.len());
        // The cost may come from a stored hash: too high a one is an error, and ends no process.
        let refused = |_| {
            let full = Error::new(Reason::HashingQueueFull, "there is no memory to hash a password in now");
            full.retry_in(Duration::from_secs(1))
        };
        if self.blocks.capacity() < count {
            // To grow is to move, and nothing may be left where it was.
            self.wipe();
        }
        self.blocks.try_reserve_exact(more).map_err(refused)?;
        self.blocks.resize(self.blocks.len() + more, Block::new());
        self.is_used = true;
        self.blocks.get_mut(..count).ok_or_else(failed)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.wipe();
    }
}

fn overwrite(blocks: &mut [Block]) {
    blocks.fill(Block::new());
    // Else it is left out where nothing reads them again.
    std::hint::black_box(blocks);
}

fn failed() -> Error {
    Error::new(Reason::Internal, "a password could not be hashed")
}
