//! An absent value never allows anything: in a deny, under `not` and with `!=`, an optional path is read only where
//! `has` says first that it is present (docs/rules.md, "Absent values").

use crate::model::predicate::Comparison;
use crate::rules::{Condition, ConditionError, Path, Test, TestKind, Tree, Vocabulary};

/// The tests that read an optional path though nothing says that it is present.
pub(super) fn undecided(condition: &Condition, is_deny: bool, vocabulary: &Vocabulary<'_>) -> Vec<ConditionError> {
    let mut walk = Walk { vocabulary, is_deny, errors: Vec::new() };
    walk.part(&condition.tree, is_deny, &[]);
    walk.errors
}

struct Walk<'c> {
    vocabulary: &'c Vocabulary<'c>,
    is_deny: bool,
    errors: Vec<ConditionError>,
}

impl Walk<'_> {
    /// `present` are the paths that the siblings around make present.
    fn part(&mut self, tree: &Tree, is_strict: bool, present: &[Path]) {
        // In `and` a part matters where its siblings are true, in `or` where they are false.
        let (parts, outcome) = match tree {
            Tree::Test(test) => return self.test(test, is_strict, present),
            Tree::Not(inner) => return self.part(inner, true, present),
            Tree::All(parts) => (parts, true),
            Tree::Any(parts) => (parts, false),
        };
        let given: Vec<Vec<Path>> = parts.iter().map(|part| present_where(part, outcome)).collect();
        for (at, part) in parts.iter().enumerate() {
            // What a part says is not said before itself.
            let others = given.iter().enumerate().filter(|(other, _)| *other != at).flat_map(|(_, paths)| paths);
            let present: Vec<Path> = present.iter().chain(others).copied().collect();
            self.part(part, is_strict, &present);
        }
    }

    fn test(&mut self, test: &Test, is_strict: bool, present: &[Path]) {
        let is_strict = is_strict || matches!(test.kind, TestKind::Compare(_, Comparison::NotEqual, _));
        if !is_strict || matches!(test.kind, TestKind::Has(_)) {
            return;
        }
        for path in test.kind.paths() {
            let optional = self.vocabulary.attribute(path).filter(|one| one.is_optional && !present.contains(&path));
            let Some(attribute) = optional else { continue };
            let name = format!("{}.{}", path.root.word(), attribute.name);
            let place = if self.is_deny { "in a deny" } else { "under `not` or in `!=`" };
            let message = format!("`{name}` may be absent, and {place} absence must be decided");
            let end = Some(test.start + test.text.len());
            let error = ConditionError { end, ..ConditionError::new(test.start, message) };
            self.errors.push(error.help(format!("write `has {name} and …` or `not has {name} or …`")));
        }
    }
}

/// Paths that are certainly present where a part is true, or where it is false.
fn present_where(tree: &Tree, outcome: bool) -> Vec<Path> {
    let (parts, is_all) = match tree {
        Tree::Test(Test { kind: TestKind::Has(path), .. }) if outcome => return vec![*path],
        Tree::Test(_) => return Vec::new(),
        Tree::Not(inner) => return present_where(inner, !outcome),
        Tree::All(parts) => (parts, outcome),
        Tree::Any(parts) => (parts, !outcome),
    };
    let mut sets = parts.iter().map(|part| present_where(part, outcome));
    let first = sets.next().unwrap_or_default();
    // Either every part has this outcome, or at least one of them.
    sets.fold(first, |mut present, set| {
        match is_all {
            true => present.extend(set),
            false => present.retain(|path| set.contains(path)),
        }
        present
    })
}
