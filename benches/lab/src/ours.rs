//! Rolekeep's rule engine over the workload.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail};
use rolekeep::{
    model::{time::Time, value::Value},
    rules::{
        AssignmentFacts, Context, PermissionId, Policy, Principal, PrincipalFacts, Question, Resource, Role, RuleSet,
        Schema, Scope,
    },
};
use uuid::Uuid;

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
    (0..workload.roles.len() as u32).fold(policy, |policy, at| policy.add_role(role(workload, at, None)))
}

/// A role, with one grant more where that is asked for.
fn role(workload: &Workload, at: u32, more: Option<u32>) -> Role {
    let role = &workload.roles[at as usize];
    let juniors = role.inherits.iter().map(|junior| &workload.roles[*junior as usize].name);
    let built = juniors.fold(Role::new(&role.name), |built, junior| built.inherits(junior));
    let built = role.grants.iter().copied().chain(more).fold(built, |built, grant| {
        let name = workload.permission_name(grant);
        if workload.variant == Variant::Scoped { built.allow_when(name, CONDITION) } else { built.allow(name) }
    });
    role.denies.iter().fold(built, |built, deny| built.deny(workload.permission_name(*deny)))
}

/// What is stored about a user.
pub fn facts(workload: &Workload, user: u32) -> PrincipalFacts {
    let assignments = workload.assignments(user).iter();
    let attributes = match workload.variant {
        Variant::Scoped => vec![("level".into(), Value::Int(Workload::level(user)))],
        _ => Vec::new(),
    };
    PrincipalFacts {
        id: Workload::user_id(user),
        is_active: true,
        status: "active".to_owned(),
        is_verified: true,
        attributes,
        assignments: assignments.map(|one| assignment(workload, one)).collect(),
    }
}

fn assignment(workload: &Workload, one: &Assignment) -> AssignmentFacts {
    let (from, until) = one.window.ends();
    let time = |micros: i64| Time::from_microsecond(micros).ok();
    let scope = match workload.variant {
        Variant::Scoped => Scope::region(Workload::region_id(one.region)),
        _ => Scope::Global,
    };
    let role = workload.roles[one.role as usize].name.clone();
    AssignmentFacts { role, scope, from: from.and_then(time), until: until.and_then(time) }
}

fn resource(query: &Query) -> Option<Resource<'static>> {
    let thing = query.thing.as_ref()?;
    let resource = Resource::of(query.resource.clone())
        .with("region_id", Value::Id(Workload::region_id(thing.region)))
        .with("level", Value::Int(thing.level))
        .with("status", Value::Text(thing.status.to_owned()));
    Some(resource)
}

fn now() -> Result<Time> {
    Ok(Time::from_microsecond(NOW)?)
}

/// The rules and everybody.
struct House {
    rules: RuleSet,
    principals: Vec<Principal>,
    places: HashMap<Uuid, u32>,
    context: Context,
    now: Time,
}

impl House {
    fn load(workload: &Workload) -> Result<Self> {
        let rules = RuleSet::compile(&policy(workload), &Schema::new())?;
        let principals = (0..workload.asked()).map(|user| rules.principal(facts(workload, user))).collect();
        let places = (0..workload.asked()).map(|user| (Workload::user_id(user), user)).collect();
        let now = now()?;
        Ok(Self { rules, principals, places, context: Context::new(), now })
    }

    #[inline]
    fn decide(&self, user: u32, permission: PermissionId, resource: Option<&Resource<'_>>) -> Result<bool> {
        let question = Question {
            principal: &self.principals[user as usize],
            permission,
            fields: &[],
            resource,
            context: &self.context,
            now: self.now,
        };
        Ok(self.rules.decide(&question)?.is_allowed())
    }

    fn assign(&mut self, edit: &Edit, on: bool) -> Result<()> {
        bail!("not there yet: {} {on}", edit.role_name)
    }

    fn grant(&mut self, edit: &Edit, on: bool) -> Result<()> {
        bail!("not there yet: {} {on}", edit.holder_name)
    }
}

/// By the user's handle and the permission's.
pub struct Handles(House);

impl Engine for Handles {
    type Ask = (u32, PermissionId, Option<Resource<'static>>);

    fn load(workload: &Workload) -> Result<Self> {
        Ok(Self(House::load(workload)?))
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Self::Ask> {
        Ok((query.user, self.0.rules.permission(&query.permission_name)?, resource(query)))
    }

    #[inline]
    fn check(&mut self, (user, permission, resource): &Self::Ask) -> Result<bool> {
        self.0.decide(*user, *permission, resource.as_ref())
    }

    fn assign(&mut self, edit: &Edit, on: bool) -> Result<()> {
        self.0.assign(edit, on)
    }

    fn grant(&mut self, edit: &Edit, on: bool) -> Result<()> {
        self.0.grant(edit, on)
    }
}

/// By the user's id and the permission's name, as text.
pub struct Named(House);

impl Engine for Named {
    type Ask = (String, String, Option<Resource<'static>>);

    fn load(workload: &Workload) -> Result<Self> {
        Ok(Self(House::load(workload)?))
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Self::Ask> {
        Ok((query.user_name.clone(), query.permission_name.clone(), resource(query)))
    }

    #[inline]
    fn check(&mut self, (user, permission, resource): &Self::Ask) -> Result<bool> {
        let user = self.0.places.get(&Uuid::try_parse(user)?).context("no such user")?;
        self.0.decide(*user, self.0.rules.permission(permission)?, resource.as_ref())
    }

    fn assign(&mut self, edit: &Edit, on: bool) -> Result<()> {
        self.0.assign(edit, on)
    }

    fn grant(&mut self, edit: &Edit, on: bool) -> Result<()> {
        self.0.grant(edit, on)
    }
}
