//! A role, compiled: what its own grants say, and what it has through the hierarchy.

use std::sync::Arc;

use super::{bits::Bits, interner::place, rule_set::RoleId};
use crate::rules::policy::{Effect, Grant, Role, name::Pattern};

/// Stands for "no condition" and "not narrowed".
pub(in crate::rules) const NONE: u32 = u32::MAX;

/// A role with all that it inherits.
#[derive(Debug)]
pub(in crate::rules) struct CompiledRole {
    /// Its number.
    pub(in crate::rules) id: u32,
    /// As written.
    pub(in crate::rules) source: Arc<Role>,
    /// Deleted: its number stays, so that those of other roles do.
    pub(in crate::rules) is_gone: bool,
    pub(in crate::rules) inherits: Box<[RoleId]>,
    /// Itself and all juniors, sorted.
    pub(in crate::rules) closure: Box<[u32]>,
    pub(in crate::rules) own: Arc<Own>,
    /// Through the hierarchy.
    pub(in crate::rules) is_administrator: bool,
    /// Permissions that the closure allows under no condition, unnarrowed.
    pub(in crate::rules) plain: Bits,
    /// Every grant of the closure that needs a closer look.
    pub(in crate::rules) special: Specials,
}

/// What a role's own grants say.
#[derive(Debug, Default)]
pub(in crate::rules) struct Own {
    /// As many as the source has.
    pub(in crate::rules) grants: Box<[GrantKind]>,
    /// Permissions that it allows under no condition, unnarrowed.
    pub(in crate::rules) plain: Box<[u32]>,
    pub(in crate::rules) special: Box<[Special]>,
    pub(in crate::rules) is_administrator: bool,
    /// Resource types and the conditions that apply to them, each pair once.
    pub(in crate::rules) conditions: Box<[(u32, u32)]>,
}

/// How a grant is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) enum GrantKind {
    /// As bits.
    Plain,
    /// As [`Special`]s.
    Special,
    /// `admin:all`.
    Admin,
}

/// A grant of one permission that denies, is conditional, or is narrowed to fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::rules) struct Special {
    pub(in crate::rules) permission: u32,
    pub(in crate::rules) effect: Effect,
    /// Its place in the pool's conditions, or [`NONE`].
    pub(in crate::rules) condition: u32,
    /// Its place in the pool's sets of fields, or [`NONE`].
    pub(in crate::rules) fields: u32,
    pub(in crate::rules) grant: GrantId,
}

/// Grants by permission.
#[derive(Debug, Default)]
pub(in crate::rules) struct Specials {
    sorted: Box<[Special]>,
    index: Index,
}

/// What a role says of each permission beside its plain bits: a hash table twice as large as it must be,
/// so that a search looks at one or two places. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(in crate::rules) struct Index {
    /// A bit for each permission that is in it; permissions share bits.
    bits: u64,
    /// Of a permission, or [`NONE`], what is said; see [`Index::says`]. None where nothing is: most roles
    /// of most policies, and an edit copies the indexes of all.
    entries: Option<Arc<[(u32, u32)]>>,
}

/// What a role says of a permission beside its plain bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Says {
    Nothing,
    /// It allows the whole under this condition, by however many grants, and says no more.
    AllowsIf(u32),
    /// What stands from here on among all.
    More(u32),
}

/// Marks a condition among entries that are places otherwise.
const LONE: u32 = 1 << 31;

impl Specials {
    pub(in crate::rules) fn new(mut all: Vec<Special>) -> Self {
        all.sort_unstable();
        all.dedup();
        let index = Index::of(&all);
        Self { sorted: all.into(), index }
    }

    pub(in crate::rules) fn all(&self) -> &[Special] {
        &self.sorted
    }

    pub(in crate::rules) fn index(&self) -> &Index {
        &self.index
    }

    /// What they take, in bytes.
    pub(in crate::rules) fn bytes(&self) -> usize {
        size_of_val(&*self.sorted) + self.index.entries.as_deref().map_or(0, size_of_val)
    }

    pub(in crate::rules) fn of(&self, permission: u32) -> &[Special] {
        self.index.entry(permission).map_or(&[], |entry| {
            // A condition does not say where its grant stands.
            let start = match entry & LONE {
                0 => entry as usize,
                _ => self.sorted.partition_point(|one| one.permission < permission),
            };
            let rest = self.sorted.get(start..).unwrap_or_default();
            rest.chunk_by(|one, next| one.permission == next.permission).next().unwrap_or_default()
        })
    }
}

/// The condition under which grants of one permission allow the whole of it, where there is no more than one
/// and they say no more.
pub(in crate::rules) fn lone(grants: &[Special]) -> Option<u32> {
    let Special { condition, .. } = *grants.first()?;
    let is_lone = |one: &Special| one.effect == Effect::Allow && one.condition == condition && one.fields == NONE;
    grants.iter().all(is_lone).then_some(condition)
}

impl Index {
    fn of(sorted: &[Special]) -> Self {
        let runs = || sorted.chunk_by(|one, next| one.permission == next.permission);
        let mut entries = match runs().count() {
            0 => return Self::default(),
            count => vec![(NONE, NONE); (2 * count).next_power_of_two()],
        };
        let (mut bits, mut start) = (0, 0);
        for run in runs() {
            let Some(Special { permission, .. }) = run.first() else { continue };
            let entry = match lone(run) {
                Some(condition) if condition < LONE => (*permission, LONE | condition),
                _ => (*permission, start),
            };
            start += place(run.len());
            bits |= Self::bit(entry.0);
            let mut at = Self::place(entry.0, entries.len());
            while entries.get(at).is_some_and(|taken| taken.0 != NONE) {
                at = (at + 1) % entries.len();
            }
            if let Some(free) = entries.get_mut(at) {
                *free = entry;
            }
        }
        Self { bits, entries: Some(entries.into()) }
    }

    const fn bit(permission: u32) -> u64 {
        1 << (permission % 64)
    }

    /// Numbers of permissions that stand together spread (Fibonacci hashing).
    #[inline]
    fn place(permission: u32, size: usize) -> usize {
        permission.wrapping_mul(0x9E37_79B9) as usize >> 8 & (size.wrapping_sub(1))
    }

    #[inline]
    fn entry(&self, permission: u32) -> Option<u32> {
        if self.bits & Self::bit(permission) == 0 {
            return None;
        }
        let entries = self.entries.as_deref()?;
        let mut at = Self::place(permission, entries.len());
        // A place that is free ends the search, and half of all are.
        while let Some((known, entry)) = entries.get(at).filter(|(known, _)| *known != NONE) {
            if *known == permission {
                return Some(*entry);
            }
            at = (at + 1) % entries.len();
        }
        None
    }

    /// What is said of a permission.
    #[inline]
    pub(in crate::rules) fn says(&self, permission: u32) -> Says {
        match self.entry(permission) {
            None => Says::Nothing,
            Some(entry) if entry & LONE != 0 => Says::AllowsIf(entry & !LONE),
            Some(entry) => Says::More(entry),
        }
    }
}

/// A grant by the role that says it and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::rules) struct GrantId {
    pub(in crate::rules) role: u32,
    pub(in crate::rules) at: u32,
}

impl CompiledRole {
    pub(in crate::rules) fn name(&self) -> &str {
        &self.source.name.text
    }

    /// The grants that need a closer look.
    pub(in crate::rules) fn special_of(&self, permission: u32) -> &[Special] {
        self.special.of(permission)
    }

    /// The permissions that it allows under a lone condition. One that administers allows them anyway, and held
    /// for a scope nothing at all: it has none.
    pub(in crate::rules) fn conditional(&self) -> Bits {
        let all = if self.is_administrator { &[] } else { self.special.all() };
        let runs = all.chunk_by(|one, next| one.permission == next.permission);
        let found = runs.filter(|run| lone(run).is_some()).filter_map(|run| run.first());
        Bits::Few(found.map(|one| one.permission).collect())
    }

    pub(in crate::rules) fn has_junior(&self, role: u32) -> bool {
        self.closure.binary_search(&role).is_ok()
    }

    /// Its own grants.
    pub(in crate::rules) fn own_grants(&self) -> impl Iterator<Item = HeldGrant<'_>> {
        let kinds = self.own.grants.iter().zip(&self.source.grants).zip(0..);
        kinds.map(move |((kind, written), at)| HeldGrant { role: self, at, kind: *kind, written })
    }

    pub(in crate::rules) fn own_grant(&self, at: u32) -> Option<HeldGrant<'_>> {
        let written = self.source.grants.get(at as usize)?;
        Some(HeldGrant { role: self, at, kind: *self.own.grants.get(at as usize)?, written })
    }
}

/// A grant as written, and whose it is.
#[derive(Clone, Copy)]
pub(in crate::rules) struct HeldGrant<'a> {
    pub(in crate::rules) role: &'a CompiledRole,
    pub(in crate::rules) at: u32,
    pub(in crate::rules) kind: GrantKind,
    pub(in crate::rules) written: &'a Grant,
}

impl HeldGrant<'_> {
    pub(in crate::rules) fn text(&self) -> String {
        let effect = if self.written.effect == Effect::Deny { "deny " } else { "" };
        let pattern = &self.written.pattern.text;
        match &self.written.when {
            Some(when) => format!("{effect}{pattern} when {}", when.text),
            None => format!("{effect}{pattern}"),
        }
    }

    /// Whether its pattern matches this permission; none matches `admin:all`.
    pub(in crate::rules) fn matches(&self, permission: &str) -> bool {
        Pattern::parse(&self.written.pattern.text).is_some_and(|pattern| pattern.matches(permission))
    }
}

#[cfg(test)]
mod tests {
    use super::{GrantId, NONE, Says, Special, Specials};
    use crate::rules::Effect;

    #[test]
    fn what_is_said_of_a_permission_is_found() {
        for step in [1, 2, 7, 256, 4096] {
            let special = |permission, at| Special {
                permission,
                effect: Effect::Allow,
                condition: NONE,
                fields: NONE,
                grant: GrantId { role: 0, at },
            };
            let all = (0..100).flat_map(|number| (0..number % 3).map(move |at| special(number * step, at)));
            let specials = Specials::new(all.collect());
            for permission in 0..100 * step + 10 {
                let count = if permission % step == 0 && permission < 100 * step { permission / step % 3 } else { 0 };
                let found = specials.of(permission);
                assert_eq!(found.len(), count as usize, "{step} {permission}");
                assert!(found.iter().all(|one| one.permission == permission));
                let is_more = matches!(specials.index().says(permission), Says::More(_));
                assert_eq!(is_more, count > 0, "without a condition nothing is alone");
            }
        }
        assert!(Specials::default().of(0).is_empty());
    }
}
