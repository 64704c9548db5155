//! Seeing API keys.

use std::collections::BTreeMap;

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::{ApiKeyEnd, alive_of, words};
use crate::{
    credentials::api_key,
    model::{
        api_key::{ApiKey, ApiKeyUse},
        error::Result,
        id::{ApiKeyId, UserId},
        page::{Page, PageRequest},
        predicate::Predicate,
        record::Record,
        time::Time,
        user::User,
    },
    operations::{
        Access, Operation, Visible, listing, plan::Plan, services::Services, target::TargetRow, users::existing,
    },
    storage::Query,
};

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[describe(name = "ApiKey")]
#[non_exhaustive]
pub struct ApiKeyView {
    /// The key's id.
    pub id: ApiKeyId,
    /// The id of its user.
    pub user_id: UserId,
    /// The user's name for it.
    pub name: String,
    /// The 26 characters that the key begins with, by which it is recognised where it was found. No secret.
    pub starts_with: String,
    /// The permissions that it reaches; none: whatever its user may.
    pub patterns: Option<Vec<String>>,
    /// The networks that it may be used from; none: from everywhere.
    pub networks: Option<Vec<String>>,
    /// Whether roles that require a second factor count for it.
    pub has_second_factor: bool,
    /// When it was made.
    pub created_at: Time,
    /// When it expires.
    pub expires_at: Time,
    /// When it was used last, to the minute; none: never.
    pub last_used_at: Option<Time>,
    /// When it was ended before it expired; none also if it ended with the keys of everybody.
    pub ended_at: Option<Time>,
    /// Why it was ended before it expired.
    pub end_reason: Option<ApiKeyEnd>,
}

/// Lists the caller's own API keys, newest first.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListApiKeys {
    /// Whether to include keys that ended within the last 90 days. Default: false.
    pub include_ended: Option<bool>,
    /// The page's number, from 1; no more than 200,000 rows are skipped to get there.
    pub page: Option<u32>,
    /// The page size, 1 to 100; 20 if not given.
    pub limit: Option<u32>,
    /// A page's `next_cursor`, instead of `page`.
    pub cursor: Option<String>,
    /// Up to how many rows are counted for `total`; 1,000 if not given, 0: none.
    pub total_up_to: Option<u32>,
}

/// Lists a user's API keys, newest first.
///
/// Permission `api_key:read`, and `user:read` of the user.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListApiKeysOf {
    /// The user's id.
    pub user_id: UserId,
    /// Whether to include keys that ended within the last 90 days. Default: false.
    pub include_ended: Option<bool>,
    /// The page's number, from 1; no more than 200,000 rows are skipped to get there.
    pub page: Option<u32>,
    /// The page size, 1 to 100; 20 if not given.
    pub limit: Option<u32>,
    /// A page's `next_cursor`, instead of `page`.
    pub cursor: Option<String>,
    /// Up to how many rows are counted for `total`; 1,000 if not given, 0: none.
    pub total_up_to: Option<u32>,
}

/// What is listed, and which page of it.
pub struct Wanted {
    include_ended: bool,
    page: PageRequest,
}

impl Wanted {
    fn filter(&self, plan: &Plan<'_>, user: UserId) -> Predicate {
        if self.include_ended { Predicate::equals("user_id", user.0) } else { alive_of(plan, user) }
    }
}

impl ApiKeyView {
    pub(super) fn of(plan: &Plan<'_>, key: ApiKey, last_use: Option<&ApiKeyUse>) -> Self {
        Self {
            end_reason: key.end_reason.or(key.is_ended(plan.key_era()).then_some(ApiKeyEnd::Revoked)),
            id: key.id,
            user_id: key.user_id,
            starts_with: api_key::beginning(key.id),
            patterns: key.patterns(),
            networks: key.networks.as_deref().map(words),
            name: key.name,
            has_second_factor: key.has_two_factors,
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: last_use.and_then(|last_use| last_use.last_used_at),
            ended_at: key.ended_at,
        }
    }
}

#[boxed_async]
impl Operation for ListApiKeys {
    type Target = ();
    type Valid = Wanted;

    const ACCESS: Access = Access::SignedIn;
    const IS_READ: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Wanted> {
        let page = self.page_request().checked()?;
        Ok(Wanted { include_ended: self.include_ended.unwrap_or_default(), page })
    }

    async fn plan(wanted: &Wanted, (): (), plan: &mut Plan<'_>) -> Result<Page<ApiKeyView>> {
        let me = plan.actor.signed_in()?.id;
        let order = listing::newest_first();
        let query = Query { order, ..Query::of(ApiKey::TABLE, wanted.filter(plan, me)) };
        shown(plan, listing::page_of(plan, &wanted.page, query).await?).await
    }
}

#[boxed_async]
impl Operation for ListApiKeysOf {
    type Target = ();
    type Valid = (UserId, Wanted);

    const ACCESS: Access = Access::Permission("api_key:read");
    const IS_READ: bool = true;
    const IS_OF_SERVERS: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<Self::Valid> {
        let page = self.page_request().checked()?;
        Ok((self.user_id, Wanted { include_ended: self.include_ended.unwrap_or_default(), page }))
    }

    async fn plan((user, wanted): &Self::Valid, (): (), plan: &mut Plan<'_>) -> Result<Page<ApiKeyView>> {
        let user = existing(plan.reads(), *user).await?;
        // Whom one may not see is not there, whatever one may see of keys (SEC-9).
        if !plan.may(User::READ, &TargetRow::of(&user)).await? {
            return Err(plan.hide("user"));
        }
        let (filter, order) = (wanted.filter(plan, user.id), listing::newest_first());
        shown(plan, listing::page(plan, &wanted.page, ApiKey::READ, filter, order).await?).await
    }
}

/// A page of keys, with when each was used last.
async fn shown(plan: &Plan<'_>, page: Page<ApiKey>) -> Result<Page<ApiKeyView>> {
    let uses: Vec<ApiKeyUse> = plan.reads().many(page.items.iter().map(|key| (key.id,))).await?;
    let uses: BTreeMap<ApiKeyId, ApiKeyUse> = uses.into_iter().map(|one| (one.api_key_id, one)).collect();
    Ok(page.map(|key| {
        let last_use = uses.get(&key.id);
        ApiKeyView::of(plan, key, last_use)
    }))
}
