//! Rolekeep's rule engine over the workload.

mod scoped;

use std::{marker::PhantomData, sync::Arc};

use anyhow::{Context as _, Result};
use rolekeep::{
    Reason, Time, Value,
    rules::{
        Context, PermissionId, Policy, Principal, PrincipalCache, Question, Resource, Rights, Role, RowFilter, RuleSet,
        Schema, Scope, StoredAssignment, StoredPrincipal, UserHandle,
    },
};

pub use scoped::{ScopedHandles, ScopedNamed};

use crate::{Assignment, Edit, Engine, NOW, Query, Variant, Workload};

/// The condition of every grant of a workload with scopes.
const CONDITION: &str = "resource.status == \"active\" and resource.level <= principal.level";

/// The policy.
pub fn policy(workload: &Workload) -> Policy {
    let mut policy =
        Policy::new().permissions((0..workload.permissions()).map(|permission| workload.permission_name(permission)));
    if workload.variant == Variant::Scoped {
        policy = policy.resource_type("user", [("level", "int")]);
        for ty in 0..workload.types {
            let attributes = [("region_id", "id"), ("level", "int"), ("status", "string")];
            policy = policy.resource_type(Workload::type_name(ty), attributes);
        }
    }
    (0..workload.roles.len() as u32).fold(policy, |policy, at| policy.add_role(role(workload, at)))
}

fn role(workload: &Workload, at: u32) -> Role {
    let role = &workload.roles[at as usize];
    let juniors = role.inherits.iter().map(|junior| &workload.roles[*junior as usize].name);
    let built = juniors.fold(Role::new(&role.name), |built, junior| built.inherits(junior));
    let built = role.grants.iter().fold(built, |built, grant| {
        let name = workload.permission_name(*grant);
        if workload.variant == Variant::Scoped { built.allow_when(name, CONDITION) } else { built.allow(name) }
    });
    role.denies.iter().fold(built, |built, deny| built.deny(workload.permission_name(*deny)))
}

/// The names of the roles, as a host shares them.
fn names(workload: &Workload) -> Vec<Arc<str>> {
    workload.roles.iter().map(|role| role.name.as_str().into()).collect()
}

/// What is stored about a user.
fn facts(workload: &Workload, names: &[Arc<str>], user: u32) -> StoredPrincipal {
    let assignments = workload.assignments(user).iter();
    let attributes = match workload.variant {
        Variant::Scoped => vec![("level".into(), Value::Int(Workload::level(user)))],
        _ => Vec::new(),
    };
    let assignments = assignments.map(|one| assignment(workload, names, one)).collect();
    StoredPrincipal { attributes, assignments, ..StoredPrincipal::new(Workload::user_id(user)) }
}

fn assignment(workload: &Workload, names: &[Arc<str>], one: &Assignment) -> StoredAssignment {
    let (from, until) = one.window.ends();
    let time = |micros: i64| Time::from_microsecond(micros).ok();
    let scope = match workload.variant {
        Variant::Scoped => Scope::region(Workload::region_id(one.region)),
        _ => Scope::Global,
    };
    let role = names[one.role as usize].clone();
    StoredAssignment { role, scope, valid_from: from.and_then(time), valid_until: until.and_then(time), group: None }
}

/// The directory, and a snapshot of it at hand.
pub struct House {
    directory: PrincipalCache,
    rights: Arc<Rights>,
    context: Context,
    now: Time,
}

impl House {
    fn load(workload: &Workload) -> Result<Self> {
        let rules = RuleSet::compile(&policy(workload), &Schema::new())?;
        let directory = PrincipalCache::new(Arc::new(rules), workload.asked() as usize);
        let names = names(workload);
        directory.put_all((0..workload.asked()).map(|user| facts(workload, &names, user)));
        let rights = directory.rights();
        Ok(Self { directory, rights, context: Context::new(), now: Time::from_microsecond(NOW)? })
    }

    fn handle(&self, query: &Query) -> Result<(UserHandle, PermissionId)> {
        let user = self.rights.user(query.user_id).context("no such user")?;
        Ok((user, self.rights.rules().permission(&query.permission_name)?))
    }

    #[inline]
    fn decide(&self, principal: Option<&Principal>, permission: PermissionId, resource: &Resource<'_>) -> Result<bool> {
        let question = Question {
            principal: principal.context("no such user")?,
            permission,
            fields: &[],
            resource: Some(resource),
            context: &self.context,
            now: self.now,
        };
        Ok(self.rights.rules().allows(&question)?)
    }

    fn assign(&mut self, edit: &Edit, on: bool) -> Result<()> {
        let held = edit.held.iter().chain(on.then_some(&edit.role_name));
        let mut facts = StoredPrincipal::new(edit.query.user_id);
        facts.assignments = held
            .map(|role| StoredAssignment::new(role.as_str(), Scope::Global))
            .collect();
        self.directory.put(facts);
        self.rights = self.directory.rights();
        Ok(())
    }

    fn grant(&mut self, edit: &Edit, on: bool) -> Result<()> {
        let role = edit.holder_inherits.iter().fold(Role::new(&edit.holder_name), |role, junior| role.inherits(junior));
        let grants = edit.holder_grants.iter().chain(on.then_some(&edit.query.permission_name));
        let role = grants.fold(role, |role, grant| role.allow(grant));
        let rules = self.rights.rules().with_role(role)?;
        self.directory.replace_rules(|| Arc::new(rules));
        self.rights = self.directory.rights();
        Ok(())
    }
}

/// How a host asks.
pub trait Way {
    /// What it has at hand.
    type Ask;

    /// Prepares a question.
    fn ask(house: &House, query: &Query) -> Result<Self::Ask>;

    /// Answers.
    fn check(house: &House, ask: &Self::Ask) -> Result<bool>;
}

/// Asked in one way, without resources.
pub struct Plain<W>(House, PhantomData<W>);

/// By the user's handle and the permission's, from a snapshot at hand.
pub type Handles = Plain<ByHandle>;
/// As [`Handles`], looking for the newest snapshot at each check.
pub type Newest = Plain<ByHandleNewest>;
/// By the user's id and the permission's name, as text.
pub type Named = Plain<ByName>;

impl<W: Way> Engine for Plain<W> {
    type Ask = W::Ask;

    fn load(workload: &Workload) -> Result<Self> {
        Ok(Self(House::load(workload)?, PhantomData))
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Self::Ask> {
        W::ask(&self.0, query)
    }

    #[inline]
    fn check(&mut self, ask: &Self::Ask) -> Result<bool> {
        W::check(&self.0, ask)
    }

    fn assign(&mut self, edit: &Edit, on: bool) -> Result<()> {
        self.0.assign(edit, on)
    }

    fn grant(&mut self, edit: &Edit, on: bool) -> Result<()> {
        self.0.grant(edit, on)
    }
}

/// See [`Handles`].
pub struct ByHandle;

impl Way for ByHandle {
    type Ask = (UserHandle, PermissionId);

    fn ask(house: &House, query: &Query) -> Result<Self::Ask> {
        house.handle(query)
    }

    #[inline]
    fn check(house: &House, (user, permission): &Self::Ask) -> Result<bool> {
        Ok(house.rights.check(*user, *permission, house.now)?)
    }
}

/// See [`Newest`].
pub struct ByHandleNewest;

impl Way for ByHandleNewest {
    type Ask = (UserHandle, PermissionId);

    fn ask(house: &House, query: &Query) -> Result<Self::Ask> {
        house.handle(query)
    }

    #[inline]
    fn check(house: &House, (user, permission): &Self::Ask) -> Result<bool> {
        Ok(house.directory.with_rights(|rights| rights.check(*user, *permission, house.now))?)
    }
}

/// See [`Named`].
pub struct ByName;

impl Way for ByName {
    type Ask = (String, String);

    fn ask(_: &House, query: &Query) -> Result<Self::Ask> {
        Ok((query.user_name.clone(), query.permission_name.clone()))
    }

    #[inline]
    fn check(house: &House, (user, permission): &Self::Ask) -> Result<bool> {
        match house.rights.check_named(user, permission, house.now) {
            Ok(is_allowed) => Ok(is_allowed),
            // The floors say no of what they do not know.
            Err(error) if matches!(error.reason(), Reason::NotLoaded | Reason::UnknownPermission) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Threads that each take the rights anew for every check, or look at them in place.
pub struct Crowd {
    house: House,
    asks: Vec<(UserHandle, PermissionId)>,
}

impl Crowd {
    /// Asks the workload's questions.
    pub fn of(workload: &Workload) -> Result<Self> {
        let house = House::load(workload)?;
        let asks = workload.queries.iter().map(|query| house.handle(query)).collect::<Result<_>>()?;
        Ok(Self { house, asks })
    }

    /// Every question once, each by rights of its own.
    pub fn take(&self) -> Result<usize> {
        self.count(|ask| Ok(self.house.directory.rights().check(ask.0, ask.1, self.house.now)?))
    }

    /// Every question once, each by the newest rights.
    pub fn look(&self) -> Result<usize> {
        self.count(|ask| ByHandleNewest::check(&self.house, ask))
    }

    fn count(&self, check: impl Fn(&(UserHandle, PermissionId)) -> Result<bool>) -> Result<usize> {
        let mut allowed = 0;
        for ask in &self.asks {
            allowed += usize::from(check(ask)?);
        }
        std::hint::black_box(allowed);
        Ok(self.asks.len())
    }
}

/// Somebody who may read things in some regions.
pub struct Reader {
    rules: RuleSet,
    principal: Principal,
    permission: PermissionId,
    context: Context,
    now: Time,
}

impl Reader {
    /// In so many.
    pub fn of(regions: u32) -> Result<Self> {
        let rules = RuleSet::compile(&Policy::new().role("reader", ["thing:read"]), &rolekeep_test_cases::schema())?;
        let mut facts = StoredPrincipal::new(Workload::user_id(0));
        let scopes = (0..regions).map(|region| Scope::region(Workload::region_id(region)));
        facts.assignments = scopes
            .map(|scope| StoredAssignment::new("reader", scope))
            .collect();
        Ok(Self {
            principal: rules.resolve_stored(facts),
            permission: rules.permission("thing:read")?,
            rules,
            context: Context::new(),
            now: Time::from_microsecond(NOW)?,
        })
    }

    /// Makes the list filter.
    pub fn filter(&self) -> Result<RowFilter> {
        Ok(self.rules.filter(&self.principal, self.permission, &self.context, self.now)?)
    }
}
