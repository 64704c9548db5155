//! Which indexes have the rows of a query, in its order where that is asked for: one, or one for each part of a disjunction.
//!
//! What several rules allow at once is a disjunction, of which a database knows nothing better than to sort all rows or to try
//! each on its way. But each of its parts (an arm) can be walked on an index of its own, and the first rows of all are among the first of each.

use std::collections::BTreeSet;

use crate::{
    model::{
        predicate::{Comparison, Predicate},
        record::Table,
        value::Value,
    },
    storage::{Query, change_set::kind_of},
};

/// More are not worth their statement.
const MOST_ARMS: usize = 64;

/// Rows of a query that one index finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::storage) struct Arm {
    /// What all of them fulfil, and nobody else.
    pub(super) filter: Predicate,
    /// How they are found.
    pub(super) path: Path,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// The index is entered by these parts of the filter, and walked. All of its rows, if there are none.
    Walked(Predicate),
    /// The filter gives the keys of all rows in question.
    Keys,
}

impl Path {
    fn is_narrow(&self) -> bool {
        *self != Path::Walked(Predicate::Always)
    }
}

/// The order that the rows must come in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) enum Wanted {
    InOrder,
    InAnyOrder,
}

/// The arms that have all rows of a query: the parts of a disjunction, if each has an index that leaves the other rows out, or the whole if it
/// has an index. None if it has not.
pub(in crate::storage) fn of(query: &Query, wanted: Wanted) -> Option<Vec<Arm>> {
    parts(query, wanted).or_else(|| {
        let path = path(query, &query.filter, wanted)?;
        Some(vec![Arm { filter: query.filter.clone(), path }])
    })
}

/// The same, of disjunctions alone.
pub(in crate::storage) fn parts(query: &Query, wanted: Wanted) -> Option<Vec<Arm>> {
    // What lies in the order of another table has no index of its own.
    if query.beside.is_some() && wanted == Wanted::InOrder {
        return None;
    }
    let conjuncts = query.filter.conjuncts();
    conjuncts.iter().enumerate().find_map(|(at, part)| {
        let alternatives = alternatives(query, part, wanted);
        if !(2..=MOST_ARMS).contains(&alternatives.len()) {
            return None;
        }
        let others = || conjuncts.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, part)| part.clone());
        let filters = alternatives.into_iter().map(|part| Predicate::all([part].into_iter().chain(others())));
        let filters = filters.filter(|filter| !is_contradictory(filter));
        let arm = |filter| Some(Arm { path: path(query, &filter, wanted).filter(Path::is_narrow)?, filter });
        let arms = filters.map(arm).collect::<Option<Vec<Arm>>>()?;
        // Walking the same rows once for each part is worse than walking them once.
        let is_one = arms.iter().skip(1).all(|arm| arm.path == arms[0].path);
        (!arms.is_empty() && (arms.len() == 1 || !is_one)).then_some(arms)
    })
}

/// What a condition comes to, side by side.
fn alternatives(query: &Query, part: &Predicate, wanted: Wanted) -> Vec<Predicate> {
    match part {
        Predicate::Or(parts) => parts.iter().flat_map(|part| alternatives(query, part, wanted)).collect(),
        // Rows of many keys are found by them.
        Predicate::In(name, values) if values.len() <= MOST_ARMS && !is_key(query.table, name) => {
            values.iter().map(|value| Predicate::Compare(name.clone(), Comparison::Equal, value.clone())).collect()
        }
        Predicate::And(parts) if path(query, part, wanted).is_none_or(|path| !path.is_narrow()) => {
            let split = parts.iter().enumerate().find_map(|(at, part)| {
                let alternatives = alternatives(query, part, wanted);
                (alternatives.len() > 1).then_some((at, alternatives))
            });
            let Some((at, alternatives)) = split else { return vec![part.clone()] };
            let with = |alternative: Predicate| {
                let others = parts.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, part)| part.clone());
                Predicate::all([alternative].into_iter().chain(others))
            };
            alternatives.into_iter().map(with).collect()
        }
        part => vec![part.clone()],
    }
}

/// The index that finds the rows of a filter: the first declared that leaves others out, else any that has the order.
fn path(query: &Query, filter: &Predicate, wanted: Wanted) -> Option<Path> {
    let (table, conjuncts) = (query.table, filter.conjuncts());
    let keys = |at: &usize| conjuncts.iter().any(|part| gives(table, *at, part));
    if query.beside.is_none() && table.key.iter().all(keys) {
        return Some(Path::Keys);
    }
    let order: Vec<usize> = match wanted {
        Wanted::InAnyOrder => Vec::new(),
        Wanted::InOrder => {
            let parts = query.sorting().ok()?.parts;
            // An index is walked one way.
            if parts.iter().any(|(_, direction)| *direction != parts[0].1) {
                return None;
            }
            parts.into_iter().map(|(at, _)| at).collect()
        }
    };
    if query.beside.is_some() && wanted == Wanted::InOrder {
        let is_there = indexes(query.ordering()).any(|index| index.starts_with(&order));
        return is_there.then_some(Path::Walked(Predicate::Always));
    }
    let equal = |at: usize| conjuncts.iter().find(|part| is_equal(table, at, part));
    let entered = indexes(table).filter_map(|index| {
        let most = index.iter().take_while(|at| equal(**at).is_some()).count();
        let entered = (0..=most).rev().find(|count| index[*count..].starts_with(&order))?;
        Some(index[..entered].iter().filter_map(|at| equal(*at)).cloned().collect::<Vec<_>>())
    });
    let entered: Vec<Vec<Predicate>> = entered.collect();
    let best = entered.iter().find(|parts| !parts.is_empty()).or_else(|| entered.first())?;
    Some(Path::Walked(Predicate::all(best.iter().cloned())))
}

/// The parts of a query's filter that give the keys of all rows in question, and the others; none: nothing gives them.
pub(super) fn keys(query: &Query) -> Option<(Predicate, Predicate)> {
    let conjuncts = query.filter.conjuncts();
    let is_given = |at: &usize| conjuncts.iter().any(|part| gives(query.table, *at, part));
    query.table.key.iter().all(is_given).then(|| {
        let is_key = |part: &&Predicate| query.table.key.iter().any(|at| gives(query.table, *at, part));
        let (keys, others): (Vec<_>, Vec<_>) = conjuncts.iter().partition(is_key);
        (Predicate::all(keys.into_iter().cloned()), Predicate::all(others.into_iter().cloned()))
    })
}

/// The columns of the indexes of a table, as they were made: the key's stand behind those that are declared.
fn indexes(table: &'static Table) -> impl Iterator<Item = Vec<usize>> {
    let behind = |index: &[usize]| table.key.iter().copied().filter(|at| !index.contains(at)).collect::<Vec<_>>();
    let declared = table.indexes.iter().map(move |index| [index, &behind(index)[..]].concat());
    declared.chain([table.key.to_vec()])
}

/// The columns that a filter reads, and the key, if one index has all of them.
pub(super) fn covered(table: &'static Table, filter: &Predicate) -> Option<BTreeSet<usize>> {
    let mut names = Vec::new();
    filter.columns(&mut names);
    let read: Option<BTreeSet<usize>> = names.iter().map(|name| table.position(name)).collect();
    let read: BTreeSet<usize> = read?.into_iter().chain(table.key.iter().copied()).collect();
    let has_all = |index: Vec<usize>| read.iter().all(|at| index.contains(at));
    (!is_search(filter) && indexes(table).any(has_all)).then_some(read)
}

/// Whether some part of a filter is a search, which reads what no index has.
fn is_search(filter: &Predicate) -> bool {
    match filter {
        Predicate::Search(_) => true,
        Predicate::And(parts) | Predicate::Or(parts) => parts.iter().any(is_search),
        Predicate::Not(part) => is_search(part),
        Predicate::Always
        | Predicate::Never
        | Predicate::Present(_)
        | Predicate::Compare(..)
        | Predicate::CompareColumns(..)
        | Predicate::In(..)
        | Predicate::StartsWith(..)
        | Predicate::Linked(..)
        | Predicate::LinkedToColumn(..)
        | Predicate::Contains(..)
        | Predicate::ContainsColumn(..)
        | Predicate::InRanges(..) => false,
    }
}

/// Whether a condition fixes the value of a column.
fn is_equal(table: &Table, at: usize, part: &Predicate) -> bool {
    match part {
        Predicate::Compare(name, Comparison::Equal, value) => {
            table.position(name) == Some(at) && kind_of(value) == Some(table.column(at).kind)
        }
        part => part.absent().is_some_and(|name| table.column(at).nullable && table.position(name) == Some(at)),
    }
}

/// Whether a condition gives the values that a column may have.
fn gives(table: &Table, at: usize, part: &Predicate) -> bool {
    match part {
        Predicate::In(name, _) => table.position(name) == Some(at),
        Predicate::Compare(name, Comparison::Equal, _) => table.position(name) == Some(at),
        _ => false,
    }
}

fn is_key(table: &Table, name: &str) -> bool {
    table.position(name).is_some_and(|at| table.key.contains(&at))
}

/// Whether two parts of a filter want different values of a column, as the region of whoever asks and another one.
fn is_contradictory(filter: &Predicate) -> bool {
    let conjuncts = filter.conjuncts();
    let differ = |name: &str, value: &Value, other: &Predicate| match other {
        Predicate::Compare(of, Comparison::Equal, wanted) => of == name && wanted != value,
        Predicate::In(of, values) => of == name && values.binary_search(value).is_err(),
        _ => false,
    };
    filter == &Predicate::Never
        || conjuncts.iter().any(|part| match part {
            Predicate::Compare(name, Comparison::Equal, value) => {
                conjuncts.iter().any(|other| differ(name, value, other))
            }
            _ => false,
        })
}
