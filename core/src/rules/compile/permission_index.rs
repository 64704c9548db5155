//! Which roles say something of each permission: a column for each permission, so that the roles of one principal stand
//! close together.

use std::sync::Arc;

use super::bits::{self, Bits};

/// Columns in a block: an edit copies the blocks of the permissions that it gives or takes.
const BLOCK: usize = 16;
/// Columns are bits, which answer fastest, while all of them take no more bytes than this.
const MAX_BITS_BYTES: usize = 128 * 1024 * 1024;

/// The columns of all permissions, by number: of each the roles that say it. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::rules) struct PermissionIndex {
    permissions: usize,
    columns: Columns,
}

#[derive(Clone, Debug)]
enum Columns {
    /// One bit for each role: so many words for each permission, those of a block side by side.
    Bits { words: usize, blocks: Vec<Arc<[u64]>> },
    /// Where that would take too much: a set of roles for each.
    Sets(Vec<Arc<[Bits]>>),
}

impl PermissionIndex {
    /// What each of so many roles has.
    pub(in crate::rules) fn new<'b>(
        permissions: usize,
        roles: impl ExactSizeIterator<Item = &'b Bits> + Clone,
    ) -> Self {
        let words = roles.len().div_ceil(64);
        let columns = if permissions.saturating_mul(words * 8) <= MAX_BITS_BYTES {
            let mut blocks = vec![bits::empty(BLOCK * words * 64); permissions.div_ceil(BLOCK)];
            for (role, has) in roles.enumerate() {
                has.each(permissions, |permission| {
                    let at = permission as usize % BLOCK * words + role / 64;
                    blocks[permission as usize / BLOCK][at] |= 1 << (role % 64);
                });
            }
            Columns::Bits { words, blocks: blocks.into_iter().map(Into::into).collect() }
        } else {
            let (mut columns, bound) = (vec![Vec::new(); permissions], roles.len());
            for (role, has) in (0_u32..).zip(roles) {
                has.each(permissions, |permission| columns[permission as usize].push(role));
            }
            let set = |roles: &Vec<u32>| {
                let mut bits = bits::empty(bound);
                roles.iter().for_each(|role| bits::set(&mut bits, *role));
                Bits::of(&bits)
            };
            Columns::Sets(columns.chunks(BLOCK).map(|block| block.iter().map(set).collect()).collect())
        };
        Self { permissions, columns }
    }

    /// Whether a role says it of a permission.
    #[inline]
    pub(in crate::rules) fn has(&self, role: u32, permission: u32) -> bool {
        match &self.columns {
            Columns::Bits { .. } => self.bits(permission).is_some_and(|column| bits::has(column, role)),
            Columns::Sets(_) => self.set(permission).is_some_and(|column| column.has(role)),
        }
    }

    /// The roles, where the columns are sets; none for no permission of this index.
    #[inline]
    pub(in crate::rules) fn set(&self, permission: u32) -> Option<&Bits> {
        let Columns::Sets(blocks) = &self.columns else { return None };
        blocks.get(permission as usize / BLOCK)?.get(permission as usize % BLOCK)
    }

    /// A bit for each role; none for no permission of this index, and where the columns are sets.
    #[inline]
    pub(in crate::rules) fn bits(&self, permission: u32) -> Option<&[u64]> {
        let Columns::Bits { words, blocks } = &self.columns else { return None };
        blocks.get(permission as usize / BLOCK)?.get(permission as usize % BLOCK * words..)?.get(..*words)
    }

    /// Says what a role has from now on, and had before.
    pub(in crate::rules) fn change(&mut self, role: u32, before: &Bits, after: &Bits) {
        self.make_room(role);
        for word in 0..self.permissions.div_ceil(64) {
            bits::each(&[before.word(word) ^ after.word(word)], |at| self.flip(role, word * 64 + at as usize));
        }
    }

    fn flip(&mut self, role: u32, permission: usize) {
        if permission >= self.permissions {
            return;
        }
        let (block, at) = (permission / BLOCK, permission % BLOCK);
        match &mut self.columns {
            Columns::Bits { words, blocks } => {
                Arc::make_mut(&mut blocks[block])[at * *words + role as usize / 64] ^= 1 << (role % 64);
            }
            Columns::Sets(blocks) => {
                let column = &mut Arc::make_mut(&mut blocks[block])[at];
                let mut bits = bits::empty(column.bound().max(role as usize + 1));
                column.add_to(&mut bits);
                bits[role as usize / 64] ^= 1 << (role % 64);
                *column = Bits::of(&bits);
            }
        }
    }

    /// Makes the columns long enough for a role. They grow by 64 roles at a time, all of them.
    fn make_room(&mut self, role: u32) {
        let Columns::Bits { words, blocks } = &mut self.columns else { return };
        let (before, after) = (*words, role as usize / 64 + 1);
        if after <= before {
            return;
        }
        for block in blocks {
            let column = |at: usize| block[at * before..][..before].iter().copied().chain((before..after).map(|_| 0));
            *block = (0..BLOCK).flat_map(column).collect();
        }
        *words = after;
    }
}

#[cfg(test)]
mod tests {
    use super::bits::{self, Bits};
    use super::{BLOCK, Columns, PermissionIndex};

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
        let is_list = |index: &PermissionIndex, permission: usize| match &index.columns {
            Columns::Bits { .. } => false,
            Columns::Sets(blocks) => matches!(blocks[permission / BLOCK][permission % BLOCK], Bits::Few(_)),
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
