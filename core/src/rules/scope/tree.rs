//! Which scopes lie within which: countries hold regions, regions hold bases.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::model::value::Value;
use crate::rules::{BoundScope, KindId, PermissionId, Principal, RuleSet, Scope, ScopeKind, bind};

/// The rows of nested kinds of scope, and where each lies. Belongs to the [`RuleSet`] that made it, and to those made by
/// editing its roles.
#[derive(Debug, Default)]
pub struct ScopeTree {
    /// By kind and id: the id of the kind above.
    above: HashMap<(KindId, Value), Value>,
    /// By kind and the id above: the ids within.
    within: HashMap<(KindId, Value), Vec<Value>>,
    parents: Vec<Option<KindId>>,
}

impl RuleSet {
    /// A tree of rows: kind, id, and the id of the outer row. Rows of kinds without an outer kind have no effect.
    ///
    /// ```
    /// # use rolekeep::{Value, rules::{Policy, RuleSet, Schema}};
    /// let policy = Policy::new()
    ///     .resource_type("site", [("region_id", "string"), ("country_id", "string?")])
    ///     .scope_kind("country", "country_id")
    ///     .nested_scope_kind("region", "region_id", "country_id");
    /// let rules = RuleSet::compile(&policy, &Schema::new())?;
    /// let tree = rules.scope_tree([("region", Value::from("tyrol"), Value::from("austria"))]);
    /// # let _ = tree;
    /// # Ok::<(), rolekeep::Error>(())
    /// ```
    pub fn scope_tree<'k>(&self, rows: impl IntoIterator<Item = (&'k str, Value, Value)>) -> ScopeTree {
        let kinds = self.kinds();
        let mut tree = ScopeTree { parents: kinds.iter().map(|kind| kind.parent).collect(), ..ScopeTree::default() };
        for (name, id, above) in rows {
            if let Some((kind, id, above)) = row(kinds, name, &id, &above) {
                if let Some(before) = tree.above.insert((kind, id.clone()), above.clone())
                    && let Some(others) = tree.within.get_mut(&(kind, before))
                {
                    // Said twice: it lies where it was said to last.
                    others.retain(|other| *other != id);
                }
                tree.within.entry((kind, above)).or_default().push(id);
            }
        }
        tree
    }

    /// Whether a scope can cover a resource of the permission's type.
    pub(crate) fn can_cover(&self, scope: &Scope, permission: PermissionId) -> bool {
        let scope = bind(self.kinds(), scope);
        let Some(kind) = scope.kind() else { return scope == BoundScope::Global };
        let bound = &self.type_of(permission).0.bound;
        bound.iter().any(|(bound, _)| *bound == kind || self.lies_under(*bound, kind))
    }

    /// The same rules, where a store says which scopes lie within which: scopes as they are stored, inner and outer. What these rules do not
    /// let lie within each other has no effect.
    pub(crate) fn with_scopes<'s>(&self, nested: impl IntoIterator<Item = (&'s str, &'s str)>) -> Self {
        let parsed = nested.into_iter().filter_map(|(inner, outer)| Some((inner.parse().ok()?, outer.parse().ok()?)));
        let nested: Vec<(Scope, Scope)> = parsed.filter(|(inner, outer)| self.may_lie_in(inner, outer)).collect();
        let rows = nested.iter().filter_map(|(inner, outer)| match (inner, outer) {
            (Scope::Of { kind, id }, Scope::Of { id: above, .. }) => Some((kind.as_str(), id.clone(), above.clone())),
            _ => None,
        });
        Self { tree: Some(Arc::new(self.scope_tree(rows))), ..self.clone() }
    }

    /// The same rules, where nobody has said yet which scopes lie within which.
    pub(crate) fn without_scopes(self) -> Self {
        Self { tree: None, ..self }
    }

    /// Whether it was said which scopes lie within which.
    pub(crate) fn has_scopes(&self) -> bool {
        self.tree.is_some()
    }

    /// Whether there are kinds of scope that lie within others.
    pub(crate) fn has_nested_kinds(&self) -> bool {
        self.kinds().iter().any(|kind| kind.parent.is_some())
    }

    /// Whether a kind of scope lies within another, or another within it.
    pub(crate) fn is_of_nested_kinds(&self, kind: &str) -> bool {
        let is_outer = |one: &ScopeKind| self.outer_kind(&one.name) == Some(kind);
        self.outer_kind(kind).is_some() || self.kinds().iter().any(is_outer)
    }

    /// The kind that a kind of scope lies within.
    pub(crate) fn outer_kind(&self, kind: &str) -> Option<&str> {
        let parent = self.kinds().iter().find(|one| one.name == kind)?.parent?;
        self.kinds().get(parent.0 as usize).map(|outer| outer.name.as_str())
    }

    /// Whether the rules let one scope lie within the other.
    pub(crate) fn may_lie_in(&self, inner: &Scope, outer: &Scope) -> bool {
        let (Scope::Of { kind, .. }, Scope::Of { kind: above, .. }) = (inner, outer) else { return false };
        let exist = || [inner, outer].into_iter().all(|scope| bind(self.kinds(), scope) != BoundScope::Nowhere);
        self.outer_kind(kind) == Some(above) && exist()
    }

    /// Whether one scope lies within another, as far as it was said.
    pub(crate) fn lies_within(&self, inner: &Scope, outer: &Scope) -> bool {
        let Some(tree) = self.tree.as_ref() else { return false };
        let [inner, outer] = [inner, outer].map(|scope| bind(self.kinds(), scope));
        let (inner, outer) = (inner.kind().zip(inner.id()), outer.kind().zip(outer.id()));
        inner.zip(outer).is_some_and(|((kind, id), (above, of))| tree.is_within(kind, &id, above, &of))
    }

    /// Whether what a principal may do depends on which scopes lie within which.
    pub(crate) fn rests_on_scopes(&self, principal: &Principal) -> bool {
        let mut held = principal.chain().flat_map(Principal::limited);
        held.any(|one| one.lies_above(self.kinds()))
    }

    /// Which scopes lie within which, for this principal; none: nobody has said so.
    pub(in crate::rules) fn tree_of<'t>(&'t self, principal: &'t Principal) -> Option<&'t ScopeTree> {
        principal.tree().or(self.tree.as_deref())
    }

    /// Whether rows of a kind lie within rows of another.
    pub(in crate::rules) fn lies_under(&self, kind: KindId, outer: KindId) -> bool {
        let parent = |kind: &KindId| self.kinds().get(kind.0 as usize)?.parent;
        std::iter::successors(parent(&kind), parent).any(|above| above == outer)
    }
}

fn row(kinds: &[ScopeKind], name: &str, id: &Value, above: &Value) -> Option<(KindId, Value, Value)> {
    let at = kinds.iter().position(|kind| kind.name == name)?;
    let parent = kinds.get(kinds[at].parent?.0 as usize)?;
    Some((KindId(u32::try_from(at).ok()?), kinds[at].convert(id)?, parent.convert(above)?))
}

impl ScopeTree {
    /// Whether the row of `kind` with this id lies within the row of `outer`; each within itself.
    pub(in crate::rules) fn is_within(&self, kind: KindId, id: &Value, outer: KindId, outer_id: &Value) -> bool {
        self.ancestor(kind, id, outer) == Some(outer_id)
    }

    /// The row of `outer` that a row of `kind` lies within; itself where the kinds are one.
    pub(in crate::rules) fn ancestor<'t>(&'t self, kind: KindId, id: &'t Value, outer: KindId) -> Option<&'t Value> {
        let (mut kind, mut id) = (kind, id);
        while kind != outer {
            let above = self.above.get(&(kind, id.clone()))?;
            (kind, id) = ((*self.parents.get(kind.0 as usize)?)?, above);
        }
        Some(id)
    }

    /// The ids of `kind` that lie within a row of `outer`.
    pub(in crate::rules) fn within(&self, kind: KindId, outer: KindId, outer_id: &Value) -> Vec<Value> {
        let mut path = vec![kind];
        while let Some(Some(parent)) = path.last().and_then(|kind| self.parents.get(kind.0 as usize)) {
            if *parent == outer {
                let mut ids = vec![outer_id.clone()];
                for kind in path.iter().rev() {
                    let inner = ids.into_iter().flat_map(|id| self.within.get(&(*kind, id)).into_iter().flatten());
                    ids = inner.cloned().collect();
                }
                return ids;
            }
            path.push(*parent);
        }
        Vec::new()
    }
}
