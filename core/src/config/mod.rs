//! How a store is opened, with safe defaults; every bad setting is named at `open`.

mod audit;
mod issuers;
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
mod layers;
mod passkeys;
mod policy;
mod secrets;
mod sources;
mod storage;
mod supabase;

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Input, Word};

use crate::{
    credentials::{
        hashing::{self, HashingCost},
        password_rule::{self, PasswordRule},
    },
    model::{
        check::{Checks, Invalid},
        decode::{self, FieldCode, FromJson},
        deferred::IS_PAGE,
        error::{Error, Result},
        input::{self, Limits},
        names::{NameRules, UsernameProfile},
        precis,
        secret::Secret,
        signing_key::TokenAlgorithm,
        text,
    },
    net::Networks,
    rules::Policy,
};

pub use issuers::{IssuerKind, TrustedIssuer};
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
pub use layers::Layers;
#[cfg(all(feature = "bindings", any(feature = "sqlite", feature = "postgres")))]
pub(crate) use layers::without_line_end;
#[cfg(feature = "bindings")]
pub(crate) use policy::ONE_POLICY;
pub(crate) use policy::policy_of;
use sources::Sources;

const DAY: i64 = 24 * 3600;

/// Where PostgreSQL has the tables.
const DEFAULT_SCHEMA: &str = "rolekeep";

/// The longest time of a setting, in its unit: a hundred years of seconds.
const MAX_TIME: i64 = 100 * 366 * 24 * 3600;
/// One password takes no more than a GiB.
const MAX_HASHING_KIB: i64 = hashing::MOST.0 as i64;
/// Of an issuer and of an audience: every token carries both, and tokens have at most 4,096 bytes.
const MAX_NAME_BYTES: usize = 512;
/// Of a page that links lead to.
const MAX_URL_BYTES: usize = 1024;

/// Users have numbers of 32 bits there.
const MAX_USERS_IN_MEMORY: i64 = 1 << 30;

/// The feed tells other instances of changes, and what became of a commit whose answer was lost.
const MIN_FEED_TIME: i64 = 3600;

/// So many characters will do beside a second factor.
const SHORT_PASSWORD: u32 = 8;

/// Which refused operations the audit log tells of, as `access.denied`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum AuditDenials {
    /// None.
    Off,
    /// Those that would have written something.
    Writes,
    /// Those that would have read something, too.
    #[default]
    All,
}

/// Which answers to the application's questions the audit log tells of, as `decisions.allowed` and `decisions.denied`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum AuditDecisions {
    /// None.
    #[default]
    Off,
    /// What the rules do not allow.
    Denials,
    /// Every one.
    All,
}

/// Who has a second factor beside the password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum SecondFactor {
    /// Nobody can add one. Who has one already is asked for it; roles that need one allow nothing to all others.
    Off,
    /// Who adds one, and who holds a role that needs one.
    #[default]
    Optional,
    /// Everybody.
    Required,
}

/// Who may make an account for itself (`users.register`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum Registration {
    /// Nobody: accounts are made by others.
    #[default]
    Off,
    /// Who proves an e-mail address: the account begins then. Without a notifier the store does not open.
    Verified,
    /// Anybody: the account begins at once, its address unproved.
    Open,
}

/// Whether others may take the username and e-mail address of a deleted account, until it is purged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum NamesAfterDelete {
    /// Nobody may.
    #[default]
    Reserved,
    /// Anybody may, at once; who restores the account then gives it others.
    Freed,
}

/// Which names of a purged account nobody may ever take again. The store keeps a pseudonym of them alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Word, Describe)]
#[non_exhaustive]
pub enum NamesAfterPurge {
    /// Its username, by which others knew it.
    #[default]
    Username,
    /// Its username and its e-mail address.
    Both,
    /// None.
    Freed,
}

/// Where a store is kept, who may do what, and how it behaves: one type, the same in every language. What is not given
/// has a safe default. Times are in seconds unless the name says otherwise.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use rolekeep::{Config, UserManagement};
///
/// let config = Config::new().preset("standard").issuer("https://example.org").session_seconds(12 * 3600);
/// let um = UserManagement::open(config).await?;
/// // A file of the host's own may say the same; names that are not known are errors.
/// let config = Config::from_json(r#"{"preset": "standard", "session_seconds": 43200}"#)?;
/// assert_eq!(config.session_seconds, 43200);
/// # rolekeep::Result::<()>::Ok(()) }).unwrap();
/// ```
///
/// What is not plain data is given beside it, in Rust to the [`Builder`](crate::Builder): a policy made in code, a storage or
/// persister, a notifier, a list of breached passwords, the environment, an observer, a limiter.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct Config {
    /// An SQLite file, made if it is not there; where no storage is given, everything is kept in memory.
    pub sqlite: Option<String>,
    /// A PostgreSQL database, by a URL such as `postgres://user:password@host:5432/database`, for servers of several instances. Over TCP
    /// the server's certificate is verified unless the URL has an `sslmode` that asks for less. An error where this was built without
    /// PostgreSQL, as it is for all languages but Rust, by the feature `postgres`, and Python. Default: none.
    pub postgres: Option<Secret>,
    /// The schema there that the tables are in, made if it is not there: 1 to 63 lower-case letters, digits and underscores, no digit
    /// first. Stores that share a database have a schema each. Default: `rolekeep`.
    #[input(default = DEFAULT_SCHEMA.to_owned())]
    pub postgres_schema: String,
    /// The URL of the connection that listens to what other instances commit, where `postgres` leads to a pooler that gives a connection
    /// to a transaction and not to a session (PgBouncer's `pool_mode = transaction`). Through such a one nothing can be heard, and what
    /// others changed would be found half a second later. Default: that of `postgres`.
    pub postgres_listener: Option<Secret>,
    /// The URL of a replica of that database, for lists, which are read there where it is as far as the database itself. Default: none.
    pub postgres_replica: Option<Secret>,
    /// Whether opening makes or migrates the tables of `sqlite` or `postgres`. Where it does not, a database that needs it is refused
    /// (`schema_foreign`): the application then migrates it apart. Default: true.
    #[input(default = true)]
    pub migrates: bool,
    /// Whether this process alone uses the SQLite file. Others that open it are refused, nobody else's changes are
    /// looked for, and rights in memory never grow old: for phones and single programs. Default: false.
    #[input(default = false)]
    pub exclusive: bool,
    /// A policy that comes with the library: `standard` or `flyos`. At most one of the four policy settings is given.
    pub preset: Option<String>,
    /// A policy file's text, in TOML.
    pub policy_toml: Option<String>,
    /// A policy file's text, in JSON.
    pub policy_json: Option<String>,
    /// Roles and what they allow, instead of a policy file: `{"editor": ["document:edit"]}`.
    pub roles: BTreeMap<String, Vec<String>>,
    /// Permissions that exist beside those that a role allows.
    pub permissions: Vec<String>,
    /// The `iss` of access tokens, 1 to 512 bytes. Default: `rolekeep`.
    #[input(default = "rolekeep".to_owned())]
    pub issuer: String,
    /// The `aud` of access tokens, 1 to 512 bytes. Default: `rolekeep`.
    #[input(default = "rolekeep".to_owned())]
    pub audience: String,
    /// How long an access token is valid, in seconds. Default: 900.
    #[input(default = 15 * 60)]
    pub access_token_seconds: i64,
    /// How long a session lasts without being used, in seconds; each refresh starts it anew. Default: 7 days.
    #[input(default = 7 * DAY)]
    pub idle_seconds: i64,
    /// How long a session lasts however much it is used, in seconds. Default: 30 days.
    #[input(default = 30 * DAY)]
    pub session_seconds: i64,
    /// How long a used refresh token still answers the same successor, in seconds: for a lost answer or a second tab.
    /// Default: 30, at most 300.
    #[input(default = 30)]
    pub refresh_grace_seconds: i64,
    /// How far the clock of whoever made a token may be ahead of ours, in seconds. Default: 60, at most 300.
    #[input(default = 60)]
    pub leeway_seconds: i64,
    /// How many sessions a user has at a time; who begins another ends the one that was used longest ago. Default: 100, at
    /// least 1.
    #[input(default = 100)]
    pub max_sessions: u32,
    /// How long a commit stays in the change feed, in seconds; an instance that was away for longer reads everything
    /// anew. Default: 7 days, at least an hour.
    #[input(default = 7 * DAY)]
    pub keep_feed_seconds: i64,
    /// How long a session is kept after its end, to be looked up, in seconds. Default: 30 days.
    #[input(default = 30 * DAY)]
    pub keep_sessions_seconds: i64,
    /// How long a deleted user can be restored, in seconds; then the library purges it by itself. Default: 30 days.
    #[input(default = 30 * DAY)]
    pub keep_deleted_users_seconds: i64,
    /// Whether others may take the username and e-mail address of a deleted user, until it is purged. Default: `reserved`.
    #[input(default = NamesAfterDelete::Reserved)]
    pub names_after_delete: NamesAfterDelete,
    /// Which of these nobody may ever take again once it is purged. What was kept stays so when the setting changes. Default: `username`.
    #[input(default = NamesAfterPurge::Username)]
    pub names_after_purge: NamesAfterPurge,
    /// The fewest characters of a password (code points after NFC). Default: 15, as NIST SP 800-63B-4 asks where it is
    /// the only factor; at least 8.
    #[input(default = 15)]
    pub password_min_length: u32,
    /// The most characters of a password; nothing is ever cut off. Default: 128; at least 64, at most 512.
    #[input(default = 128)]
    pub password_max_length: u32,
    /// Whether a password must mix upper and lower case letters, digits and others, which NIST advises against.
    /// Default: false.
    #[input(default = false)]
    pub password_composition: bool,
    /// Who has to have a second factor beside the password. Who has to and has none adds it when it signs in next; with one a
    /// password of 8 characters will do (NIST SP 800-63B-4, 3.1.1.2). Default: `optional`.
    #[input(default = SecondFactor::Optional)]
    pub second_factor: SecondFactor,
    /// Who may make an account for itself (`users.register`). With `open` everybody learns whether an address has an account, and may
    /// take one that is somebody else's until that one proves it; with `verified` neither. Default: `off`.
    #[input(default = Registration::Off)]
    pub registration: Registration,
    /// Which usernames may be chosen; those that are there stay. Once it was `precis`, nobody takes a name any more that looks like
    /// another's, whatever it is later; until the names that were there have been gone through, none beyond ASCII is given
    /// (`names_not_ready`). Default: `basic`.
    #[input(default = UsernameProfile::Basic)]
    pub username_profile: UsernameProfile,
    /// Whether e-mail addresses may have letters beyond ASCII before the `@` (RFC 6531), which not every mail server delivers to. Their
    /// domains may in any case. Default: true.
    #[input(default = true)]
    pub smtputf8: bool,
    /// The domain that passkeys are bound to for good, such as `example.org`: pages of it and of those below it can use them. In
    /// development `localhost`. Default: none; without it there are no passkeys.
    pub passkey_domain: Option<String>,
    /// The origins of the pages that use passkeys, as browsers write them (`https://app.example.org`), and of Android apps
    /// (`android:apk-key-hash:…`). Default: `https://` and the domain; of `localhost` `http://localhost`.
    pub passkey_origins: Vec<String>,
    /// Whether a code or link that is mailed signs in, without a password. Without a notifier the store does not open. A mailbox is one
    /// factor, and none beside others: accounts that have a second factor, or have to have one, are told to sign in by it. Default: false.
    #[input(default = false)]
    pub mail_sign_in: bool,
    /// Words that a password must not be built from, beside the account's own names: the service's name.
    pub password_context_words: Vec<String>,
    /// How long a password that somebody else set lets its user in, who has to choose another one then, in seconds. Default: 72
    /// hours.
    #[input(default = 3 * DAY)]
    pub temporary_password_seconds: i64,
    /// A random secret of at least 32 bytes (no phrase: its id stands in each hash) that goes into every hash of a password
    /// and is kept apart from the storage, so that who steals that alone guesses nothing. Without it no such password is right
    /// any more. Default: none.
    pub password_pepper: Option<Secret>,
    /// Secrets that `password_pepper` was before: sign-ins go on, and each replaces its hash by one of today's.
    pub retired_peppers: Vec<Secret>,
    /// The memory of Argon2id, in KiB, at most 1048576. Default: 19456. With the passes it must reach one of OWASP's minimums:
    /// 47104 with 1, 19456 with 2, 12288 with 3, 9216 with 4, 7168 with 5.
    #[input(default = 19_456)]
    pub hashing_memory_kib: u32,
    /// The passes of Argon2id over its memory, at most 100. Default: 2.
    #[input(default = 2)]
    pub hashing_iterations: u32,
    /// The lanes of Argon2id, at most 16. Default: 1.
    #[input(default = 1)]
    pub hashing_lanes: u32,
    /// How many passwords are hashed at a time, at most 256. Default: 2.
    #[input(default = 2)]
    pub hashing_parallel: u32,
    /// How many passwords may wait to be hashed; further ones are answered `RATE_LIMIT_EXCEEDED`. Default: 1000.
    #[input(default = 1000)]
    pub hashing_queue: u32,
    /// How long a sign-in may work, in milliseconds: it does the work of each cost that a stored hash has, of the hashes of other
    /// systems too, so that its time tells nothing (twice, where what is typed is not in NFC). The hash of another system that
    /// would go beyond it, as measured when it is given, is refused. Default: 1000; 0: any.
    #[input(default = 1000)]
    pub hashing_max_millis: u32,
    /// How old, in milliseconds, the rights used by a check without I/O may be if other processes write to the same storage; and those
    /// of operations, up to a second, where the storage tells of others' commits, as PostgreSQL does. Default: 1000.
    #[input(default = 1000)]
    pub rights_max_age_millis: i64,
    /// The rights of how many users are kept in memory, beside those that callers hold: some 500 bytes each. Users that
    /// nobody asks about are dropped first and read again when needed. Default: 100000.
    #[input(default = 100_000)]
    pub users_in_memory: u32,
    /// A call of the storage that takes longer, in milliseconds, is counted in `health` and, in Rust with the feature `tracing`, told as a
    /// warning with the tables' names. Default: 250; 0: none is.
    #[input(default = 250)]
    pub slow_statement_millis: u32,
    /// Which refused operations the audit log records: who asked for what, and on which target. At most one
    /// entry a minute is written per caller and operation; per instance a burst of 50, then one a second. The rest are only
    /// counted, as are entries that the storage refuses. They are written after the answer. Refused tries to sign in or to prove
    /// something, and tokens that are not good, are recorded in the same way whatever is set here. Default: `all`.
    #[input(default = AuditDenials::All)]
    pub audit_denials: AuditDenials,
    /// Which answers of the rules the audit log records, where the application asks whether somebody may do something (`can`, `require`,
    /// `can_many`, `check`): about whom, which permission, on which resource. The same question with the same answer has one entry a minute;
    /// an instance writes 50 at once, then one a second, with `all` 1,000 and then 100 a second; the rest are only counted. They are written
    /// after the answer. Questions of the application about itself are not recorded, as it may do everything; the store of a web page records none.
    /// Default: `off`.
    #[input(default = AuditDecisions::Off)]
    pub audit_decisions: AuditDecisions,
    /// A random secret of at least 32 bytes that seals the audit log, kept apart from the storage: whoever has the storage alone cannot
    /// change the log unseen. Every instance has to have it. Without it the storage keeps a key of its own, which guards against
    /// mistakes alone. Default: none.
    pub audit_key: Option<Secret>,
    /// The key that signs what `audit.head` answers, for others who are to verify the log without `audit_key`: a private JWK (RFC 7517) of
    /// EdDSA or ES256 with its `kid`. They need its public part. Default: none.
    pub audit_signing_key: Option<Secret>,
    /// Secrets that `audit_key` was before, for what they sealed. Give a new one here to every instance before one seals with it.
    pub retired_audit_keys: Vec<Secret>,
    /// A random secret of at least 32 bytes under which what the storage keeps is encrypted: of a database the columns that are secret,
    /// such as seeds of second factors, hashes and signing keys; of a persister every row. Every instance has to have it, and whoever
    /// loses it loses the store. Values from before there was one are read, and encrypted by and by. In web pages `open` takes it, and
    /// encrypts what the persister gets. Default: none.
    pub encryption_key: Option<Secret>,
    /// Secrets that `encryption_key` was before, for what is still encrypted under them. Give a new one here to every instance before one
    /// encrypts with it; `upkeep` encrypts the rest anew.
    pub retired_encryption_keys: Vec<Secret>,
    /// Addresses and networks (`10.0.0.0/8`) of the host's own proxies. If a request comes from one of them, the client's
    /// address is the last one in `X-Forwarded-For` that is not a trusted proxy. If none are given, the header is ignored.
    pub trusted_proxies: Vec<String>,
    /// Addresses and networks from which requests are answered; from all others, and without an address, they are refused
    /// (`FORBIDDEN`). Requests of the application itself always are answered. Default: all.
    pub allowed_networks: Vec<String>,
    /// Addresses and networks from which requests are refused, also if they lie in an allowed network. Default: none.
    pub denied_networks: Vec<String>,
    /// How many failed sign-ins an address (IPv4, or the /64 of IPv6) and an account's name each have within
    /// `sign_in_seconds`; further ones are answered `RATE_LIMIT_EXCEEDED`, whether or not there is such an account. They
    /// become possible again one after the other, not all at once (GCRA). Successful ones do not count. Who gives the
    /// `device_token` of an earlier sign-in has tries of its own. Default: 5; 0: any number, and `lock_after_failures` has
    /// no effect.
    #[input(default = 5)]
    pub sign_in_tries: u32,
    /// The time of `sign_in_tries`, in seconds, at most a day. Default: 15 minutes.
    #[input(default = 15 * 60)]
    pub sign_in_seconds: i64,
    /// How many requests a minute a user has, and an address (IPv4, or the /64 of IPv6) that nobody is signed in from; further
    /// ones are answered `RATE_LIMIT_EXCEEDED`. They become possible again one after the other (GCRA). Instances that share a
    /// storage share the number, and each takes a tenth of it at a time. Checks (`can`) and the application itself are not
    /// limited, nor is anybody in a web page's own store. Default: 0, any number; 100 is usual for a public API.
    #[input(default = 0)]
    pub requests_per_minute: u32,
    /// How many operations that read a user may ask for in an hour, likewise. Default: 0, any number.
    #[input(default = 0)]
    pub reads_per_hour: u32,
    /// How many operations that write a user may ask for in an hour, likewise. Default: 0, any number.
    #[input(default = 0)]
    pub writes_per_hour: u32,
    /// After how many failed sign-ins in a row a name lets nobody in any more, until somebody signs in by it with a
    /// `device_token`, `limits.clear` is asked for, or nobody has tried for 180 days. Who tries is told the same as with a wrong
    /// password. Default: 30, at most 33: an account with two names and known devices has as many three times, and 100 in all
    /// by NIST SP 800-63B-4, 3.2.2; 0: never.
    #[input(default = 30)]
    pub lock_after_failures: u32,
    /// The page of the application that links in notices lead to, an absolute URL without `#`: the token follows behind one, so
    /// that it reaches no server by being opened. What a token begins with says what it is for: `rkp_` for
    /// `passwords.reset`, `rkv_` for `verification.confirm`, `rkm_` for `sign_in.mail`, `rke_` for `email.confirm`, `rki_` for
    /// `invitations.accept`, `rkg_` for `users.confirm_registration`, `rku_` for `email.revert`. Default: none; notices have
    /// tokens alone.
    pub link_url: Option<String>,
    /// The name of the application, which stands below notices, 1 to 100 characters. Default: none.
    pub application_name: Option<String>,
    /// The root key, at least 32 bytes: tokens are signed with it, or with keys that follow from it. Default: one is made and kept in
    /// the storage, and `signing_keys.rotate` makes the next one.
    pub signing_key: Option<Secret>,
    /// Root keys of before, at least 32 bytes each: what was signed with them is accepted until they are left out. To change
    /// `signing_key` without signing anybody out, give the old one here for as long as sessions last (`session_seconds`).
    pub retired_signing_keys: Vec<Secret>,
    /// How access tokens are signed: `hs256` with the root key, which then every service needs that verifies them; `es256` or `eddsa`
    /// with a key that the store makes and keeps, and whose public part `signing_keys.jwks` gives to others. Tokens of `hs256` are
    /// accepted with that setting alone. The first key of another algorithm signs at once: others ask for the set when they see it, and
    /// access tokens of before are refreshed. Needs the feature `asymmetric` in Rust; not in web pages. Default: `hs256`.
    #[input(default = TokenAlgorithm::Hs256)]
    pub token_algorithm: TokenAlgorithm,
    /// Other issuers, by whose tokens users sign in (`sign_in.external`) for whom accounts here stand. At most 50. Default: none.
    pub trusted_issuers: Vec<TrustedIssuer>,
    /// The `iss` of the tokens that `sessions.supabase_token` makes, for a Supabase project that keeps data of the application's:
    /// `https://PROJECT.supabase.co/auth/v1`. With it goes one of `supabase_secret` and `supabase_signing_key`. Default: none are made.
    pub supabase_issuer: Option<String>,
    /// The secret that signs them where the project has one that it shares (`JWT secret`), at least 32 bytes. Whoever has it may do anything
    /// in the project.
    pub supabase_secret: Option<Secret>,
    /// The key that signs them where the project was given it: a private JWK (RFC 7517) of ES256 or EdDSA with its `kid`, as `supabase gen
    /// signing-key` writes one. Needs the feature `asymmetric` in Rust.
    pub supabase_signing_key: Option<Secret>,
    /// Where the settings stand that somebody else than the program gave.
    #[input(apart)]
    sources: Sources,
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// Reads a configuration from JSON: an object with the names of the fields.
    ///
    /// # Errors
    /// [`Reason::InvalidJson`](crate::Reason::InvalidJson), [`Reason::InvalidInput`](crate::Reason::InvalidInput) with every wrong field.
    pub fn from_json(text: &str) -> Result<Self> {
        read(text)
    }

    /// Names every setting that cannot be used, as opening a store does.
    ///
    /// # Errors
    /// [`Reason::ConfigInvalid`](crate::Reason::ConfigInvalid) with every wrong field.
    pub fn check(&self) -> Result<()> {
        self.check_beside(true)
    }

    /// The same, and those that let nobody in without a notifier. Pages have none, and take the settings of their server as they are.
    pub(crate) fn check_beside(&self, has_notifier: bool) -> Result<()> {
        let mut checks = Checks::default();
        let mut within = |field: &str, value: i64, from: i64, to: i64| {
            if !(from..=to).contains(&value) {
                let message = format!("must lie between {from} and {to}");
                checks.error(field, Invalid::new(FieldCode::OutOfRange, message));
            }
            (from..=to).contains(&value)
        };
        within("access_token_seconds", self.access_token_seconds, 1, MAX_TIME);
        within("idle_seconds", self.idle_seconds, 1, MAX_TIME);
        within("session_seconds", self.session_seconds, 1, MAX_TIME);
        within("refresh_grace_seconds", self.refresh_grace_seconds, 0, 300);
        within("leeway_seconds", self.leeway_seconds, 0, 300);
        within("sign_in_seconds", self.sign_in_seconds, 1, DAY);
        within("lock_after_failures", self.lock_after_failures.into(), 0, 33);
        within("max_sessions", self.max_sessions.into(), 1, u32::MAX.into());
        within("temporary_password_seconds", self.temporary_password_seconds, 1, MAX_TIME);
        within("keep_feed_seconds", self.keep_feed_seconds, MIN_FEED_TIME, MAX_TIME);
        within("keep_sessions_seconds", self.keep_sessions_seconds, 0, MAX_TIME);
        within("keep_deleted_users_seconds", self.keep_deleted_users_seconds, 0, MAX_TIME);
        within("rights_max_age_millis", self.rights_max_age_millis, 1, MAX_TIME);
        let (shortest, longest) = (self.password_min_length.into(), self.password_max_length.into());
        within("password_max_length", longest, 64, password_rule::MAX_LENGTH);
        within("password_min_length", shortest, 8, longest.clamp(64, password_rule::MAX_LENGTH));
        within("users_in_memory", self.users_in_memory.into(), 1, MAX_USERS_IN_MEMORY);
        let is_known = within("hashing_memory_kib", self.hashing_memory_kib.into(), 1, MAX_HASHING_KIB)
            & within("hashing_iterations", self.hashing_iterations.into(), 1, 100)
            & within("hashing_lanes", self.hashing_lanes.into(), 1, 16);
        within("hashing_parallel", self.hashing_parallel.into(), 1, 256);
        if is_known {
            checks.field("hashing_memory_kib", self.hashing_cost().check());
        }
        for (field, name) in [("issuer", &self.issuer), ("audience", &self.audience)] {
            if !(1..=MAX_NAME_BYTES).contains(&name.len()) {
                let message = format!("must have 1 to {MAX_NAME_BYTES} bytes");
                checks.error(field, Invalid::new(FieldCode::OutOfRange, message));
            }
        }
        checks.optional("link_url", self.link_url.as_deref(), page);
        checks.optional("application_name", self.application_name.as_deref(), |name| text::name(name, 100));
        self.check_storage(&mut checks);
        if self.token_algorithm != TokenAlgorithm::Hs256 && !cfg!(feature = "asymmetric") {
            let message = "needs the feature `asymmetric`, without which this was built";
            checks.error("token_algorithm", Invalid::new(FieldCode::Disagrees, message));
        }
        if self.username_profile == UsernameProfile::Precis && !precis::IS_THERE {
            let message =
                "`precis` needs tables that a web page does not have: choose it where your server opens the store";
            checks.error("username_profile", Invalid::new(FieldCode::Disagrees, message));
        }
        self.check_secrets(&mut checks);
        if let Err(problem) = self.issuers() {
            checks.add(problem.fields());
        }
        if let Err(problem) = self.relying_party() {
            checks.add(problem.fields());
        }
        if let Err(problem) = self.networks() {
            checks.add(problem.fields());
        }
        if !has_notifier && !IS_PAGE {
            let needs = [
                (
                    "registration",
                    self.registration == Registration::Verified,
                    "`verified` needs a notifier, which mails the link",
                ),
                ("mail_sign_in", self.mail_sign_in, "needs a notifier, which mails the code"),
            ];
            for (field, _, message) in needs.into_iter().filter(|(_, is_on, _)| *is_on) {
                checks.error(field, Invalid::new(FieldCode::Disagrees, message));
            }
        }
        self.sources.with_origins(checks.finish_as(Error::config))
    }

    /// The policy that it names; none where it names none.
    ///
    /// # Errors
    /// [`Reason::PolicyInvalid`](crate::Reason::PolicyInvalid) where the file cannot be read, [`Reason::ConfigInvalid`](crate::Reason::ConfigInvalid) where several are named.
    pub fn policy(&self) -> Result<Option<Policy>> {
        let Self { preset, policy_toml, policy_json, roles, permissions, .. } = self;
        let files = [preset, policy_toml, policy_json].map(Option::as_deref);
        policy_of(files, roles, permissions, Policy::preset)
    }

    /// Whether a password has fewer characters than the only factor has to have.
    pub(crate) fn is_short(&self, password: &Secret) -> bool {
        self.password_rule(false).is_short(password)
    }

    pub(crate) fn networks(&self) -> Result<Networks> {
        Networks::read(&self.trusted_proxies, &self.allowed_networks, &self.denied_networks)
    }

    pub(crate) fn hashing_cost(&self) -> HashingCost {
        HashingCost {
            memory_kib: self.hashing_memory_kib,
            iterations: self.hashing_iterations,
            parallelism: self.hashing_lanes,
        }
    }

    /// What names to sign in with may be.
    pub(crate) fn names(&self) -> NameRules {
        NameRules { profile: self.username_profile, smtputf8: self.smtputf8 }
    }

    /// What a password must be, as the only factor or beside a second one that is demanded.
    pub(crate) fn password_rule(&self, has_second: bool) -> PasswordRule<'_> {
        let min_length = self.password_min_length;
        PasswordRule {
            min_length: if has_second { min_length.min(SHORT_PASSWORD) } else { min_length },
            max_length: self.password_max_length,
            composition: self.password_composition,
            context_words: &self.password_context_words,
        }
    }
}

/// The host's own, and a policy file may be in it, with every second letter escaped.
pub(crate) fn read<T: FromJson>(text: &str) -> Result<T> {
    let limits = Limits { bytes: 2 * Limits::ROWS.bytes, ..Limits::ROWS };
    Ok(decode::decode_within(input::read(text, limits)?, limits)?)
}

/// An absolute URL to whose end a fragment is added.
fn page(url: &str) -> Result<(), Invalid> {
    let unfit = |letter: char| !letter.is_ascii_graphic() || matches!(letter, '#' | '<' | '>' | '"');
    let is_absolute = url.split_once("://").is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
    if is_absolute && url.len() <= MAX_URL_BYTES && !url.contains(unfit) {
        return Ok(());
    }
    let message = format!("must be an absolute URL without `#`, of at most {MAX_URL_BYTES} bytes");
    Err(Invalid::new(FieldCode::InvalidFormat, message))
}
