//! What questions read, by the conditions and scopes that can apply to them: what a resource must
//! carry, and which attributes carry authority.

use smallvec::SmallVec;

use super::{interner::Interner, sorted};

use crate::rules::{Attribute, Path, ResourceType, Root, Stored, Symbols};

/// What the whole policy reads.
#[derive(Debug, Default)]
pub(in crate::rules) struct Reads {
    /// By resource type.
    pub(in crate::rules) types: Vec<TypeReads>,
    /// Slots of principal attributes that any condition reads, sorted.
    pub(in crate::rules) principal: Box<[u32]>,
}

/// What questions about one resource type read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::rules) struct TypeReads {
    /// What a resource must carry.
    pub(in crate::rules) slots: SmallVec<[u32; 4]>,
    /// The names of the attributes.
    pub(in crate::rules) names: Vec<String>,
    /// Those of them that are relations.
    pub(in crate::rules) relation_names: Vec<String>,
    /// What is read of the context, where it must be there.
    pub(in crate::rules) context: Box<[u32]>,
    /// What is read of the principal, where it must be there.
    pub(in crate::rules) principal: Vec<Path>,
}

impl Reads {
    /// From the types and the conditions that apply to them, sorted.
    pub(in crate::rules) fn of(symbols: &Symbols, interner: &Interner, conditions: &[(u32, u32)]) -> Self {
        let mut own = Vec::new();
        let types = (0..).zip(&symbols.types).map(|(id, ty)| {
            let mut slots: Vec<u32> = ty.bound.iter().map(|(_, slot)| *slot).collect();
            let (mut context, mut principal) = (Vec::new(), Vec::new());
            let start = conditions.partition_point(|(of, _)| *of < id);
            let applying = conditions.iter().skip(start).take_while(|(of, _)| *of == id);
            for path in applying.filter_map(|(_, one)| interner.condition(*one)).flat_map(|one| &one.paths) {
                let must_be_there = |of: &[Attribute]| of.get(path.slot as usize).is_some_and(|one| !one.is_optional);
                match path.root {
                    Root::Resource => slots.push(path.slot),
                    Root::Context => context.extend(must_be_there(&symbols.context).then_some(path.slot)),
                    Root::Principal => {
                        own.push(path.slot);
                        // `id` and `verified` are always there.
                        let is_given = path.slot >= Symbols::ALWAYS_GIVEN;
                        principal.extend((is_given && must_be_there(&symbols.principal)).then_some(*path));
                    }
                }
            }
            principal.sort_unstable_by_key(|path: &Path| path.slot);
            principal.dedup();
            TypeReads::of(ty, sorted(slots), sorted(context), principal)
        });
        Self { types: types.collect(), principal: sorted(own) }
    }
}

impl TypeReads {
    fn of(ty: &ResourceType, slots: Box<[u32]>, context: Box<[u32]>, principal: Vec<Path>) -> Self {
        let read = || slots.iter().filter_map(|slot| ty.attributes.get(*slot as usize));
        let relations = read().filter(|one| matches!(one.stored.as_deref(), Some(Stored::Link(_))));
        let names = read().map(|one| one.name.to_string()).collect();
        let relation_names = relations.map(|one| one.name.to_string()).collect();
        Self { slots: SmallVec::from_slice(&slots), names, relation_names, context, principal }
    }
}
