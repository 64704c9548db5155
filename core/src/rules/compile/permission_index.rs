//! Which roles say something of each permission: a column for each permission, so that the roles of one principal stand
//! close together.

use std::sync::Arc;

use super::bits::{self, Bits};

/// Columns in a block, as bits in a word: an edit copies the blocks of the permissions that it gives or takes.
const BLOCK: usize = 64;
/// Columns are bits, which answer fastest, while all of them take no more bytes than this.
const MAX_BITS_BYTES: usize = 128 * 1024 * 1024;

/// The columns of all permissions, by number: of each the roles that say it. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::rules) struct PermissionIndex {
    permissions: usize,
    roles: usize,
    blocks: Vec<Arc<[Bits]>>,
}

impl PermissionIndex {
    /// What each of so many roles has.
    pub(in crate::rules) fn new<'b>(
        permissions: usize,
        roles: impl ExactSizeIterator<Item = &'b Bits> + Clone,
    ) -> Self {
        let mut index = Self { permissions, roles: roles.len(), blocks: Vec::new() };
        index.blocks = (0..permissions.div_ceil(BLOCK))
            .map(|block| {
                let mut columns = vec![bits::empty(index.roles); BLOCK.min(permissions - block * BLOCK)];
                for (role, has) in (0_u32..).zip(roles.clone()) {
                    bits::each(&[has.word(block)], |at| {
                        columns.get_mut(at as usize).into_iter().for_each(|column| bits::set(column, role));
                    });
                }
                columns.iter().map(|column| index.as_column(column)).collect()
            })
            .collect();
        index
    }

    /// From one bit for each role, in the form that the size of all allows.
    fn as_column(&self, words: &[u64]) -> Bits {
        let are_bits = self.permissions.saturating_mul(self.roles) / 8 <= MAX_BITS_BYTES;
        let is_empty = words.iter().all(|word| *word == 0);
        if are_bits && !is_empty { Bits::Many(words.into()) } else { Bits::of(words) }
    }

    /// Whether a role says it of a permission.
    #[inline]
    pub(in crate::rules) fn has(&self, role: u32, permission: u32) -> bool {
        self.any_of(&[role], permission)
    }

    #[inline]
    fn column(&self, permission: u32) -> Option<&Bits> {
        self.blocks.get(permission as usize / BLOCK)?.get(permission as usize % BLOCK)
    }

    /// Whether one of a few roles says it.
    #[inline]
    pub(in crate::rules) fn any_of<const N: usize>(&self, roles: &[u32; N], permission: u32) -> bool {
        self.column(permission).is_some_and(|column| column.has_any(roles))
    }

    /// Says what a role has from now on, and had before.
    pub(in crate::rules) fn change(&mut self, role: u32, before: &Bits, after: &Bits) {
        self.roles = self.roles.max(role as usize + 1);
        for block in 0..self.blocks.len() {
            bits::each(&[before.word(block) ^ after.word(block)], |at| {
                let Some(column) = self.blocks[block].get(at as usize) else { return };
                let mut words = bits::empty(self.roles);
                column.add_to(&mut words);
                words[role as usize / 64] ^= 1 << (role % 64);
                let column = self.as_column(&words);
                Arc::make_mut(&mut self.blocks[block])[at as usize] = column;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PermissionIndex;
    use super::bits::{self, Bits};

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
                let wanted = is_known && rows.get(role).is_some_and(|row| row.has_any(&[permission]));
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
        let mut index = PermissionIndex::new(60_000, rows.iter());
        let is_list = |index: &PermissionIndex, permission| matches!(index.column(permission), Some(Bits::Few(_)));
        let assert_all = |index: &PermissionIndex, rows: &[Bits]| {
            assert_eq!([1, 2, 5, 40_000].map(|one| is_list(index, one)), [false, false, true, true]);
            for (permission, (role, row)) in
                [1, 2, 5, 40_000].map(|one| rows.iter().enumerate().map(move |row| (one, row))).into_iter().flatten()
            {
                assert_eq!(
                    index.any_of(&[u32::MAX, role as u32], permission),
                    row.has_any(&[permission]),
                    "{role} {permission}"
                );
            }
        };
        assert_all(&index, &rows);
        for (role, after) in [(8, Bits::Few([2, 5, 40_000].into())), (7, Bits::default())] {
            index.change(role as u32, &rows[role].clone(), &after);
            rows[role] = after;
        }
        assert_all(&index, &rows);
    }
}
