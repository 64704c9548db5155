//! A role, compiled: what its own grants say, and what it has through the hierarchy.

use std::sync::Arc;

use super::{
    name::{ADMIN, Pattern},
    policy::{Effect, Grant, Role},
    rule_set::RoleId,
};

/// Stands for "no condition" and "not narrowed".
pub(super) const NONE: u32 = u32::MAX;

/// A role with all that it inherits. Its plain permissions stand in [`super::RuleSet`]'s rows.
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
    /// Every grant of the closure that needs a closer look, by permission.
    pub(super) special: Box<[Special]>,
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
        let start = self.special.partition_point(|one| one.permission < permission);
        let rest = self.special.get(start..).unwrap_or_default();
        let length = rest.partition_point(|one| one.permission == permission);
        rest.get(..length).unwrap_or_default()
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
