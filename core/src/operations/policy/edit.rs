//! One edit of the policy: its rows, the rules they make, and what must hold of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    nesting,
    state::{PolicyState, StoredPolicy},
};
use crate::{
    model::{
        decode::{FieldCode, FieldError},
        deferred::unless_page,
        error::{Error, Reason, Result},
        group::{Group, GroupMember, GroupRole},
        id::GroupId,
        policy::{AssetKindRow, PermissionRow, PolicyRow, RoleRow},
        predicate::Predicate,
        record::Record,
        registry::Guard,
        role_assignment::RoleAssignment,
        time::Time,
    },
    operations::{
        administrators::{self, GLOBAL},
        asset_kinds, groups,
        held::{self, Held},
        plan::Plan,
        target,
    },
    rules::RuleSet,
    storage::{Query, Window},
};

/// Whose input a problem of the policy is told as.
#[derive(Clone, Copy)]
pub enum Blame<'a> {
    /// This role's: its problems have the names of its fields.
    Role(&'a str),
    /// This kind of assets': its problems are those of `models` and `statuses`, and otherwise of `kind`.
    AssetKind(&'a str),
    /// This one field's.
    Field(&'a str),
}

/// Plans the policy that these rows are; `lost` is what ends with the edit of what is held everywhere and for ever, planned
/// already. Rows keep their versions and times; those that differ from the stored ones are written.
///
/// # Errors
/// [`Reason::InvalidInput`] naming fields where the policy would be wrong, [`Reason::InUse`] where assets have a kind or words that it would
/// not have any more or a scope lies where it would not, [`Reason::LastAdministrator`].
pub async fn change(
    plan: &mut Plan<'_>,
    rows: StoredPolicy,
    lost: &[Held],
    blame: Blame<'_>,
) -> Result<Arc<PolicyState>> {
    change_to(plan, rows, None, lost, blame).await
}

/// [`change`] to rows whose rules may be known already.
pub(super) async fn change_to(
    plan: &mut Plan<'_>,
    rows: StoredPolicy,
    rules: Option<Arc<RuleSet>>,
    lost: &[Held],
    blame: Blame<'_>,
) -> Result<Arc<PolicyState>> {
    let now = plan.actor.policy.clone();
    let mut is_changed = false;
    let mut rows = StoredPolicy {
        rest: match (&now.rows.rest, rows.rest) {
            (before, Some(after)) => Some(write(plan, before.as_ref(), after, &mut is_changed)),
            (before, None) => before.clone(),
        },
        permissions: write_all(plan, &now.rows.permissions, rows.permissions, &mut is_changed),
        asset_kinds: write_all(plan, &now.rows.asset_kinds, rows.asset_kinds, &mut is_changed),
        roles: write_all(plan, &now.rows.roles, rows.roles, &mut is_changed),
    };
    if !is_changed && now.version > 0 {
        return Ok(now);
    }
    if rows.rest.is_none() {
        let content = crate::model::record::Document(serde_json::Value::Object(serde_json::Map::new()));
        let id = PolicyRow::ID.to_owned();
        let empty = PolicyRow { id, content, created_at: plan.now, updated_at: plan.now, version: 0 };
        rows.rest = Some(write(plan, None, Arc::new(empty), &mut is_changed));
    }
    let version = now.version + 1;
    let made = match rules {
        Some(rules) => {
            Ok(PolicyState { losses: now.losses, ..PolicyState::of(version, rows.clone(), now.nesting.clone(), rules) })
        }
        None => PolicyState::make(Some(&now), version, rows.clone(), now.nesting.clone()),
    };
    let next = match made {
        Ok(next) => Arc::new(next),
        Err(error) if error.reason() == Reason::PolicyInvalid => return Err(as_input_error(&rows, error, blame)),
        Err(error) => return Err(error),
    };
    asset_kinds::require_unused(plan, &now.rows, &rows).await?;
    // Whoever changes where one lies meanwhile makes this plan stale.
    nesting::require_fitting(&next)?;
    administrators::require_one_under(plan, &next.rules, lost).await?;
    // Not the version of now but the one of this plan: whoever edited since makes it stale.
    let guard = Guard { name: Guard::POLICY.to_owned(), version: now.version };
    plan.write_consequence(Some(&guard).filter(|guard| guard.version > 0), guard.clone());
    plan.next_policy = Some(next.clone());
    Ok(next)
}

/// A row of the policy that can be compared apart from its version and times.
trait PolicyRecord: Record + PartialEq {
    fn has_same_content(&self, other: &Self) -> bool;
}

impl PolicyRecord for PermissionRow {
    fn has_same_content(&self, other: &Self) -> bool {
        self.description == other.description
    }
}

impl PolicyRecord for RoleRow {
    fn has_same_content(&self, other: &Self) -> bool {
        self.form() == other.form()
    }
}

impl PolicyRecord for AssetKindRow {
    fn has_same_content(&self, other: &Self) -> bool {
        self.form() == other.form()
    }
}

impl PolicyRecord for PolicyRow {
    fn has_same_content(&self, other: &Self) -> bool {
        self.content == other.content
    }
}

fn write<R: PolicyRecord>(
    plan: &mut Plan<'_>,
    before: Option<&Arc<R>>,
    after: Arc<R>,
    is_changed: &mut bool,
) -> Arc<R> {
    if let Some(before) = before
        && (Arc::ptr_eq(before, &after) || before.has_same_content(&after))
    {
        return before.clone();
    }
    *is_changed = true;
    Arc::new(plan.write_consequence(before.map(AsRef::as_ref), Arc::unwrap_or_clone(after)))
}

fn write_all<R: PolicyRecord>(
    plan: &mut Plan<'_>,
    before: &BTreeMap<String, Arc<R>>,
    after: BTreeMap<String, Arc<R>>,
    is_changed: &mut bool,
) -> BTreeMap<String, Arc<R>> {
    for (_, gone) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
        *is_changed = true;
        plan.delete_consequence::<R>(gone);
    }
    let written = after.into_iter().map(|(name, row)| {
        let row = write(plan, before.get(&name), row, is_changed);
        (name, row)
    });
    written.collect()
}

/// What is wrong with a policy, as errors of the input that would make it so.
pub(super) fn as_input_error(rows: &StoredPolicy, error: Error, blame: Blame<'_>) -> Error {
    let problems = match rows.to_policy() {
        Ok(policy) => policy.problems(&target::schema()),
        Err(error) => return error,
    };
    if problems.is_empty() {
        return error;
    }
    // The field of the input, of what is its own.
    let own = |role: &Option<String>, field: &str| match blame {
        Blame::Role(name) if role.as_deref() == Some(name) => {
            Some(if field.is_empty() { "name" } else { field }.to_owned())
        }
        Blame::AssetKind(name) if role.is_none() => {
            let inner = field.strip_prefix("asset_kinds.")?.strip_prefix(name)?;
            if inner.is_empty() { Some("kind".to_owned()) } else { inner.strip_prefix('.').map(str::to_owned) }
        }
        Blame::Role(_) | Blame::AssetKind(_) | Blame::Field(_) => None,
    };
    let fields = problems.into_iter().map(|problem| {
        let (field, message) = match own(&problem.role, &problem.field) {
            Some(field) => (field, problem.message),
            None => {
                let field = match blame {
                    Blame::Role(_) => "name",
                    Blame::AssetKind(_) => "kind",
                    Blame::Field(field) => field,
                };
                let field = field.to_owned();
                let place = match (&problem.role, problem.field.as_str()) {
                    (Some(role), "") => format!("role {role}: "),
                    (Some(role), inner) => format!("role {role}, {inner}: "),
                    (None, "") => String::new(),
                    (None, inner) => format!("{inner}: "),
                };
                (field, format!("{place}{}", problem.message))
            }
        };
        FieldError { field, code: FieldCode::PolicyInvalid, message }
    });
    Error::invalid(fields.collect::<Vec<_>>())
}

/// So many lose roles at once at most, by groups, too: all of it is one commit.
const MOST: usize = 10_000;

/// So many are looked at where it was not said that they are to lose a role.
const FEW: usize = 1_000;

/// Who holds roles, whatever the time.
#[derive(Default)]
pub struct Holders {
    own: Vec<RoleAssignment>,
    of_groups: Vec<GroupRole>,
    /// Whoever holds them by those groups.
    members: Vec<GroupMember>,
    /// There are more.
    is_cut: bool,
}

/// All who hold a role, whatever the time, and are to lose it.
///
/// # Errors
/// [`Reason::LimitReached`] where they are too many for one commit.
pub async fn holders(plan: &Plan<'_>, role: &str) -> Result<Holders> {
    let held = first_holders(plan, role, MOST).await?;
    if held.is_cut { Err(too_many()) } else { Ok(held) }
}

/// The same, unless somebody holds it now or later: then the first of them are enough.
///
/// # Errors
/// As [`holders`].
pub async fn holders_if_over(plan: &Plan<'_>, role: &str) -> Result<Holders> {
    let first = first_holders(plan, role, FEW).await?;
    if !first.is_cut || first.users(plan.now) + first.groups(plan.now) > 0 {
        return Ok(first);
    }
    holders(plan, role).await
}

async fn first_holders(plan: &Plan<'_>, role: &str, most: usize) -> Result<Holders> {
    let filter = Predicate::equals("role", role);
    let window = Window { limit: Some(most as u64 + 1), ..Window::default() };
    let query = Query { window, ..Query::of(RoleAssignment::TABLE, filter.clone()) };
    let own: Vec<RoleAssignment> = plan.reads().query(&query).await?;
    let by_groups = unless_page(Ok((Vec::new(), 0)), || Box::pin(given_to_groups(plan, filter, most)));
    let (of_groups, count) = by_groups.await?;
    let is_cut = own.len() + of_groups.len() + count > most;
    let members = if is_cut { Vec::new() } else { held::members_by(plan.reads(), &of_groups).await? };
    Ok(Holders { own, of_groups, members, is_cut })
}

/// The first roles of groups that pass, and how many members these have.
async fn given_to_groups(plan: &Plan<'_>, filter: Predicate, most: usize) -> Result<(Vec<GroupRole>, usize)> {
    let window = Window { limit: Some(most as u64 + 1), ..Window::default() };
    let query = Query { window, ..Query::of(GroupRole::TABLE, filter) };
    let given: Vec<GroupRole> = plan.reads().query(&query).await?;
    let ids: BTreeSet<GroupId> = given.iter().map(|given| given.group_id).collect();
    let groups: Vec<Group> = plan.reads().many(ids.into_iter().map(|id| (id,))).await?;
    let members: i64 = groups.iter().map(|group| group.member_count).sum();
    Ok((given, usize::try_from(members).unwrap_or_default()))
}

fn too_many() -> Error {
    let message = format!("more than {MOST} users and groups would lose a role; take it from some of them first");
    Error::new(Reason::LimitReached, message)
}

impl Holders {
    /// Who holds other roles, too.
    ///
    /// # Errors
    /// As [`holders`].
    pub fn extend(&mut self, other: Self) -> Result<()> {
        self.own.extend(other.own);
        // A group's members are the same whichever of its roles they were read for.
        let known: BTreeSet<GroupId> = self.of_groups.iter().map(|given| given.group_id).collect();
        self.members.extend(other.members.into_iter().filter(|member| !known.contains(&member.group_id)));
        self.of_groups.extend(other.of_groups);
        let count = self.own.len() + self.of_groups.len() + self.members.len();
        if count > MOST { Err(too_many()) } else { Ok(()) }
    }

    /// Whether there are more than were looked at.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// What they hold by which somebody may be an administrator: everywhere, for ever. With all scopes of a group's role for each of its
    /// members it would be too much.
    pub fn lasting_everywhere(&self) -> Vec<Held> {
        let is_lasting = |scope: &str, until: Option<Time>| scope == GLOBAL && until.is_none();
        let own = self.own.iter().filter(|given| is_lasting(&given.scope, given.valid_until)).map(Held::from);
        let mut of_groups = self.of_groups.clone();
        of_groups.retain(|given| is_lasting(&given.scope, given.valid_until));
        own.chain(held::cross(&self.members, &of_groups)).collect()
    }

    /// How many users hold them, by groups, too, each counted once; those whose time is over do not count.
    pub fn users(&self, now: Time) -> usize {
        let lasts = |until: Option<Time>| until.is_none_or(|until| until > now);
        let own = self.own.iter().filter(|given| lasts(given.valid_until)).map(|given| given.user_id);
        let of_groups = self.of_groups.iter().filter(|given| lasts(given.valid_until));
        let groups: BTreeSet<GroupId> = of_groups.map(|given| given.group_id).collect();
        let members = self.members.iter().filter(|member| groups.contains(&member.group_id));
        own.chain(members.map(|member| member.user_id)).collect::<BTreeSet<_>>().len()
    }

    /// How many groups hold them, with members or without; those whose time is over do not count.
    pub fn groups(&self, now: Time) -> usize {
        let lasting = self.of_groups.iter().filter(|given| given.valid_until.is_none_or(|until| until > now));
        lasting.map(|given| given.group_id).collect::<BTreeSet<_>>().len()
    }
}

/// Plans that nobody holds these roles any more; whether an administrator is left is asked by [`change`].
pub async fn end(plan: &mut Plan<'_>, held: Holders) -> Result<()> {
    plan.move_authority_of(held.own.iter().map(|assignment| assignment.user_id).collect()).await?;
    held.own.iter().for_each(|assignment| plan.delete_consequence(assignment));
    unless_page(Ok(()), || Box::pin(groups::end_roles(plan, held.of_groups))).await
}
