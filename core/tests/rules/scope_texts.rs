//! The id of a scope keeps its bytes: what it means is told by the attribute that its kind is bound to.

use std::sync::Arc;

use rolekeep::{
    Time, Value,
    rules::{
        Context, Policy, Principal, Question, Resource, Role, RuleSet, Schema, Scope, StoredAssignment, StoredPrincipal,
    },
    storage::{
        Predicate,
        sql::{SqlValue, TableMapping},
    },
};
use uuid::Uuid;

const ID: Uuid = Uuid::from_u128(0xabcd_ef01_2345_6789_abcd_ef01_2345_6789);

/// All forms in which an id may be written, and what is a text alone.
fn texts() -> [String; 8] {
    [
        ID.to_string(),
        ID.to_string().to_uppercase(),
        ID.simple().to_string(),
        ID.simple().to_string().to_uppercase(),
        ID.braced().to_string(),
        ID.urn().to_string(),
        "12".to_owned(),
        "true".to_owned(),
    ]
}

/// Parcels lie in zones, by a text, and zones in lands; the reader may read all, the guest not those of its scope.
fn rules(ty: &str) -> RuleSet {
    let policy = Policy::new()
        .resource_type("parcel", [("zone", ty)])
        .resource_type("plot", [("zone", ty), ("land", ty)])
        .scope_kind("land", "land")
        .nested_scope_kind("zone", "zone", "land")
        .permissions(["parcel:read"])
        .role("reader", ["parcel:read"])
        .add_role(Role::new("guest").deny("parcel:read"));
    RuleSet::compile(&policy, &Schema::new()).unwrap()
}

fn holder(rules: &RuleSet, held: &[(&str, Scope)], tree: Option<&Arc<rolekeep::rules::ScopeTree>>) -> Principal {
    let assignments = held.iter().map(|(role, scope)| StoredAssignment::new(*role, scope.clone())).collect();
    rules.resolve_stored_in(StoredPrincipal { assignments, ..StoredPrincipal::new(Uuid::from_u128(1)) }, tree)
}

/// By every way there is to ask, which must agree.
fn may_read(rules: &RuleSet, principal: &Principal, zone: &Value) -> bool {
    let (permission, context, now) = (rules.permission("parcel:read").unwrap(), Context::new(), Time::UNIX_EPOCH);
    let json = serde_json::from_value(serde_json::json!({"zone": zone.to_json()})).unwrap();
    let forms = [Resource::of("parcel").with("zone", zone.clone()), Resource::from_json("parcel", &json)];
    let edited = rules.with_role(Role::new("other").allow("parcel:read")).unwrap();
    let mut answers = Vec::new();
    for rules in [rules, &edited] {
        for resource in &forms {
            let resource = Some(resource);
            let question = Question { principal, permission, fields: &[], resource, context: &context, now };
            let decision = rules.decide(&question).unwrap();
            answers.push(("allows", rules.allows(&question).unwrap()));
            answers.push(("decide", decision.is_allowed()));
            let explained = decision.explain();
            answers.push(("explain", explained.allowed));
            assert!(explained.allowed || !explained.changes.is_empty(), "{}", explained.text);
        }
        let filter = rules.filter(principal, permission, &context, now).unwrap();
        let listed = passes(filter.predicate_at(now).unwrap(), zone);
        answers.push(("filter", listed));
        let somewhere = rules.can_somewhere(principal, permission, &context, now).unwrap();
        assert!(somewhere || !listed);
        // The text that a row holds is among the parameters as it is.
        let condition = filter.to_sql(&TableMapping::postgres("p"), now).unwrap();
        if let (Predicate::In(..) | Predicate::Not(_), Value::Text(text)) = (filter.predicate_at(now).unwrap(), zone) {
            let has = condition.parameters.iter().any(|one| match one {
                SqlValue::Texts(all) => all.contains(text),
                SqlValue::Text(one) => one == text,
                _ => false,
            });
            let is_denied = matches!(filter.predicate_at(now).unwrap(), Predicate::Not(_));
            answers.push(("sql", has != is_denied));
        }
    }
    assert!(answers.iter().all(|one| one.1 == answers[0].1), "{zone:?}: {answers:?}");
    answers[0].1
}

/// The predicate on a row that has nothing but a zone.
fn passes(predicate: &Predicate, zone: &Value) -> bool {
    match predicate {
        Predicate::Always => true,
        Predicate::Never => false,
        Predicate::Not(inner) => !passes(inner, zone),
        Predicate::And(parts) => parts.iter().all(|part| passes(part, zone)),
        Predicate::In(_, values) => values.contains(zone),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_scope_over_texts_covers_the_text_as_it_was_written() {
    let rules = rules("string");
    for held in texts() {
        let scopes = [
            Scope::of("zone", held.as_str()),
            // As it is stored, and read again.
            format!("zone:{held}").parse().unwrap(),
            serde_json::from_value(serde_json::json!(format!("zone:{held}"))).unwrap(),
        ];
        for scope in scopes {
            assert_eq!(scope.to_string(), format!("zone:{held}"));
            rules.check_scope(&scope).unwrap();
            let reader = holder(&rules, &[("reader", scope.clone())], None);
            let guest = holder(&rules, &[("reader", Scope::Global), ("guest", scope.clone())], None);
            let role = rules.role("reader").unwrap();
            assert!(rules.holds_role(&reader, role, Some(&scope), Time::UNIX_EPOCH));
            for zone in texts() {
                let value = Value::Text(zone.clone());
                assert_eq!(may_read(&rules, &reader, &value), zone == held, "{scope}: {zone}");
                assert_eq!(may_read(&rules, &guest, &value), zone != held, "not in {scope}: {zone}");
            }
        }
    }
}

#[test]
fn a_scope_over_ids_covers_the_id_in_whatever_form_it_was_written() {
    let rules = rules("id");
    for held in &texts()[..6] {
        let scope: Scope = format!("zone:{held}").parse().unwrap();
        assert_eq!(scope.to_string(), format!("zone:{held}"));
        assert_eq!(rules.canonical_scope(&scope), Scope::of("zone", ID));
        let reader = holder(&rules, &[("reader", scope.clone())], None);
        let guest = holder(&rules, &[("reader", Scope::Global), ("guest", scope.clone())], None);
        let role = rules.role("reader").unwrap();
        assert!(rules.holds_role(&reader, role, Some(&Scope::of("zone", ID)), Time::UNIX_EPOCH));
        for (zone, is_here) in [(ID, true), (Uuid::from_u128(7), false)] {
            assert_eq!(may_read(&rules, &reader, &Value::Id(zone)), is_here, "{scope}");
            assert_eq!(may_read(&rules, &guest, &Value::Id(zone)), !is_here, "{scope}");
        }
    }
}

#[test]
fn a_scope_over_numbers_covers_the_number() {
    let rules = rules("int");
    for scope in [Scope::of("zone", 12), Scope::of("zone", "12"), "zone:12".parse().unwrap()] {
        let guest = holder(&rules, &[("reader", Scope::Global), ("guest", scope)], None);
        assert!(!may_read(&rules, &guest, &Value::Int(12)));
        assert!(may_read(&rules, &guest, &Value::Int(13)));
    }
}

#[test]
fn a_deny_in_an_outer_scope_counts_everywhere_where_nobody_says_what_lies_in_it() {
    let rules = rules("string");
    let (zone, land) = (Value::from("tyrol"), Scope::of("land", "austria"));
    let held = [("reader", Scope::Global), ("guest", land.clone())];
    let guest = holder(&rules, &held, None);
    assert!(!may_read(&rules, &guest, &zone) && !may_read(&rules, &guest, &Value::from("zug")));
    let permission = rules.permission("parcel:read").unwrap();
    assert!(!rules.can_somewhere(&guest, permission, &Context::new(), Time::UNIX_EPOCH).unwrap());
    let (context, now) = (Context::new(), Time::UNIX_EPOCH);
    let parcel = Resource::of("parcel").with("zone", zone.clone());
    let question =
        Question { principal: &guest, permission, fields: &[], resource: Some(&parcel), context: &context, now };
    let explained = rules.decide(&question).unwrap().explain().text;
    assert!(explained.contains("guest denies parcel:read, held in land austria\n"), "{explained}");
    // What it allows there reaches nothing.
    assert!(!may_read(&rules, &holder(&rules, &[("reader", land)], None), &zone));
    // Who says it says it of all rows.
    let tree = Arc::new(rules.scope_tree([("zone", Value::from("zug"), Value::from("austria"))]));
    let guest = holder(&rules, &held, Some(&tree));
    assert!(may_read(&rules, &guest, &zone) && !may_read(&rules, &guest, &Value::from("zug")));
}

#[test]
fn rows_within_others_are_found_by_their_texts() {
    for (ty, texts) in [("string", texts().map(Value::Text).to_vec()), ("int", vec![Value::Int(12), Value::Int(13)])] {
        let rules = rules(ty);
        for zone in &texts {
            for land in &texts {
                let tree = Arc::new(rules.scope_tree([("zone", zone.clone(), land.clone())]));
                let scope = Scope::of("land", land.clone());
                let guest = holder(&rules, &[("reader", Scope::Global), ("guest", scope)], Some(&tree));
                for other in &texts {
                    assert_eq!(may_read(&rules, &guest, other), other != zone, "{zone:?} in {land:?}: {other:?}");
                }
            }
        }
    }
}
