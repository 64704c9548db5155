//! What a hash costs, and doing that work on nothing.

use std::{collections::BTreeMap, fmt, hint::black_box, str::FromStr};

use zeroize::Zeroizing;

use super::{super::work, Digest, Hmac, Md5, Sha1, Sha256, Sha512};
use sha2::Digest as _;

/// bcrypt takes so many bytes, the NUL behind the password among them, and passes over the rest.
pub(super) const BCRYPT_BYTES: usize = 72;

/// An algorithm and its parameters. Written as text it is what `hash_costs` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cost {
    /// 2^n expansions of the key.
    Bcrypt(u32),
    Scrypt {
        log_n: u8,
        r: u32,
        p: u32,
    },
    /// Rounds, of all blocks of the output together.
    Pbkdf2(Digest, u32),
    /// 2^n rounds of MD5.
    Phpass(u32),
}

/// Of one form the dearest stands for all: cheaper ones are filled up to it. Those of scrypt differ in memory, which nothing
/// fills up.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Bcrypt,
    Scrypt(u8, u32, u32),
    Pbkdf2(Digest),
    Phpass,
}

impl Cost {
    /// Whether a hash may cost that much.
    pub(super) fn is_fit(self) -> bool {
        match self {
            Self::Bcrypt(log_rounds) => (4..=14).contains(&log_rounds),
            // 128 r N bytes, at most 128 MiB, and twice that in all passes.
            Self::Scrypt { log_n, r, p } => {
                let blocks = 1_u64.checked_shl(log_n.into()).unwrap_or(u64::MAX).saturating_mul(r.into());
                let all = blocks.saturating_mul(p.into());
                (1..=20).contains(&log_n) && r >= 1 && p >= 1 && blocks <= 1 << 20 && all <= 1 << 21
            }
            Self::Pbkdf2(_, rounds) => (1..=2_000_000).contains(&rounds),
            Self::Phpass(log_rounds) => (7..=17).contains(&log_rounds),
        }
    }

    fn form(self) -> Form {
        match self {
            Self::Bcrypt(_) => Form::Bcrypt,
            Self::Scrypt { log_n, r, p } => Form::Scrypt(log_n, r, p),
            Self::Pbkdf2(digest, _) => Form::Pbkdf2(digest),
            Self::Phpass(_) => Form::Phpass,
        }
    }

    pub(super) fn is_of_one_form_with(self, other: Self) -> bool {
        self.form() == other.form()
    }

    /// The dearest of each form.
    pub(super) fn dearest(all: impl Iterator<Item = Self>) -> impl Iterator<Item = Self> {
        let mut dearest: BTreeMap<Form, Self> = BTreeMap::new();
        for cost in all.filter(|cost| cost.is_fit()) {
            let most = dearest.entry(cost.form()).or_insert(cost);
            if most.size() < cost.size() {
                *most = cost;
            }
        }
        dearest.into_values()
    }

    fn size(self) -> u32 {
        match self {
            Self::Bcrypt(size) | Self::Pbkdf2(_, size) | Self::Phpass(size) => size,
            Self::Scrypt { .. } => 0,
        }
    }

    /// Hashes a password; none where the parameters are none of the algorithm's.
    pub(super) fn hash(self, password: &[u8], salt: &[u8], len: usize) -> Option<Zeroizing<Vec<u8>>> {
        let mut hash = Zeroizing::new(vec![0; len]);
        match self {
            Self::Bcrypt(log_rounds) => {
                let found = Zeroizing::new(bcrypt(log_rounds, salt.try_into().ok()?, password));
                hash.copy_from_slice(found.get(..len)?);
            }
            Self::Scrypt { log_n, r, p } => {
                work::note(|| self.to_string(), 1);
                let params = scrypt::Params::new(log_n, r, p).ok()?;
                scrypt::scrypt(password, salt, &params, &mut hash).ok()?;
            }
            Self::Pbkdf2(digest, rounds) => {
                let rounds = rounds / blocks(digest, len);
                pbkdf2(digest, password, salt, rounds, &mut hash);
            }
            Self::Phpass(log_rounds) => {
                let first = Md5::new().chain_update(salt).chain_update(password).finalize();
                let last = md5_rounds(first.into(), password, 1 << log_rounds);
                hash = Zeroizing::new(phpass_text(last));
            }
        }
        Some(hash)
    }

    /// Does on a password what a hash of this cost takes beside what one of a lower cost, if there was one, has taken.
    pub(super) fn fill(self, done: Option<Self>, password: &[u8]) {
        let salt = [0; 16];
        match (self, done) {
            (Self::Bcrypt(most), Some(Self::Bcrypt(done))) => {
                // 2^d + 2^d + 2^(d + 1) + … up to 2^most.
                (done..most).for_each(|rounds| _ = black_box(bcrypt(rounds, salt, password)));
            }
            (Self::Pbkdf2(digest, most), Some(Self::Pbkdf2(_, done))) if done < most => {
                pbkdf2(digest, password, &salt, most - done, &mut [0; 20]);
            }
            (Self::Phpass(most), Some(Self::Phpass(done))) => {
                black_box(md5_rounds([0; 16], password, (1 << most) - (1 << done)));
            }
            (_, Some(_)) => {}
            (cost, None) => {
                black_box(cost.hash(password, &salt, 16));
            }
        }
    }
}

/// So many blocks of a digest make an output of this length; each costs all rounds.
pub(super) fn blocks(digest: Digest, len: usize) -> u32 {
    let block = match digest {
        Digest::Sha1 => 20,
        Digest::Sha256 => 32,
        Digest::Sha512 => 64,
    };
    // An output has at most 64 bytes.
    len.div_ceil(block).max(1) as u32
}

fn bcrypt(log_rounds: u32, salt: [u8; 16], password: &[u8]) -> [u8; 24] {
    work::note(|| "bcrypt".into(), 1 << log_rounds);
    let mut input = Zeroizing::new([0; BCRYPT_BYTES]);
    let len = password.len().min(BCRYPT_BYTES);
    input.iter_mut().zip(password).for_each(|(to, from)| *to = *from);
    // With a NUL behind it, where there is room for one.
    bcrypt::bcrypt(log_rounds, salt, input.get(..(len + 1).min(BCRYPT_BYTES)).unwrap_or(&[0]))
}

fn pbkdf2(digest: Digest, password: &[u8], salt: &[u8], rounds: u32, hash: &mut [u8]) {
    work::note(|| format!("pbkdf2-{digest}"), u64::from(rounds) * u64::from(blocks(digest, hash.len())));
    // A MAC takes a key of any length.
    let _ = match digest {
        Digest::Sha1 => pbkdf2::pbkdf2::<Hmac<Sha1>>(password, salt, rounds, hash),
        Digest::Sha256 => pbkdf2::pbkdf2::<Hmac<Sha256>>(password, salt, rounds, hash),
        Digest::Sha512 => pbkdf2::pbkdf2::<Hmac<Sha512>>(password, salt, rounds, hash),
    };
    black_box(hash);
}

fn md5_rounds(first: [u8; 16], password: &[u8], rounds: u32) -> [u8; 16] {
    let password = password.get(..super::PHPASS_BYTES).unwrap_or(password);
    work::note(|| "phpass".into(), rounds.into());
    (0..rounds).fold(first, |hash, _| Md5::new().chain_update(hash).chain_update(password).finalize().into())
}

/// What phpass writes with.
pub(super) const PHPASS_LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// As phpass writes it: 6 bits a letter, the lowest first.
fn phpass_text(hash: [u8; 16]) -> Vec<u8> {
    let group = |bytes: &[u8]| {
        let value = bytes.iter().rev().fold(0_usize, |value, byte| value << 8 | usize::from(*byte));
        (0..=bytes.len()).map(move |at| PHPASS_LETTERS[value >> (6 * at) & 63])
    };
    hash.chunks(3).flat_map(group).collect()
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        })
    }
}

impl FromStr for Digest {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "sha1" => Ok(Self::Sha1),
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bcrypt(log_rounds) => write!(f, "bcrypt$c={log_rounds}"),
            Self::Scrypt { log_n, r, p } => write!(f, "scrypt$ln={log_n},r={r},p={p}"),
            Self::Pbkdf2(digest, rounds) => write!(f, "pbkdf2-{digest}$i={rounds}"),
            Self::Phpass(log_rounds) => write!(f, "phpass$c={log_rounds}"),
        }
    }
}

impl FromStr for Cost {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (form, params) = text.split_once('$').ok_or(())?;
        let values: Vec<u32> = params.split(',').filter_map(|one| one.split_once('=')?.1.parse().ok()).collect();
        match (form, &*values) {
            ("bcrypt", [log_rounds]) => Ok(Self::Bcrypt(*log_rounds)),
            ("scrypt", [log_n, r, p]) => Ok(Self::Scrypt { log_n: u8::try_from(*log_n).map_err(drop)?, r: *r, p: *p }),
            ("phpass", [log_rounds]) => Ok(Self::Phpass(*log_rounds)),
            (form, [rounds]) => Ok(Self::Pbkdf2(form.strip_prefix("pbkdf2-").ok_or(())?.parse()?, *rounds)),
            _ => Err(()),
        }
    }
}
