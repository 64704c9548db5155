//! `rust-rbac`: no hierarchy, so each role is given what its juniors grant.

use std::collections::HashMap;

use anyhow::{Context, Result};
use rolekeep_lab::{Edit, Engine, Query, Workload};
use rust_rbac::{MemoryStorage, Permission, RbacService, Role};

use super::now;

/// The service, and the seniors of each role, to whom the host passes a change on.
pub struct RustRbac {
    service: RbacService<MemoryStorage>,
    seniors: HashMap<String, Vec<String>>,
}

impl Engine for RustRbac {
    type Ask = (String, String);

    fn load(workload: &Workload) -> Result<Self> {
        let service = RbacService::new(MemoryStorage::new());
        let name = |role: u32| workload.roles[role as usize].name.clone();
        for permission in 0..workload.permissions() {
            now(service.create_permission(&Permission::new(workload.permission_name(permission))))??;
        }
        for (at, role) in workload.roles.iter().enumerate() {
            now(service.create_role(&Role::new(&role.name)))??;
            for junior in workload.closure(at as u32) {
                for grant in &workload.roles[junior as usize].grants {
                    now(service.assign_permission_to_role(&workload.permission_name(*grant), &role.name))??;
                }
            }
        }
        for user in 0..workload.users {
            let id = Workload::user_id(user).to_string();
            for held in workload.assignments(user) {
                now(service.assign_role_to_subject(&name(held.role), &id))??;
            }
        }
        let seniors = workload.seniors().into_iter().enumerate();
        let seniors = seniors.map(|(at, seniors)| (name(at as u32), seniors.into_iter().map(name).collect()));
        Ok(Self { seniors: seniors.collect(), service })
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Self::Ask> {
        Ok((query.user_name.clone(), query.permission_name.clone()))
    }

    fn check(&mut self, (user, permission): &Self::Ask) -> Result<bool> {
        Ok(now(self.service.subject_has_permission(user, permission))??)
    }

    fn assign(&mut self, edit: &Edit, on: bool) -> Result<()> {
        let (role, user) = (&edit.role_name, &edit.query.user_name);
        match on {
            true => now(self.service.assign_role_to_subject(role, user))??,
            false => now(self.service.remove_role_from_subject(role, user))??,
        }
        Ok(())
    }

    fn grant(&mut self, edit: &Edit, on: bool) -> Result<()> {
        let permission = &edit.query.permission_name;
        for senior in self.seniors.get(&edit.holder_name).context("no such role")? {
            match on {
                true => now(self.service.assign_permission_to_role(permission, senior))??,
                false => now(self.service.remove_permission_from_role(permission, senior))??,
            }
        }
        Ok(())
    }
}
