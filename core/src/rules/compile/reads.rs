//! What questions read, by the conditions and scopes that can apply to them: what a resource must
//! carry, and which attributes are guarded because they carry authority.

use std::collections::BTreeSet;

use hashbrown::HashSet;
use smallvec::SmallVec;

use super::{interner::Interner, sorted};

use crate::rules::{Path, ResourceType, Root, Stored, Symbols};

/// What the whole policy reads.
#[derive(Debug, Default)]
pub(in crate::rules) struct Reads {
    /// By resource type.
    pub(in crate::rules) types: Vec<TypeReads>,
    /// Slots of principal attributes that any condition reads.
    pub(in crate::rules) principal: BTreeSet<u32>,
    /// Their names.
    pub(in crate::rules) principal_names: HashSet<String>,
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

impl TypeReads {
    fn of(ty: &ResourceType, slots: &BTreeSet<u32>, context: Vec<u32>, mut principal: Vec<Path>) -> Self {
        principal.sort_unstable_by_key(|path| path.slot);
        principal.dedup();
        let read = || slots.iter().filter_map(|slot| ty.attributes.get(*slot as usize));
        let relations = read().filter(|one| matches!(one.stored.as_deref(), Some(Stored::Link(_))));
        Self {
            slots: slots.iter().copied().collect(),
            names: read().map(|one| one.name.to_string()).collect(),
            relation_names: relations.map(|one| one.name.to_string()).collect(),
            context: sorted(context),
            principal,
        }
    }
}

impl Reads {
    /// From the types and the conditions that apply to them.
    pub(in crate::rules) fn of(symbols: &Symbols, interner: &Interner, conditions: &BTreeSet<(u32, u32)>) -> Self {
        let mut slots: Vec<BTreeSet<u32>> =
            symbols.types.iter().map(|ty| ty.bound.iter().map(|(_, slot)| *slot).collect()).collect();
        let mut reads = Self::default();
        let mut others = vec![(Vec::new(), Vec::new()); symbols.types.len()];
        for (ty, condition) in conditions {
            let (Some((context, principal)), Some(slots)) = (others.get_mut(*ty as usize), slots.get_mut(*ty as usize))
            else {
                continue;
            };
            for path in interner.condition(*condition).into_iter().flat_map(|condition| &condition.paths) {
                match path.root {
                    Root::Resource => {
                        slots.insert(path.slot);
                    }
                    Root::Context => {
                        if symbols.context.get(path.slot as usize).is_some_and(|one| !one.is_optional) {
                            context.push(path.slot);
                        }
                    }
                    Root::Principal => {
                        reads.principal.insert(path.slot);
                        // `id` and `verified` are always there.
                        let is_given = path.slot >= Symbols::ALWAYS_GIVEN;
                        if symbols.principal.get(path.slot as usize).is_some_and(|one| is_given && !one.is_optional) {
                            principal.push(*path);
                        }
                    }
                }
            }
        }
        for ((ty, slots), (context, principal)) in symbols.types.iter().zip(&slots).zip(others) {
            reads.types.push(TypeReads::of(ty, slots, context, principal));
        }
        let name = |slot: &u32| symbols.principal.get(*slot as usize).map(|one| one.name.to_string());
        reads.principal_names = reads.principal.iter().filter_map(name).collect();
        reads
    }
}
