//! Conditions and sets of fields, each kept once.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::rules::{Condition, Path};

/// What the grants of all roles share. Grows with edits; a policy compiled anew has only what it needs.
#[derive(Clone, Debug, Default)]
pub(in crate::rules) struct Interner {
    pub(in crate::rules) conditions: Vec<Arc<Condition>>,
    pub(in crate::rules) field_sets: Vec<Arc<[u32]>>,
    /// Conditions by text, type (none where no resource is read) and strictness.
    known: HashMap<(Arc<str>, Option<u32>, bool), u32>,
    /// Equal conditions are one, whatever the type: by text and what each test reads.
    equal: HashMap<(Arc<str>, Box<[Path]>), u32>,
    known_fields: HashMap<Arc<[u32]>, u32>,
}

impl Interner {
    pub(in crate::rules) fn condition(&self, condition: u32) -> Option<&Condition> {
        self.conditions.get(condition as usize).map(AsRef::as_ref)
    }

    /// A condition met before on this type, or on any where it reads no resource.
    pub(in crate::rules) fn known(&self, text: &str, ty: u32, is_deny: bool) -> Option<u32> {
        let of = |ty| self.known.get(&(Arc::from(text), ty, is_deny)).copied();
        of(None).or_else(|| of(Some(ty)))
    }

    pub(in crate::rules) fn add(&mut self, condition: Condition, ty: Option<u32>, is_deny: bool) -> u32 {
        let paths = condition.tree.paths().collect();
        let (text, next) = (condition.text.clone(), to_index(self.conditions.len()));
        let id = *self.equal.entry((text.clone(), paths)).or_insert(next);
        if id == next {
            self.conditions.push(Arc::new(condition));
        }
        self.known.insert((text, ty, is_deny), id);
        id
    }

    /// The place of a sorted set of fields.
    pub(in crate::rules) fn fields(&mut self, slots: Box<[u32]>) -> u32 {
        let slots: Arc<[u32]> = slots.into();
        let next = to_index(self.field_sets.len());
        let id = *self.known_fields.entry(slots.clone()).or_insert(next);
        if id == next {
            self.field_sets.push(slots);
        }
        id
    }
}

/// A place in a list; lists of a policy are bounded far below.
pub(in crate::rules) fn to_index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX - 1)
}
