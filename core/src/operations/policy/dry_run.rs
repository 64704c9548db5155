//! Which decisions an edit of the policy would change (RBC-14; RBAC.md, "Explain and review").

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use rolekeep_macros::{Describe, Input, Word, portable_async};
use serde::Serialize;

use super::{
    edit,
    file::{self, PolicyFormat},
    open,
    state::{PolicyRows, PolicyState},
};
use crate::{
    model::{
        check::{Checks, Invalid, wrong},
        decode::FieldCode,
        error::{Error, Reason, Result},
        id::UserId,
        policy::{PermissionRow, RoleForm, RoleRow},
        predicate::Predicate,
        role_assignment::RoleAssignment,
        text,
        time::Time,
        user::User,
        value::Value,
    },
    operations::{
        Access, Operation, administrators,
        permissions::without_permission,
        plan::Plan,
        roles::{NewGrant, stored, without_role},
        services::Services,
    },
    rules::{FlatAnswer, FlatRoles, Names, PolicyParts, Said, Scope, Verdicts},
};

/// So many users are read at a time.
const CHUNK: usize = 500;
const MAX_LIMIT: u32 = 1000;
const LIMIT: u32 = 100;

/// A role as it would be. What is not given stays as it is, or empty where there is no such role yet.
#[derive(Clone, Debug, PartialEq, Eq, Input, Describe)]
pub struct RoleEdit {
    /// Its name.
    pub name: String,
    /// The roles whose grants it has too.
    pub inherits: Option<Vec<String>>,
    /// Its own grants.
    pub grants: Option<Vec<NewGrant>>,
}

/// Says which decisions change if a policy file were imported, or one edit made; nothing is written.
///
/// A decision is that of a user, a permission and a scope: everywhere, and each scope in which the user holds a
/// role. Every assignment counts whose time is not over, of accounts that may sign in. Permission `policy:explain`,
/// and listing every user. Errors: `VALIDATION_ERROR` with every problem of the policy.
#[derive(Clone, Debug, Input, Describe)]
pub struct DryRunPolicy {
    /// The policy file.
    pub text: Option<String>,
    /// How it is written; if not given, what begins with `{` is JSON.
    pub format: Option<PolicyFormat>,
    /// Instead of a file: this role would be so, new or changed.
    pub role: Option<RoleEdit>,
    /// Instead of a file: this role would be deleted, and taken from everybody.
    pub delete_role: Option<String>,
    /// Instead of a file: this permission would be declared.
    pub create_permission: Option<String>,
    /// Instead of a file: this permission would be deleted, with the grants that need it.
    pub delete_permission: Option<String>,
    /// Leaves out so many of the changed decisions: to go on after a page.
    pub skip: Option<u32>,
    /// How many of them are listed, 1 to 1000; 100 if not given. All are counted.
    pub limit: Option<u32>,
}

/// What an edit would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
pub struct DryRun {
    /// How many decisions change, exactly.
    pub total: i64,
    /// How many users they are of; who is not signed in counts as one.
    pub users: i64,
    /// Whether there are more than are listed.
    pub has_more: bool,
    /// They, by user (who is not signed in first), permission and scope.
    pub decisions: Vec<DecisionChange>,
}

/// A decision that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Describe)]
pub struct DecisionChange {
    /// Whose; null: of those who are not signed in.
    pub user_id: Option<UserId>,
    /// To do what.
    pub permission: String,
    /// Where: `global`, `region:ID`, …
    pub scope: String,
    /// The answer now.
    pub before: DecisionAnswer,
    /// The answer then.
    pub after: DecisionAnswer,
    /// Where the answer now depends: on what; `deny …` denies where it holds.
    pub conditions_before: Vec<String>,
    /// Where the answer then depends: on what.
    pub conditions_after: Vec<String>,
}

/// An answer that is asked of no resource in particular.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word, Describe)]
pub enum DecisionAnswer {
    /// Yes, whatever the resource.
    Allowed,
    /// No, whatever the resource.
    Denied,
    /// It depends on the resource, the context or the fields.
    Conditional,
}

/// What would be done.
pub enum Proposal {
    /// The policy replaced by this one.
    File(PolicyParts),
    /// A role changed or created.
    Role(RoleEdit),
    /// A role deleted, wherever it is used.
    DeleteRole(String),
    /// A permission declared.
    CreatePermission(String),
    /// A permission deleted, wherever it is granted.
    DeletePermission(String),
}

#[portable_async]
impl Operation for DryRunPolicy {
    type Target = ();
    type Valid = (Proposal, u64, usize);
    type Output = DryRun;

    const ACCESS: Access = Access::Everywhere("policy:explain");

    async fn validate(self, _: &Services, _: Time) -> Result<(Proposal, u64, usize)> {
        let mut checks = Checks::default();
        let limit = self.limit.unwrap_or(LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            let message = format!("must lie between 1 and {MAX_LIMIT}");
            checks.error("limit", Invalid::new(FieldCode::OutOfRange, message));
        }
        let given = [
            self.text.is_some(),
            self.role.is_some(),
            self.delete_role.is_some(),
            self.create_permission.is_some(),
            self.delete_permission.is_some(),
        ];
        if given.into_iter().filter(|is_given| *is_given).count() != 1 {
            let message = "give one of text, role, delete_role, create_permission, delete_permission";
            checks.error("", Invalid::new(FieldCode::Disagrees, message));
        }
        if let Some(role) = &self.role {
            checks.field("role.name", text::role(&role.name));
        }
        if let Some(name) = &self.create_permission {
            checks.field("create_permission", text::permission(name));
        }
        checks.finish()?;
        let proposal = match (self.text, self.role, self.delete_role, self.create_permission, self.delete_permission) {
            (Some(text), ..) => Proposal::File(file::read(&text, self.format)?),
            (_, Some(role), ..) => Proposal::Role(role),
            (_, _, Some(name), ..) => Proposal::DeleteRole(name),
            (_, _, _, Some(name), _) => Proposal::CreatePermission(name),
            (.., name) => Proposal::DeletePermission(name.unwrap_or_default()),
        };
        Ok((proposal, u64::from(self.skip.unwrap_or(0)), limit as usize))
    }

    async fn plan((proposal, skip, limit): &(Proposal, u64, usize), (): (), plan: &mut Plan<'_>) -> Result<DryRun> {
        if plan.visible("user:list")? != Predicate::Always {
            // Part of the answer would look like all of it.
            return Err(Error::new(Reason::Denied, "only who may list every user may ask what changes for whom"));
        }
        let before = plan.actor.policy.clone();
        let rows = proposed(&before, proposal, plan.now)?;
        let after = match PolicyState::make(Some(&before), before.version + 1, rows.clone()) {
            Ok(after) => after,
            Err(error) if error.reason() == Reason::PolicyInvalid => return Err(misfit(&rows, error, proposal)),
            Err(error) => return Err(error),
        };
        compare(plan, &before, &after, *skip, *limit).await
    }
}

/// The rows that the policy would have.
fn proposed(before: &PolicyState, proposal: &Proposal, now: Time) -> Result<PolicyRows> {
    let mut rows = before.rows.clone();
    match proposal {
        Proposal::File(parts) => return Ok(open::rows_of(parts, &rows, now)),
        Proposal::Role(edited) => {
            let row = match rows.roles.get(&edited.name) {
                Some(row) => row.clone(),
                None => Arc::new(RoleRow::new(&edited.name, RoleForm::default(), now)),
            };
            let form = row.form();
            let form = RoleForm {
                inherits: edited.inherits.clone().unwrap_or(form.inherits),
                grants: edited.grants.clone().map_or(form.grants, stored),
                ..form
            };
            rows.roles.insert(edited.name.clone(), Arc::new(row.with(form, now)));
        }
        Proposal::DeleteRole(name) => {
            if !rows.roles.contains_key(name) {
                return Err(wrong("delete_role", FieldCode::NotFound, "there is no such role"));
            }
            rows = without_role(&rows, name, now).0;
        }
        Proposal::CreatePermission(name) => {
            if before.rules.permission(name).is_ok() {
                return Err(wrong("create_permission", FieldCode::Taken, "there is a permission of this name"));
            }
            rows.permissions.insert(name.clone(), Arc::new(PermissionRow::new(name, String::new(), now)));
        }
        Proposal::DeletePermission(name) => {
            if !rows.permissions.contains_key(name) {
                let message = "no such permission is declared by the policy";
                return Err(wrong("delete_permission", FieldCode::NotFound, message));
            }
            rows = without_permission(before, name, now).0;
        }
    }
    Ok(rows)
}

fn misfit(rows: &PolicyRows, error: Error, proposal: &Proposal) -> Error {
    let (blame, under) = match proposal {
        Proposal::File(_) => (edit::Blame::Field("text"), ""),
        Proposal::Role(role) => (edit::Blame::Role(&role.name), "role."),
        Proposal::DeleteRole(_) => (edit::Blame::Field("delete_role"), ""),
        Proposal::CreatePermission(_) => (edit::Blame::Field("create_permission"), ""),
        Proposal::DeletePermission(_) => (edit::Blame::Field("delete_permission"), ""),
    };
    let told = edit::told(rows, error, blame);
    if told.fields().is_empty() || under.is_empty() {
        return told;
    }
    let mut fields = told.fields().to_vec();
    fields.iter_mut().for_each(|field| field.field.insert_str(0, under));
    Error::invalid(fields)
}

/// Two policies side by side.
struct Comparison<'p> {
    names: Names,
    sides: [Side<'p>; 2],
    /// Roles that do not say the same, and of which permissions; none: of any.
    differing: BTreeMap<String, Option<BTreeSet<u32>>>,
}

struct Side<'p> {
    policy: &'p PolicyState,
    roles: FlatRoles<'p>,
    said: HashMap<String, Said>,
}

impl<'p> Side<'p> {
    fn said<'s>(&'s mut self, names: &mut Names, role: &str) -> &'s Said {
        if !self.said.contains_key(role) {
            let said = self.roles.said(names, role);
            self.said.insert(role.to_owned(), said);
        }
        &self.said[role]
    }

    /// What the assignments of one user come to in a scope.
    fn answer(
        &mut self,
        names: &mut Names,
        held: &[(Scope, String)],
        permission: (u32, &str),
        scope: &Scope,
    ) -> FlatAnswer {
        let (number, name) = permission;
        let mut verdicts = Verdicts::default();
        let Ok(id) = self.policy.rules.permission(name) else { return verdicts.answer() };
        for (of, role) in held.iter().filter(|(of, _)| *of == Scope::Global || of == scope) {
            let rules = &self.policy.rules;
            if *of != Scope::Global && !rules.can_cover(of, id) {
                continue;
            }
            let said = self.said(names, role);
            // Held in a scope it has no effect at all.
            if !said.is_administrator || *of == Scope::Global {
                said.add_to(number, &mut verdicts);
            }
        }
        verdicts.answer()
    }
}

impl<'p> Comparison<'p> {
    fn new(before: &'p PolicyState, after: &'p PolicyState) -> Self {
        let permissions = before.rules.permissions().chain(after.rules.permissions());
        let mut names = Names::new(permissions.map(|permission| permission.name));
        let side = |policy: &'p PolicyState| Side {
            policy,
            roles: FlatRoles::new(&names, policy.rows.roles.values().map(AsRef::as_ref), &policy.rules),
            said: HashMap::new(),
        };
        let mut sides = [side(before), side(after)];
        // Another kind of scope, or type, may change what any scope covers.
        let is_same_frame = same_rest(before, after);
        let is_same_words = before.rows.permissions.keys().eq(after.rows.permissions.keys());
        let same_row = |name: &&str| match (before.rows.roles.get(*name), after.rows.roles.get(*name)) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two) || one.form() == two.form(),
            _ => false,
        };
        let mut differing = BTreeMap::new();
        let all: BTreeSet<&String> = before.rows.roles.keys().chain(after.rows.roles.keys()).collect();
        for name in all {
            if !is_same_frame {
                differing.insert(name.clone(), None);
                continue;
            }
            let closures = [sides[0].roles.closure(name), sides[1].roles.closure(name)];
            if is_same_words && closures[0] == closures[1] && closures[0].iter().all(|junior| same_row(junior)) {
                continue;
            }
            let [left, right] = &mut sides;
            let permissions = left.said(&mut names, name).differing(right.said(&mut names, name));
            if permissions.as_ref().is_none_or(|permissions| !permissions.is_empty()) {
                differing.insert(name.clone(), permissions);
            }
        }
        Self { names, sides, differing }
    }

    /// The permissions that could change for the holder of these roles.
    fn candidates(&self, held: &[(Scope, String)]) -> Vec<u32> {
        let mut candidates = BTreeSet::new();
        for (_, role) in held {
            match self.differing.get(role) {
                None => {}
                Some(Some(some)) => candidates.extend(some),
                Some(None) => return (0_u32..).zip(self.names.permissions()).map(|(number, _)| number).collect(),
            }
        }
        candidates.into_iter().collect()
    }

    /// Every decision that changes for the holder of these roles.
    fn changes(&mut self, user_id: Option<UserId>, held: &[(Scope, String)], found: &mut Found) {
        let mut scopes: BTreeSet<Scope> = held.iter().map(|(scope, _)| scope.clone()).collect();
        scopes.insert(Scope::Global);
        let total = found.total;
        for number in self.candidates(held) {
            let Some(name) = self.names.permissions().get(number as usize).cloned() else { continue };
            for scope in &scopes {
                let covers = |side: &Side<'_>| {
                    side.policy.rules.permission(&name).is_ok_and(|id| side.policy.rules.can_cover(scope, id))
                };
                if *scope != Scope::Global && !self.sides.iter().any(covers) {
                    continue;
                }
                let [left, right] = &mut self.sides;
                let before = left.answer(&mut self.names, held, (number, &name), scope);
                let after = right.answer(&mut self.names, held, (number, &name), scope);
                if before == after {
                    continue;
                }
                found.total += 1;
                if found.total > found.skip && found.decisions.len() < found.limit {
                    let ((before, conditions_before), (after, conditions_after)) =
                        (self.shown(&before), self.shown(&after));
                    found.decisions.push(DecisionChange {
                        user_id,
                        permission: name.clone(),
                        scope: scope.to_string(),
                        before,
                        after,
                        conditions_before,
                        conditions_after,
                    });
                }
            }
        }
        found.users += u64::from(found.total > total);
    }

    fn shown(&self, answer: &FlatAnswer) -> (DecisionAnswer, Vec<String>) {
        match answer {
            FlatAnswer::Allowed => (DecisionAnswer::Allowed, Vec::new()),
            FlatAnswer::Denied => (DecisionAnswer::Denied, Vec::new()),
            FlatAnswer::Depends(allows, denies) => {
                let texts = |numbers: &BTreeSet<u32>| -> Vec<String> {
                    numbers.iter().map(|number| self.names.condition(*number).to_owned()).collect()
                };
                let mut conditions: Vec<String> =
                    texts(allows).into_iter().filter(|condition| !condition.is_empty()).collect();
                conditions.extend(texts(denies).into_iter().map(|condition| format!("deny {condition}")));
                conditions.sort();
                (DecisionAnswer::Conditional, conditions)
            }
        }
    }
}

/// What was found so far.
struct Found {
    total: u64,
    users: u64,
    skip: u64,
    limit: usize,
    decisions: Vec<DecisionChange>,
}

fn same_rest(before: &PolicyState, after: &PolicyState) -> bool {
    let part = |policy: &PolicyState, key: &str| policy.rows.rest.as_ref()?.content.0.get(key).cloned();
    ["types", "scopes"].iter().all(|key| part(before, key) == part(after, key))
}

async fn compare(
    plan: &Plan<'_>,
    before: &PolicyState,
    after: &PolicyState,
    skip: u64,
    limit: usize,
) -> Result<DryRun> {
    let mut found = Found { total: 0, users: 0, skip, limit, decisions: Vec::new() };
    let mut comparison = Comparison::new(before, after);
    nobody(&mut comparison, before, after, &mut found);
    let roles = Predicate::set(comparison.differing.keys().map(|role| Value::from(role.as_str())));
    let touched: Vec<RoleAssignment> = match roles.is_empty() {
        true => Vec::new(),
        false => plan.reads().all(Predicate::In("role".into(), roles)).await?,
    };
    let lasts = |one: &RoleAssignment| !administrators::has_ended(one, plan.now);
    let users: BTreeSet<UserId> = touched.iter().filter(|one| lasts(one)).map(|one| one.user_id).collect();
    let users: Vec<UserId> = users.into_iter().collect();
    for chunk in users.chunks(CHUNK) {
        let accounts: Vec<User> = plan.reads().many(chunk.iter().map(|id| (*id,))).await?;
        let ids = Predicate::set(chunk.iter().map(|id| Value::Id(id.0)));
        let mut held: BTreeMap<UserId, Vec<(Scope, String)>> = BTreeMap::new();
        for assignment in plan.reads().all::<RoleAssignment>(Predicate::In("user_id".into(), ids)).await? {
            // A scope that cannot be read covers nothing.
            if let Ok(scope) = assignment.scope.parse::<Scope>()
                && lasts(&assignment)
            {
                held.entry(assignment.user_id).or_default().push((scope, assignment.role));
            }
        }
        for user in accounts.iter().filter(|user| user.is_active(plan.now)) {
            comparison.changes(Some(user.id), held.get(&user.id).map_or(&[], Vec::as_slice), &mut found);
        }
    }
    let listed = found.decisions.len() as u64;
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    Ok(DryRun {
        total: count(found.total),
        users: count(found.users),
        has_more: found.total > skip.saturating_add(listed),
        decisions: found.decisions,
    })
}

/// Who is not signed in: may hold another role after the edit.
fn nobody(comparison: &mut Comparison<'_>, before: &PolicyState, after: &PolicyState, found: &mut Found) {
    let role = |policy: &PolicyState| {
        let rest = policy.rows.rest.as_ref()?;
        rest.content.0.get("anonymous")?.as_str().map(str::to_owned)
    };
    let (old, new) = (role(before), role(after));
    let total = found.total;
    for (number, name) in (0_u32..).zip(comparison.names.permissions().to_vec()) {
        let mut answer = |at: usize, role: &Option<String>| {
            let held: Vec<(Scope, String)> = role.iter().map(|role| (Scope::Global, role.clone())).collect();
            comparison.sides[at].answer(&mut comparison.names, &held, (number, &name), &Scope::Global)
        };
        let (one, two) = (answer(0, &old), answer(1, &new));
        if one == two {
            continue;
        }
        found.total += 1;
        if found.total > found.skip && found.decisions.len() < found.limit {
            let ((before, conditions_before), (after, conditions_after)) =
                (comparison.shown(&one), comparison.shown(&two));
            let scope = Scope::Global.to_string();
            let permission = name;
            found.decisions.push(DecisionChange {
                user_id: None,
                permission,
                scope,
                before,
                after,
                conditions_before,
                conditions_after,
            });
        }
    }
    found.users += u64::from(found.total > total);
}
