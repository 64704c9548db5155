//! The policy that a host gives when it opens a store, and the one that is stored: three-way, part by
//! part, so that neither the host's new version nor what was edited meanwhile is lost (decision 008).

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value as Json;

use super::{
    edit::{self, Blame},
    state::{self, PolicyState, Stored, StoredPolicy},
};
use crate::{
    model::{
        error::{Error, Reason, Result},
        policy::{AssetKindForm, AssetKindRow, GivenRow, PermissionRow, PolicyRow, RoleForm, RoleRow},
        record::{Corrupt, Document, Record as _, Unread},
        time::Time,
    },
    operations::{
        Access,
        actor::{Actor, ActorKind, RequestContext},
        plan::Plan,
        services::Services,
    },
    rules::{Policy, PolicyRows, RuleSet},
    storage::{ChangeSet, CommitError},
};

/// How often others may be faster while a store is opened. Many processes may start at once, and each
/// that is stale has seen another one succeed.
const ATTEMPTS: u32 = 100;

const REST: &str = "policy";
const PERMISSION: &str = "permission";
const ROLE: &str = "role";
const ASSET_KIND: &str = "asset_kind";

/// A policy that is right in itself.
pub struct Given {
    parts: PolicyRows,
    rules: Arc<RuleSet>,
}

impl Given {
    /// Checks a policy.
    ///
    /// # Errors
    /// [`Reason::PolicyInvalid`] with every problem.
    pub fn new(policy: Policy) -> Result<Self> {
        let rules = Arc::new(state::compile(&policy)?);
        Ok(Self { parts: parts_of(&policy)?, rules })
    }
}

/// The parts of a policy that are stored: what only says again what the library has is not.
pub(super) fn parts_of(policy: &Policy) -> Result<PolicyRows> {
    let mut parts = policy.to_rows()?;
    parts.permissions.retain(|name, about| !about.is_empty() || !state::built_in().contains_key(name));
    Ok(parts)
}

/// Reads the stored policy, and brings in what the given one changed.
///
/// # Errors
/// [`Reason::PolicyInvalid`] where what is given does not fit what was edited, [`Reason::LastAdministrator`].
pub async fn open(services: &Services, given: Option<Given>) -> Result<()> {
    for attempt in 0..ATTEMPTS {
        let stored = Stored::load(&*services.storage, given.is_some(), None).await?;
        let (given, stored) = match (&given, stored) {
            (Some(given), stored) => (given, stored),
            (None, None) => (&Given::new(Policy::preset("standard")?)?, None),
            (None, Some(stored)) => {
                let stored = PolicyState::make(None, stored.version, stored.rows, stored.nesting)?;
                services.replace_policy(Arc::new(stored));
                return Ok(());
            }
        };
        let Stored { version, rows, nesting, given: last } = stored.unwrap_or_default();
        let is_same = Forms::of_rows(&rows) == Forms::from_rows(&given.parts);
        if version > 0 && is_same && Forms::of_given(&last)? == Forms::from_rows(&given.parts) {
            services.replace_policy(Arc::new(PolicyState::of(version, rows, nesting, given.rules.clone())));
            return Ok(());
        }
        let now = Arc::new(PolicyState::make(None, version, rows, nesting)?);
        services.replace_policy(now.clone());
        let actor = Actor { kind: ActorKind::System, request: Arc::new(RequestContext::default()), policy: now };
        let committed = match import(services, &actor, given, &last).await {
            Ok(None) => return Ok(()),
            Ok(Some((change_set, next))) => services.storage.commit(&change_set).await.map(|_| next),
            Err(error) => Err(error),
        };
        match committed {
            Ok(next) => {
                next.map(|next| services.replace_policy(next));
                return Ok(());
            }
            Err(CommitError::Failed(error)) => return Err(error),
            // Others opened or edited it at the same moment; or nobody knows: what is stored tells.
            Err(CommitError::Stale { .. } | CommitError::Unknown) => services.env.sleep(u64::from(attempt)).await,
        }
    }
    Err(Error::new(Reason::Contention, "other processes kept changing the policy while the store was opened"))
}

type Import = (ChangeSet, Option<Arc<PolicyState>>);

/// Plans the import; none where nothing differs.
async fn import(
    services: &Services,
    actor: &Actor,
    given: &Given,
    last: &[GivenRow],
) -> Result<Option<Import>, CommitError> {
    let now = services.now();
    let (stored, given_last) = (Forms::of_rows(&actor.policy.rows), Forms::of_given(last).map_err(Error::from)?);
    let given_now = Forms::from_rows(&given.parts);
    let merged = stored.merge(&given_last, &given_now, |_| false);
    let mut plan = Plan::new(services, actor, now);
    let rows = merged.to_rows(&actor.policy.rows, now);
    let known = (merged == given_now).then(|| given.rules.clone());
    if let Err(error) = edit::change_to(&mut plan, rows, known, &[], Blame::Field("")).await {
        if error.reason() != Reason::InvalidInput {
            return Err(misfit(&error).into());
        }
        // A role made or edited meanwhile may need a permission, or one of a kind, that the host's policy has no more.
        plan = Plan::new(services, actor, now);
        let merged = stored.merge(&given_last, &given_now, |part| part == PERMISSION || part == ASSET_KIND);
        let changed = edit::change(&mut plan, merged.to_rows(&actor.policy.rows, now), &[], Blame::Field("")).await;
        changed.map_err(|error| misfit(&error))?;
    }
    let known: BTreeMap<(&str, &str), &GivenRow> =
        last.iter().map(|row| ((row.part.as_str(), row.name.as_str()), row)).collect();
    for row in last.iter().filter(|row| !given_now.0.contains_key(&(row.part.clone(), row.name.clone()))) {
        plan.delete_consequence(row);
    }
    for ((part, name), form) in &given_now.0 {
        let before = known.get(&(part.as_str(), name.as_str())).copied();
        if given_last.0.get(&(part.clone(), name.clone())) != Some(form) {
            let version = before.map_or(0, |row| row.version);
            let form = Unread(Document(form.to_json()).text().into());
            plan.write_consequence(before, GivenRow { part: part.clone(), name: name.clone(), form, version });
        }
    }
    if plan.is_empty() {
        return Ok(None);
    }
    let next = plan.next_policy();
    let is_news = next.is_some() && actor.policy.version > 0;
    let mut change_set = plan.into_change_set(Some("policy.import"), Access::System, services.env.new_id()?)?;
    if !is_news {
        // What a store begins with, and what was noted of the host's policy, changed nothing.
        change_set.audit.clear();
    }
    Ok(Some((change_set, next)))
}

fn misfit(error: &Error) -> Error {
    let fields = error.fields().iter().map(|field| field.message.as_str());
    let problems: Vec<&str> = fields.chain((error.reason() == Reason::InUse).then(|| error.message())).collect();
    let message = format!(
        "the given policy does not fit what was edited in the stored one (opened without a policy, the store keeps \
         its own): {}",
        problems.join("; ")
    );
    match error.reason() {
        Reason::InvalidInput => Error::new(Reason::PolicyInvalid, message),
        Reason::InUse => Error::new(Reason::InUse, message),
        _ => error.clone(),
    }
}

/// What a part says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Permission(String),
    Role(RoleForm),
    AssetKind(AssetKindForm),
    Rest(Json),
}

impl Form {
    fn to_json(&self) -> Json {
        match self {
            Form::Permission(about) => Json::String(about.clone()),
            Form::Role(form) => serde_json::to_value(form).unwrap_or(Json::Null),
            Form::AssetKind(form) => serde_json::to_value(form).unwrap_or(Json::Null),
            Form::Rest(rest) => rest.clone(),
        }
    }

    /// None: written by another version of this library, so that it counts as changed.
    fn read(part: &str, text: &Unread) -> Option<Self> {
        match part {
            PERMISSION => text.read().map(Form::Permission),
            ROLE => text.read().map(Form::Role),
            ASSET_KIND => text.read().map(Form::AssetKind),
            _ => text.read().map(Form::Rest),
        }
    }
}

/// The parts of a policy, by kind and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Forms(BTreeMap<(String, String), Form>);

impl Forms {
    fn from_rows(parts: &PolicyRows) -> Self {
        let key = |part: &str, name: &str| (part.to_owned(), name.to_owned());
        let permissions = parts.permissions.iter();
        let permissions = permissions.map(|(name, about)| (key(PERMISSION, name), Form::Permission(about.clone())));
        let roles = parts.roles.iter().map(|(name, form)| (key(ROLE, name), Form::Role(form.clone())));
        let kinds = parts.asset_kinds.iter();
        let kinds = kinds.map(|(name, form)| (key(ASSET_KIND, name), Form::AssetKind(form.clone())));
        let rest = (key(REST, ""), Form::Rest(parts.rest.clone()));
        Self(permissions.chain(roles).chain(kinds).chain([rest]).collect())
    }

    fn of_rows(rows: &StoredPolicy) -> Self {
        let key = |part: &str, name: &str| (part.to_owned(), name.to_owned());
        let permissions = rows.permissions.values();
        let permissions =
            permissions.map(|row| (key(PERMISSION, &row.name), Form::Permission(row.description.clone())));
        let roles = rows.roles.values().map(|row| (key(ROLE, &row.name), Form::Role(row.form())));
        let rest = rows.rest.iter().map(|row| (key(REST, ""), Form::Rest(row.content.0.clone())));
        let kinds = rows.asset_kinds.values().map(|row| (key(ASSET_KIND, &row.name), Form::AssetKind(row.form())));
        Self(permissions.chain(roles).chain(kinds).chain(rest).collect())
    }

    /// # Errors
    /// A row that no version of this library has written: what the host gave is not known, nor what it took back.
    fn of_given(rows: &[GivenRow]) -> Result<Self, Corrupt> {
        let mut forms = BTreeMap::new();
        for row in rows {
            let Some(form) = Form::read(&row.part, &row.form) else {
                if row.form.read::<Json>().is_none() {
                    return Err(Corrupt { table: GivenRow::TABLE.name, column: "form" });
                }
                continue;
            };
            forms.insert((row.part.clone(), row.name.clone()), form);
        }
        Ok(Self(forms))
    }

    /// What is stored, with what the host changed since it last gave its policy. Of the parts that it has
    /// no more those are kept that were edited, and those of which `keeps` says so.
    fn merge(&self, last: &Self, given: &Self, keeps: impl Fn(&str) -> bool) -> Self {
        let mut merged = self.clone();
        for (key, form) in given.0.iter().filter(|(key, form)| last.0.get(*key) != Some(*form)) {
            merged.0.insert(key.clone(), form.clone());
        }
        for (key, form) in last.0.iter().filter(|(key, _)| !given.0.contains_key(*key)) {
            if merged.0.get(key) == Some(form) && !keeps(&key.0) {
                merged.0.remove(key);
            }
        }
        merged
    }

    /// As rows; those that are stored already keep what they were.
    fn to_rows(&self, stored: &StoredPolicy, now: Time) -> StoredPolicy {
        let mut rows = StoredPolicy::default();
        for ((_, name), form) in &self.0 {
            match form {
                Form::Permission(about) => {
                    rows.permissions.insert(name.clone(), permission(stored, name, about, now));
                }
                Form::Role(form) => {
                    rows.roles.insert(name.clone(), role(stored, name, form, now));
                }
                Form::AssetKind(form) => {
                    rows.asset_kinds.insert(name.clone(), asset_kind(stored, name, form, now));
                }
                Form::Rest(content) => rows.rest = Some(rest(stored, content, now)),
            }
        }
        rows
    }
}

/// The parts of a policy as rows, in place of those that are stored.
pub(super) fn rows_of(parts: &PolicyRows, stored: &StoredPolicy, now: Time) -> StoredPolicy {
    Forms::from_rows(parts).to_rows(stored, now)
}

fn permission(stored: &StoredPolicy, name: &str, about: &str, now: Time) -> Arc<PermissionRow> {
    match stored.permissions.get(name) {
        Some(row) if row.description == about => row.clone(),
        Some(row) => Arc::new(PermissionRow { description: about.to_owned(), updated_at: now, ..row.as_ref().clone() }),
        None => Arc::new(PermissionRow::new(name, about.to_owned(), now)),
    }
}

fn role(stored: &StoredPolicy, name: &str, form: &RoleForm, now: Time) -> Arc<RoleRow> {
    match stored.roles.get(name) {
        Some(row) if row.form() == *form => row.clone(),
        Some(row) => Arc::new(row.with(form.clone(), now)),
        None => Arc::new(RoleRow::new(name, form.clone(), now)),
    }
}

fn asset_kind(stored: &StoredPolicy, name: &str, form: &AssetKindForm, now: Time) -> Arc<AssetKindRow> {
    match stored.asset_kinds.get(name) {
        Some(row) if row.form() == *form => row.clone(),
        Some(row) => Arc::new(row.with(form.clone(), now)),
        None => Arc::new(AssetKindRow::new(name, form.clone(), now)),
    }
}

fn rest(stored: &StoredPolicy, content: &Json, now: Time) -> Arc<PolicyRow> {
    let content = Document(content.clone());
    match &stored.rest {
        Some(row) if row.content == content => row.clone(),
        Some(row) => Arc::new(PolicyRow { content, updated_at: now, ..row.as_ref().clone() }),
        None => {
            let id = PolicyRow::ID.to_owned();
            Arc::new(PolicyRow { id, content, created_at: now, updated_at: now, version: 0 })
        }
    }
}
