//! Two policies side by side: whose answers differ, over every assignment that is stored.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    dry_run::{DecisionAnswer, DecisionChange, DryRun},
    state::PolicyState,
    statements::{Names, RoleAnswer, RoleClosures, RoleStatements, Verdicts},
};
use crate::{
    model::{
        deferred::{IS_PAGE, unless_page},
        error::Result,
        group::{GroupMember, GroupRole},
        id::{GroupId, UserId},
        predicate::Predicate,
        role_assignment::RoleAssignment,
        time::Time,
        user::User,
        value::Value,
    },
    operations::{
        held::{self, Held},
        plan::Plan,
        reads::Reads,
    },
    rules::Scope,
};

/// So many users are read at a time.
const CHUNK: usize = 500;

/// Two policies side by side.
struct Comparison<'p> {
    names: Names,
    sides: [Side<'p>; 2],
    /// Roles that do not say the same, and of which permissions; none: of any.
    differing: BTreeMap<String, Option<BTreeSet<u32>>>,
}

struct Side<'p> {
    policy: &'p PolicyState,
    roles: RoleClosures<'p>,
    statements: HashMap<String, RoleStatements>,
}

impl<'p> Side<'p> {
    fn statements(&mut self, names: &mut Names, role: &str) -> &RoleStatements {
        self.statements.entry(role.to_owned()).or_insert_with(|| self.roles.statements(names, role))
    }

    /// What the assignments of one user come to in a scope.
    fn answer(
        &mut self,
        names: &mut Names,
        held: &[(Scope, String)],
        permission: (u32, &str),
        scope: &Scope,
    ) -> RoleAnswer {
        let (number, name) = permission;
        let mut verdicts = Verdicts::default();
        let Ok(id) = self.policy.rules.permission(name) else { return verdicts.answer() };
        let rules = &self.policy.rules;
        let reaches = |of: &Scope| *of == Scope::Global || of == scope || !IS_PAGE && rules.lies_within(scope, of);
        for (of, role) in held.iter().filter(|(of, _)| reaches(of)) {
            if *of != Scope::Global && !rules.can_cover(of, id) {
                continue;
            }
            let statements = self.statements(names, role);
            // Held in a scope it has no effect at all.
            if !statements.is_administrator || *of == Scope::Global {
                statements.add_to(number, &mut verdicts);
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
            roles: RoleClosures::new(&names, policy.rows.roles.values().map(AsRef::as_ref), &policy.rules),
            statements: HashMap::new(),
        };
        let mut sides = [side(before), side(after)];
        // Another kind of scope, or type, may change what any scope covers; one of assets brings a type and permissions, too.
        let is_same_frame =
            same_rest(before, after) && before.rows.asset_kinds.keys().eq(after.rows.asset_kinds.keys());
        let has_same_permissions = before.rows.permissions.keys().eq(after.rows.permissions.keys());
        let same_row = |name: &&str| match (before.rows.roles.get(*name), after.rows.roles.get(*name)) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two) || one.form() == two.form(),
            _ => false,
        };
        // An administrator has whatever permission there is.
        let come_or_gone: BTreeSet<u32> = (0_u32..)
            .zip(names.permissions())
            .filter(|(_, name)| before.rules.permission(name).is_ok() != after.rules.permission(name).is_ok())
            .map(|(number, _)| number)
            .collect();
        let mut differing = BTreeMap::new();
        let all: BTreeSet<&String> = before.rows.roles.keys().chain(after.rows.roles.keys()).collect();
        for name in all {
            if !is_same_frame {
                differing.insert(name.clone(), None);
                continue;
            }
            let closures = [sides[0].roles.closure(name), sides[1].roles.closure(name)];
            if has_same_permissions && closures[0] == closures[1] && closures[0].iter().all(same_row) {
                continue;
            }
            let [left, right] = &mut sides;
            let (one, two) = (left.statements(&mut names, name), right.statements(&mut names, name));
            let mut permissions = one.differing(two);
            if let Some(permissions) = permissions.as_mut().filter(|_| one.is_administrator) {
                permissions.extend(&come_or_gone);
            }
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
                self.note(found, user_id, &name, scope, [&before, &after]);
            }
        }
        found.users += u64::from(found.total > total);
    }

    fn note(
        &self,
        found: &mut Found,
        user_id: Option<UserId>,
        permission: &str,
        scope: &Scope,
        answers: [&RoleAnswer; 2],
    ) {
        found.total += 1;
        if found.total <= found.skip || found.decisions.len() >= found.limit {
            return;
        }
        let [(before, conditions_before), (after, conditions_after)] = answers.map(|answer| self.shown(answer));
        found.decisions.push(DecisionChange {
            user_id,
            permission: permission.to_owned(),
            scope: scope.to_string(),
            before,
            after,
            conditions_before,
            conditions_after,
        });
    }

    fn shown(&self, answer: &RoleAnswer) -> (DecisionAnswer, Vec<String>) {
        match answer {
            RoleAnswer::Allowed => (DecisionAnswer::Allowed, Vec::new()),
            RoleAnswer::Denied => (DecisionAnswer::Denied, Vec::new()),
            RoleAnswer::Depends(allows, denies) => {
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

/// Every decision that changes from one policy to the other, over all that is stored; those from `skip` on
/// are listed, `limit` at most.
pub(super) async fn compare(
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
    // Of many users: the plan does not remember them all.
    let reads = plan.services.reads();
    let lasts = |one: &Held| !one.has_ended(plan.now);
    let mut touched: BTreeMap<UserId, Vec<Held>> = BTreeMap::new();
    let mut groups = Groups { read: Predicate::In("role".into(), roles.clone()), ..Groups::default() };
    if !roles.is_empty() {
        let filter = groups.read.clone();
        for one in Held::all(&reads.all::<RoleAssignment>(filter).await?).into_iter().filter(lasts) {
            touched.entry(one.user).or_default().push(one);
        }
        unless_page(Ok(()), || Box::pin(groups.begin(reads, plan.now))).await?;
        for user in groups.of.keys() {
            touched.entry(*user).or_default();
        }
    }
    let users: Vec<UserId> = touched.keys().copied().collect();
    for chunk in users.chunks(CHUNK) {
        let accounts: Vec<User> = reads.many(chunk.iter().map(|id| (*id,))).await?;
        let ids = Predicate::set(chunk.iter().map(|id| Value::Id(id.0)));
        let others = Predicate::In("user_id".into(), ids).and(Predicate::In("role".into(), roles.clone()).negate());
        for one in Held::all(&reads.all::<RoleAssignment>(others).await?).into_iter().filter(lasts) {
            touched.entry(one.user).or_default().push(one);
        }
        unless_page(Ok(()), || Box::pin(groups.go_on(reads, chunk, plan.now))).await?;
        for user in accounts.iter().filter(|user| user.is_active(plan.now)) {
            let own = touched.remove(&user.id).unwrap_or_default();
            // A scope that cannot be read covers nothing.
            let own = own.into_iter().filter_map(|one| Some((one.scope.parse::<Scope>().ok()?, one.role)));
            let mut held: Vec<(Scope, String)> = own.chain(groups.roles_of(user.id)).collect();
            held.sort_by(|one, other| one.1.cmp(&other.1).then_with(|| one.0.cmp(&other.0)));
            // What is held twice says the same twice.
            held.dedup();
            comparison.changes(Some(user.id), &held, &mut found);
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

/// What users hold by groups, now or later. A role of a group is there once, however many members it has, and nothing is read twice.
struct Groups {
    of: HashMap<UserId, Vec<GroupId>>,
    roles: HashMap<GroupId, Vec<(Scope, String)>>,
    /// Which roles were read at first, of all groups.
    read: Predicate,
    /// The groups of which all members are known.
    complete: BTreeSet<GroupId>,
    /// Those of which all roles are.
    whole: BTreeSet<GroupId>,
}

impl Default for Groups {
    fn default() -> Self {
        let (of, roles, read) = (HashMap::new(), HashMap::new(), Predicate::Never);
        Self { of, roles, read, complete: BTreeSet::new(), whole: BTreeSet::new() }
    }
}

impl Groups {
    /// Begins with everybody who holds one of the roles that are read at first.
    async fn begin(&mut self, reads: Reads<'_>, now: Time) -> Result<()> {
        self.add_roles(held::roles_of_groups(reads, self.read.clone()).await?, now);
        self.complete = self.roles.keys().copied().collect();
        if !self.complete.is_empty() {
            self.add_members(reads.all(held::are_of(self.complete.iter().copied())).await?);
        }
        Ok(())
    }

    /// Reads what else these users hold.
    async fn go_on(&mut self, reads: Reads<'_>, users: &[UserId], now: Time) -> Result<()> {
        let ids = Predicate::set(users.iter().map(|id| Value::Id(id.0)));
        let others = match self.complete.is_empty() {
            true => Predicate::Always,
            false => held::are_of(self.complete.iter().copied()).negate(),
        };
        self.add_members(reads.all(Predicate::In("user_id".into(), ids).and(others)).await?);
        let groups = users.iter().filter_map(|user| self.of.get(user)).flatten().copied();
        let new: BTreeSet<GroupId> = groups.filter(|group| !self.whole.contains(group)).collect();
        if !new.is_empty() {
            let others = held::are_of(new.iter().copied()).and(self.read.clone().negate());
            self.add_roles(held::roles_of_groups(reads, others).await?, now);
            self.whole.extend(new);
        }
        Ok(())
    }

    fn add_members(&mut self, members: Vec<GroupMember>) {
        members.into_iter().for_each(|member| self.of.entry(member.user_id).or_default().push(member.group_id));
    }

    fn add_roles(&mut self, roles: Vec<GroupRole>, now: Time) {
        for given in roles.into_iter().filter(|given| given.valid_until.is_none_or(|until| until > now)) {
            // A scope that cannot be read covers nothing.
            if let Ok(scope) = given.scope.parse::<Scope>() {
                self.roles.entry(given.group_id).or_default().push((scope, given.role));
            }
        }
    }

    fn roles_of(&self, user: UserId) -> impl Iterator<Item = (Scope, String)> {
        let groups = self.of.get(&user).into_iter().flatten();
        groups.filter_map(|group| self.roles.get(group)).flatten().cloned()
    }
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
        if one != two {
            comparison.note(found, None, &name, &Scope::Global, [&one, &two]);
        }
    }
    found.users += u64::from(found.total > total);
}
