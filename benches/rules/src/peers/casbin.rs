//! `casbin`: the model of its documents for roles with a hierarchy; the enforcer, and the one that
//! remembers decisions.

use anyhow::Result;
use casbin::{CachedApi, CachedEnforcer, CoreApi, DefaultCache, DefaultModel, Enforcer, MemoryAdapter, MgmtApi};
use rolekeep_lab::{Edit, Engine, Query, Variant, Workload};

use super::now;

const PLAIN: &str = "
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.obj == p.obj && r.act == p.act && g(r.sub, p.sub)
";

/// Roles within a region (Casbin's domain), and the condition in the matcher. What comes first is cheap.
const SCOPED: &str = "
[request_definition]
r = sub, region, obj, act, status, level, clearance
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.obj == p.obj && r.act == p.act && r.status == \"active\" && r.level <= r.clearance && g(r.sub, p.sub, r.region)
";

/// Decisions that the caching enforcer may remember: more than there are questions.
const REMEMBERED: usize = 100_000;

type Line = Vec<String>;

fn lines(workload: &Workload) -> (Vec<Line>, Vec<Line>) {
    let name = |role: u32| workload.roles[role as usize].name.clone();
    let mut policies = Vec::new();
    let mut groups = Vec::new();
    let is_scoped = workload.variant == Variant::Scoped;
    let regions = if is_scoped { 0..rolekeep_lab::workload::REGIONS } else { 0..1 };
    let within = |mut line: Line, region: u32| {
        if is_scoped {
            line.push(Workload::region_id(region).to_string());
        }
        line
    };
    for (at, role) in workload.roles.iter().enumerate() {
        for grant in &role.grants {
            let (resource, action) = workload.permission_parts(*grant);
            policies.push(vec![name(at as u32), resource, action]);
        }
        for junior in &role.inherits {
            groups.extend(regions.clone().map(|region| within(vec![name(at as u32), name(*junior)], region)));
        }
    }
    for user in 0..workload.users {
        for held in workload.assignments(user) {
            groups.push(within(vec![Workload::user_id(user).to_string(), name(held.role)], held.region));
        }
    }
    (policies, groups)
}

async fn load<E: CoreApi + MgmtApi>(workload: &Workload) -> Result<E> {
    let model = if workload.variant == Variant::Scoped { SCOPED } else { PLAIN };
    let mut enforcer = E::new(DefaultModel::from_str(model).await?, MemoryAdapter::default()).await?;
    enforcer.enable_auto_save(false);
    let (policies, groups) = lines(workload);
    enforcer.add_policies(policies).await?;
    enforcer.add_grouping_policies(groups).await?;
    Ok(enforcer)
}

/// A question: without and with scope.
pub enum Ask {
    Plain([String; 3]),
    Scoped([String; 5], i64, i64),
}

fn ask(query: &Query) -> Ask {
    let (user, resource, action) = (query.user_name.clone(), query.resource.clone(), query.action.clone());
    match &query.thing {
        None => Ask::Plain([user, resource, action]),
        Some(thing) => {
            let region = Workload::region_id(thing.region).to_string();
            Ask::Scoped(
                [user, region, resource, action, thing.status.to_owned()],
                thing.level,
                Workload::level(query.user),
            )
        }
    }
}

fn enforce<E: CoreApi>(enforcer: &E, ask: &Ask) -> Result<bool> {
    Ok(match ask {
        Ask::Plain([user, resource, action]) => {
            enforcer.enforce((user.as_str(), resource.as_str(), action.as_str()))?
        }
        Ask::Scoped([user, region, resource, action, status], level, clearance) => enforcer.enforce((
            user.as_str(),
            region.as_str(),
            resource.as_str(),
            action.as_str(),
            status.as_str(),
            *level,
            *clearance,
        ))?,
    })
}

fn assign<E: MgmtApi>(enforcer: &mut E, edit: &Edit, on: bool) -> Result<()> {
    let line = vec![edit.query.user_name.clone(), edit.role_name.clone()];
    match on {
        true => now(enforcer.add_grouping_policy(line))??,
        false => now(enforcer.remove_grouping_policy(line))??,
    };
    Ok(())
}

fn grant<E: MgmtApi>(enforcer: &mut E, edit: &Edit, on: bool) -> Result<()> {
    let line = vec![edit.holder_name.clone(), edit.query.resource.clone(), edit.query.action.clone()];
    match on {
        true => now(enforcer.add_policy(line))??,
        false => now(enforcer.remove_policy(line))??,
    };
    Ok(())
}

/// The enforcer.
pub struct Plain(Enforcer);

/// The enforcer that remembers decisions, here every one that is asked.
pub struct Cached(CachedEnforcer);

impl Engine for Plain {
    type Ask = Ask;

    fn load(workload: &Workload) -> Result<Self> {
        Ok(Self(now(load(workload))??))
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Ask> {
        Ok(ask(query))
    }

    fn check(&mut self, ask: &Ask) -> Result<bool> {
        enforce(&self.0, ask)
    }

    fn assign(&mut self, edit: &Edit, on: bool) -> Result<()> {
        assign(&mut self.0, edit, on)
    }

    fn grant(&mut self, edit: &Edit, on: bool) -> Result<()> {
        grant(&mut self.0, edit, on)
    }
}

impl Engine for Cached {
    type Ask = Ask;

    fn load(workload: &Workload) -> Result<Self> {
        let mut enforcer: CachedEnforcer = now(load(workload))??;
        enforcer.set_cache(Box::new(DefaultCache::new(REMEMBERED)));
        Ok(Self(enforcer))
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Ask> {
        Ok(ask(query))
    }

    fn check(&mut self, ask: &Ask) -> Result<bool> {
        enforce(&self.0, ask)
    }

    fn assign(&mut self, edit: &Edit, on: bool) -> Result<()> {
        assign(&mut self.0, edit, on)
    }

    fn grant(&mut self, edit: &Edit, on: bool) -> Result<()> {
        grant(&mut self.0, edit, on)
    }
}
