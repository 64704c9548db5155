//! `role-system`: with a hierarchy of its own; as it is, and with its cache of decisions.

use anyhow::{Context, Result};
use role_system::{Permission, Resource, Role, RoleSystem, RoleSystemConfig, Subject};
use rolekeep_lab::{Edit, Engine, Query, Workload};

fn load(workload: &Workload, enable_caching: bool) -> Result<RoleSystem> {
    let config = RoleSystemConfig { enable_caching, enable_audit: false, ..RoleSystemConfig::default() };
    let mut system = RoleSystem::with_config(config);
    for role in &workload.roles {
        let permissions = role.grants.iter().map(|grant| {
            let (resource, action) = workload.permission_parts(*grant);
            Permission::new(action, resource)
        });
        system.register_role(Role::new(&role.name).add_permissions(permissions))?;
    }
    for role in &workload.roles {
        for junior in &role.inherits {
            system.add_role_inheritance(&role.name, &workload.roles[*junior as usize].name)?;
        }
    }
    for user in 0..workload.users {
        let subject = Subject::user(Workload::user_id(user).to_string());
        for held in workload.assignments(user) {
            system.assign_role(&subject, &workload.roles[held.role as usize].name)?;
        }
    }
    Ok(system)
}

/// A subject, an action, and a resource of a type without an id.
pub type Ask = (Subject, String, Resource);

fn ask(query: &Query) -> Ask {
    (Subject::user(&query.user_name), query.action.clone(), Resource::new("", &query.resource))
}

fn assign(system: &mut RoleSystem, edit: &Edit, on: bool) -> Result<()> {
    let subject = Subject::user(&edit.query.user_name);
    match on {
        true => system.assign_role(&subject, &edit.role_name)?,
        false => system.remove_role(&subject, &edit.role_name)?,
    }
    Ok(())
}

fn grant(system: &mut RoleSystem, edit: &Edit, on: bool) -> Result<()> {
    let mut role = system.get_role(&edit.holder_name)?.context("no such role")?;
    let permission = Permission::new(&edit.query.action, &edit.query.resource);
    match on {
        true => role = role.add_permission(permission),
        false => role.remove_permission(&permission),
    }
    Ok(system.update_role(role)?)
}

/// Without its cache.
pub struct Plain(RoleSystem);

/// With its cache.
pub struct Cached(RoleSystem);

impl Engine for Plain {
    type Ask = Ask;

    fn load(workload: &Workload) -> Result<Self> {
        Ok(Self(load(workload, false)?))
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Ask> {
        Ok(ask(query))
    }

    fn check(&mut self, (subject, action, resource): &Ask) -> Result<bool> {
        Ok(self.0.check_permission(subject, action, resource)?)
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
        Ok(Self(load(workload, true)?))
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Ask> {
        Ok(ask(query))
    }

    fn check(&mut self, (subject, action, resource): &Ask) -> Result<bool> {
        Ok(self.0.check_permission(subject, action, resource)?)
    }

    fn assign(&mut self, edit: &Edit, on: bool) -> Result<()> {
        assign(&mut self.0, edit, on)
    }

    fn grant(&mut self, edit: &Edit, on: bool) -> Result<()> {
        grant(&mut self.0, edit, on)
    }
}
