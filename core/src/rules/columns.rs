//! Which roles say something of each permission: a table of bits, a column for each permission, so that the
//! roles of one principal stand close together.

use std::sync::Arc;

use super::bits::{self, Bits};

/// Columns in a block: an edit copies the blocks of the permissions that it gives or takes.
const BLOCK: usize = 16;
/// A table that would take more bytes than this is kept as what each role has.
const MAX_DENSE_BYTES: usize = 128 * 1024 * 1024;

/// The columns of all permissions, by number. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    permissions: usize,
    /// One bit for each permission and role: answers fastest. Empty where the table is kept by role.
    blocks: Vec<Arc<[u64]>>,
    /// Words of a column.
    height: usize,
    /// By role. Much smaller where there are many roles of few permissions each.
    sparse: Option<Vec<Bits>>,
}

/// The column of one permission.
#[derive(Clone, Copy)]
pub(super) enum Column<'c> {
    Dense(&'c [u64]),
    Sparse(&'c Columns, u32),
}

impl Column<'_> {
    /// Whether a role says it.
    #[inline]
    pub(super) fn has(self, role: u32) -> bool {
        match self {
            Column::Dense(words) => bits::has(words, role),
            Column::Sparse(columns, permission) => columns.has_sparse(role, permission),
        }
    }
}

impl Columns {
    /// What each of so many roles has.
    pub(super) fn new<'b>(permissions: usize, roles: impl ExactSizeIterator<Item = &'b Bits> + Clone) -> Self {
        Self::within(MAX_DENSE_BYTES, permissions, roles)
    }

    fn within<'b>(
        max_bytes: usize,
        permissions: usize,
        roles: impl ExactSizeIterator<Item = &'b Bits> + Clone,
    ) -> Self {
        let height = roles.len() / 64 + 1;
        let block_count = permissions.div_ceil(BLOCK);
        if block_count.saturating_mul(BLOCK * 8).saturating_mul(height) > max_bytes {
            return Self { permissions, blocks: Vec::new(), height, sparse: Some(roles.cloned().collect()) };
        }
        let mut blocks: Vec<Vec<u64>> = vec![Vec::new(); block_count];
        for (role, has) in roles.enumerate() {
            has.each(permissions, |permission| {
                let (block, at) = place(permission as usize, role, height);
                let Some(block) = blocks.get_mut(block) else { return };
                block.resize(BLOCK * height, 0);
                if let Some(word) = block.get_mut(at) {
                    *word |= 1 << (role % 64);
                }
            });
        }
        // Where no role says anything, all share one block.
        let empty: Arc<[u64]> = vec![0; BLOCK * height].into();
        let shared = |block: Vec<u64>| if block.is_empty() { empty.clone() } else { block.into() };
        Self { permissions, blocks: blocks.into_iter().map(shared).collect(), height, sparse: None }
    }

    /// Whether a role says it of a permission.
    #[inline]
    pub(super) fn has(&self, role: u32, permission: u32) -> bool {
        self.of(permission).has(role)
    }

    /// What roles say of a permission.
    #[inline]
    pub(super) fn of(&self, permission: u32) -> Column<'_> {
        match self.words(permission) {
            Some(words) => Column::Dense(words),
            None => Column::Sparse(self, permission),
        }
    }

    /// A bit for each role; none where the table is kept by role.
    #[inline]
    pub(super) fn words(&self, permission: u32) -> Option<&[u64]> {
        let permission = permission as usize;
        self.blocks.get(permission / BLOCK)?.get(permission % BLOCK * self.height..)?.get(..self.height)
    }

    /// Whether one of the roles says it of a permission; none where the table cannot tell at once.
    #[inline]
    pub(super) fn any_has<const N: usize>(&self, roles: &[u32; N], permission: u32) -> Option<bool> {
        let column = self.words(permission)?;
        // All are looked at: a branch for each, that no processor can guess, would cost more.
        let bits = |role: &u32| column.get(*role as usize / 64).map_or(0, |word| word >> (role % 64));
        Some(roles.iter().fold(0, |all, role| all | bits(role)) & 1 == 1)
    }

    #[cold]
    fn has_sparse(&self, role: u32, permission: u32) -> bool {
        let role = self.sparse.as_ref().and_then(|all| all.get(role as usize));
        (permission as usize) < self.permissions && role.is_some_and(|role| role.has(permission))
    }

    /// Says what a role has from now on, and had before.
    pub(super) fn change(&mut self, role: u32, before: &Bits, after: &Bits) {
        let permissions = self.permissions;
        let role = role as usize;
        if !self.has_room(role) {
            self.grow(role);
        }
        if let Some(all) = &mut self.sparse {
            all.resize_with(all.len().max(role + 1), Bits::default);
            all[role] = after.clone();
            return;
        }
        let mut words = [before, after].map(|has| {
            let mut words = bits::empty(permissions);
            has.add_to(&mut words);
            words
        });
        let [before, after] = &mut words;
        before.iter_mut().zip(after).for_each(|(before, after)| *before ^= *after);
        bits::each(before, |permission| {
            if permission as usize >= permissions {
                return;
            }
            let (block, at) = place(permission as usize, role, self.height);
            let block = self.blocks.get_mut(block).map(Arc::make_mut);
            if let Some(word) = block.and_then(|block| block.get_mut(at)) {
                *word ^= 1 << (role % 64);
            }
        });
    }

    fn has_room(&self, role: usize) -> bool {
        self.sparse.is_some() || role < self.height * 64
    }

    /// Makes room for a role and some more; where the table would be too large, each role keeps what it has.
    fn grow(&mut self, role: usize) {
        let columns = self.blocks.iter().flat_map(|block| block.chunks_exact(self.height)).take(self.permissions);
        let mut rows: Vec<Vec<u32>> = vec![Vec::new(); role + role / 8 + 1];
        for (permission, column) in (0_u32..).zip(columns) {
            bits::each(column, |role| {
                if let Some(row) = rows.get_mut(role as usize) {
                    row.push(permission);
                }
            });
        }
        let rows: Vec<Bits> = rows.into_iter().map(|row| Bits::Few(row.into())).collect();
        *self = Self::new(self.permissions, rows.iter());
    }
}

/// The block of a permission, and where the word of a role stands in it.
fn place(permission: usize, role: usize, height: usize) -> (usize, usize) {
    (permission / BLOCK, permission % BLOCK * height + role / 64)
}

#[cfg(test)]
mod tests {
    use super::Columns;
    use crate::rules::bits::{self, Bits};

    const PERMISSIONS: usize = 200;

    fn some(role: usize, step: usize) -> Bits {
        let mut words = bits::empty(PERMISSIONS);
        (0..PERMISSIONS)
            .filter(|number| (number + role).is_multiple_of(step))
            .for_each(|number| bits::set(&mut words, number as u32));
        Bits::of(&words)
    }

    fn assert_all(columns: &Columns, rows: &[Bits]) {
        for role in 0..rows.len() + 200 {
            for permission in 0..PERMISSIONS as u32 + 200 {
                let wanted =
                    rows.get(role).is_some_and(|row| row.has(permission)) && (permission as usize) < PERMISSIONS;
                assert_eq!(columns.has(role as u32, permission), wanted, "{role} {permission}");
            }
        }
    }

    #[test]
    fn both_forms_agree_and_edits_are_seen() {
        for max_bytes in [1 << 20, 0] {
            let mut rows: Vec<Bits> = (0..70).map(|role| some(role, 7)).collect();
            rows[5] = Bits::All;
            let mut columns = Columns::within(max_bytes, PERMISSIONS, rows.iter());
            assert_eq!(columns.sparse.is_none(), max_bytes > 0);
            assert_all(&columns, &rows);
            let before = (columns.clone(), rows.clone());
            for role in [3, 5, 69, 130, 400] {
                rows.resize_with(rows.len().max(role + 1), Bits::default);
                let after = if role == 3 { Bits::All } else { some(role, 3) };
                columns.change(role as u32, &rows[role].clone(), &after);
                rows[role] = after;
                assert_all(&columns, &rows);
            }
            assert_all(&before.0, &before.1);
        }
    }
}
