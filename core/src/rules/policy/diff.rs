//! What roles say of permissions, whatever the resource is: for reviews of a policy, not for decisions.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::policy::RoleRow;

use super::name::{ADMIN, Pattern};
use crate::rules::{
    compile::rule_set::{PermissionId, RuleSet},
    scope::{
        Scope,
        kind::{BoundScope, bind},
    },
};

/// The number of a text that is no condition: it always holds.
const ALWAYS: u32 = 0;

/// Numbers for permissions and conditions, the same for all policies that are compared.
#[derive(Debug)]
pub struct Names {
    permissions: Vec<String>,
    conditions: Vec<String>,
    condition_ids: HashMap<String, u32>,
}

/// The roles of one policy.
#[derive(Debug)]
pub struct RoleClosures<'p> {
    roles: BTreeMap<&'p str, &'p RoleRow>,
    /// Permissions of this policy, by resource, by action, and all.
    by_resource: HashMap<String, Vec<u32>>,
    by_action: HashMap<String, Vec<u32>>,
    by_name: HashMap<String, u32>,
}

/// One thing that is said: of a permission, to allow or deny it, under a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Statement {
    permission: u32,
    is_deny: bool,
    condition: u32,
}

/// All that a role says, itself and through its juniors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleStatements {
    /// Whether it holds `admin:all`.
    pub is_administrator: bool,
    sayings: Vec<Statement>,
}

/// What several roles together say of one permission.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    allows: BTreeSet<u32>,
    denies: BTreeSet<u32>,
    is_administrator: bool,
}

/// The answer of some roles to one permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleAnswer {
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
    pub fn new(permissions: impl IntoIterator<Item = String>) -> Self {
        let permissions: BTreeSet<String> = permissions.into_iter().collect();
        Self {
            permissions: permissions.into_iter().collect(),
            conditions: vec![String::new()],
            condition_ids: HashMap::from([(String::new(), ALWAYS)]),
        }
    }

    /// The permissions, in the order of their numbers.
    pub fn permissions(&self) -> &[String] {
        &self.permissions
    }

    /// A condition as it is written, with the fields that it is narrowed to; empty: always.
    pub fn condition(&self, number: u32) -> &str {
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
    pub fn new(names: &Names, roles: impl IntoIterator<Item = &'p RoleRow>, rules: &RuleSet) -> Self {
        let (mut by_resource, mut by_action) = (HashMap::<_, Vec<u32>>::new(), HashMap::<_, Vec<u32>>::new());
        let mut by_name = HashMap::new();
        for (number, name) in (0_u32..).zip(&names.permissions) {
            if rules.permission(name).is_err() {
                continue;
            }
            by_name.insert(name.clone(), number);
            if let Some((resource, action)) = name.split_once(':').filter(|_| name != ADMIN) {
                by_resource.entry(resource.to_owned()).or_default().push(number);
                by_action.entry(action.to_owned()).or_default().push(number);
            }
        }
        let roles = roles.into_iter().map(|role| (role.name.as_str(), role)).collect();
        Self { roles, by_resource, by_action, by_name }
    }

    /// Whether this policy has a permission.
    pub fn has(&self, permission: &str) -> bool {
        self.by_name.contains_key(permission)
    }

    /// The role and all its juniors that there are.
    pub fn closure(&self, role: &str) -> BTreeSet<&'p str> {
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
    pub fn said(&self, names: &mut Names, role: &str) -> RoleStatements {
        let mut said = RoleStatements::default();
        for role in self.closure(role) {
            let Some(role) = self.roles.get(role) else { continue };
            for grant in &role.grants.0 {
                let Some(pattern) = Pattern::parse(&grant.permission) else { continue };
                let fields = pattern.fields.as_ref().map(|fields| format!("{{{}}}", fields.join(",")));
                let condition = match (fields, &grant.when) {
                    (None, None) => String::new(),
                    (Some(fields), None) => fields,
                    (None, Some(when)) => when.clone(),
                    (Some(fields), Some(when)) => format!("{fields} when {when}"),
                };
                let name = grant.permission.split('{').next().unwrap_or_default();
                if name == ADMIN {
                    said.is_administrator = true;
                    continue;
                }
                let condition = names.number(condition);
                let saying =
                    |permission: &u32| Statement { permission: *permission, is_deny: grant.is_deny, condition };
                match (pattern.resource, pattern.action) {
                    (Some(_), Some(_)) => said.sayings.extend(self.by_name.get(name).map(saying)),
                    (Some(resource), None) => {
                        said.sayings.extend(self.by_resource.get(resource).into_iter().flatten().map(saying));
                    }
                    (None, Some(action)) => {
                        said.sayings.extend(self.by_action.get(action).into_iter().flatten().map(saying));
                    }
                    (None, None) => said.sayings.extend(self.by_resource.values().flatten().map(saying)),
                }
            }
        }
        said.sayings.sort_unstable();
        said.sayings.dedup();
        said
    }
}

impl RoleStatements {
    /// The permissions of which the two do not say the same; none: all of them.
    pub fn differing(&self, other: &Self) -> Option<BTreeSet<u32>> {
        if self.is_administrator != other.is_administrator {
            return None;
        }
        let (mut left, mut right) = (self.sayings.iter().peekable(), other.sayings.iter().peekable());
        let mut differing = BTreeSet::new();
        loop {
            match (left.peek(), right.peek()) {
                (None, None) => return Some(differing),
                (Some(one), Some(two)) if one == two => {
                    left.next();
                    right.next();
                }
                (Some(one), two) if two.is_none_or(|two| one < two) => {
                    differing.insert(one.permission);
                    left.next();
                }
                (_, Some(two)) => {
                    differing.insert(two.permission);
                    right.next();
                }
                (Some(_), None) => return Some(differing),
            }
        }
    }

    /// Adds what it says of one permission.
    pub fn add_to(&self, permission: u32, verdicts: &mut Verdicts) {
        verdicts.is_administrator |= self.is_administrator;
        let start = self.sayings.partition_point(|saying| saying.permission < permission);
        let own = self.sayings.get(start..).unwrap_or_default();
        for saying in own.iter().take_while(|saying| saying.permission == permission) {
            let side = if saying.is_deny { &mut verdicts.denies } else { &mut verdicts.allows };
            side.insert(saying.condition);
        }
    }
}

impl Verdicts {
    /// What comes of it.
    pub fn answer(self) -> RoleAnswer {
        if self.is_administrator {
            return RoleAnswer::Allowed;
        }
        if self.denies.contains(&ALWAYS) || self.allows.is_empty() {
            return RoleAnswer::Denied;
        }
        let is_plain = self.allows.contains(&ALWAYS);
        match (is_plain, self.denies.is_empty()) {
            (true, true) => RoleAnswer::Allowed,
            (true, false) => RoleAnswer::Depends(BTreeSet::from([ALWAYS]), self.denies),
            (false, _) => RoleAnswer::Depends(self.allows, self.denies),
        }
    }
}

impl RuleSet {
    /// Whether a scope can cover a resource of the permission's type.
    pub fn can_cover(&self, scope: &Scope, permission: PermissionId) -> bool {
        let scope = bind(&self.shared.symbols.kinds, scope);
        let Some(kind) = scope.kind() else { return scope == BoundScope::Global };
        let bound = &self.type_of(permission).0.bound;
        bound.iter().any(|(bound, _)| *bound == kind || self.lies_under(*bound, kind))
    }
}
