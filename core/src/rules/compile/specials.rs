//! Grants that need a closer look, by permission, each once: those of a role are its own and its juniors'.

use std::sync::Arc;

use crate::rules::Special;

/// Permissions in a block: an edit copies the blocks of the permissions that it is about.
const BLOCK: usize = 16;

/// The grants of all roles that need a closer look. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::rules) struct Specials(Vec<Arc<Block>>);

/// Those of some permissions.
#[derive(Clone, Debug, Default)]
struct Block {
    /// Where those of each permission end.
    ends: [u32; BLOCK],
    /// Sorted.
    all: Vec<Special>,
}

impl Block {
    fn of(mut all: Vec<Special>) -> Arc<Self> {
        all.sort_unstable();
        let mut ends = [0; BLOCK];
        for (at, end) in ends.iter_mut().enumerate() {
            let count = all.partition_point(|one| one.permission as usize % BLOCK <= at);
            *end = u32::try_from(count).unwrap_or(u32::MAX);
        }
        Arc::new(Self { ends, all })
    }
}

impl Specials {
    /// Of so many permissions.
    pub(super) fn new<'s>(permissions: usize, all: impl Iterator<Item = &'s Special>) -> Self {
        let mut blocks = vec![Vec::new(); permissions.div_ceil(BLOCK)];
        for one in all {
            if let Some(block) = blocks.get_mut(one.permission as usize / BLOCK) {
                block.push(*one);
            }
        }
        Self(blocks.into_iter().map(Block::of).collect())
    }

    /// Those of a permission, by the roles that say them.
    #[inline]
    fn of(&self, permission: u32) -> &[Special] {
        let (block, at) = (permission as usize / BLOCK, permission as usize % BLOCK);
        let Some(block) = self.0.get(block) else { return &[] };
        let start = if at == 0 { 0 } else { block.ends[at - 1] };
        block.all.get(start as usize..block.ends[at] as usize).unwrap_or_default()
    }

    /// Those of a permission that one of these roles says, which are sorted.
    #[inline]
    pub(in crate::rules) fn of_roles<'s>(&'s self, permission: u32, roles: &'s [u32]) -> Said<'s> {
        Said { all: self.of(permission), roles }
    }

    /// What a role says from now on, and said before.
    pub(super) fn change(&mut self, role: u32, before: &[Special], after: &[Special]) {
        let blocks: std::collections::BTreeSet<usize> =
            before.iter().chain(after).map(|one| one.permission as usize / BLOCK).collect();
        for at in blocks {
            let Some(block) = self.0.get_mut(at) else { continue };
            let others = block.all.iter().filter(|one| one.grant.role != role);
            let own = after.iter().filter(|one| one.permission as usize / BLOCK == at);
            *block = Block::of(others.chain(own).copied().collect());
        }
    }
}

/// What both lists have in common: what the other one lacks is skipped, however long it is.
#[derive(Clone)]
pub(in crate::rules) struct Said<'s> {
    all: &'s [Special],
    roles: &'s [u32],
}

impl<'s> Iterator for Said<'s> {
    type Item = &'s Special;

    #[inline]
    fn next(&mut self) -> Option<&'s Special> {
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
    use super::{BLOCK, Special, Specials};
    use crate::rules::{
        compile::role::{GrantId, NONE},
        policy::Effect,
    };

    const PERMISSIONS: u32 = 40;

    /// Some of every role, some of few.
    fn own(role: u32, step: u32) -> Vec<Special> {
        let permissions = (0..PERMISSIONS).filter(|one| (one + role).is_multiple_of(step) || *one == 3);
        let special = |(at, permission)| {
            let grant = GrantId { role, at };
            Special { permission, grant, effect: Effect::Allow, condition: NONE, fields: NONE }
        };
        (0..).zip(permissions).map(special).collect()
    }

    fn assert_all(specials: &Specials, rows: &[Vec<Special>]) {
        let all: Vec<u32> = (0..rows.len() as u32).collect();
        let some = |step: usize| all.iter().copied().step_by(step).collect::<Vec<_>>();
        for roles in [vec![], vec![7], vec![99], some(2), some(13), all.clone()] {
            for permission in 0..PERMISSIONS + 2 * BLOCK as u32 {
                let found: Vec<Special> = specials.of_roles(permission, &roles).copied().collect();
                let own = roles.iter().filter_map(|role| rows.get(*role as usize)).flatten();
                let wanted: Vec<Special> = own.filter(|one| one.permission == permission).copied().collect();
                assert_eq!(found, wanted, "{permission} of {roles:?}");
            }
        }
    }

    #[test]
    fn every_role_has_its_own_and_edits_are_seen() {
        let mut rows: Vec<Vec<Special>> = (0..60).map(|role| own(role, [2, 9, 50][role as usize % 3])).collect();
        let mut specials = Specials::new(PERMISSIONS as usize, rows.iter().flatten());
        assert_all(&specials, &rows);
        let before = (specials.clone(), rows.clone());
        for (role, step) in [(7, 1), (8, 60), (59, 3)] {
            let after = own(role, step);
            specials.change(role, &rows[role as usize], &after);
            rows[role as usize] = after;
            assert_all(&specials, &rows);
        }
        specials.change(7, &rows[7], &[]);
        rows[7].clear();
        assert_all(&specials, &rows);
        assert_all(&before.0, &before.1);
    }
}
