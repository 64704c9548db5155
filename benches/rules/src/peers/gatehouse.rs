//! `gatehouse`: its policy for roles over the host's tables, by numbers. No hierarchy, so the host
//! flattens what a user holds.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

use anyhow::Result;
use gatehouse::{EvaluationSession, PermissionChecker, PolicyDomain, RbacPolicy};
use rolekeep_lab::{Edit, Engine, Query, Workload};

use super::now;

/// By numbers: a user, a permission.
struct Roles;

impl PolicyDomain for Roles {
    type Subject = u32;
    type Action = u32;
    type Resource = ();
    type Context = ();
}

/// The host's tables.
#[derive(Default)]
struct Tables {
    /// Of each permission, the roles that grant it.
    required: Vec<Vec<u32>>,
    /// Of each user, its roles and their juniors.
    flat: Vec<Vec<u32>>,
    held: Vec<Vec<u32>>,
    closures: Vec<Vec<u32>>,
}

impl Tables {
    fn flatten(&mut self, user: usize) {
        let roles = self.held[user].iter().flat_map(|role| &self.closures[*role as usize]);
        self.flat[user] = roles.copied().collect::<HashSet<_>>().into_iter().collect();
    }
}

/// The checker and the tables.
pub struct Gatehouse {
    checker: PermissionChecker<Roles>,
    tables: Arc<RwLock<Tables>>,
    session: EvaluationSession,
}

impl Engine for Gatehouse {
    type Ask = (u32, u32);

    fn load(workload: &Workload) -> Result<Self> {
        let mut tables = Tables {
            required: vec![Vec::new(); workload.permissions() as usize],
            flat: vec![Vec::new(); workload.users as usize],
            held: (0..workload.users)
                .map(|user| workload.assignments(user).iter().map(|one| one.role).collect())
                .collect(),
            closures: (0..workload.roles.len() as u32).map(|role| workload.closure(role)).collect(),
        };
        for (at, role) in workload.roles.iter().enumerate() {
            for grant in &role.grants {
                tables.required[*grant as usize].push(at as u32);
            }
        }
        for user in 0..workload.users as usize {
            tables.flatten(user);
        }
        let tables = Arc::new(RwLock::new(tables));
        let (required, held) = (tables.clone(), tables.clone());
        let mut checker = PermissionChecker::<Roles>::new();
        checker.add_policy(RbacPolicy::<Roles, _, _>::new(
            move |action: &u32, _: &()| {
                required.read().unwrap_or_else(PoisonError::into_inner).required[*action as usize].clone()
            },
            move |user: &u32| held.read().unwrap_or_else(PoisonError::into_inner).flat[*user as usize].clone(),
        ));
        Ok(Self { checker, tables, session: EvaluationSession::empty() })
    }

    fn ask(&self, _: &Workload, query: &Query) -> Result<Self::Ask> {
        Ok((query.user, query.permission))
    }

    fn check(&mut self, (user, permission): &Self::Ask) -> Result<bool> {
        let bound = self.checker.bind(&self.session, user, permission, &());
        Ok(now(bound.check(&()))?.is_granted())
    }

    fn assign(&mut self, edit: &Edit, on: bool) -> Result<()> {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let user = edit.query.user as usize;
        match on {
            true => tables.held[user].push(edit.role),
            false => tables.held[user].retain(|role| *role != edit.role),
        }
        tables.flatten(user);
        Ok(())
    }

    fn grant(&mut self, edit: &Edit, on: bool) -> Result<()> {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let required = &mut tables.required[edit.query.permission as usize];
        match on {
            true => required.push(edit.holder),
            false => required.retain(|role| *role != edit.holder),
        }
        Ok(())
    }
}
