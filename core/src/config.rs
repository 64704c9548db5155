//! Settings, with safe defaults; every bad one is named at `open`.

use rolekeep_macros::{Describe, Word};

use crate::{
    credentials::password::{self, HashingCost, PasswordRule},
    model::{
        error::{Error, Reason, Result},
        secret::Secret,
    },
    net::TrustedProxies,
};

/// The longest time of a setting, in its unit: a hundred years of seconds.
const MAX_TIME: i64 = 100 * 366 * 24 * 3600;

/// Users have numbers of 32 bits there.
const MAX_USERS_IN_MEMORY: usize = 1 << 30;

/// The feed tells other instances of changes, and what became of a commit whose answer was lost.
const MIN_FEED_TIME: i64 = 3600;

/// Which refused operations the audit log tells of, as `access.denied`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum AuditDenials {
    /// None.
    #[default]
    Off,
    /// Those that would have written something.
    Writes,
    /// Those that would have read something, too.
    All,
}

/// How a store behaves. Times are in seconds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The `iss` of access tokens.
    pub issuer: String,
    /// The `aud` of access tokens.
    pub audience: String,
    /// How long an access token is good for.
    pub access_token_seconds: i64,
    /// How long a session lasts without being used; each refresh starts it anew.
    pub idle_seconds: i64,
    /// How long a session lasts whatever is done.
    pub session_seconds: i64,
    /// How long after its use a refresh token answers the same successor: for a lost answer or a second tab.
    pub refresh_grace_seconds: i64,
    /// How far ahead the clock may be by which a token was made: so much earlier than it says it is good.
    pub leeway_seconds: i64,
    /// How long a commit stays in the change feed; who was away for longer reads everything anew.
    pub keep_feed_seconds: i64,
    /// How long a session is kept after its end, to be looked up.
    pub keep_sessions_seconds: i64,
    /// What passwords must be.
    pub password: PasswordRule,
    /// The cost of hashing them.
    pub hashing: HashingCost,
    /// How many passwords are hashed at a time.
    pub hashing_parallel: usize,
    /// How many may wait for it; further ones are answered `RATE_LIMIT_EXCEEDED`.
    pub hashing_queue: usize,
    /// Which operations the audit log tells of that the rules refused: who asked for what, of which target. Of one caller
    /// and operation one a minute is written, of an instance 50 at once and one a second; the others are
    /// counted. Written after the answer, and counted if the storage does not take it.
    pub audit_denials: AuditDenials,
    /// The key that tokens are signed with, at least 32 bytes; none: one is made and kept in the storage.
    pub signing_key: Option<Secret>,
    /// How old the rights may be that a synchronous check uses, in milliseconds, where others write to the storage too.
    pub rights_max_age_millis: i64,
    /// The rights of how many users are kept in memory, beside those that callers hold: some 500 bytes each. Whoever
    /// was not asked about lately is let go, and read again when somebody asks;
    /// [`UserManagement::users_in_memory`](crate::UserManagement::users_in_memory) says how often.
    pub users_in_memory: usize,
    /// Addresses and networks (`10.0.0.0/8`) of the host's own proxies, whose `X-Forwarded-For` is believed:
    /// [`TrustedProxies::client_address`] says how.
    pub trusted_proxies: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            issuer: "rolekeep".to_owned(),
            audience: "rolekeep".to_owned(),
            access_token_seconds: 15 * 60,
            idle_seconds: 7 * 24 * 3600,
            session_seconds: 30 * 24 * 3600,
            refresh_grace_seconds: 30,
            leeway_seconds: 60,
            keep_feed_seconds: 7 * 24 * 3600,
            keep_sessions_seconds: 30 * 24 * 3600,
            password: PasswordRule::default(),
            hashing: HashingCost::default(),
            hashing_parallel: 2,
            hashing_queue: 1000,
            audit_denials: AuditDenials::Off,
            signing_key: None,
            rights_max_age_millis: 1000,
            users_in_memory: 100_000,
            trusted_proxies: Vec::new(),
        }
    }
}

impl Config {
    /// Names every setting that cannot be used.
    pub fn check(&self) -> Result<()> {
        let positive = [
            ("access_token_seconds", self.access_token_seconds),
            ("idle_seconds", self.idle_seconds),
            ("session_seconds", self.session_seconds),
            ("rights_max_age_millis", self.rights_max_age_millis),
        ];
        let mut wrong: Vec<String> = positive
            .iter()
            .filter(|(_, value)| !(1..=MAX_TIME).contains(value))
            .map(|(name, _)| format!("{name} must lie between 1 and {MAX_TIME}"))
            .collect();
        if self.refresh_grace_seconds < 0 || self.refresh_grace_seconds > 300 {
            wrong.push("refresh_grace_seconds must lie between 0 and 300".to_owned());
        }
        if self.leeway_seconds < 0 || self.leeway_seconds > 300 {
            wrong.push("leeway_seconds must lie between 0 and 300".to_owned());
        }
        if self.keep_feed_seconds < MIN_FEED_TIME || self.keep_feed_seconds > MAX_TIME {
            wrong.push(format!("keep_feed_seconds must lie between {MIN_FEED_TIME} and {MAX_TIME}"));
        }
        if self.keep_sessions_seconds < 0 || self.keep_sessions_seconds > MAX_TIME {
            wrong.push(format!("keep_sessions_seconds must lie between 0 and {MAX_TIME}"));
        }
        if self.password.min_length < 8 || self.password.max_length < 64 {
            wrong.push("a password rule must ask for at least 8 characters and allow at least 64".to_owned());
        }
        if self.password.max_length > password::MAX_LENGTH || self.password.min_length > self.password.max_length {
            wrong.push(format!(
                "a password rule must allow what it asks for, and at most {} characters",
                password::MAX_LENGTH
            ));
        }
        if self.users_in_memory == 0 || self.users_in_memory > MAX_USERS_IN_MEMORY {
            wrong.push(format!("users_in_memory must lie between 1 and {MAX_USERS_IN_MEMORY}"));
        }
        if self.hashing_parallel == 0 {
            wrong.push("hashing_parallel must be positive".to_owned());
        }
        if self.signing_key.as_ref().is_some_and(|key| key.expose().len() < 32) {
            wrong.push("signing_key must have at least 32 bytes".to_owned());
        }
        if let Err(problem) = TrustedProxies::read(&self.trusted_proxies) {
            wrong.push(problem.message().to_owned());
        }
        if let Err(problem) = self.hashing.check() {
            wrong.push(problem.message().to_owned());
        }
        if wrong.is_empty() { Ok(()) } else { Err(Error::new(Reason::ConfigInvalid, wrong.join("; "))) }
    }
}
