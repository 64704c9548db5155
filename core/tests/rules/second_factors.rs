//! Roles that need a second factor, asked about without accounts: what an attack found.

use std::sync::Arc;

use rolekeep::{
    Time,
    rules::{Policy, PrincipalCache, PrincipalData, RuleSet, Rules, Schema, Scope, StoredAssignment, StoredPrincipal},
};
use uuid::Uuid;

const POLICY: &str = r#"
anonymous = "visitor"

[permissions]
"note:read" = ""
"note:write" = ""

[roles.visitor]
second_factor = true
allow = ["note:read"]

[roles.guardian]
second_factor = true
allow = ["note:write"]

[roles.admin]
allow = ["admin:all"]

[roles.owner]
second_factor = true
inherits = ["admin"]
"#;

fn rules() -> Rules {
    Rules::compile(&Policy::from_toml(POLICY).unwrap()).unwrap()
}

fn who(role: &str) -> PrincipalData {
    PrincipalData::new("0190a0b0-0000-7000-8000-000000000001").roles([role])
}

/// Who is not signed in has proved nothing.
#[test]
fn aut_10_who_is_not_signed_in_has_proved_no_second_factor() {
    let rules = rules();
    let visitor = rules.resolve_principal(&who("visitor")).unwrap();
    assert!(!rules.check(&visitor, "note:read", None).unwrap());
    assert!(
        !rules.check(&rules.anonymous(), "note:read", None).unwrap(),
        "a stranger may more than who has an account"
    );
}

/// Of a principal by one factor no active role makes one by two.
#[test]
fn sec_10_active_roles_are_no_second_factor() {
    let rules = rules();
    let guardian = rules.resolve_principal(&who("guardian")).unwrap();
    assert!(!rules.check(&guardian, "note:write", None).unwrap());
    let set = rules.rule_set();
    let active = set.with_active_roles(&guardian, &[set.role("guardian").unwrap()]);
    assert!(!rules.check(&active, "note:write", None).unwrap());
}

/// Nor does an API key.
#[test]
fn sec_10_an_api_key_is_no_second_factor() {
    let rules = rules();
    let guardian = rules.resolve_principal(&who("guardian")).unwrap();
    let key = rules.rule_set().api_key(&guardian, &["guardian"], &["note:*"]).unwrap();
    assert!(!rules.check(&key, "note:write", None).unwrap());
}

/// What is kept of users fails closed, as what is described does: the same user, the same answer.
#[test]
fn sec_10_who_is_in_the_cache_has_proved_no_second_factor() {
    let rules = Arc::new(RuleSet::compile(&Policy::from_toml(POLICY).unwrap(), &Schema::new()).unwrap());
    let cache = PrincipalCache::new(rules.clone(), 10);
    let assignments = vec![StoredAssignment::new("guardian", Scope::Global)];
    let handle = cache.put(StoredPrincipal { assignments, ..StoredPrincipal::new(Uuid::from_u128(1)) });
    let permission = rules.permission("note:write").unwrap();
    assert!(!cache.rights().check(handle, permission, Time::now()).unwrap());
}

/// `RoleInfo::needs_second_factor`: it "allows nothing to who has not proved a second factor, as it says itself".
#[test]
fn aut_10_a_role_that_needs_a_second_factor_brings_nothing_that_it_inherits_without() {
    let rules = rules();
    let owner = rules.resolve_principal(&who("owner")).unwrap();
    assert!(rules.rule_set().roles().find(|role| role.name == "owner").unwrap().needs_second_factor);
    assert!(!rules.check(&owner, "note:write", None).unwrap(), "admin:all by the password alone");
}

/// The reason is the factor that is missing, not the session, which there is none of here.
#[test]
fn aut_10_an_explanation_says_that_a_second_factor_is_missing() {
    let rules = rules();
    let guardian = rules.resolve_principal(&who("guardian")).unwrap();
    let explanation = rules.explain(&guardian, "note:write", None).unwrap();
    let miss = explanation.misses.first().unwrap();
    assert!(miss.is_active && miss.lacks_second_factor, "{}", explanation.text);
    assert!(explanation.text.contains("held everywhere, but a second factor is missing"), "{}", explanation.text);
    let set = rules.rule_set();
    let other = set.with_active_roles(&guardian, &[]);
    let explanation = rules.explain(&other, "note:write", None).unwrap();
    let miss = explanation.misses.first().unwrap();
    assert!(!miss.is_active && miss.lacks_second_factor, "{}", explanation.text);
    let proved = rules.resolve_principal(&who("guardian").second_factor(true)).unwrap();
    assert!(rules.check(&proved, "note:write", None).unwrap());
}
