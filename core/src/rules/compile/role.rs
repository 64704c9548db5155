//! A role, compiled: what its own grants say, and what it has through the hierarchy.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{
    Budget,
    bits::{self, Bits},
};

use crate::rules::{Effect, Grant, Pattern, Role, RoleId};

/// Stands for "no condition" and "not narrowed to fields", and among a principal's roles for "none".
pub(in crate::rules) const NONE: u32 = u32::MAX;

/// The numbers of a role and its juniors. Of most roles they stand in the role itself, so that a check need not fetch them
/// from elsewhere.
pub(in crate::rules) type Closure = SmallVec<[u32; 6]>;

/// A role with all that it inherits.
#[derive(Clone, Debug)]
pub(in crate::rules) struct CompiledRole {
    /// Its number.
    pub(in crate::rules) id: u32,
    /// As written.
    pub(in crate::rules) source: Arc<Role>,
    /// Deleted: its number stays, so that those of other roles do.
    pub(in crate::rules) is_gone: bool,
    pub(in crate::rules) inherits: Box<[RoleId]>,
    /// Itself and all juniors, sorted.
    pub(in crate::rules) closure: Closure,
    pub(in crate::rules) own: Arc<Own>,
    /// Through the hierarchy.
    pub(in crate::rules) is_administrator: bool,
    /// By itself or through the hierarchy.
    pub(in crate::rules) needs_second_factor: bool,
    /// Permissions that the closure allows under no condition, unnarrowed.
    pub(in crate::rules) plain: Bits,
}

/// What a role's own grants say.
#[derive(Debug, Default)]
pub(in crate::rules) struct Own {
    /// Permissions that it allows under no condition, unnarrowed.
    pub(in crate::rules) plain: Box<[u32]>,
    pub(in crate::rules) qualified: Box<[QualifiedGrant]>,
    pub(in crate::rules) is_administrator: bool,
    /// Resource types and the conditions that apply to them, each pair once.
    pub(in crate::rules) conditions: Box<[(u32, u32)]>,
}

/// A grant of one permission that denies, is conditional, or is narrowed to fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::rules) struct QualifiedGrant {
    pub(in crate::rules) permission: u32,
    pub(in crate::rules) grant: GrantId,
    pub(in crate::rules) effect: Effect,
    /// Its place in the interner's conditions, or [`NONE`].
    pub(in crate::rules) condition: u32,
    /// Its place in the interner's sets of fields, or [`NONE`].
    pub(in crate::rules) fields: u32,
}

/// A grant by the role that says it and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::rules) struct GrantId {
    pub(in crate::rules) role: u32,
    pub(in crate::rules) at: u32,
}

impl CompiledRole {
    /// A role that has nothing yet, neither its own grants nor those that it inherits.
    pub(super) fn new(id: u32, source: Arc<Role>, inherits: Box<[RoleId]>, closure: Closure, own: Arc<Own>) -> Self {
        let (plain, needs_second_factor) = (Bits::default(), source.needs_second_factor);
        let (is_gone, is_administrator) = (false, false);
        Self { id, source, is_gone, inherits, closure, own, is_administrator, needs_second_factor, plain }
    }

    /// With all its grants, its juniors having theirs; none where the policy is too large. Needs room for one bit for each permission.
    pub(super) fn flattened(mut self, roles: &[Arc<Self>], row: &mut [u64], budget: &mut Budget) -> Option<Self> {
        row.fill(0);
        self.own.plain.iter().for_each(|permission| bits::set(row, *permission));
        self.is_administrator = self.own.is_administrator;
        self.needs_second_factor = self.source.needs_second_factor;
        for junior in self.inherits.iter().filter_map(|junior| roles.get(junior.0 as usize)) {
            junior.plain.add_to(row);
            self.is_administrator |= junior.is_administrator;
            self.needs_second_factor |= junior.needs_second_factor;
            // A word of it holds 64 permissions and costs next to nothing.
            if !budget.steps.takes(row.len() / 8) {
                return None;
            }
        }
        // It matches every permission, and nothing narrows it.
        self.plain = if self.is_administrator { Bits::All } else { Bits::of(row) };
        budget.bytes.takes(self.plain.bytes()).then_some(self)
    }

    pub(in crate::rules) fn name(&self) -> &str {
        &self.source.name.text
    }

    pub(in crate::rules) fn has_junior(&self, role: u32) -> bool {
        self.closure.binary_search(&role).is_ok()
    }

    /// Its own grants.
    pub(in crate::rules) fn own_grants(&self) -> impl Iterator<Item = OwnGrant<'_>> {
        (0..).zip(&self.source.grants).map(|(at, written)| OwnGrant { role: self, at, written })
    }

    pub(in crate::rules) fn own_grant(&self, at: u32) -> Option<OwnGrant<'_>> {
        Some(OwnGrant { role: self, at, written: self.source.grants.get(at as usize)? })
    }
}

/// A grant as written, and whose it is.
#[derive(Clone, Copy)]
pub(in crate::rules) struct OwnGrant<'a> {
    pub(in crate::rules) role: &'a CompiledRole,
    pub(in crate::rules) at: u32,
    pub(in crate::rules) written: &'a Grant,
}

impl OwnGrant<'_> {
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
