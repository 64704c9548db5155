//! Principals by number, in pages: a change copies one page and the way to it, and shares the rest.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::rights::UserHandle;

use crate::rules::Principal;

/// Users on a page, and pages in a chapter. A change copies one of each and counts references to all other
/// chapters, so the three numbers are balanced for a million.
const PAGE: usize = 64;
const CHAPTER: usize = 128;

/// A user. A line of the processor's cache.
#[derive(Debug)]
#[repr(align(64))]
pub(in crate::rules) struct Entry {
    pub(in crate::rules) principal: Principal,
    /// Tells a user from the one that had its number before.
    generation: NonZeroU32,
    /// Whether a question was about it lately.
    referenced: AtomicBool,
}

impl Entry {
    /// One that is new counts as referenced.
    pub(in crate::rules) fn new(principal: Principal, generation: NonZeroU32) -> Self {
        Self { principal, generation, referenced: AtomicBool::new(true) }
    }

    /// Notes that a question is about it: writes only where that is news, so that readers do not contend.
    #[inline]
    pub(in crate::rules) fn note(&self) {
        if !self.referenced.load(Ordering::Relaxed) {
            self.referenced.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a question was about it since this was called last.
    pub(in crate::rules) fn take_referenced(&self) -> bool {
        self.referenced.swap(false, Ordering::Relaxed)
    }

    /// Its handle, at this number.
    #[inline]
    pub(in crate::rules) fn handle(&self, index: u32) -> UserHandle {
        UserHandle { index, generation: self.generation }
    }
}

impl Clone for Entry {
    fn clone(&self) -> Self {
        let referenced = AtomicBool::new(self.referenced.load(Ordering::Relaxed));
        Self { principal: self.principal.clone(), generation: self.generation, referenced }
    }
}

type Page = [Option<Entry>; PAGE];
type Chapter = [Arc<Page>; CHAPTER];

/// A vector that is cheap to clone and cheap to change afterwards.
#[derive(Clone, Debug, Default)]
pub(in crate::rules) struct PageTable {
    chapters: Vec<Arc<Chapter>>,
    len: u32,
}

/// The chapter, the page there, and the place on it.
#[inline]
fn locate(index: u32) -> (usize, usize, usize) {
    let index = index as usize;
    (index / (PAGE * CHAPTER), index / PAGE % CHAPTER, index % PAGE)
}

impl PageTable {
    /// One more than the largest number that was ever in use.
    pub(in crate::rules) fn len(&self) -> u32 {
        self.len
    }

    /// The user of a number.
    #[inline]
    pub(in crate::rules) fn get(&self, index: u32) -> Option<&Entry> {
        let (chapter, page, at) = locate(index);
        self.chapters.get(chapter)?[page][at].as_ref()
    }

    /// The user of a handle; none where it was let go.
    #[inline]
    pub(in crate::rules) fn of(&self, user: UserHandle) -> Option<&Entry> {
        self.get(user.index).filter(|entry| entry.generation == user.generation)
    }

    /// The place of a number, to put somebody there or take who is there out.
    pub(in crate::rules) fn entry_mut(&mut self, index: u32) -> &mut Option<Entry> {
        let (chapter, page, at) = locate(index);
        while chapter >= self.chapters.len() {
            // All share one empty page until something is put in.
            let empty = Arc::new(std::array::from_fn(|_| None));
            self.chapters.push(Arc::new(std::array::from_fn(|_| Arc::clone(&empty))));
        }
        self.len = self.len.max(index.saturating_add(1));
        let page = &mut Arc::make_mut(&mut self.chapters[chapter])[page];
        &mut Arc::make_mut(page)[at]
    }

    /// Every user.
    pub(in crate::rules) fn iter(&self) -> impl Iterator<Item = (UserHandle, &Entry)> {
        (0..self.len).filter_map(|index| self.get(index).map(|entry| (entry.handle(index), entry)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Policy, RuleSet, Schema, StoredPrincipal};
    use uuid::Uuid;

    #[test]
    fn an_entry_fills_one_line() {
        assert_eq!(size_of::<Option<Entry>>(), 64);
    }

    #[test]
    fn clones_do_not_see_later_changes() {
        let rules = RuleSet::compile(&Policy::new(), &Schema::new()).unwrap();
        let stored = |id: u32| StoredPrincipal::new(Uuid::from_u128(id.into()));
        let of = |id: u32| Some(Entry::new(rules.resolve_stored(stored(id)), NonZeroU32::MIN));
        let ids = |pages: &PageTable| pages.iter().filter_map(|(_, entry)| entry.principal.id()).collect::<Vec<_>>();
        let mut pages = PageTable::default();
        let many = (PAGE * CHAPTER + PAGE + 3) as u32;
        (0..many).for_each(|id| *pages.entry_mut(id) = of(id));
        let (before, mut expected) = (pages.clone(), ids(&pages));
        assert!(expected.iter().copied().eq((0..many).map(|id| Uuid::from_u128(id.into()))));
        (*pages.entry_mut(5), *pages.entry_mut(many - 1)) = (of(many), None);
        assert_eq!(ids(&before), expected);
        expected.pop();
        expected[5] = Uuid::from_u128(many.into());
        assert_eq!(ids(&pages), expected);
    }
}
