//! What roles say of permissions, whatever the resource is: for reviews of a policy, not for decisions.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    model::policy::{RoleRow, StoredGrant},
    rules::{PermissionId, RuleSet},
};

/// The number of a text that is no condition: it always holds.
const ALWAYS: u32 = 0;

/// Numbers for permissions and conditions, the same for all policies that are compared.
pub(in crate::operations) struct Names {
    permissions: Vec<String>,
    conditions: Vec<String>,
    condition_ids: HashMap<String, u32>,
}

/// The roles of one policy, each with its juniors.
pub(in crate::operations) struct RoleClosures<'p> {
    rules: &'p RuleSet,
    roles: BTreeMap<&'p str, &'p RoleRow>,
    /// The number of each permission that this policy has.
    numbers: HashMap<PermissionId, u32>,
}

/// One thing that is said: of a permission, to allow or deny it, under a condition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Statement {
    permission: u32,
    is_deny: bool,
    condition: u32,
}

/// All that a role says, itself and through its juniors.
#[derive(Default)]
pub(in crate::operations) struct RoleStatements {
    /// Whether it holds `admin:all`.
    pub(in crate::operations) is_administrator: bool,
    /// Sorted.
    statements: Vec<Statement>,
}

/// What several roles together say of one permission.
#[derive(Default)]
pub(in crate::operations) struct Verdicts {
    allows: BTreeSet<u32>,
    denies: BTreeSet<u32>,
    is_administrator: bool,
}

/// The answer of some roles to one permission.
#[derive(PartialEq, Eq)]
pub(in crate::operations) enum RoleAnswer {
    /// Allowed, whatever the resource, context and fields.
    Allowed,
    /// Denied, whatever they are.
    Denied,
    /// It depends: on these conditions, numbers of [`Names`], allowed under one of the first and none
    /// of the second.
    Depends(BTreeSet<u32>, BTreeSet<u32>),
}

impl Names {
    /// Numbers for these permissions, in order, each once.
    pub(in crate::operations) fn new(permissions: impl IntoIterator<Item = String>) -> Self {
        let permissions: BTreeSet<String> = permissions.into_iter().collect();
        Self {
            permissions: permissions.into_iter().collect(),
            conditions: vec![String::new()],
            condition_ids: HashMap::from([(String::new(), ALWAYS)]),
        }
    }

    /// The permissions, in the order of their numbers.
    pub(in crate::operations) fn permissions(&self) -> &[String] {
        &self.permissions
    }

    /// A condition as it is written, with the fields that it is narrowed to; empty: always.
    pub(in crate::operations) fn condition(&self, number: u32) -> &str {
        self.conditions.get(number as usize).map_or("", String::as_str)
    }

    fn number(&mut self, condition: String) -> u32 {
        let next = u32::try_from(self.conditions.len()).unwrap_or(u32::MAX);
        let number = *self.condition_ids.entry(condition.clone()).or_insert(next);
        if number == next {
            self.conditions.push(condition);
        }
        number
    }
}

impl<'p> RoleClosures<'p> {
    /// The roles of a policy that compiles, and its permissions.
    pub(in crate::operations) fn new(
        names: &Names,
        roles: impl IntoIterator<Item = &'p RoleRow>,
        rules: &'p RuleSet,
    ) -> Self {
        let roles = roles.into_iter().map(|role| (role.name.as_str(), role)).collect();
        let all = (0_u32..).zip(&names.permissions);
        let numbers = all.filter_map(|(number, name)| Some((rules.permission(name).ok()?, number))).collect();
        Self { rules, roles, numbers }
    }

    /// The role and all its juniors that there are.
    pub(in crate::operations) fn closure(&self, role: &str) -> BTreeSet<&'p str> {
        let mut closure = BTreeSet::new();
        let mut open: Vec<&'p RoleRow> = self.roles.get(role).copied().into_iter().collect();
        while let Some(role) = open.pop() {
            if closure.insert(role.name.as_str()) {
                open.extend(role.inherits.0.iter().filter_map(|junior| self.roles.get(junior.as_str())));
            }
        }
        closure
    }

    /// All that a role says; a role that is not there says nothing.
    pub(in crate::operations) fn statements(&self, names: &mut Names, role: &str) -> RoleStatements {
        let mut all = RoleStatements::default();
        let closure = self.closure(role);
        for grant in closure.iter().filter_map(|role| self.roles.get(role)).flat_map(|role| &role.grants.0) {
            if grant.permission == "admin:all" {
                all.is_administrator = true;
                continue;
            }
            let condition = names.number(condition(grant));
            let matching = self.rules.permissions_matching(&grant.permission);
            let numbers = matching.iter().filter_map(|permission| self.numbers.get(permission));
            let is_deny = grant.is_deny;
            all.statements.extend(numbers.map(|number| Statement { permission: *number, is_deny, condition }));
        }
        all.statements.sort_unstable();
        all.statements.dedup();
        all
    }
}

/// The fields that a grant is narrowed to, and its condition.
fn condition(grant: &StoredGrant) -> String {
    let fields = grant.permission.split_once('{').map_or("", |(_, fields)| fields.trim_end_matches('}'));
    let fields = fields.split(',').map(str::trim).collect::<Vec<_>>().join(",");
    match (fields.as_str(), grant.when.as_deref()) {
        ("", when) => when.unwrap_or_default().to_owned(),
        (fields, None) => format!("{{{fields}}}"),
        (fields, Some(when)) => format!("{{{fields}}} when {when}"),
    }
}

impl RoleStatements {
    /// The permissions of which the two do not say the same; none: all of them.
    pub(in crate::operations) fn differing(&self, other: &Self) -> Option<BTreeSet<u32>> {
        let lacks = |all: &Self, one: &&Statement| all.statements.binary_search(one).is_err();
        let own = self.statements.iter().filter(|one| lacks(other, one));
        let others = other.statements.iter().filter(|one| lacks(self, one));
        let is_alike = self.is_administrator == other.is_administrator;
        is_alike.then(|| own.chain(others).map(|one| one.permission).collect())
    }

    /// Adds what it says of one permission.
    pub(in crate::operations) fn add_to(&self, permission: u32, verdicts: &mut Verdicts) {
        verdicts.is_administrator |= self.is_administrator;
        let start = self.statements.partition_point(|one| one.permission < permission);
        let own = self.statements.get(start..).unwrap_or_default();
        for one in own.iter().take_while(|one| one.permission == permission) {
            let side = if one.is_deny { &mut verdicts.denies } else { &mut verdicts.allows };
            side.insert(one.condition);
        }
    }
}

impl Verdicts {
    /// What comes of it.
    pub(in crate::operations) fn answer(self) -> RoleAnswer {
        if self.is_administrator {
            return RoleAnswer::Allowed;
        }
        if self.denies.contains(&ALWAYS) || self.allows.is_empty() {
            return RoleAnswer::Denied;
        }
        match (self.allows.contains(&ALWAYS), self.denies.is_empty()) {
            (true, true) => RoleAnswer::Allowed,
            (true, false) => RoleAnswer::Depends(BTreeSet::from([ALWAYS]), self.denies),
            (false, _) => RoleAnswer::Depends(self.allows, self.denies),
        }
    }
}
