//! Random policies, principals and rows, for tests of the rules and of storages.
//!
//! Everything is drawn from [`Choices`], a list of numbers: a property test makes the list, and a
//! shorter list with smaller numbers gives a simpler case.

mod asker;
mod case;
mod condition;
mod document;
mod reference;
mod tables;

pub use asker::{Asker, GeneratedKey};
pub use case::{Case, GeneratedGrant, GeneratedRole, ThingRow};
pub use condition::{Condition, Operand, Shape};
pub use document::{DOCUMENT, DocumentCase, DocumentRow, array};
pub use reference::{Query, Reference};
pub use rolekeep::storage::conformance::{THING_USERS, THINGS};
pub use tables::{assigned_users, schema};

/// Decisions of a generator, one number each; 0 when they run out.
#[derive(Clone, Debug)]
pub struct Choices {
    numbers: Vec<u32>,
    at: usize,
    /// Somebody who is not signed in is granted something: conditions must say what the absence of
    /// attributes of a principal means.
    grants_anonymous: bool,
}

impl Choices {
    /// Draws from these numbers.
    pub fn new(numbers: Vec<u32>) -> Self {
        Self { numbers, at: 0, grants_anonymous: false }
    }

    /// A number below `bound` (which is not 0).
    pub fn below(&mut self, bound: usize) -> usize {
        let number = self.numbers.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        number as usize % bound.max(1)
    }

    /// True once in `times`; false when the numbers have run out.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    /// One of these.
    pub fn one<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        let at = self.below(of.len());
        &of[at]
    }
}
