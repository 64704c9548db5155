//! Absence opens no door: in a deny, under `not` and with `!=`, an optional path is read only where
//! `has` says first that it is present (RBAC.md, "Conditions" and "Details decided").

use std::collections::HashMap;

use super::{
    ConditionError,
    check::Vocabulary,
    code::{Condition, Path, Test, TestKind, Tree},
    parser::Operator,
};

/// The tests that read an optional path though nothing says that it is present.
pub(super) fn undecided(condition: &Condition, is_deny: bool, vocabulary: &Vocabulary<'_>) -> Vec<ConditionError> {
    let mut walk = Walk { condition, vocabulary, is_deny, present: HashMap::new(), errors: Vec::new() };
    walk.part(&condition.tree, is_deny);
    walk.errors
}

struct Walk<'c> {
    condition: &'c Condition,
    vocabulary: &'c Vocabulary<'c>,
    is_deny: bool,
    /// How many of the siblings around make a path present.
    present: HashMap<Path, i32>,
    errors: Vec<ConditionError>,
}

impl Walk<'_> {
    fn part(&mut self, tree: &Tree, is_strict: bool) {
        match tree {
            Tree::Test(index) => {
                if let Some(test) = self.condition.tests.get(*index as usize) {
                    self.test(test, is_strict);
                }
            }
            Tree::Not(inner) => self.part(inner, true),
            // In `and` a part matters where its siblings are true, in `or` where they are false.
            Tree::All(parts) => self.siblings(parts, true, is_strict),
            Tree::Any(parts) => self.siblings(parts, false, is_strict),
        }
    }

    fn siblings(&mut self, parts: &[Tree], outcome: bool, is_strict: bool) {
        let given: Vec<Vec<Path>> = parts.iter().map(|part| self.present_where(part, outcome)).collect();
        given.iter().for_each(|paths| self.count(paths, 1));
        for (part, own) in parts.iter().zip(&given) {
            // What a part says is not said before itself.
            self.count(own, -1);
            self.part(part, is_strict);
            self.count(own, 1);
        }
        given.iter().for_each(|paths| self.count(paths, -1));
    }

    fn count(&mut self, paths: &[Path], by: i32) {
        for path in paths {
            *self.present.entry(*path).or_default() += by;
        }
    }

    fn test(&mut self, test: &Test, is_strict: bool) {
        let is_strict = is_strict || matches!(test.kind, TestKind::Compare(_, Operator::NotEqual, _));
        if !is_strict || matches!(test.kind, TestKind::Has(_)) {
            return;
        }
        for path in test.kind.paths() {
            let Some(attribute) = self.vocabulary.attribute(path).filter(|one| one.is_optional) else { continue };
            if self.present.get(&path).is_some_and(|count| *count > 0) {
                continue;
            }
            let name = format!("{}.{}", path.root.word(), attribute.name);
            let place = if self.is_deny { "in a deny" } else { "under `not` or in `!=`" };
            let message = format!("`{name}` may be absent, and {place} absence must be decided");
            let error = ConditionError { end: Some(test.end), ..ConditionError::new(test.start, message) };
            self.errors.push(error.help(format!("write `has {name} and …` or `not has {name} or …`")));
        }
    }

    /// Paths that are certainly present where a part is true, or where it is false.
    fn present_where(&self, tree: &Tree, outcome: bool) -> Vec<Path> {
        let (parts, is_all) = match tree {
            Tree::Test(index) => {
                return match self.condition.tests.get(*index as usize).map(|test| &test.kind) {
                    Some(TestKind::Has(path)) if outcome => vec![*path],
                    _ => Vec::new(),
                };
            }
            Tree::Not(inner) => return self.present_where(inner, !outcome),
            Tree::All(parts) => (parts, outcome),
            Tree::Any(parts) => (parts, !outcome),
        };
        let mut sets = parts.iter().map(|part| self.present_where(part, outcome));
        let mut present = sets.next().unwrap_or_default();
        for set in sets {
            // Either every part has this outcome, or at least one of them.
            match is_all {
                true => set.into_iter().for_each(|path| {
                    if !present.contains(&path) {
                        present.push(path)
                    }
                }),
                false => present.retain(|path| set.contains(path)),
            }
        }
        present
    }
}
