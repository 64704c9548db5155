//! Grants that need a closer look, by permission, each once: those of a role are its own and its juniors'.

use std::sync::Arc;

use super::sorted;

use crate::rules::QualifiedGrant;

/// Permissions in a block: an edit copies the blocks of the permissions that it is about.
const BLOCK: usize = 16;

/// Of each permission the grants of all roles that need a closer look, sorted. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::rules) struct QualifiedGrants(Vec<Arc<[Box<[QualifiedGrant]>]>>);

impl QualifiedGrants {
    /// Of so many permissions.
    pub(super) fn new<'s>(permissions: usize, all: impl Iterator<Item = &'s QualifiedGrant>) -> Self {
        let mut own = vec![Vec::new(); permissions];
        all.for_each(|one| own.get_mut(one.permission as usize).into_iter().for_each(|own| own.push(*one)));
        let own: Vec<Box<[QualifiedGrant]>> = own.into_iter().map(sorted).collect();
        Self(own.chunks(BLOCK).map(Arc::from).collect())
    }

    /// Those of a permission that one of these roles says, which are sorted.
    #[inline]
    pub(in crate::rules) fn of_roles<'s>(&'s self, permission: u32, roles: &'s [u32]) -> GrantsOfRoles<'s> {
        let block = self.0.get(permission as usize / BLOCK);
        let all = block.and_then(|block| block.get(permission as usize % BLOCK)).map(|all| &**all).unwrap_or_default();
        GrantsOfRoles { all, roles }
    }

    /// What a role says from now on, and said before.
    pub(super) fn change(&mut self, role: u32, before: &[QualifiedGrant], after: &[QualifiedGrant]) {
        for permission in sorted(before.iter().chain(after).map(|one| one.permission).collect()) {
            let Some(block) = self.0.get_mut(permission as usize / BLOCK) else { continue };
            let Some(all) = Arc::make_mut(block).get_mut(permission as usize % BLOCK) else { continue };
            let others = all.iter().filter(|one| one.grant.role != role);
            let start = after.partition_point(|one| one.permission < permission);
            let own = after.iter().skip(start).take_while(|one| one.permission == permission);
            *all = sorted(others.chain(own).copied().collect());
        }
    }
}

/// What both lists have in common: what the other one lacks is skipped, however long it is.
#[derive(Clone)]
pub(in crate::rules) struct GrantsOfRoles<'s> {
    all: &'s [QualifiedGrant],
    roles: &'s [u32],
}

impl<'s> Iterator for GrantsOfRoles<'s> {
    type Item = &'s QualifiedGrant;

    #[inline]
    fn next(&mut self) -> Option<&'s QualifiedGrant> {
        while let Some((first, rest)) = self.all.split_first() {
            let place = self.roles.binary_search(&first.grant.role);
            self.roles = &self.roles[place.unwrap_or_else(|next| next)..];
            self.all = rest;
            match place {
                Ok(_) => return Some(first),
                Err(_) => {
                    let next = self.roles.first()?;
                    self.all = &rest[rest.partition_point(|one| one.grant.role < *next)..];
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, QualifiedGrant, QualifiedGrants};
    use crate::rules::{
        compile::role::{GrantId, NONE},
        policy::Effect,
    };

    const PERMISSIONS: u32 = 40;

    /// Some of every role, some of few.
    fn own(role: u32, step: u32) -> Vec<QualifiedGrant> {
        let permissions = (0..PERMISSIONS).filter(|one| (one + role).is_multiple_of(step) || *one == 3);
        let qualified = |(at, permission)| {
            let grant = GrantId { role, at };
            QualifiedGrant { permission, grant, effect: Effect::Allow, condition: NONE, fields: NONE }
        };
        (0..).zip(permissions).map(qualified).collect()
    }

    fn assert_all(qualified_grants: &QualifiedGrants, rows: &[Vec<QualifiedGrant>]) {
        let all: Vec<u32> = (0..rows.len() as u32).collect();
        let some = |step: usize| all.iter().copied().step_by(step).collect::<Vec<_>>();
        for roles in [vec![], vec![7], vec![99], some(2), some(13), all.clone()] {
            for permission in 0..PERMISSIONS + 2 * BLOCK as u32 {
                let found: Vec<QualifiedGrant> = qualified_grants.of_roles(permission, &roles).copied().collect();
                let own = roles.iter().filter_map(|role| rows.get(*role as usize)).flatten();
                let wanted: Vec<QualifiedGrant> = own.filter(|one| one.permission == permission).copied().collect();
                assert_eq!(found, wanted, "{permission} of {roles:?}");
            }
        }
    }

    #[test]
    fn every_role_has_its_own_and_edits_are_seen() {
        let mut rows: Vec<Vec<QualifiedGrant>> = (0..60).map(|role| own(role, [2, 9, 50][role as usize % 3])).collect();
        let mut qualified_grants = QualifiedGrants::new(PERMISSIONS as usize, rows.iter().flatten());
        assert_all(&qualified_grants, &rows);
        let before = (qualified_grants.clone(), rows.clone());
        for (role, step) in [(7, 1), (8, 60), (59, 3)] {
            let after = own(role, step);
            qualified_grants.change(role, &rows[role as usize], &after);
            rows[role as usize] = after;
            assert_all(&qualified_grants, &rows);
        }
        qualified_grants.change(7, &rows[7], &[]);
        rows[7].clear();
        assert_all(&qualified_grants, &rows);
        assert_all(&before.0, &before.1);
    }
}
