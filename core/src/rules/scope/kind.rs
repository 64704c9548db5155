//! Kinds of scopes, resolved: which attribute each compares with.

use uuid::Uuid;

use crate::model::value::Value;
use crate::rules::{Base, Scope, TypedValue};

/// A kind of scope by its place in the rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::rules) struct KindId(pub(in crate::rules) u32);

/// A kind of scope.
#[derive(Debug)]
pub(in crate::rules) struct ScopeKind {
    /// `region`, `resource:drone`, `tenant`.
    pub(in crate::rules) name: String,
    /// The type of the attributes that it compares with.
    pub(in crate::rules) base: Base,
    /// The kind that its rows lie within.
    pub(in crate::rules) parent: Option<KindId>,
}

impl ScopeKind {
    /// An id as the bound attributes hold it; none: it is none of theirs.
    pub(in crate::rules) fn convert(&self, id: &Value) -> Option<Value> {
        self.base.id_of(id)
    }
}

/// A scope of an assignment, against one rule set.
// Of 24 bytes, as there may be millions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rules) enum BoundScope {
    Global,
    /// Where the attribute bound to the kind equals the id.
    Id(KindId, Uuid),
    /// Where it equals a number or a text.
    Other(KindId, Box<Value>),
    /// Of a kind or id that does not exist: covers nothing.
    Nowhere,
}

impl BoundScope {
    fn of(kind: KindId, id: Value) -> Self {
        match id {
            Value::Id(id) => BoundScope::Id(kind, id),
            other => BoundScope::Other(kind, other.into()),
        }
    }

    /// The kind, where it is of one.
    pub(in crate::rules) fn kind(&self) -> Option<KindId> {
        match self {
            BoundScope::Id(kind, _) | BoundScope::Other(kind, _) => Some(*kind),
            BoundScope::Global | BoundScope::Nowhere => None,
        }
    }

    /// Whether this is what the attribute of its kind holds where a row lies in it.
    pub(in crate::rules) fn is_of(&self, value: TypedValue<'_>) -> bool {
        match (self, value) {
            (BoundScope::Id(_, id), TypedValue::Id(own)) => own == *id,
            (BoundScope::Other(_, id), TypedValue::Text(own)) => id.as_text() == Some(own),
            (BoundScope::Other(_, id), TypedValue::Int(own)) => id.as_int() == Some(own),
            _ => false,
        }
    }

    /// The id within its kind, as the attribute holds it.
    pub(in crate::rules) fn id(&self) -> Option<Value> {
        match self {
            BoundScope::Id(_, id) => Some(Value::Id(*id)),
            BoundScope::Other(_, id) => Some(Value::clone(id)),
            BoundScope::Global | BoundScope::Nowhere => None,
        }
    }
}

/// One assignment's scope, resolved by a rule set's kinds.
pub(in crate::rules) fn bind(kinds: &[ScopeKind], scope: &Scope) -> BoundScope {
    match scope {
        Scope::Global => BoundScope::Global,
        Scope::Of { kind, id } => {
            let found = kinds.iter().position(|one| one.name == *kind);
            let bound = found.and_then(|at| {
                let kind = KindId(u32::try_from(at).ok()?);
                kinds[at].convert(id).map(|id| BoundScope::of(kind, id))
            });
            bound.unwrap_or(BoundScope::Nowhere)
        }
    }
}
