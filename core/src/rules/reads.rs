//! What questions read, by the conditions and scopes that can apply to them: what a resource must
//! carry, and which attributes are guarded because they carry authority.

use std::collections::{BTreeSet, HashSet};

use super::{attribute::Stored, compile::words::Words, condition::parser::Root, pool::Pool};

/// What the whole policy reads.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// By resource type.
    pub(super) types: Vec<TypeReads>,
    /// Slots of principal attributes that any condition reads.
    pub(super) principal: BTreeSet<u32>,
    /// Their names.
    pub(super) principal_names: HashSet<String>,
}

/// What questions about one resource type read.
#[derive(Debug, Default)]
pub(super) struct TypeReads {
    /// What a resource must carry: slots, sorted.
    pub(super) slots: Vec<u32>,
    /// The place of each slot among [`TypeReads::slots`], or [`NO_PLACE`].
    places: Box<[u8]>,
    /// Their names.
    pub(super) names: Vec<String>,
    /// Those of them that are relations.
    pub(super) relation_names: Vec<String>,
    /// What is read of the context, where it must be there.
    pub(super) context: Vec<u32>,
    /// What is read of the principal, where it must be there.
    pub(super) principal: Vec<u32>,
}

/// Stands for "not read, or too many are".
const NO_PLACE: u8 = u8::MAX;

impl TypeReads {
    fn set_slots(&mut self, slots: BTreeSet<u32>) {
        self.slots = slots.into_iter().collect();
        let mut places = vec![NO_PLACE; self.slots.last().map_or(0, |last| *last as usize + 1)];
        for (place, slot) in (0..NO_PLACE).zip(&self.slots) {
            if let Some(known) = places.get_mut(*slot as usize) {
                *known = place;
            }
        }
        self.places = places.into();
    }

    /// Where a slot stands among [`TypeReads::slots`].
    pub(super) fn place(&self, slot: u32) -> Option<usize> {
        self.places.get(slot as usize).filter(|place| **place != NO_PLACE).map(|place| usize::from(*place))
    }
}

impl Reads {
    /// From the types and the conditions that apply to them.
    pub(super) fn of(words: &Words, pool: &Pool, conditions: &BTreeSet<(u32, u32)>) -> Self {
        let mut slots: Vec<BTreeSet<u32>> =
            words.types.iter().map(|ty| ty.bound.iter().map(|(_, slot)| *slot).collect()).collect();
        let mut reads = Self::default();
        reads.types.resize_with(words.types.len(), TypeReads::default);
        for (ty, condition) in conditions {
            let (Some(own), Some(slots)) = (reads.types.get_mut(*ty as usize), slots.get_mut(*ty as usize)) else {
                continue;
            };
            for path in pool.condition(*condition).into_iter().flat_map(|condition| &condition.paths) {
                match path.root {
                    Root::Resource => {
                        slots.insert(path.slot);
                    }
                    Root::Context => {
                        if words.context.get(path.slot as usize).is_some_and(|one| !one.is_optional) {
                            own.context.push(path.slot);
                        }
                    }
                    Root::Principal => {
                        reads.principal.insert(path.slot);
                        // `id` and `verified` are always there.
                        let is_given = path.slot >= Words::ALWAYS_GIVEN;
                        if words.principal.get(path.slot as usize).is_some_and(|one| is_given && !one.is_optional) {
                            own.principal.push(path.slot);
                        }
                    }
                }
            }
        }
        for ((ty, own), slots) in words.types.iter().zip(&mut reads.types).zip(slots) {
            for reads in [&mut own.context, &mut own.principal] {
                reads.sort_unstable();
                reads.dedup();
            }
            for attribute in slots.iter().filter_map(|slot| ty.attributes.get(*slot as usize)) {
                own.names.push(attribute.name.clone());
                if matches!(attribute.stored, Some(Stored::Link(_))) {
                    own.relation_names.push(attribute.name.clone());
                }
            }
            own.set_slots(slots);
        }
        let name = |slot: &u32| words.principal.get(*slot as usize).map(|one| one.name.clone());
        reads.principal_names = reads.principal.iter().filter_map(name).collect();
        reads
    }
}
