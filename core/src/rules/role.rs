//! A role, compiled: what its own grants say, and what it has through the hierarchy.

use std::sync::Arc;

use super::{
    bits::Bits,
    name::{ADMIN, Pattern},
    policy::{Effect, Grant, Role},
    rule_set::RoleId,
};

/// Stands for "no condition" and "not narrowed".
pub(super) const NONE: u32 = u32::MAX;

/// A role with all that it inherits.
#[derive(Debug)]
pub(super) struct CompiledRole {
    /// Its number.
    pub(super) id: u32,
    /// As written.
    pub(super) source: Arc<Role>,
    /// Deleted: its number stays, so that those of other roles do.
    pub(super) is_gone: bool,
    pub(super) inherits: Box<[RoleId]>,
    /// Itself and all juniors, sorted.
    pub(super) closure: Box<[u32]>,
    pub(super) own: Arc<Own>,
    /// Through the hierarchy.
    pub(super) is_administrator: bool,
    /// Permissions that the closure allows under no condition, unnarrowed.
    pub(super) plain: Bits,
    /// Every grant of the closure that needs a closer look.
    pub(super) special: Specials,
}

/// What a role's own grants say.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// As many as the source has.
    pub(super) grants: Box<[GrantKind]>,
    /// Permissions that it allows under no condition, unnarrowed.
    pub(super) plain: Box<[u32]>,
    pub(super) special: Box<[Special]>,
    pub(super) is_administrator: bool,
    /// Resource types and the conditions that apply to them, each pair once.
    pub(super) conditions: Box<[(u32, u32)]>,
}

/// How a grant is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GrantKind {
    /// As bits.
    Plain,
    /// As [`Special`]s.
    Special,
    /// `admin:all`.
    Admin,
}

/// A grant of one permission that denies, is conditional, or is narrowed to fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Special {
    pub(super) permission: u32,
    pub(super) effect: Effect,
    /// Its place in the pool's conditions, or [`NONE`].
    pub(super) condition: u32,
    /// Its place in the pool's sets of fields, or [`NONE`].
    pub(super) fields: u32,
    pub(super) grant: GrantId,
}

/// Grants by permission.
#[derive(Debug, Default)]
pub(super) struct Specials {
    sorted: Box<[Special]>,
    /// Where the grants of a permission begin among `sorted`, or [`NONE`]: a hash table twice as large
    /// as it must be, so that a search looks at one or two places.
    index: Box<[u32]>,
}

impl Specials {
    pub(super) fn new(mut all: Vec<Special>) -> Self {
        all.sort_unstable();
        all.dedup();
        let firsts = (0_u32..).zip(&all).zip(std::iter::once(None).chain(all.iter().map(Some)));
        let firsts =
            firsts.filter(|((_, one), before)| before.is_none_or(|before| before.permission != one.permission));
        let firsts: Vec<(u32, u32)> = firsts.map(|((at, one), _)| (at, one.permission)).collect();
        let mut index: Box<[u32]> = match firsts.len() {
            0 => Box::default(),
            count => vec![NONE; (2 * count).next_power_of_two()].into(),
        };
        for (at, permission) in firsts {
            let mut place = Self::place(permission, index.len());
            while index.get(place).is_some_and(|taken| *taken != NONE) {
                place = (place + 1) % index.len();
            }
            if let Some(free) = index.get_mut(place) {
                *free = at;
            }
        }
        Self { sorted: all.into(), index }
    }

    /// Numbers of permissions that stand together spread (Fibonacci hashing).
    #[inline]
    fn place(permission: u32, size: usize) -> usize {
        permission.wrapping_mul(0x9E37_79B9) as usize >> 8 & (size.wrapping_sub(1))
    }

    pub(super) fn all(&self) -> &[Special] {
        &self.sorted
    }

    /// What they take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.sorted) + size_of_val(&*self.index)
    }

    #[inline]
    pub(super) fn of(&self, permission: u32) -> &[Special] {
        let mut place = Self::place(permission, self.index.len());
        while let Some(start) = self.index.get(place).filter(|start| **start != NONE) {
            let rest = self.sorted.get(*start as usize..).unwrap_or_default();
            if rest.first().is_some_and(|one| one.permission == permission) {
                let length = rest.iter().take_while(|one| one.permission == permission).count();
                return rest.get(..length).unwrap_or_default();
            }
            place = (place + 1) % self.index.len();
        }
        &[]
    }
}

/// A grant by the role that says it and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GrantId {
    pub(super) role: u32,
    pub(super) at: u32,
}

impl CompiledRole {
    pub(super) fn name(&self) -> &str {
        &self.source.name.text
    }

    /// The grants that need a closer look.
    pub(super) fn special_of(&self, permission: u32) -> &[Special] {
        self.special.of(permission)
    }

    pub(super) fn has_junior(&self, role: u32) -> bool {
        self.closure.binary_search(&role).is_ok()
    }

    /// Its own grants.
    pub(super) fn own_grants(&self) -> impl Iterator<Item = HeldGrant<'_>> {
        let kinds = self.own.grants.iter().zip(&self.source.grants).zip(0..);
        kinds.map(move |((kind, written), at)| HeldGrant { role: self, at, kind: *kind, written })
    }

    pub(super) fn own_grant(&self, at: u32) -> Option<HeldGrant<'_>> {
        let written = self.source.grants.get(at as usize)?;
        Some(HeldGrant { role: self, at, kind: *self.own.grants.get(at as usize)?, written })
    }
}

/// A grant as written, and whose it is.
#[derive(Clone, Copy)]
pub(super) struct HeldGrant<'a> {
    pub(super) role: &'a CompiledRole,
    pub(super) at: u32,
    pub(super) kind: GrantKind,
    pub(super) written: &'a Grant,
}

impl HeldGrant<'_> {
    pub(super) fn text(&self) -> String {
        let effect = if self.written.effect == Effect::Deny { "deny " } else { "" };
        let pattern = &self.written.pattern.text;
        match &self.written.when {
            Some(when) => format!("{effect}{pattern} when {}", when.text),
            None => format!("{effect}{pattern}"),
        }
    }

    /// Whether it is about this permission.
    pub(super) fn matches(&self, permission: &str) -> bool {
        let is_admin = self.kind == GrantKind::Admin;
        if permission == ADMIN || is_admin {
            return permission == ADMIN && is_admin;
        }
        Pattern::parse(&self.written.pattern.text).is_some_and(|pattern| pattern.matches(permission))
    }
}

#[cfg(test)]
mod tests {
    use super::{GrantId, NONE, Special, Specials};
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
            }
        }
        assert!(Specials::default().of(0).is_empty());
    }
}
