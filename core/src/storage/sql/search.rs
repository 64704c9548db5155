//! The index of search texts: which rows come into question for a search, by groups of three characters (trigrams).

use std::collections::BTreeSet;

use crate::model::{predicate::Predicate, record::Table};

/// More make a search slower, and hardly narrower.
const MOST_GRAMS: usize = 16;

/// The names of a table's index. It finds numbers, and a table says whose they are.
pub(super) struct Index {
    /// The full-text table of trigrams.
    pub(super) grams: String,
    /// The table of the rows' numbers (`n`) and keys.
    pub(super) rows: String,
}

impl Index {
    /// None where nothing can be searched for.
    pub(super) fn of(table: &Table) -> Option<Self> {
        let name = |end: &str| format!("{}_search{end}", table.name);
        (!table.search.is_empty()).then(|| Self { grams: name(""), rows: name("_rows") })
    }
}

/// What the index is asked for, so that all rows that pass a filter are among those it finds; none where the filter has no
/// search that it could help with.
pub(in crate::storage) fn question(table: &Table, filter: &Predicate) -> Option<String> {
    Index::of(table)?;
    let needles = filter.conjuncts().iter().filter_map(|part| match part {
        Predicate::Search(needle) if !needle.contains('\0') => Some(needle),
        _ => None,
    });
    let grams: BTreeSet<String> = needles.flat_map(|needle| grams(needle)).collect();
    let count = grams.len().min(MOST_GRAMS);
    let grams: Vec<String> = grams.into_iter().collect();
    let chosen = (0..count).map(|at| format!("\"{}\"", grams[at * grams.len() / count].replace('"', "\"\"")));
    let question = chosen.collect::<Vec<_>>().join(" AND ");
    (!question.is_empty()).then_some(question)
}

fn grams(needle: &str) -> impl Iterator<Item = String> {
    let letters: Vec<char> = needle.chars().collect();
    let grams: Vec<String> = letters.windows(3).map(|gram| gram.iter().collect()).collect();
    grams.into_iter()
}

#[cfg(test)]
mod tests {
    use super::question;
    use crate::model::{predicate::Predicate, record::Record as _, user::User};

    fn asked(needles: &[&str]) -> Option<String> {
        question(User::TABLE, &Predicate::all(needles.iter().map(|needle| Predicate::Search((*needle).to_owned()))))
    }

    #[test]
    fn needles_become_trigrams() {
        assert_eq!(asked(&["mich"]).as_deref(), Some(r#""ich" AND "mic""#));
        assert_eq!(asked(&[" an", "ann"]).as_deref(), Some(r#"" an" AND "ann""#));
        assert_eq!(asked(&["a\"b"]).as_deref(), Some(r#""a""b""#));
        assert_eq!(asked(&["\u{1f600}\u{65e5}\u{672c}"]).as_deref(), Some("\"\u{1f600}\u{65e5}\u{672c}\""));
        for none in [&["ab"][..], &[" a"], &[""], &["abc\0"], &[]] {
            assert_eq!(asked(none), None, "{none:?}");
        }
    }

    #[test]
    fn of_many_trigrams_some_are_asked_for() {
        let long: String = ('a'..='z').chain('0'..='9').collect();
        let asked = asked(&[&long, "zzz"]).unwrap();
        assert_eq!(asked.matches(" AND ").count(), 15, "{asked}");
    }

    #[test]
    fn only_what_must_hold_is_asked_for() {
        let search = || Predicate::Search("abc".to_owned());
        assert_eq!(question(User::TABLE, &search().negate()), None);
        assert_eq!(question(User::TABLE, &Predicate::any([search(), Predicate::equals("rank", 7)])), None);
        assert_eq!(question(User::TABLE, &search().and(Predicate::equals("rank", 7))).as_deref(), Some("\"abc\""));
    }
}
