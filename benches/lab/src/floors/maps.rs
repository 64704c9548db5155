//! What one writes first: the standard library's hash maps and sets, by strings.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result};

use crate::{Edit, Engine, Query, Workload};

/// User -> names of roles -> names of permissions, the juniors' included.
pub struct Maps {
    users: HashMap<String, Vec<String>>,
    roles: HashMap<String, HashSet<String>>,
    own: HashMap<String, HashSet<String>>,
    closures: HashMap<String, Vec<String>>,
    seniors: HashMap<String, Vec<String>>,
}

impl Maps {
    #[inline]
    fn has(&self, user: &str, permission: &str) -> bool {
        let Some(roles) = self.users.get(user) else { return false };
        roles.iter().any(|role| self.roles.get(role).is_some_and(|held| held.contains(permission)))
    }
}

impl Engine for Maps {
    type Ask = (String, String);

    fn load(workload: &Workload) -> Result<Self> {
        let name = |role: u32| workload.roles[role as usize].name.clone();
        let own = |role: u32| workload.roles[role as usize].grants.iter().map(|one| workload.permission_name(*one));
        let users = (0..workload.users).map(|user| {
            let held = workload.assignments(user).iter().map(|one| name(one.role));
            (Workload::user_id(user).to_string(), held.collect())
        });
        let all = 0..workload.roles.len() as u32;
        let seniors = workload.seniors();
        Ok(Self {
            users: users.collect(),
            roles: all.clone().map(|at| (name(at), workload.closure(at).into_iter().flat_map(own).collect())).collect(),
            own: all.clone().map(|at| (name(at), own(at).collect())).collect(),
            closures: all.clone().map(|at| (name(at), workload.closure(at).into_iter().map(name).collect())).collect(),
            seniors: all.map(|at| (name(at), seniors[at as usize].iter().map(|one| name(*one)).collect())).collect(),
        })
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Self::Ask> {
        Ok((query.user_name.clone(), query.permission_name.clone()))
    }

    #[inline]
    fn check(&mut self, (user, permission): &Self::Ask) -> Result<bool> {
        Ok(self.has(user, permission))
    }

    fn assign(&mut self, edit: &Edit, on: bool) -> Result<()> {
        let roles = self.users.get_mut(&edit.query.user_name).context("no such user")?;
        match on {
            true => roles.push(edit.role_name.clone()),
            false => roles.retain(|role| *role != edit.role_name),
        }
        Ok(())
    }

    fn grant(&mut self, edit: &Edit, on: bool) -> Result<()> {
        let permission = &edit.query.permission_name;
        let own = self.own.get_mut(&edit.holder_name).context("no such role")?;
        match on {
            true => own.insert(permission.clone()),
            false => own.remove(permission),
        };
        for senior in self.seniors.get(&edit.holder_name).context("no such role")? {
            let mut closure = self.closures.get(senior).context("no such role")?.iter();
            let still = closure.any(|junior| self.own.get(junior).is_some_and(|own| own.contains(permission)));
            let held = self.roles.get_mut(senior).context("no such role")?;
            match still {
                true => held.insert(permission.clone()),
                false => held.remove(permission),
            };
        }
        Ok(())
    }
}
