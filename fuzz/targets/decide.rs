//! A random policy, somebody and things, drawn from the input: decisions never panic, and those of the policy written
//! as TOML and as JSON are the same.
#![no_main]

mod shared;

use libfuzzer_sys::fuzz_target;
use rolekeep::rules::{Policy, Question, RuleSet};
use rolekeep_test_cases::{Case, Choices};

fuzz_target!(|bytes: &[u8]| {
    // Two bytes a choice: a mutation changes one.
    let numbers = bytes.chunks(2).map(|pair| pair.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)));
    let case = Case::draw(&mut Choices::new(numbers.collect()));
    let policy = case.policy();
    shared::hold(Ok(policy.clone()));
    let Ok(rules) = RuleSet::compile(&policy, &rolekeep_test_cases::schema()) else { return };
    let expected = answers(&case, &rules);
    let compiled =
        |policy: rolekeep::Result<Policy>| RuleSet::compile(&policy.expect("a policy"), &rolekeep_test_cases::schema());
    let (toml, json) = (policy.to_toml().expect("TOML"), policy.to_json().expect("JSON"));
    assert_eq!(expected, answers(&case, &compiled(Policy::from_toml(&toml)).expect("TOML compiles")), "{toml}");
    assert_eq!(expected, answers(&case, &compiled(Policy::from_json(&json)).expect("JSON compiles")), "{json}");
});

/// Every permission, on every thing and on none; and on each a filter agrees.
fn answers(case: &Case, rules: &RuleSet) -> Vec<Option<bool>> {
    let principal = case.principal(rules).expect("a principal of the policy");
    let context = case.context();
    let mut answers = Vec::new();
    for info in rules.permissions() {
        let permission = rules.permission(&info.name).expect("a permission of the policy");
        let things = case.things.iter().map(|thing| Some(thing.resource())).chain([None]);
        for resource in things.filter(|resource| resource.is_none() || info.name.starts_with("thing:")) {
            let question = Question {
                principal: &principal,
                permission,
                fields: &[],
                resource: resource.as_ref(),
                context: &context,
                now: case.now,
            };
            let decision = rules.decide(&question);
            answers.push(decision.ok().map(|decision| {
                let explanation = decision.explain();
                assert_eq!(explanation.allowed, decision.is_allowed());
                assert!(!explanation.text.is_empty());
                decision.is_allowed()
            }));
        }
        let somewhere = rules.can_somewhere(&principal, permission, &context, case.now).ok();
        if info.name.starts_with("thing:") && somewhere == Some(false) {
            let asked = answers.len() - case.things.len() - 1;
            assert!(!answers[asked..].contains(&Some(true)), "{} is allowed nowhere, and somewhere", info.name);
        }
        answers.push(somewhere);
    }
    answers
}
