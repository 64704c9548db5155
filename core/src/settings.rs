//! How a store is opened, as other languages say it.

use std::collections::{BTreeMap, BTreeSet};

use rolekeep_macros::{Describe, Input};

use crate::{
    config::{AuditDenials, Config},
    manager::{Builder, UserManagement},
    model::{
        decode::{self, FromJson},
        deferred::Deferred,
        error::{Error, Reason, Result},
        input::{self, Limits},
        secret::Secret,
    },
    operations::target,
    rules::{Policy, RuleSet, Schema},
};

/// Where a store is kept, who may do what, and how it behaves. What is not given has a safe default.
#[derive(Clone, Debug, Input, Describe)]
pub struct Settings {
    /// An SQLite file, made if it is not there; without it and without a persister all is kept in memory.
    pub sqlite: Option<String>,
    /// Whether this process alone uses the SQLite file; false if not given. Who else opens it is refused, nobody
    /// else's changes are looked for, and rights in memory never grow old: for phones and single programs.
    pub exclusive: Option<bool>,
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
    /// The `iss` of access tokens; `rolekeep` if not given.
    pub issuer: Option<String>,
    /// The `aud` of access tokens; `rolekeep` if not given.
    pub audience: Option<String>,
    /// How long an access token is good for, in seconds; 900 if not given.
    pub access_token_seconds: Option<i64>,
    /// How long a session lasts without being used, in seconds; 7 days if not given.
    pub idle_seconds: Option<i64>,
    /// How long a session lasts whatever is done, in seconds; 30 days if not given.
    pub session_seconds: Option<i64>,
    /// How long a used refresh token answers the same successor, in seconds; 30 if not given.
    pub refresh_grace_seconds: Option<i64>,
    /// How far ahead the clock may be by which a token was made, in seconds; 60 if not given.
    pub leeway_seconds: Option<i64>,
    /// How long a commit stays in the change feed, in seconds; 7 days if not given, at least an hour.
    pub keep_feed_seconds: Option<i64>,
    /// How long a session is kept after its end, in seconds; 30 days if not given.
    pub keep_sessions_seconds: Option<i64>,
    /// The fewest characters of a password; 15 if not given, at least 8.
    pub password_min_length: Option<u32>,
    /// Whether a password must mix kinds of characters; false if not given.
    pub password_composition: Option<bool>,
    /// Words that a password must not be built from, such as the service's name.
    pub password_context_words: Vec<String>,
    /// Argon2id's memory in KiB; 19456 if not given.
    pub hashing_memory_kib: Option<u32>,
    /// Argon2id's passes; 2 if not given.
    pub hashing_iterations: Option<u32>,
    /// How many passwords are hashed at a time; 2 if not given.
    pub hashing_parallel: Option<u32>,
    /// How old the rights may be that a check without I/O uses where others write to the storage too, in
    /// milliseconds; 1000 if not given.
    pub rights_max_age_millis: Option<i64>,
    /// The rights of how many users are kept in memory, beside those that callers hold; 100000 if not given.
    pub users_in_memory: Option<u32>,
    /// Which operations the audit log tells of that the rules refused; `off` if not given.
    pub audit_denials: Option<AuditDenials>,
    /// Addresses and networks (`10.0.0.0/8`) of the host's own proxies. Where a request comes from one of them, its
    /// address is the last of `X-Forwarded-For` that is none of theirs; without any that header is not believed.
    pub trusted_proxies: Vec<String>,
    /// The key that tokens are signed with, at least 32 bytes; none: one is made and kept in the storage.
    pub signing_key: Option<Secret>,
}

/// The policy of rules without accounts.
#[derive(Clone, Debug, Input, Describe)]
pub struct RulesSettings {
    /// A policy that comes with the library: `standard` or `flyos`. One of the four policy settings is given.
    pub preset: Option<String>,
    /// A policy file's text, in TOML.
    pub policy_toml: Option<String>,
    /// A policy file's text, in JSON.
    pub policy_json: Option<String>,
    /// Roles and what they allow, instead of a policy file: `{"editor": ["document:edit"]}`.
    pub roles: BTreeMap<String, Vec<String>>,
    /// Permissions that exist beside those that a role allows.
    pub permissions: Vec<String>,
    /// Whether there are the resource types and permissions of the library's own operations, so that the policy of a store
    /// decides as it does there; if not given, for a preset alone. Otherwise there is what the policy declares.
    pub library_types: Option<bool>,
}

impl RulesSettings {
    /// Reads them from JSON and compiles the policy.
    ///
    /// # Errors
    /// [`Reason::InvalidJson`], [`Reason::InvalidInput`] with every wrong field, [`Reason::PolicyInvalid`] with every
    /// problem, [`Reason::ConfigInvalid`] where no policy is given, or several.
    pub fn compile(text: &str) -> Result<RuleSet> {
        let Self { preset, policy_toml, policy_json, roles, permissions, library_types } = read(text)?;
        let files = [&preset, &policy_toml, &policy_json].map(Option::as_deref);
        let policy = policy_of(files, &roles, &permissions, |name| PRESET.get()?(name))?;
        let policy = policy.ok_or_else(|| Error::new(Reason::ConfigInvalid, ONE_POLICY))?;
        let has_types = library_types.unwrap_or(preset.is_some());
        let schema = if has_types { LIBRARY_TYPES.get()?() } else { Schema::new() };
        RuleSet::compile(&policy, &schema)
    }
}

/// What rules without accounts need where they decide as a store does: browsers load it on demand.
static PRESET: Deferred<fn(&str) -> Result<Policy>> = Deferred::new(Policy::preset);
static LIBRARY_TYPES: Deferred<fn() -> Schema> = Deferred::new(target::schema);

pub(crate) fn load_deferred() {
    PRESET.load(Policy::preset);
    LIBRARY_TYPES.load(target::schema);
}

/// The host's own, and a policy file may be in them, with every second letter escaped.
fn read<T: FromJson>(text: &str) -> Result<T> {
    let limits = Limits { bytes: 2 * Limits::ROWS.bytes, ..Limits::ROWS };
    Ok(decode::decode_within(input::read(text, limits)?, limits)?)
}

/// The policy of a preset, a file in TOML or one in JSON, or of roles and permissions; none where nothing is given.
fn policy_of(
    [preset, toml, json]: [Option<&str>; 3],
    roles: &BTreeMap<String, Vec<String>>,
    permissions: &[String],
    preset_of: fn(&str) -> Result<Policy>,
) -> Result<Option<Policy>> {
    let in_code = !roles.is_empty() || !permissions.is_empty();
    match (preset, toml, json, in_code) {
        (None, None, None, false) => Ok(None),
        (Some(name), None, None, false) => preset_of(name).map(Some),
        (None, Some(text), None, false) => Policy::from_toml(text).map(Some),
        (None, None, Some(text), false) => Policy::from_json(text).map(Some),
        (None, None, None, true) => {
            let allowed = roles.values().flatten().filter(|name| !name.contains('*') && *name != "admin:all");
            // Several roles may allow the same.
            let names: BTreeSet<&String> = permissions.iter().chain(allowed).collect();
            let policy = Policy::new().permissions(names);
            Ok(Some(roles.iter().fold(policy, |policy, (name, allow)| policy.role(name, allow))))
        }
        _ => Err(Error::new(Reason::ConfigInvalid, ONE_POLICY)),
    }
}

const ONE_POLICY: &str = "give one of preset, policy_toml, policy_json, or roles and permissions";

impl Settings {
    /// Reads settings from JSON.
    ///
    /// # Errors
    /// [`Reason::InvalidJson`], [`Reason::InvalidInput`] with every wrong field.
    pub fn from_json(text: &str) -> Result<Self> {
        read(text)
    }

    /// A builder with these settings.
    ///
    /// # Errors
    /// [`Reason::PolicyInvalid`] with every problem, [`Reason::ConfigInvalid`].
    pub fn builder(self) -> Result<Builder> {
        let config = self.config();
        let mut builder = UserManagement::builder().config(config);
        if let Some(policy) = self.policy()? {
            builder = builder.policy(policy);
        }
        match self.sqlite {
            None if self.exclusive.is_some() => {
                Err(Error::new(Reason::ConfigInvalid, "exclusive: goes with `sqlite` alone"))
            }
            None => Ok(builder),
            #[cfg(feature = "sqlite")]
            Some(path) => {
                let options = crate::storage::SqliteOptions::new(path);
                Ok(builder.sqlite_with(options.exclusive(self.exclusive.unwrap_or_default())))
            }
            #[cfg(not(feature = "sqlite"))]
            Some(_) => Err(Error::new(Reason::ConfigInvalid, "there is no SQLite here; give a persister")),
        }
    }

    /// The policy that they name; none where they name none.
    ///
    /// # Errors
    /// [`Reason::PolicyInvalid`] where the file cannot be read, [`Reason::ConfigInvalid`] where several are named.
    pub fn policy(&self) -> Result<Option<Policy>> {
        let Self { preset, policy_toml, policy_json, roles, permissions, .. } = self;
        let files = [preset, policy_toml, policy_json].map(Option::as_deref);
        policy_of(files, roles, permissions, Policy::preset)
    }

    fn config(&self) -> Config {
        let mut config = Config::default();
        let text = |to: &mut String, from: &Option<String>| {
            if let Some(from) = from {
                to.clone_from(from);
            }
        };
        text(&mut config.issuer, &self.issuer);
        text(&mut config.audience, &self.audience);
        config.access_token_seconds = self.access_token_seconds.unwrap_or(config.access_token_seconds);
        config.idle_seconds = self.idle_seconds.unwrap_or(config.idle_seconds);
        config.session_seconds = self.session_seconds.unwrap_or(config.session_seconds);
        config.refresh_grace_seconds = self.refresh_grace_seconds.unwrap_or(config.refresh_grace_seconds);
        config.leeway_seconds = self.leeway_seconds.unwrap_or(config.leeway_seconds);
        config.keep_feed_seconds = self.keep_feed_seconds.unwrap_or(config.keep_feed_seconds);
        config.keep_sessions_seconds = self.keep_sessions_seconds.unwrap_or(config.keep_sessions_seconds);
        config.password.min_length =
            self.password_min_length.map_or(config.password.min_length, |length| length as usize);
        config.password.composition = self.password_composition.unwrap_or(config.password.composition);
        config.password.context_words.clone_from(&self.password_context_words);
        config.hashing.memory_kib = self.hashing_memory_kib.unwrap_or(config.hashing.memory_kib);
        config.hashing.iterations = self.hashing_iterations.unwrap_or(config.hashing.iterations);
        config.hashing_parallel = self.hashing_parallel.map_or(config.hashing_parallel, |count| count as usize);
        config.rights_max_age_millis = self.rights_max_age_millis.unwrap_or(config.rights_max_age_millis);
        config.users_in_memory = self.users_in_memory.map_or(config.users_in_memory, |count| count as usize);
        config.audit_denials = self.audit_denials.unwrap_or(config.audit_denials);
        config.trusted_proxies.clone_from(&self.trusted_proxies);
        config.signing_key.clone_from(&self.signing_key);
        config
    }
}
