//! Absence opens no door: in a deny, under `not` and with `!=`, an optional path is read only where
//! `has` guards it (RBAC.md, "Conditions" and "Details decided").

use std::collections::HashMap;

use super::{
    code::{Condition, Path, TestKind, Tree},
    parser::Operator,
};

/// The tests that read an optional path unguarded, with that path.
pub(in crate::rules) fn unguarded(
    condition: &Condition,
    is_deny: bool,
    is_optional: impl Fn(Path) -> bool,
) -> Vec<(u32, Path)> {
    let mut walk = Walk { condition, is_optional, present: HashMap::new(), found: Vec::new() };
    walk.part(&condition.tree, is_deny);
    walk.found
}

/// Paths that are certainly present where a part is true, and where it is false.
struct Known {
    when_true: Vec<Path>,
    when_false: Vec<Path>,
}

struct Walk<'c, F> {
    condition: &'c Condition,
    is_optional: F,
    /// How many of the siblings around make a path present.
    present: HashMap<Path, u32>,
    found: Vec<(u32, Path)>,
}

impl<F: Fn(Path) -> bool> Walk<'_, F> {
    fn part(&mut self, tree: &Tree, is_strict: bool) {
        match tree {
            Tree::Test(index) => self.test(*index, is_strict),
            Tree::Not(inner) => self.part(inner, true),
            // In `and` a part matters where its siblings are true, in `or` where they are false.
            Tree::All(parts) => self.siblings(parts, is_strict, |known| known.when_true),
            Tree::Any(parts) => self.siblings(parts, is_strict, |known| known.when_false),
        }
    }

    fn siblings(&mut self, parts: &[Tree], is_strict: bool, side: fn(Known) -> Vec<Path>) {
        let given: Vec<Vec<Path>> = parts.iter().map(|part| side(self.known(part))).collect();
        for path in given.iter().flatten() {
            *self.present.entry(*path).or_default() += 1;
        }
        for (part, own) in parts.iter().zip(&given) {
            // No part guards itself.
            own.iter().for_each(|path| self.change(*path, -1));
            self.part(part, is_strict);
            own.iter().for_each(|path| self.change(*path, 1));
        }
        for path in given.iter().flatten() {
            self.change(*path, -1);
        }
    }

    fn change(&mut self, path: Path, by: i32) {
        let count = self.present.entry(path).or_default();
        *count = count.saturating_add_signed(by);
    }

    fn test(&mut self, index: u32, is_strict: bool) {
        let Some(test) = self.condition.tests.get(index as usize) else { return };
        let is_strict = is_strict || matches!(test.kind, TestKind::Compare(_, Operator::NotEqual, _));
        if !is_strict || matches!(test.kind, TestKind::Has(_)) {
            return;
        }
        for path in test.kind.paths() {
            let is_guarded = self.present.get(&path).is_some_and(|count| *count > 0);
            if (self.is_optional)(path) && !is_guarded {
                self.found.push((index, path));
            }
        }
    }

    fn known(&self, tree: &Tree) -> Known {
        match tree {
            Tree::Test(index) => match self.condition.tests.get(*index as usize).map(|test| &test.kind) {
                Some(TestKind::Has(path)) => Known { when_true: vec![*path], when_false: Vec::new() },
                _ => Known { when_true: Vec::new(), when_false: Vec::new() },
            },
            Tree::Not(inner) => {
                let known = self.known(inner);
                Known { when_true: known.when_false, when_false: known.when_true }
            }
            Tree::All(parts) => {
                let known: Vec<Known> = parts.iter().map(|part| self.known(part)).collect();
                Known {
                    when_true: in_any(known.iter().map(|one| &one.when_true)),
                    when_false: in_all(known.iter().map(|one| &one.when_false)),
                }
            }
            Tree::Any(parts) => {
                let known: Vec<Known> = parts.iter().map(|part| self.known(part)).collect();
                Known {
                    when_true: in_all(known.iter().map(|one| &one.when_true)),
                    when_false: in_any(known.iter().map(|one| &one.when_false)),
                }
            }
        }
    }
}

fn in_any<'p>(sets: impl Iterator<Item = &'p Vec<Path>>) -> Vec<Path> {
    let mut all = Vec::new();
    for path in sets.flatten() {
        if !all.contains(path) {
            all.push(*path);
        }
    }
    all
}

fn in_all<'p>(mut sets: impl Iterator<Item = &'p Vec<Path>>) -> Vec<Path> {
    let mut common = sets.next().cloned().unwrap_or_default();
    for set in sets {
        common.retain(|path| set.contains(path));
    }
    common
}
