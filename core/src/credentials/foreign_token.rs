//! Tokens of other issuers: JWTs by a key that the host configured for the issuer (RFC 7519, RFC 8725).
//!
//! The issuer that a token names chooses the keys; nothing else of it is looked at before its signature holds (V9.1.1). What the
//! header says of keys is never read (`jku`, `jwk`, `x5u`: RFC 8725, 3.10), and the algorithm is the key's (3.1).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::Mac;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::signatures::{Algorithm, KeySet, PublicKey};
use crate::model::{input, secret::Secret, text, time::Time};

/// A longer token is not looked at, in bytes.
const MAX_BYTES: usize = 8192;
/// Clocks of others may differ from ours by so many seconds.
const LEEWAY: i64 = 60;

/// Somebody whose tokens are believed.
pub struct Issuer {
    /// Its `iss`, byte by byte.
    pub name: String,
    /// For whom its tokens have to be: one of these.
    pub audiences: Vec<String>,
    /// By what they are verified.
    pub keys: IssuerKeys,
    /// Whether its tokens are taken for calls, too.
    pub is_for_access: bool,
    /// Whether an account is made for a subject for whom none stands.
    pub registers: bool,
    /// Whether they are those of a Supabase project: of people who signed in, and of nobody else.
    pub is_supabase: bool,
}

/// Where the keys of an issuer are from.
pub enum IssuerKeys {
    /// A key of HS256, given.
    Shared(Secret),
    /// Public keys, given.
    Public(KeySet),
    /// Public keys, fetched from time to time.
    At(KeySetUrl),
}

/// Where an issuer publishes its keys.
#[derive(Clone, Debug)]
pub struct KeySetUrl {
    /// An `https` address.
    pub url: String,
    /// The certificates of who may vouch for the server, as PEM; none: those that browsers trust.
    pub root_certificates: Option<String>,
    /// Whether the server may be in a private network.
    pub is_private_allowed: bool,
}

/// By what a token is verified.
#[derive(Clone, Copy)]
pub enum VerifyingKeys<'k> {
    /// HS256.
    Shared(&'k Secret),
    /// The algorithm of each key.
    Public(&'k KeySet),
}

/// What a token claims before anything of it is verified.
pub struct Unverified {
    header: Header,
    claims: Claims,
    signed: String,
    signature: Vec<u8>,
}

/// What a header says, of which the key decides.
struct Header {
    algorithm: String,
    key: Option<String>,
}

/// What a token of another issuer proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignToken {
    /// Whom the issuer knows.
    pub subject: String,
    /// When it was issued, in seconds.
    pub issued_at: i64,
    /// When it expires, in seconds.
    pub expires_at: i64,
    /// When its subject proved to the issuer who it is, in seconds, where the token says so.
    pub authenticated_at: Option<i64>,
    /// What the token was asked for with.
    pub nonce: Option<String>,
    /// What an account begins with that is made for its subject, where its issuer has accounts made.
    pub profile: Option<Profile>,
    /// The same for two ways of writing one token, and for no others.
    pub id: Uuid,
}

/// What a token says of its subject beside who it is, as it stands there: nothing of it is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The address that the issuer calls verified.
    pub email: Option<String>,
    /// The name to sign in with, if nobody has it.
    pub username: Option<String>,
    /// The whole name.
    pub full_name: Option<String>,
    /// The name shown to others.
    pub display_name: Option<String>,
    /// The given name.
    pub first_name: Option<String>,
    /// The family name.
    pub last_name: Option<String>,
}

/// Why a token is refused: for the audit log.
#[allow(missing_docs, reason = "their messages say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("it is too long, or not three parts of base64url")]
    Form,
    #[error("its header or its claims are not JSON, or have a key twice")]
    Json,
    #[error("its issuer is none of those that are trusted")]
    Issuer,
    #[error("its header has extensions that are critical, or is of another type")]
    Header,
    #[error("it names no key of its issuer, or another algorithm than the key's")]
    Key,
    #[error("its signature is wrong")]
    Signature,
    #[error("it is for somebody else")]
    Audience,
    #[error("it lacks a claim, or has one of another type")]
    Claims,
    #[error("it has expired")]
    Expired,
    #[error("it is of later than now")]
    Early,
    #[error("it is of nobody who signed in")]
    Role,
    #[error("it was made from one of ours")]
    Ours,
    #[error("somebody else acts by it as its subject")]
    Acting,
    #[error("it tells of events, and of nobody who signed in")]
    Events,
}

impl Unverified {
    /// Reads a token, which may be of anybody.
    pub fn read(token: &str) -> Result<Self, Refusal> {
        if token.len() > MAX_BYTES {
            return Err(Refusal::Form);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Form)?;
        let (header, claims) = signed.split_once('.').ok_or(Refusal::Form)?;
        let [header, claims, signature] = [header, claims, signature].map(|part| BASE64_URL_SAFE_NO_PAD.decode(part));
        let (header, claims) = (object(header)?, Claims(object(claims)?));
        let signature = signature.map_err(|_| Refusal::Form)?;
        Ok(Self { header: Header::read(&header)?, claims, signed: signed.to_owned(), signature })
    }

    /// The issuer that it names.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.0.get("iss").and_then(Value::as_str)
    }

    /// Whether a public key could verify it.
    pub fn is_by_public_key(&self) -> bool {
        Algorithm::ALL.iter().any(|algorithm| algorithm.name() == self.header.algorithm)
    }

    /// Whether there is a key among these that it names, or one at all if it names none.
    pub fn has_key(&self, keys: &KeySet) -> bool {
        keys.find(self.header.key.as_deref()).next().is_some()
    }

    fn is_signed(&self, keys: VerifyingKeys<'_>) -> Result<(), Refusal> {
        let signed = self.signed.as_bytes();
        let is_right = match keys {
            VerifyingKeys::Shared(secret) if self.header.algorithm == "HS256" => {
                let mac = super::keyed(secret.expose().as_bytes()).map_err(|_| Refusal::Key)?;
                mac.chain_update(signed).verify_slice(&self.signature).is_ok()
            }
            VerifyingKeys::Shared(_) => return Err(Refusal::Key),
            VerifyingKeys::Public(keys) => {
                let id = self.header.key.as_deref();
                let is_of = |key: &&PublicKey| key.algorithm().name() == self.header.algorithm;
                let mut found = keys.find(id).filter(is_of);
                let key = found.next().ok_or(Refusal::Key)?;
                // Of several it has to name one.
                if id.is_none() && found.next().is_some() {
                    return Err(Refusal::Key);
                }
                key.verify(signed, &self.signature)
            }
        };
        if is_right { Ok(()) } else { Err(Refusal::Signature) }
    }
}

impl Header {
    fn read(header: &Map<String, Value>) -> Result<Self, Refusal> {
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or(Refusal::Header),
        };
        // What it was made for, where it says so: an ID token or an access token, and no other statement of the issuer (RFC 8725, 3.11).
        let kind = text("typ")?.map(str::to_ascii_lowercase);
        let kind = kind.as_deref().map(|kind| kind.strip_prefix("application/").unwrap_or(kind));
        if header.contains_key("crit") || !matches!(kind, None | Some("jwt" | "at+jwt")) {
            return Err(Refusal::Header);
        }
        let algorithm = text("alg")?.ok_or(Refusal::Header)?.to_owned();
        Ok(Self { algorithm, key: text("kid")?.map(str::to_owned) })
    }
}

impl Issuer {
    /// Verifies a token that names this issuer.
    pub fn verify(&self, keys: VerifyingKeys<'_>, token: &Unverified, now: Time) -> Result<ForeignToken, Refusal> {
        token.is_signed(keys)?;
        let digest = Sha256::new().chain_update("rolekeep foreign token ").chain_update(&token.signed).finalize();
        let id = digest.first_chunk().map(|bytes| uuid::Builder::from_custom_bytes(*bytes).into_uuid());
        Ok(ForeignToken { id: id.ok_or(Refusal::Form)?, ..self.read(&token.claims, now.as_second())? })
    }

    fn read(&self, claims: &Claims, now: i64) -> Result<ForeignToken, Refusal> {
        if claims.0.contains_key("rolekeep") {
            return Err(Refusal::Ours);
        }
        // RFC 8693, 4.1: who holds it is not its subject.
        if claims.0.contains_key("act") {
            return Err(Refusal::Acting);
        }
        // RFC 8417, 2.2: a logout token of OpenID Connect is one, whose other claims are those of an ID token.
        if claims.0.contains_key("events") {
            return Err(Refusal::Events);
        }
        if !claims.audiences()?.any(|audience| self.audiences.iter().any(|own| own == audience)) {
            return Err(Refusal::Audience);
        }
        let (issued_at, expires_at) = (claims.required_time("iat")?, claims.required_time("exp")?);
        if expires_at.saturating_add(LEEWAY) <= now {
            return Err(Refusal::Expired);
        }
        let earliest = claims.time("nbf")?.map_or(issued_at, |from| from.max(issued_at));
        if earliest > now.saturating_add(LEEWAY) {
            return Err(Refusal::Early);
        }
        let subject = claims.text("sub")?.and_then(|subject| text::subject(subject).ok()).ok_or(Refusal::Claims)?;
        let is_of_nobody = claims.0.get("is_anonymous").is_some_and(|value| *value != Value::Bool(false));
        if self.is_supabase && (claims.text("role")? != Some("authenticated") || is_of_nobody) {
            return Err(Refusal::Role);
        }
        let authenticated_at = claims.time("auth_time")?.or(claims.newest_method());
        let nonce = claims.text("nonce")?.map(str::to_owned);
        let profile = self.registers.then(|| claims.profile(self.is_supabase));
        Ok(ForeignToken { subject, issued_at, expires_at, authenticated_at, nonce, profile, id: Uuid::nil() })
    }
}

impl ForeignToken {
    /// When its subject proved who it is, if the token says so: no earlier than at the epoch of clocks, and never later than it was
    /// issued or than now.
    pub fn proved_at(&self, now: Time) -> Option<Time> {
        let at = self.authenticated_at?.min(self.issued_at);
        Time::from_second(at).ok().map(|at| at.min(now))
    }

    /// From when on it is refused because it has expired.
    pub fn refused_from(&self) -> Time {
        Time::from_second(self.expires_at.saturating_add(LEEWAY)).unwrap_or(Time::MAX)
    }
}

/// What a token says, its signature being right.
struct Claims(Map<String, Value>);

impl Claims {
    fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or(Refusal::Claims),
        }
    }

    /// Seconds since 1970; others may write fractions (RFC 7519, 2).
    fn time(&self, name: &str) -> Result<Option<i64>, Refusal> {
        self.0.get(name).map(|value| seconds(value).ok_or(Refusal::Claims)).transpose()
    }

    fn required_time(&self, name: &str) -> Result<i64, Refusal> {
        self.time(name)?.ok_or(Refusal::Claims)
    }

    /// One or several.
    fn audiences(&self) -> Result<impl Iterator<Item = &str>, Refusal> {
        let all = match self.0.get("aud") {
            Some(Value::Array(all)) => all.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => return Err(Refusal::Audience),
        };
        if all.iter().all(Value::is_string) { Ok(all.iter().filter_map(Value::as_str)) } else { Err(Refusal::Claims) }
    }

    /// What it says of its subject (OpenID Connect Core 1.0, 5.1). An address counts that the issuer itself calls verified: what Supabase has in
    /// `user_metadata` its users write themselves.
    fn profile(&self, is_supabase: bool) -> Profile {
        let own = if is_supabase { self.0.get("user_metadata").and_then(Value::as_object) } else { Some(&self.0) };
        let text = |name: &str| own?.get(name)?.as_str().map(str::to_owned);
        let is_verified = self.0.get("email_verified") == Some(&Value::Bool(true));
        let email = self.0.get("email").and_then(Value::as_str).filter(|_| is_verified);
        // Applications of Supabase call them so.
        let (username, full_name) =
            if is_supabase { ("username", "full_name") } else { ("preferred_username", "name") };
        Profile {
            email: email.map(str::to_owned),
            username: text(username).or_else(|| text("preferred_username")),
            full_name: text(full_name).or_else(|| text("name")),
            display_name: text("nickname"),
            first_name: text("given_name"),
            last_name: text("family_name"),
        }
    }

    /// When the newest of the methods was used by which Supabase lets in: `amr` has times there.
    fn newest_method(&self) -> Option<i64> {
        let methods = self.0.get("amr")?.as_array()?;
        methods.iter().filter_map(|method| seconds(method.get("timestamp")?)).max()
    }
}

fn seconds(value: &Value) -> Option<i64> {
    // A float of this size is exact to the second.
    let of_fraction = || value.as_f64().filter(|at| (0.0..=1e11).contains(at)).map(|at| at as i64);
    value.as_i64().or_else(of_fraction).filter(|at| (0..=100_000_000_000).contains(at))
}

fn object<E>(part: Result<Vec<u8>, E>) -> Result<Map<String, Value>, Refusal> {
    let part = String::from_utf8(part.map_err(|_| Refusal::Form)?).map_err(|_| Refusal::Json)?;
    input::read_object(&part, MAX_BYTES).ok_or(Refusal::Json)
}
