//! The floors and ours answer as the reference does, and see a change at once.

#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

use rolekeep_lab::{
    Engine, Size, Variant, Workload, floors,
    ours::{Handles, Named, Newest, Reader, ScopedHandles, ScopedNamed},
};

const QUERIES: usize = 2_000;

fn answers<E: Engine>(variant: Variant) {
    let workload = Workload::draw(Size::S, variant, QUERIES);
    let mut engine = E::load(&workload).unwrap();
    for query in &workload.queries {
        let ask = engine.ask(&workload, query).unwrap();
        assert_eq!(engine.check(&ask).unwrap(), query.answer, "{query:?}");
    }
    let allowed = workload.queries.iter().filter(|query| query.answer).count();
    let least = if variant == Variant::Unknown { 2 } else { 4 };
    assert!((QUERIES * least / 10..=QUERIES * 6 / 10).contains(&allowed), "{allowed} are allowed");
}

fn changes<E: Engine>() {
    let workload = Workload::draw(Size::S, Variant::Plain, 0);
    let mut engine = E::load(&workload).unwrap();
    for change in [E::assign, E::grant] {
        for edit in &workload.edits {
            let ask = engine.ask(&workload, &edit.query).unwrap();
            for on in [true, false] {
                change(&mut engine, edit, on).unwrap();
                assert_eq!(engine.check(&ask).unwrap(), on, "{edit:?}");
            }
        }
    }
}

#[test]
fn floors_agree_with_the_reference() {
    answers::<floors::Ids>(Variant::Plain);
    answers::<floors::Strings>(Variant::Plain);
    answers::<floors::Maps>(Variant::Plain);
    answers::<floors::Strings>(Variant::Unknown);
    answers::<floors::Ids>(Variant::Roles(5));
    answers::<floors::Ids>(Variant::Hot);
    answers::<floors::ScopedIds>(Variant::Scoped);
    answers::<floors::ScopedStrings>(Variant::Scoped);
}

#[test]
fn ours_agrees_with_the_reference() {
    for variant in [
        Variant::Plain,
        Variant::Denies,
        Variant::Windows,
        Variant::Resident,
        Variant::Roles(1),
        Variant::Roles(5),
        Variant::Hot,
    ] {
        answers::<Handles>(variant);
        answers::<Newest>(variant);
        answers::<Named>(variant);
    }
    answers::<Named>(Variant::Unknown);
    answers::<ScopedHandles>(Variant::Scoped);
    answers::<ScopedNamed>(Variant::Scoped);
}

#[test]
fn changes_are_seen() {
    changes::<floors::Ids>();
    changes::<floors::Strings>();
    changes::<floors::Maps>();
    changes::<Handles>();
    changes::<Newest>();
    changes::<Named>();
}

#[test]
fn a_filter_is_made() {
    assert_ne!(Reader::of(3).unwrap().filter().unwrap(), Reader::of(4).unwrap().filter().unwrap());
}
