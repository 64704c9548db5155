//! Which roles say something of each permission: a column for each permission, so that the roles of one principal stand
//! close together.

use std::sync::Arc;

use super::bits::{self, Bits};

/// PermissionIndex in a block: an edit copies the blocks of the permissions that it gives or takes.
const BLOCK: usize = 16;
/// PermissionIndex are bits, which answer fastest, while all of them take no more bytes than this.
const MAX_BITS_BYTES: usize = 128 * 1024 * 1024;
/// A longer list is searched, a shorter one looked through.
const SHORT: usize = 64;

/// The columns of all permissions, by number. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::rules) struct PermissionIndex {
    permissions: usize,
    /// Symbols of a column as bits.
    height: usize,
    blocks: Vec<Block>,
}

/// PermissionIndex that stand together, in the form that takes less.
#[derive(Clone, Debug)]
enum Block {
    /// One bit for each permission and role.
    Bits(Arc<[u64]>),
    /// Where the list of each permission ends, and the lists: numbers of roles, sorted.
    Lists(Arc<[u32]>),
}

/// The column of one permission.
#[derive(Clone, Copy)]
pub(in crate::rules) enum Column<'c> {
    /// One bit for each role.
    Bits(&'c [u64]),
    /// Sorted.
    List(&'c [u32]),
}

impl Column<'_> {
    /// Whether a role says it.
    #[inline]
    pub(in crate::rules) fn has(self, role: u32) -> bool {
        self.any_of(&[role])
    }

    /// Whether one of a few roles says it.
    #[inline]
    pub(in crate::rules) fn any_of<const N: usize>(self, roles: &[u32; N]) -> bool {
        match self {
            Column::Bits(column) => has_any(column, roles),
            Column::List(list) => lists_any(list, roles),
        }
    }
}

/// All are looked at: a branch for each, that no processor can guess, would cost more.
#[inline]
fn has_any<const N: usize>(column: &[u64], roles: &[u32; N]) -> bool {
    let bits = |role: &u32| column.get(*role as usize / 64).map_or(0, |word| word >> (role % 64));
    roles.iter().fold(0, |all, role| all | bits(role)) & 1 == 1
}

// Apart: it would crowd the registers of what most ask.
#[inline(never)]
fn lists_any<const N: usize>(list: &[u32], roles: &[u32; N]) -> bool {
    match list.len() <= SHORT {
        true => list.iter().fold(false, |any, number| any | roles.contains(number)),
        false => roles.iter().any(|role| list.binary_search(role).is_ok()),
    }
}

impl Block {
    /// Of the roles of each permission.
    fn of<'l>(lists: impl Iterator<Item = &'l [u32]> + Clone, height: usize, is_large: bool) -> Self {
        let count: usize = lists.clone().map(<[u32]>::len).sum();
        if are_lists(count, height, is_large) {
            let mut all = vec![place(BLOCK); BLOCK];
            for (at, list) in lists.enumerate() {
                all.extend(list);
                let end = place(all.len());
                all.iter_mut().take(BLOCK).skip(at).for_each(|place| *place = end);
            }
            return Block::Lists(all.into());
        }
        let mut words = vec![0; BLOCK * height];
        for (column, list) in words.chunks_exact_mut(height).zip(lists) {
            list.iter().for_each(|role| bits::set(column, *role));
        }
        Block::Bits(words.into())
    }

    #[inline]
    fn column(&self, at: usize, height: usize) -> Option<Column<'_>> {
        match self {
            Block::Bits(words) => Some(Column::Bits(words.get(at * height..)?.get(..height)?)),
            Block::Lists(all) => {
                let begin = if at == 0 { BLOCK } else { *all.get(at - 1)? as usize };
                Some(Column::List(all.get(begin..*all.get(at)? as usize)?))
            }
        }
    }

    /// The roles of each permission.
    fn lists(&self, height: usize) -> Vec<Vec<u32>> {
        let list = |at| match self.column(at, height) {
            Some(Column::List(list)) => list.to_vec(),
            Some(Column::Bits(column)) => {
                let mut list = Vec::new();
                bits::each(column, |role| list.push(role));
                list
            }
            None => Vec::new(),
        };
        (0..BLOCK).map(list).collect()
    }

    /// Turns what a role says of these permissions, one bit each.
    fn turn(&mut self, which: u64, role: u32, height: usize) {
        if let Block::Bits(words) = self {
            let words = Arc::make_mut(words);
            bits::each(&[which], |at| {
                if let Some(word) = words.get_mut(at as usize * height + role as usize / 64) {
                    *word ^= 1 << (role % 64);
                }
            });
            return;
        }
        let mut lists = self.lists(height);
        bits::each(&[which], |at| {
            let Some(list) = lists.get_mut(at as usize) else { return };
            match list.binary_search(&role) {
                Ok(found) => {
                    list.remove(found);
                }
                Err(place) => list.insert(place, role),
            }
        });
        *self = Block::of(lists.iter().map(Vec::as_slice), height, true);
    }
}

/// A block that is being filled.
enum Making {
    Nothing,
    Bits(Vec<u64>),
    /// Where the next number of each list goes, and the lists: in the end, where each ends.
    Lists(Vec<u32>),
}

impl Making {
    fn of(counts: &[usize; BLOCK], height: usize, is_large: bool) -> Self {
        let count: usize = counts.iter().sum();
        if count == 0 {
            return Making::Nothing;
        }
        if !are_lists(count, height, is_large) {
            return Making::Bits(vec![0; BLOCK * height]);
        }
        let mut all = vec![0; BLOCK + count];
        let mut next = BLOCK;
        for (start, count) in all.iter_mut().zip(counts) {
            *start = place(next);
            next += count;
        }
        Making::Lists(all)
    }

    fn add(&mut self, at: usize, role: u32, height: usize) {
        match self {
            Making::Nothing => {}
            Making::Bits(words) => words.get_mut(at * height..).into_iter().for_each(|column| bits::set(column, role)),
            Making::Lists(all) => {
                let Some(next) = all.get_mut(at) else { return };
                let cx = *next as usize;
                *next += 1;
                all.get_mut(cx).into_iter().for_each(|number| *number = role);
            }
        }
    }
}

impl PermissionIndex {
    /// What each of so many roles has.
    pub(in crate::rules) fn new<'b>(
        permissions: usize,
        roles: impl ExactSizeIterator<Item = &'b Bits> + Clone,
    ) -> Self {
        Self::within(MAX_BITS_BYTES, permissions, roles)
    }

    fn within<'b>(
        max_bytes: usize,
        permissions: usize,
        roles: impl ExactSizeIterator<Item = &'b Bits> + Clone,
    ) -> Self {
        let height = height(roles.len());
        let is_large = is_large(max_bytes, permissions, height);
        let each = |see: &mut dyn FnMut(u32, usize)| {
            for (role, has) in (0_u32..).zip(roles.clone()) {
                has.each(permissions, |permission| see(role, permission as usize));
            }
        };
        let mut counts = vec![[0_usize; BLOCK]; permissions.div_ceil(BLOCK)];
        each(&mut |_, permission| {
            counts.get_mut(permission / BLOCK).into_iter().for_each(|block| block[permission % BLOCK] += 1);
        });
        // Filled in place: all that roles say may be many times larger as lists.
        let mut making: Vec<Making> = counts.iter().map(|counts| Making::of(counts, height, is_large)).collect();
        each(&mut |role, permission| {
            let block = making.get_mut(permission / BLOCK);
            block.into_iter().for_each(|block| block.add(permission % BLOCK, role, height));
        });
        // Where no role says anything, all share one block.
        let empty = Block::of(std::iter::empty(), height, is_large);
        let block = |made: Making| match made {
            Making::Nothing => empty.clone(),
            Making::Bits(words) => Block::Bits(words.into()),
            Making::Lists(all) => Block::Lists(all.into()),
        };
        Self { permissions, height, blocks: making.into_iter().map(block).collect() }
    }

    /// Whether a role says it of a permission.
    #[inline]
    pub(in crate::rules) fn has(&self, role: u32, permission: u32) -> bool {
        self.of(permission).has(role)
    }

    /// What roles say of a permission.
    #[inline]
    pub(in crate::rules) fn of(&self, permission: u32) -> Column<'_> {
        let permission = permission as usize;
        let block = self.blocks.get(permission / BLOCK);
        block.and_then(|block| block.column(permission % BLOCK, self.height)).unwrap_or(Column::List(&[]))
    }

    /// Whether one of a few roles says it: [`Column::any_of`], with less on the way.
    #[inline]
    pub(in crate::rules) fn any_of<const N: usize>(&self, roles: &[u32; N], permission: u32) -> bool {
        let (block, at) = (permission as usize / BLOCK, permission as usize % BLOCK);
        match self.blocks.get(block) {
            Some(Block::Bits(words)) => {
                let column = words.get(at * self.height..).and_then(|rest| rest.get(..self.height));
                column.is_some_and(|column| has_any(column, roles))
            }
            Some(_) => self.of(permission).any_of(roles),
            None => false,
        }
    }

    /// Says what a role has from now on, and had before.
    pub(in crate::rules) fn change(&mut self, role: u32, before: &Bits, after: &Bits) {
        let needed = height(role as usize + 1);
        if needed > self.height {
            self.grow(needed + needed / 8);
        }
        let [mut turned, after] = [before, after].map(|has| {
            let mut words = bits::empty(self.permissions);
            has.add_to(&mut words);
            words
        });
        turned.iter_mut().zip(after).for_each(|(before, after)| *before ^= after);
        for (at, block) in self.blocks.iter_mut().enumerate() {
            let first = at * BLOCK;
            let known = self.permissions.saturating_sub(first).min(BLOCK);
            let which = turned.get(first / 64).map_or(0, |word| word >> (first % 64)) & ((1 << known) - 1);
            if which != 0 {
                block.turn(which, role, self.height);
            }
        }
    }

    fn grow(&mut self, height: usize) {
        let is_large = is_large(MAX_BITS_BYTES, self.permissions, height);
        for block in &mut self.blocks {
            *block = Block::of(block.lists(self.height).iter().map(Vec::as_slice), height, is_large);
        }
        self.height = height;
    }
}

/// Symbols of a column of so many roles.
fn height(roles: usize) -> usize {
    roles / 64 + 1
}

/// Whether lists of so many numbers take less than bits.
fn are_lists(count: usize, height: usize, is_large: bool) -> bool {
    is_large && (BLOCK + count) * 4 <= BLOCK * height * 8
}

fn is_large(max_bytes: usize, permissions: usize, height: usize) -> bool {
    permissions.next_multiple_of(BLOCK).saturating_mul(8).saturating_mul(height) > max_bytes
}

fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::bits::{self, Bits};
    use super::{Block, PermissionIndex};

    const PERMISSIONS: usize = 200;

    fn some(role: usize, step: usize) -> Bits {
        let mut words = bits::empty(PERMISSIONS);
        (0..PERMISSIONS)
            .filter(|number| (number + role).is_multiple_of(step))
            .for_each(|number| bits::set(&mut words, number as u32));
        Bits::of(&words)
    }

    fn assert_all(columns: &PermissionIndex, rows: &[Bits]) {
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
        let all = [(usize::MAX, 70, 7, true), (0, 2_000, 7, true), (0, 2_000, 90, false), (0, 9_000, 70, false)];
        for (max_bytes, count, step, are_bits) in all {
            let mut rows: Vec<Bits> = (0..count).map(|role| some(role, step)).collect();
            rows[5] = Bits::All;
            let mut columns = PermissionIndex::within(max_bytes, PERMISSIONS, rows.iter());
            assert_eq!(matches!(columns.blocks[0], Block::Bits(_)), are_bits);
            assert_all(&columns, &rows);
            let before = (columns.clone(), rows.clone());
            for role in [3, 5, 69, 130, count + 400] {
                rows.resize_with(rows.len().max(role + 1), Bits::default);
                let after = if role == 3 { Bits::All } else { some(role, step / 2) };
                columns.change(role as u32, &rows[role].clone(), &after);
                rows[role] = after;
                assert_all(&columns, &rows);
            }
            assert_all(&before.0, &before.1);
        }
    }
}
