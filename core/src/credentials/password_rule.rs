//! Passwords: what is accepted (NIST SP 800-63B-4, 3.1.1.2), and Argon2id hashes (RFC 9106).

use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};

use crate::model::{
    check::Invalid,
    decode::FieldCode,
    error::{Error, Reason, Result},
    secret::Secret,
    text, unicode,
};

/// Longer input is refused before it is looked at, in bytes.
const MAX_BYTES: usize = 2048;
/// The most characters that a rule may allow: so many of 4 bytes each are looked at.
pub const MAX_LENGTH: i64 = MAX_BYTES as i64 / 4;

/// What a new password must be: see the fields of [`Config`](crate::Config) that begin with `password_`.
#[derive(Clone, Copy, Debug)]
pub struct PasswordRule<'a> {
    pub(crate) min_length: u32,
    pub(crate) max_length: u32,
    pub(crate) composition: bool,
    pub(crate) context_words: &'a [String],
}

impl PasswordRule<'_> {
    /// Checks a new password against the rule and the account's own names.
    pub(crate) fn check(&self, password: &Secret, own_names: &[&str]) -> Result<(), Invalid> {
        let raw = password.expose();
        if raw.len() > MAX_BYTES {
            return Err(Invalid::new(FieldCode::TooLong, format!("must have at most {} characters", self.max_length)));
        }
        let password = unicode::nfc(raw);
        // At most a quarter of the bytes.
        let count = password.chars().count() as u32;
        if count < self.min_length {
            return Err(Invalid::new(
                FieldCode::TooShort,
                format!("must have at least {} characters", self.min_length),
            ));
        }
        if count > self.max_length {
            return Err(Invalid::new(FieldCode::TooLong, format!("must have at most {} characters", self.max_length)));
        }
        if self.composition && !is_mixed(&password) {
            return Err(Invalid::new(
                FieldCode::InvalidFormat,
                "must hold upper and lower case letters, digits and other characters",
            ));
        }
        let folded = text::canonical(&password);
        if is_monotonous(&folded) {
            return Err(Invalid::new(FieldCode::CommonPassword, "repeats or counts up and is among the first guesses"));
        }
        let context = self.context_words.iter().map(String::as_str).chain(own_names.iter().copied());
        if context.flat_map(context_words).any(|word| mostly(&folded, &word)) {
            return Err(Invalid::new(
                FieldCode::ContextPassword,
                "must not be built from the account's own name or address or the service's name",
            ));
        }
        Ok(())
    }
}

/// The words an attacker tries first: a name, an address, and the parts of both.
fn context_words(name: &str) -> Vec<String> {
    let whole = text::canonical(name);
    let parts = whole.split(|letter: char| !letter.is_alphanumeric()).map(str::to_owned);
    let mut words: Vec<String> = parts.filter(|part| part.chars().count() >= 4).collect();
    words.push(whole);
    words
}

/// Whether little but the word is left of the password.
fn mostly(password: &str, word: &str) -> bool {
    let rest = password.replace(word, "");
    rest.len() < password.len() && rest.chars().filter(|letter| letter.is_alphabetic()).count() < 8
}

fn is_mixed(password: &str) -> bool {
    let any = |test: fn(char) -> bool| password.chars().any(test);
    any(char::is_lowercase)
        && any(char::is_uppercase)
        && any(char::is_numeric)
        && any(|letter| !letter.is_alphanumeric())
}

/// `aaaaaaaaaaaaaaa`, `abcabcabcabcabc`, `123456789012345`: a short part repeated, or a run of neighbours.
fn is_monotonous(password: &str) -> bool {
    let letters: Vec<char> = password.chars().collect();
    let repeats =
        (1..=4).any(|period| letters.iter().skip(period).zip(&letters).all(|(later, earlier)| later == earlier));
    let step = |pair: &[char]| {
        let (from, to) = (i64::from(u32::from(pair[0])), i64::from(u32::from(pair[1])));
        // 9 is followed by 0 on the keyboard.
        matches!(to - from, 1 | -1) || matches!((pair[0], pair[1]), ('9', '0') | ('0', '9'))
    };
    repeats || letters.windows(2).all(step)
}

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
        self.params().map(|_| ()).map_err(unknown)
    }

    fn params(self) -> Result<Params, argon2::Error> {
        Params::new(self.memory_kib, self.iterations, self.parallelism, None)
    }

    fn argon2(self) -> Result<Argon2<'static>> {
        let unknown = |problem| Error::new(Reason::ConfigInvalid, format!("cost of password hashing: {problem}"));
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params().map_err(unknown)?))
    }
}

/// Memory that hashing works in, kept for the next time: an allocator that gets megabytes back may keep them, too,
/// and take others next time.
#[derive(Default)]
pub struct Memory(Vec<Block>);

impl Memory {
    /// So many blocks; what they hold is written over.
    fn blocks(&mut self, count: usize) -> Result<&mut [Block]> {
        let more = count.saturating_sub(self.0.len());
        // The cost may come from a stored hash: too high a one is an error, and ends no process.
        self.0.try_reserve_exact(more).map_err(|_| failed())?;
        self.0.resize(self.0.len() + more, Block::new());
        self.0.get_mut(..count).ok_or_else(failed)
    }
}

/// Hashes a password to a PHC string. Takes some 20 ms and the memory of the cost: not on an executor's thread.
pub fn hash(cost: HashingCost, password: &Secret, salt: [u8; 16], memory: &mut Memory) -> Result<String> {
    let argon2 = cost.argon2()?;
    let output = output(&argon2, &normal(password)?, &salt, Params::DEFAULT_OUTPUT_LEN, memory)?;
    phc(&argon2, &salt, output.as_bytes())
}

/// A hash that no password has: for accounts that there are not, whose passwords cost the same to verify (SEC-1).
pub fn nobodys(cost: HashingCost, salt: [u8; 16], hash: [u8; Params::DEFAULT_OUTPUT_LEN]) -> Result<String> {
    phc(&cost.argon2()?, &salt, &hash)
}

/// Whether the password is the one that was hashed. Takes as long as hashing did.
pub fn verify(hash: &str, password: &Secret, memory: &mut Memory) -> bool {
    verified(hash, password, memory).unwrap_or_default()
}

/// None where the hash is none, or the password can be no password.
fn verified(hash: &str, password: &Secret, memory: &mut Memory) -> Option<bool> {
    let (normal, stored) = (normal(password).ok()?, PasswordHash::new(hash).ok()?);
    let (salt, expected) = (stored.salt.as_ref()?, stored.hash.as_ref()?);
    // The parameters are the hash's own.
    let algorithm = Algorithm::try_from(stored.algorithm.as_str()).ok()?;
    let version = stored.version.map_or(Ok(Version::default()), Version::try_from).ok()?;
    let argon2 = Argon2::new(algorithm, version, Params::try_from(&stored).ok()?);
    // Compared in constant time, as its type does.
    Some(output(&argon2, &normal, salt, expected.len(), memory).ok()? == *expected)
}

/// Whether it is longer than any password that there can be: to be refused before it is copied or waits for anything.
pub fn is_too_long(password: &Secret) -> bool {
    password.expose().len() > MAX_BYTES
}

fn output(argon2: &Argon2<'_>, normal: &Secret, salt: &[u8], len: usize, memory: &mut Memory) -> Result<Output> {
    let blocks = memory.blocks(argon2.params().block_count())?;
    let mut hash = zeroize::Zeroizing::new([0; Output::MAX_LENGTH]);
    let hash = hash.get_mut(..len).ok_or_else(failed)?;
    argon2.hash_password_into_with_memory(normal.expose().as_bytes(), salt, hash, blocks).map_err(|_| failed())?;
    Output::new(hash).map_err(|_| failed())
}

fn phc(argon2: &Argon2<'_>, salt: &[u8], hash: &[u8]) -> Result<String> {
    let hash = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(argon2.params()).map_err(|_| failed())?,
        salt: Some(Salt::new(salt).map_err(|_| failed())?),
        hash: Some(Output::new(hash).map_err(|_| failed())?),
    };
    Ok(hash.to_string())
}

fn failed() -> Error {
    Error::new(Reason::Internal, "a password could not be hashed")
}

/// NFC, once at set and at verify (N 3.1.1.2-4n); huge input is refused early.
fn normal(password: &Secret) -> Result<Secret> {
    if is_too_long(password) {
        return Err(Error::new(Reason::InvalidCredentials, "the password is too long"));
    }
    Ok(unicode::nfc(password.expose()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(password: &str) -> Option<FieldCode> {
        let words = ["Rolekeep".to_owned()];
        let rule = PasswordRule { min_length: 15, max_length: 128, composition: false, context_words: &words };
        rule.check(&password.into(), &["ann_miller", "ann.miller@example.org"]).err().map(|invalid| invalid.code)
    }

    #[test]
    fn aut_2_the_rule() {
        assert_eq!(code("correct horse battery staple"), None);
        assert_eq!(code("fifteen letters"), None);
        assert_eq!(code("fourteen chars"), Some(FieldCode::TooShort));
        assert_eq!(code(&"long enough ".repeat(20)), Some(FieldCode::TooLong));
        assert_eq!(code(&"x".repeat(1_000_000)), Some(FieldCode::TooLong));
        assert_eq!(code("aaaaaaaaaaaaaaaaaa"), Some(FieldCode::CommonPassword));
        assert_eq!(code("abcdabcdabcdabcd"), Some(FieldCode::CommonPassword));
        assert_eq!(code("1234567890123456"), Some(FieldCode::CommonPassword));
        assert_eq!(code("rolekeep-2026-11"), Some(FieldCode::ContextPassword));
        assert_eq!(code("Ann_Miller 1970!"), Some(FieldCode::ContextPassword));
        // Code points, not bytes: fifteen of four bytes each pass.
        assert_eq!(code("🦀🐍🦊🐻🐼🐨🐯🦁🐮🐷🐸🐵🐔🐧🐦"), None);
    }

    #[test]
    fn aut_2_hashes_and_verifies_whole_in_nfc() {
        let cost = HashingCost { memory_kib: 19_456, iterations: 2, parallelism: 1 };
        let memory = &mut Memory::default();
        let hashed = hash(cost, &"Crème brûlée with\0sugar".into(), [7; 16], memory).unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(verify(&hashed, &"Cre\u{300}me bru\u{302}le\u{301}e with\0sugar".into(), memory));
        assert!(!verify(&hashed, &"Crème brûlée with".into(), memory));
        assert!(!verify("not a hash", &"whatever it may be".into(), memory));
    }

    #[test]
    fn sec_15_memory_of_one_hash_serves_others() {
        let (memory, own) = (&mut Memory::default(), &mut Memory::default());
        for memory_kib in [7_168, 9_216, 7_168] {
            let cost = HashingCost { memory_kib, iterations: 5, parallelism: 1 };
            let hashed = hash(cost, &"fifteen letters".into(), [7; 16], memory).unwrap();
            assert!(
                verify(&hashed, &"fifteen letters".into(), own) && !verify(&hashed, &"fifteen lettres".into(), own)
            );
            let nobody = nobodys(cost, [1; 16], [2; 32]).unwrap();
            assert_eq!(nobody.split('$').nth(3), hashed.split('$').nth(3), "the same work");
            assert!(!verify(&nobody, &"fifteen letters".into(), own));
        }
        let greedy =
            "$argon2id$v=19$m=4294967295,t=1,p=1$AQEBAQEBAQEBAQEBAQEBAQ$AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";
        assert!(!verify(greedy, &"fifteen letters".into(), own));
    }

    #[test]
    fn aut_2_refuses_a_cost_below_the_floor() {
        assert!(HashingCost { memory_kib: 4096, iterations: 2, parallelism: 1 }.check().is_err());
        assert!(HashingCost { memory_kib: 9_216, iterations: 4, parallelism: 1 }.check().is_ok());
    }
}
