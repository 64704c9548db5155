//! Nobody moves itself or a thing into its own reach (docs/rules.md, "Attributes that carry authority"):
//! random sequences of operations against a model that knows the rule and nothing of the engine.

use crate::kit;
mod deeds;
mod judge;
mod play;
mod policy;
mod rows;
mod scenarios;

use std::{cell::RefCell, collections::BTreeMap};

use judge::Judge;
use play::Store;
use policy::Policy;
use proptest::prelude::*;
use rolekeep_test_cases::Choices;
use rows::{ADMINISTRATOR, Row, USERS};

const STEPS: usize = 25;

/// The numbers of a sequence; what they mean is told where it fails.
struct Drawn((Vec<u32>, Vec<Vec<u32>>));

impl std::fmt::Debug for Drawn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} steps", self.0.1.len())
    }
}

#[test]
fn nobody_moves_itself_or_a_thing_into_its_own_reach() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let numbers = |least, most| proptest::collection::vec(any::<u32>(), least..most);
    let steps = proptest::collection::vec(numbers(8, 150), 1..=STEPS);
    let sequences = (numbers(150, 400), steps).prop_map(Drawn);
    let counts = RefCell::new(BTreeMap::<String, usize>::new());
    let outcome = |what: &str| *counts.borrow_mut().entry(what.to_owned()).or_default() += 1;
    let config = ProptestConfig { max_shrink_iters: 800, ..kit::config(150) };
    proptest!(config, |(drawn in sequences)| {
        runtime.block_on(sequence(drawn.0.0, drawn.0.1, &outcome))?;
    });
    println!("{:?}", counts.borrow());
    // A sequence in which nothing happens shows nothing.
    let count = |what: &str| counts.borrow().get(what).copied().unwrap_or(0);
    for what in ["done", "guarded", "reaches more", "FORBIDDEN", "RESOURCE_NOT_FOUND"] {
        assert!(count(what) >= kit::scaled(20) as usize, "{what}: {:?}", counts.borrow());
    }
}

async fn sequence(start: Vec<u32>, steps: Vec<Vec<u32>>, outcome: &impl Fn(&str)) -> Result<(), TestCaseError> {
    let mut choices = Choices::new(start);
    let judge = Judge::new(Policy::draw(&mut choices));
    let mut world = policy::world(&mut choices);
    let text = judge.policy.toml();
    let mut store = Store::open(&world, &text).await;
    let mut stored = store.stored().await;
    prop_assert_eq!(store.told(&stored), world.told(), "the start");
    let mut told = format!("{text}\n{:?}\n", world.held);

    for (number, numbers) in steps.into_iter().enumerate() {
        let mut choices = Choices::new(numbers);
        let Some((user, deed, verdict)) = judge.step(&mut choices, &world, number, 12) else { continue };
        told += &format!("{number}. u{user}: {deed:?}\n");
        let before = store.reach(&stored, user).await;
        prop_assert_eq!(&before, &judge.reach(&world, user), "what u{} reaches before\n{}", user, told);

        let answer = store.call(user, deed.call(&world), deed.makes(&world)).await;
        let now = store.stored().await;
        // The invariant itself, asked of the engine: who reaches a row that was there, and did not before,
        // holds the authority over that row as it was and as it is.
        let after = store.reach(&now, user).await;
        for (permission, row) in after.difference(&before).filter(|(_, row)| stored.contains_key(row)) {
            let authority = (format!("{}:set_authority", row.kind()), *row);
            let may = user == ADMINISTRATOR || before.contains(&authority) && after.contains(&authority);
            prop_assert!(may, "u{} moved {} into its own reach: {}\n{}", user, row.name(), permission, told);
            prop_assert!(user == ADMINISTRATOR || *row != Row::User(user), "u{} moved itself\n{}", user, told);
            outcome("reaches more");
        }

        let as_said = match &answer {
            Ok(()) => verdict.codes.is_empty(),
            Err(code) => verdict.codes.contains(&code.as_str()),
        };
        prop_assert!(
            as_said,
            "{:?}, where the rule says {:?} (guarded: {})\n{}",
            answer,
            verdict.codes,
            verdict.guarded.is_some(),
            told
        );
        prop_assert_eq!(store.told(&now), verdict.after.told(), "the rows after\n{}", told);

        outcome(match &answer {
            Ok(()) => "done",
            Err(_) if verdict.guarded.is_some() => "guarded",
            Err(code) => code,
        });
        (world, stored) = (verdict.after, now);
    }
    for user in 0..USERS {
        prop_assert_eq!(
            store.reach(&stored, user).await,
            judge.reach(&world, user),
            "what u{} reaches\n{}",
            user,
            told
        );
    }
    Ok(())
}

/// Every language plays some sequences, with what must come of each step as the model says it.
#[test]
fn the_sequences_that_every_language_plays_are_those_of_the_model() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/conformance/scenarios/guarded_attributes.json");
    let written = scenarios::file();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, &written).unwrap();
    }
    let is_fresh = std::fs::read_to_string(path).is_ok_and(|text| text == written);
    assert!(is_fresh, "{path} is stale: run this test with UPDATE_SNAPSHOTS=1, and read what changed");
}
