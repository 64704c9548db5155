//! An unknown name costs as a known one; what may have been meant is looked for when somebody reads the message.

use std::time::Duration;

use rolekeep::{
    Reason,
    rules::{Policy, RuleSet, Schema},
};

use crate::processor_time::processor_time;

fn large() -> RuleSet {
    let permissions = (0..20_000).map(|at| format!("type{:03}:action{at:05}", at % 500));
    let policy = Policy::new().permissions(permissions.chain(["document:read".to_owned()]));
    let policy = (0..3_000).fold(policy, |policy, at| policy.role(format!("role-{at:04}"), ["document:read"]));
    RuleSet::compile(&policy.role("editor", ["document:read"]), &Schema::new()).unwrap()
}

#[test]
fn an_unknown_name_costs_little_and_is_still_told_what_was_meant() {
    let rules = large();
    let start = processor_time();
    for _ in 0..2_000 {
        assert_eq!(rules.permission("document:raed").unwrap_err().reason(), Reason::UnknownPermission);
        assert_eq!(rules.role("editro").unwrap_err().reason(), Reason::UnknownRole);
    }
    // A look at every name takes a hundred times as long.
    let spent = processor_time() - start;
    assert!(spent < Duration::from_secs(2), "{spent:?}");
    for (error, near) in [
        (rules.permission("document:raed").unwrap_err(), "`document:read`"),
        (rules.permission("type007:action0000").unwrap_err(), "`type007:action00007`"),
        (rules.role("editr").unwrap_err(), "`editor`"),
    ] {
        assert!(error.message().contains(near), "{error}");
        assert!(error.to_string().contains(near), "{error}");
        assert!(serde_json::to_string(&error).unwrap().contains(near));
        let start = processor_time();
        assert!(error.clone() == error && error.message() == error.clone().message());
        assert!(processor_time() - start < Duration::from_millis(500));
    }
}
