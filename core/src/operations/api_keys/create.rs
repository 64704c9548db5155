//! Making API keys.

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::{ApiKeyView, alive_of};
use crate::{
    credentials::api_key,
    model::{
        api_key::{ApiKey, ApiKeyUse},
        check::{Checks, Invalid},
        credential::Credential,
        decode::FieldCode,
        error::{Error, Reason, Result},
        id::UserId,
        notice::NoticeKind,
        secret::Secret,
        text,
        time::Time,
        user::User,
    },
    net::network,
    operations::{
        Access, Operation, actor::Actor, epochs, notices, plan::Plan, reads::Reads, services::Services, sessions,
        users::existing,
    },
};

/// So many keys of a user may be alive.
const MOST: usize = 50;
/// A key lives so long where nothing else is asked for, and at most so long, in seconds.
const DEFAULT_SECONDS: i64 = 90 * 24 * 3600;
const LONGEST_SECONDS: i64 = 365 * 24 * 3600;
/// A key has so many patterns and networks at most.
const MOST_PATTERNS: usize = 100;
const MOST_NETWORKS: usize = 20;

/// Creates an API key of the caller, which the user's programs use instead of an access token.
///
/// The result has the key, which is not shown again. A program with the key may do what the user may at that moment and one of the
/// `patterns` matches. A key is never an administrator, cannot give roles, and cannot change the account itself: passwords, factors,
/// sessions, addresses and keys. Roles that need a second factor count if this session has proved one. It needs a sign-in or
/// `sessions.step_up` within the last five minutes. The user is notified by mail.
/// Errors: `VALIDATION_ERROR` for patterns that match no permission, `CONFLICT` for more than 50 valid keys, `UNAUTHORIZED` for a caller
/// without a session, `FORBIDDEN` for an API key.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct CreateApiKey {
    /// The user's name for it, at most 100 characters.
    pub name: String,
    /// The permissions that it reaches, `document:read` or `document:*` or `*:read`, at most 100. Not given: whatever its user
    /// may.
    pub patterns: Option<Vec<String>>,
    /// After how many seconds it ends, at most 365 days. Default: 90 days.
    pub expires_in_seconds: Option<i64>,
    /// From where it may be used, addresses and networks (`192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`), at most 20. Not given: from
    /// everywhere. Behind proxies this needs the setting `trusted_proxies`.
    pub networks: Option<Vec<String>>,
}

/// Creates an API key of a user, as `api_keys.create` does.
///
/// Only the application itself may call it, with `system`: for accounts that no person signs in to. Roles that require a second factor
/// count, as if the application acts as the user.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct CreateApiKeyFor {
    /// The user's id.
    pub user_id: UserId,
    /// A name for it, at most 100 characters.
    pub name: String,
    /// The permissions that it reaches, `document:read` or `document:*` or `*:read`, at most 100. Not given: whatever its user
    /// may.
    pub patterns: Option<Vec<String>>,
    /// After how many seconds it ends, at most 365 days. Default: 90 days.
    pub expires_in_seconds: Option<i64>,
    /// From where it may be used, addresses and networks, at most 20. Not given: from everywhere.
    pub networks: Option<Vec<String>>,
}

/// An API key that was created.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct NewApiKey {
    /// The key itself, to be kept where it is used. It is not shown again.
    pub key: Secret,
    /// The key without its secret.
    pub api_key: ApiKeyView,
}

/// A key that somebody wants, and may have.
pub struct Wanted {
    name: String,
    patterns: Option<Vec<String>>,
    seconds: i64,
    networks: Option<String>,
}

#[boxed_async]
impl Operation for CreateApiKey {
    type Target = ();
    type Valid = Wanted;

    const ACCESS: Access = Access::SignedIn;
    const NEEDS_FRESH: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Wanted> {
        Wanted::read(&self.name, self.patterns, self.expires_in_seconds, self.networks)
    }

    async fn plan(wanted: &Wanted, (): (), plan: &mut Plan<'_>) -> Result<NewApiKey> {
        let session = sessions::own(plan).await?;
        let user = existing(plan.reads(), session.user_id).await?;
        wanted.make(plan, &user, sessions::proof_of(&session).by.are_two_factors(), "api_keys.create").await
    }
}

#[boxed_async]
impl Operation for CreateApiKeyFor {
    type Target = User;
    type Valid = Wanted;

    const ACCESS: Access = Access::System;
    const IS_OF_SERVERS: bool = true;

    async fn target(&self, reads: Reads<'_>, _: &Actor) -> Result<User> {
        existing(reads, self.user_id).await
    }

    async fn validate(self, _: &Services, _: Time) -> Result<Wanted> {
        Wanted::read(&self.name, self.patterns, self.expires_in_seconds, self.networks)
    }

    async fn plan(wanted: &Wanted, user: User, plan: &mut Plan<'_>) -> Result<NewApiKey> {
        wanted.make(plan, &user, true, "api_keys.create_for").await
    }
}

impl Wanted {
    fn read(
        name: &str,
        patterns: Option<Vec<String>>,
        seconds: Option<i64>,
        networks: Option<Vec<String>>,
    ) -> Result<Self> {
        let mut checks = Checks::default();
        let name = checks.field("name", text::name(name, 100));
        check_count(&mut checks, "patterns", patterns.as_deref(), MOST_PATTERNS);
        check_count(&mut checks, "networks", networks.as_deref(), MOST_NETWORKS);
        let seconds = seconds.unwrap_or(DEFAULT_SECONDS);
        if !(1..=LONGEST_SECONDS).contains(&seconds) {
            let message = format!("must be from 1 to {LONGEST_SECONDS}, which is 365 days");
            checks.error("expires_in_seconds", Invalid::new(FieldCode::OutOfRange, message));
        }
        let read = |(at, text): (usize, &String)| {
            let invalid = |problem| Invalid::new(FieldCode::InvalidFormat, problem);
            Some(checks.field(&format!("networks[{at}]"), network(text).map_err(invalid))?.to_string())
        };
        let networks = networks.map(|all| all.iter().enumerate().filter_map(read).collect::<Vec<_>>().join(" "));
        checks.finish()?;
        Ok(Self { name: name.unwrap_or_default(), patterns, seconds, networks })
    }

    /// Plans a key of a user.
    async fn make(&self, plan: &mut Plan<'_>, user: &User, has_two_factors: bool, action: &str) -> Result<NewApiKey> {
        let mut checks = Checks::default();
        for (at, pattern) in self.patterns.iter().flatten().enumerate() {
            let unknown = |error: Error| Invalid::new(FieldCode::NotFound, error.message().to_owned());
            checks.field(&format!("patterns[{at}]"), plan.rules().check_key_pattern(pattern).map_err(unknown));
        }
        checks.finish()?;
        // Read before the keys, and moved: who ends all keys meanwhile, or makes another, does so, too. Whoever deletes the account
        // moves that.
        let before = epochs::credential_of(plan, user.id).await?;
        plan.write_consequence(before.as_ref(), before.clone().unwrap_or_else(|| Credential::empty(user.id)));
        plan.check(user);
        let known: Vec<ApiKey> = plan.reads().all(alive_of(plan, user.id)).await?;
        if known.len() >= MOST {
            let message = format!("a user has at most {MOST} API keys; end one first");
            return Err(Error::new(Reason::LimitReached, message));
        }
        let era = plan.rely_on_key_era();
        let id = plan.services.env.new_id()?;
        let random: api_key::Random = plan.services.env.random()?;
        let (secret, hash) = api_key::issue(id, &random);
        let key = plan.write_consequence(
            None,
            ApiKey {
                id,
                user_id: user.id,
                name: self.name.clone(),
                hash,
                patterns: self.patterns.as_ref().map(|patterns| patterns.join(" ")),
                networks: self.networks.clone(),
                has_two_factors,
                era,
                created_at: plan.now,
                expires_at: plan.now.plus_seconds(self.seconds),
                ended_at: None,
                end_reason: None,
                version: 0,
            },
        );
        let unused = plan.write_consequence(None, ApiKeyUse { api_key_id: id, last_used_at: None, version: 0 });
        notices::tell_of_either(plan, NoticeKind::ApiKeyCreated, user)?;
        plan.audit(action, Some(("api_key", id.to_string())), None);
        Ok(NewApiKey { key: secret, api_key: ApiKeyView::of(plan, key, Some(&unused)) })
    }
}

/// Notes a list that is too long, or that is empty: nothing would be allowed.
fn check_count(checks: &mut Checks, field: &str, list: Option<&[String]>, most: usize) {
    let (code, message) = match list.map(<[String]>::len) {
        Some(0) => (FieldCode::Required, "must have an item, or not be given".to_owned()),
        Some(count) if count > most => (FieldCode::TooLong, format!("must have at most {most} items")),
        _ => return,
    };
    checks.error(field, Invalid::new(code, message));
}
