//! Which roles allow each permission under no condition: a set of roles for each, so that the roles of one principal stand
//! close together.

use std::sync::Arc;

use super::bits::{self, Bits};

/// Permissions in a block: an edit copies the blocks of the permissions that it gives or takes.
const BLOCK: usize = 64;
/// Sets of roles are bits, which answer fastest, while all of them take no more bytes than this.
const MAX_BITS_BYTES: usize = 128 * 1024 * 1024;

/// Of each permission, by number, the roles that allow it under no condition. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::rules) struct PermissionIndex(Vec<Arc<[Bits]>>);

impl PermissionIndex {
    /// What each of so many roles has.
    pub(super) fn new<'b>(permissions: usize, roles: impl ExactSizeIterator<Item = &'b Bits> + Clone) -> Self {
        let are_bits = permissions.saturating_mul(roles.len().div_ceil(8)) <= MAX_BITS_BYTES;
        let block = |at: usize| {
            let mut role_sets = vec![bits::empty(roles.len()); BLOCK.min(permissions - at * BLOCK)];
            for (role, has) in (0_u32..).zip(roles.clone()) {
                bits::each(&[has.word(at)], |one| {
                    role_sets.get_mut(one as usize).into_iter().for_each(|role_set| bits::set(role_set, role));
                });
            }
            let role_set = |words: Vec<u64>| if are_bits { Bits::Many(words.into()) } else { Bits::of(&words) };
            role_sets.into_iter().map(role_set).collect()
        };
        Self((0..permissions.div_ceil(BLOCK)).map(block).collect())
    }

    /// Whether a role says it of a permission.
    #[inline]
    pub(in crate::rules) fn has(&self, role: u32, permission: u32) -> bool {
        self.roles(permission).is_some_and(|roles| roles.has(role))
    }

    /// The roles that say it; none for no permission of this index.
    #[inline]
    pub(in crate::rules) fn roles(&self, permission: u32) -> Option<&Bits> {
        self.0.get(permission as usize / BLOCK)?.get(permission as usize % BLOCK)
    }

    /// What a role says from now on, and said before.
    pub(in crate::rules) fn change(&mut self, role: u32, before: &Bits, after: &Bits) {
        for (at, block) in self.0.iter_mut().enumerate() {
            let changed = before.word(at) ^ after.word(at);
            if changed != 0 {
                let role_sets = Arc::make_mut(block);
                bits::each(&[changed], |one| {
                    role_sets.get_mut(one as usize).into_iter().for_each(|role_set| role_set.toggle(role));
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::bits::{self, Bits};
    use super::{BLOCK, PermissionIndex};

    const PERMISSIONS: usize = 200;

    fn some(role: usize, step: usize) -> Bits {
        let mut words = bits::empty(PERMISSIONS);
        (0..PERMISSIONS as u32)
            .filter(|number| (*number as usize + role).is_multiple_of(step))
            .for_each(|number| bits::set(&mut words, number));
        Bits::of(&words)
    }

    fn assert_all(index: &PermissionIndex, rows: &[Bits]) {
        for role in 0..rows.len() + 200 {
            for permission in 0..PERMISSIONS as u32 + 200 {
                let is_known = (permission as usize) < PERMISSIONS;
                let wanted = is_known && rows.get(role).is_some_and(|row| row.has(permission));
                assert_eq!(index.has(role as u32, permission), wanted, "{role} {permission}");
            }
        }
    }

    #[test]
    fn every_role_has_its_own_and_edits_are_seen() {
        let mut rows: Vec<Bits> = (0..70).map(|role| some(role, [7, 90][role % 2])).collect();
        rows[5] = Bits::All;
        let mut index = PermissionIndex::new(PERMISSIONS, rows.iter());
        assert_all(&index, &rows);
        let before = (index.clone(), rows.clone());
        for role in [3, 5, 69, 130] {
            rows.resize_with(rows.len().max(role + 1), Bits::default);
            let after = if role == 3 { Bits::All } else { some(role, 3) };
            index.change(role as u32, &rows[role].clone(), &after);
            rows[role] = after;
            assert_all(&index, &rows);
        }
        assert_all(&before.0, &before.1);
    }

    #[test]
    fn where_all_as_bits_take_too_much_what_few_roles_say_is_a_list() {
        let mut rows = vec![Bits::default(); 20_000];
        (0..4_000).for_each(|role| rows[role * 5] = Bits::Few([1, 2].into()));
        (0..100).for_each(|role| rows[role * 5 + 1] = Bits::Few([2, 40_000].into()));
        (rows[7], rows[19_000]) = (Bits::Few([5].into()), Bits::Few([5, 40_000].into()));
        let mut index = PermissionIndex::new(60_003, rows.iter());
        let is_list = |index: &PermissionIndex, permission: usize| {
            matches!(index.0[permission / BLOCK][permission % BLOCK], Bits::Few(_))
        };
        let assert_all = |index: &PermissionIndex, rows: &[Bits]| {
            assert_eq!([1, 2, 5, 40_000].map(|one| is_list(index, one)), [false, false, true, true]);
            for (permission, (role, row)) in
                [1, 2, 5, 40_000].map(|one| rows.iter().enumerate().map(move |row| (one, row))).into_iter().flatten()
            {
                assert_eq!(
                    index.has(role as u32, permission as u32),
                    row.has(permission as u32),
                    "{role} {permission}"
                );
            }
        };
        assert!(!index.has(0, 60_003) && !index.has(0, 60_015) && !index.has(0, 70_000));
        assert_all(&index, &rows);
        for (role, after) in [(8, Bits::Few([2, 5, 40_000].into())), (7, Bits::default())] {
            index.change(role as u32, &rows[role].clone(), &after);
            rows[role] = after;
        }
        assert_all(&index, &rows);
    }
}
