//! Kinds of assets as data: declared, changed and deleted while the store is open (FLT-7). They are a part of the policy
//! (`operations/policy`).

use std::{collections::BTreeSet, sync::Arc};

use rolekeep_macros::{Describe, Input, boxed_async};
use serde::Serialize;

use super::{
    Access, Operation,
    plan::{Plan, expect_version},
    policy::{
        edit::{self, Blame},
        state::{PolicyState, StoredPolicy},
    },
    services::Services,
};
use crate::{
    model::{
        asset::Asset,
        check::{Checks, Invalid, wrong},
        decode::FieldCode,
        error::{Error, Reason, Result},
        policy::{AssetKindForm, AssetKindRow},
        predicate::Predicate,
        record::Record,
        time::Time,
        value::Value,
    },
    rules::RuleSet,
    storage::Query,
};

/// The longest name of a kind, in characters.
const LONGEST_NAME: usize = 64;

/// A kind of assets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
#[describe(name = "AssetKind")]
#[non_exhaustive]
pub struct AssetKindView {
    /// Its name, a resource type: `vehicle`.
    pub kind: String,
    /// The models that its assets may be.
    pub models: Vec<String>,
    /// The statuses that its assets may have; a new asset has the first.
    pub statuses: Vec<String>,
    /// When it was declared.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Increases by one with every change.
    pub version: i64,
}

/// Lists the kinds of assets that the policy declares, by name; the library's drones are not among them.
///
/// Permission `policy:read`.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct ListAssetKinds {}

/// Declares a kind of assets, or replaces the models and statuses of one.
///
/// It adds the permissions `KIND:create`, `read`, `list`, `update`, `delete`, `assign` and `set_authority`, which roles with a pattern
/// that matches them grant at once. Permission `asset_kind:put`, and for now `admin:all`. Errors: `CONFLICT` if an asset has a model or a
/// status that the kind would not have any more, and if `expected_version` is stale; `VALIDATION_ERROR` for a name that a type of the
/// library has, and beyond 64 kinds.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct PutAssetKind {
    /// Its name: lower-case letters, digits, `-` and `_`, at most 64 characters, beginning with a letter. It cannot be changed.
    pub kind: String,
    /// The models that its assets may be, 1 to 256, of 1 to 64 characters each.
    pub models: Vec<String>,
    /// The statuses that its assets may have, likewise; a new asset has the first.
    pub statuses: Vec<String>,
    /// The version that the change is based on; if it is not the current one, the error is `CONFLICT`.
    pub expected_version: Option<i64>,
}

/// Deletes a kind of assets, and its permissions.
///
/// Permission `asset_kind:delete`, and for now `admin:all`. Errors: `CONFLICT` if there are assets of it, if a role's grant names it, and
/// if `expected_version` is stale.
#[derive(Clone, Debug, Input, Describe)]
#[non_exhaustive]
pub struct DeleteAssetKind {
    /// Its name.
    pub kind: String,
    /// The version that the deletion is based on; if it is not the current one, the error is `CONFLICT`.
    pub expected_version: Option<i64>,
}

fn view(row: &AssetKindRow) -> AssetKindView {
    let AssetKindForm { models, statuses } = row.form();
    AssetKindView {
        kind: row.name.clone(),
        models,
        statuses,
        created_at: row.created_at,
        updated_at: row.updated_at,
        version: row.version,
    }
}

/// There is no kind of this name, and what may have been meant: told to who may read the policy.
pub(crate) fn no_such_kind(rules: &RuleSet, kind: &str) -> Error {
    let message = match rules.nearest_asset_kind(kind) {
        Some(near) => format!("there is no such kind of assets; did you mean `{near}`?"),
        None => "there is no such kind of assets".to_owned(),
    };
    wrong("kind", FieldCode::NotFound, message)
}

/// Refuses a policy in which a kind or words are no more that assets have.
pub(super) async fn require_unused(plan: &mut Plan<'_>, before: &StoredPolicy, after: &StoredPolicy) -> Result<()> {
    for (name, kind) in &before.asset_kinds {
        let left = after.asset_kinds.get(name).map(|left| left.form());
        let gone = Gone::of(kind.form(), left);
        if gone.is_nothing() {
            continue;
        }
        plan.end_joining_words_of(name).await?;
        if gone.is_whole && using(plan, name, Predicate::Always).await?.is_some() {
            let message = format!("there are assets of the kind {name}; they must go first");
            return Err(Error::new(Reason::InUse, message));
        }
        for (column, words) in [("model", &gone.models), ("status", &gone.statuses)] {
            let has_one = Predicate::In(column.into(), Predicate::set(words.iter().cloned().map(Value::Text)));
            let used = if words.is_empty() { None } else { using(plan, name, has_one).await? };
            if let Some(asset) = used {
                let word = if column == "model" { asset.model } else { asset.status };
                let message = format!("there are assets of the kind {name} whose {column} is {word}");
                return Err(Error::new(Reason::InUse, message));
            }
        }
    }
    Ok(())
}

/// An asset of a kind that passes.
async fn using(plan: &Plan<'_>, kind: &str, filter: Predicate) -> Result<Option<Asset>> {
    let mut query = Query::of(Asset::TABLE, Predicate::equals("kind", kind).and(filter));
    query.window.limit = Some(1);
    Ok(plan.reads().query::<Asset>(&query).await?.pop())
}

/// What a kind has no more.
struct Gone {
    is_whole: bool,
    models: BTreeSet<String>,
    statuses: BTreeSet<String>,
}

impl Gone {
    fn of(before: AssetKindForm, after: Option<AssetKindForm>) -> Self {
        let Some(after) = after else {
            return Self { is_whole: true, models: BTreeSet::new(), statuses: BTreeSet::new() };
        };
        let gone = |before: Vec<String>, after: Vec<String>| -> BTreeSet<String> {
            let after: BTreeSet<String> = after.into_iter().collect();
            before.into_iter().filter(|word| !after.contains(word)).collect()
        };
        let (models, statuses) = (gone(before.models, after.models), gone(before.statuses, after.statuses));
        Self { is_whole: false, models, statuses }
    }

    fn is_nothing(&self) -> bool {
        !self.is_whole && self.models.is_empty() && self.statuses.is_empty()
    }
}

/// Refuses to delete a kind that a role's grant names.
fn require_ungranted(policy: &PolicyState, kind: &str) -> Result<()> {
    let names_it = |permission: &str| permission.split_once(':').is_some_and(|(resource, _)| resource == kind);
    let mut roles = policy.rows.roles.values();
    match roles.find(|role| role.grants.0.iter().any(|grant| names_it(&grant.permission))) {
        Some(role) => {
            let message = format!("the role {} has grants for the kind {kind}; they must go first", role.name);
            Err(Error::new(Reason::InUse, message))
        }
        None => Ok(()),
    }
}

#[boxed_async]
impl Operation for ListAssetKinds {
    type Target = ();
    type Valid = ();

    const ACCESS: Access = Access::Everywhere("policy:read");
    const IS_READ: bool = true;

    async fn validate(self, _: &Services, _: Time) -> Result<()> {
        Ok(())
    }

    async fn plan((): &(), (): (), plan: &mut Plan<'_>) -> Result<Vec<AssetKindView>> {
        Ok(plan.actor.policy.rows.asset_kinds.values().map(|row| view(row)).collect())
    }
}

#[boxed_async]
impl Operation for PutAssetKind {
    type Target = ();
    type Valid = PutAssetKind;

    const ACCESS: Access = Access::Everywhere("asset_kind:put");

    async fn validate(self, _: &Services, _: Time) -> Result<PutAssetKind> {
        let mut checks = Checks::default();
        if self.kind.chars().count() > LONGEST_NAME {
            let message = format!("must have at most {LONGEST_NAME} characters");
            checks.error("kind", Invalid::new(FieldCode::TooLong, message));
        }
        for (field, words) in [("models", &self.models), ("statuses", &self.statuses)] {
            if words.is_empty() {
                checks.error(field, Invalid::new(FieldCode::TooShort, "must have at least one item"));
            }
        }
        checks.finish()?;
        Ok(self)
    }

    async fn plan(asked: &PutAssetKind, (): (), plan: &mut Plan<'_>) -> Result<AssetKindView> {
        plan.require_administrator()?;
        let mut rows = plan.actor.policy.rows.clone();
        let before = rows.asset_kinds.get(&asked.kind).cloned();
        expect_version(asked.expected_version, before.as_ref().map_or(0, |before| before.version))?;
        let form = AssetKindForm { models: asked.models.clone(), statuses: asked.statuses.clone() };
        let after = match before {
            Some(before) if before.form() == form => return Ok(view(&before)),
            Some(before) => before.with(form, plan.now),
            None => AssetKindRow::new(&asked.kind, form, plan.now),
        };
        rows.asset_kinds.insert(asked.kind.clone(), Arc::new(after));
        let next = edit::change(plan, rows, &[], Blame::AssetKind(&asked.kind)).await?;
        let put = next.rows.asset_kinds.get(&asked.kind).map(|row| view(row));
        put.ok_or_else(|| Error::not_found("asset kind"))
    }
}

#[boxed_async]
impl Operation for DeleteAssetKind {
    type Target = ();
    type Valid = DeleteAssetKind;

    const ACCESS: Access = Access::Everywhere("asset_kind:delete");

    async fn validate(self, _: &Services, _: Time) -> Result<DeleteAssetKind> {
        Ok(self)
    }

    async fn plan(asked: &DeleteAssetKind, (): (), plan: &mut Plan<'_>) -> Result<()> {
        plan.require_administrator()?;
        let policy = plan.actor.policy.clone();
        let before = policy.rows.asset_kinds.get(&asked.kind).ok_or_else(|| Error::not_found("asset kind"))?;
        expect_version(asked.expected_version, before.version)?;
        require_ungranted(&policy, &asked.kind)?;
        let mut rows = policy.rows.clone();
        rows.asset_kinds.remove(&asked.kind);
        edit::change(plan, rows, &[], Blame::Field("kind")).await.map(drop)
    }
}
