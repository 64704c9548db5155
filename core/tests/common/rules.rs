//! What tests of the rules share: random cases, and the engine on one of them.
#![allow(dead_code, clippy::unwrap_used, reason = "each test takes what it needs")]

use proptest::{prelude::*, test_runner::RngSeed};
use rolekeep::{
    Value,
    rules::{Context, Explanation, FieldId, Principal, Question, Resource, RuleSet},
    storage::{Link, Links},
};
use rolekeep_test_cases::{Case, Choices, Query, THINGS, ThingRow};
use uuid::Uuid;

/// The same cases in every run; others with `PROPTEST_RNG_SEED`.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    // The seed alone names what failed.
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(scaled(cases)) };
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(2026);
    }
    // Shown where the test fails.
    println!("seed {}", config.rng_seed);
    config
}

/// So many, or as `ROLEKEEP_TEST_PERCENT` says a part of them, or several times as many.
pub(crate) fn scaled(count: u32) -> u32 {
    let percent = std::env::var("ROLEKEEP_TEST_PERCENT").ok().and_then(|text| text.parse().ok());
    (u64::from(count) * percent.unwrap_or(100) / 100).clamp(1, u32::MAX.into()) as u32
}

pub(crate) fn cases() -> impl Strategy<Value = Case> {
    proptest::collection::vec(any::<u32>(), 0..1100).prop_map(|numbers| Case::draw(&mut Choices::new(numbers)))
}

/// Sets of fields that are asked for.
pub(crate) const FIELDS: &[&[&str]] = &[&[], &["code"], &["label"], &["code", "label"]];

/// The engine, on one case.
pub(crate) struct Engine<'a> {
    pub(crate) case: &'a Case,
    pub(crate) rules: RuleSet,
    pub(crate) principal: Principal,
    pub(crate) context: Context,
}

impl<'a> Engine<'a> {
    pub(crate) fn of(case: &'a Case) -> Self {
        let rules = case.rules().unwrap();
        let principal = case.principal(&rules).unwrap();
        Self { case, rules, principal, context: case.context() }
    }

    pub(crate) fn decide(&self, query: Query<'_>) -> bool {
        self.ask(query, |decision| decision.is_allowed())
    }

    pub(crate) fn explain(&self, query: Query<'_>) -> Explanation {
        self.ask(query, |decision| decision.explain())
    }

    pub(crate) fn ask<T>(&self, query: Query<'_>, look: impl FnOnce(rolekeep::rules::Decision<'_>) -> T) -> T {
        let permission = self.rules.permission(query.permission).unwrap();
        let fields: Vec<FieldId> = query.fields.iter().map(|field| self.rules.field("thing", field).unwrap()).collect();
        let resource = query.thing.map(ThingRow::resource);
        let question = Question {
            principal: &self.principal,
            permission,
            fields: &fields,
            resource: resource.as_ref(),
            context: &self.context,
            now: self.case.now,
        };
        let decision = self.rules.decide(&question).unwrap();
        // The way that does not explain.
        assert_eq!(self.rules.allows(&question).unwrap(), decision.is_allowed());
        // The same thing, its values given one by one.
        for shaped in query.thing.into_iter().flat_map(given) {
            let question = Question { resource: Some(&shaped), ..question };
            assert_eq!(self.rules.allows(&question).unwrap(), decision.is_allowed());
        }
        look(decision)
    }

    /// Every thing of the case, and none.
    pub(crate) fn things(&self) -> impl Iterator<Item = Option<&'a ThingRow>> {
        self.case.things.iter().map(Some).chain([None])
    }
}

/// A thing whose values are given in the order of its columns, and backwards.
fn given(thing: &ThingRow) -> [Resource<'static>; 2] {
    let users: Vec<String> = thing.users.iter().map(|id| format!("\"{id}\"")).collect();
    let users = Value::Json(format!("[{}]", users.join(",")).into());
    let columns = THINGS.columns.iter().zip(&thing.row.0).filter(|(column, _)| column.name != "notes");
    let values = columns.map(|(column, value)| (column.name, value.clone())).chain([("assigned_users", users)]);
    let values: Vec<_> = values.collect();
    let with = |resource: Resource<'static>, (name, value): &(&'static str, Value)| resource.with(*name, value.clone());
    [values.iter().fold(Resource::of("thing"), with), values.iter().rev().fold(Resource::of("thing"), with)]
}

/// The links of one thing.
pub(crate) struct Tied<'a>(pub(crate) &'a ThingRow);

impl Links for Tied<'_> {
    fn tied(&self, link: &Link, own: &Value, other: &Value) -> bool {
        let users: &[Uuid] = &self.0.users;
        link.table == "thing_users" && *own == self.0.row.0[0] && users.iter().any(|id| Value::Id(*id) == *other)
    }
}
