//! The presets decide as their descriptions say; meanings that the random cases do not reach.

use std::collections::BTreeMap;

use rolekeep::{
    Reason, Result, Time, Value,
    rules::{
        Cause, ChangeKind, Context, Decision, Explanation, Policy, Principal, Question, Resource, Role, RuleSet,
        Schema, Scope, StoredAssignment, StoredPrincipal,
    },
    storage::Predicate,
};
use uuid::Uuid;

const EAST: Uuid = Uuid::from_u128(0xe);
const WEST: Uuid = Uuid::from_u128(0xf);
const MAIN: Uuid = Uuid::from_u128(1);
const EASTERN: Uuid = Uuid::from_u128(2);
const OPERATOR: Uuid = Uuid::from_u128(3);

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn now() -> Time {
    time("2026-06-01T12:00:00Z")
}

fn held(role: &str, scope: Scope) -> StoredAssignment {
    StoredAssignment::new(role, scope)
}

fn facts(id: Uuid, region: Option<Uuid>, assignments: Vec<StoredAssignment>) -> StoredPrincipal {
    let attributes = vec![
        ("username".into(), Value::from("somebody")),
        ("email".into(), Value::from("somebody@example.org")),
        ("status".into(), Value::from("active")),
        ("region_id".into(), region.into()),
    ];
    StoredPrincipal { attributes, assignments, ..StoredPrincipal::new(id) }
}

fn user(id: Uuid, region: Option<Uuid>) -> Resource<'static> {
    Resource::of("user").with("id", id).with("region_id", region)
}

fn region(id: Uuid) -> Resource<'static> {
    Resource::of("region").with("id", id)
}

fn drone(region: Option<Uuid>, users: &[Uuid]) -> Resource<'static> {
    let region = Value::from(region);
    let drone = Resource::of("drone").with("id", Uuid::from_u128(100)).with("region_id", region);
    drone.relation("assigned_users", users.iter().copied())
}

fn decide<T>(
    rules: &RuleSet,
    principal: &Principal,
    permission: &str,
    resource: Option<&Resource<'_>>,
    then: impl Fn(Decision<'_>) -> T,
) -> Result<T> {
    let (permission, fields) = rules.permission_and_fields(permission)?;
    let context = Context::new();
    rules
        .decide(&Question { principal, permission, fields: &fields, resource, context: &context, now: now() })
        .map(then)
}

fn can(rules: &RuleSet, principal: &Principal, permission: &str, resource: &Resource<'_>) -> bool {
    decide(rules, principal, permission, Some(resource), |decision| decision.is_allowed()).unwrap()
}

fn why(rules: &RuleSet, principal: &Principal, permission: &str, resource: Option<&Resource<'_>>) -> Explanation {
    decide(rules, principal, permission, resource, |decision| decision.explain()).unwrap()
}

fn flyos() -> RuleSet {
    RuleSet::compile(&Policy::preset("flyos").unwrap(), &rolekeep_test_cases::schema()).unwrap()
}

#[test]
fn flyos_decides_as_this_table() {
    let rules = flyos();
    let main = rules.resolve_stored(facts(MAIN, None, vec![held("MAIN_HQ", Scope::Global)]));
    let east = rules.resolve_stored(facts(EASTERN, Some(EAST), vec![held("REGIONAL_HQ", Scope::Global)]));
    let operator = rules.resolve_stored(facts(OPERATOR, Some(EAST), vec![held("OPERATOR", Scope::Global)]));
    let nobody = rules.resolve_stored(facts(Uuid::from_u128(4), Some(EAST), vec![]));
    let homeless = rules.resolve_stored(facts(Uuid::from_u128(5), None, vec![held("REGIONAL_HQ", Scope::Global)]));
    let own = user(OPERATOR, Some(EAST));
    let other = user(Uuid::from_u128(9), Some(EAST));
    let west = user(Uuid::from_u128(9), Some(WEST));
    let without = user(Uuid::from_u128(9), None);
    let my_drone = drone(None, &[OPERATOR]);
    let east_drone = drone(Some(EAST), &[]);
    let west_drone = drone(Some(WEST), &[OPERATOR]);
    // (permission, resource, main, east, operator)
    let table: &[(&str, &Resource<'_>, bool, bool, bool)] = &[
        ("user:list", &other, true, true, false),
        ("user:list", &west, true, false, false),
        ("user:list", &own, true, true, false),
        ("user:read", &own, true, true, true),
        ("user:read", &other, true, true, false),
        ("user:read", &west, true, false, false),
        ("user:read", &without, true, false, false),
        ("user:create", &own, true, false, false),
        ("user:update", &own, true, false, false),
        ("user:delete", &own, true, false, false),
        ("user:set_status", &own, true, false, false),
        ("user:set_authority", &own, true, false, false),
        ("region:list", &region(EAST), true, true, true),
        ("region:read", &region(EAST), true, true, true),
        ("region:read", &region(WEST), true, false, false),
        ("region:update", &region(EAST), true, false, false),
        ("drone:list", &my_drone, true, false, true),
        ("drone:read", &my_drone, true, false, true),
        ("drone:read", &east_drone, true, true, false),
        ("drone:read", &west_drone, true, false, true),
        ("drone:update", &east_drone, true, false, false),
        ("drone:assign", &east_drone, true, false, false),
    ];
    for (permission, resource, by_main, by_east, by_operator) in table {
        assert_eq!(can(&rules, &main, permission, resource), *by_main, "main {permission}");
        assert_eq!(can(&rules, &east, permission, resource), *by_east, "east {permission} {resource:?}");
        assert_eq!(can(&rules, &operator, permission, resource), *by_operator, "operator {permission}");
        assert!(!can(&rules, &nobody, permission, resource), "nobody {permission}");
        assert!(!can(&rules, &homeless, permission, resource), "homeless {permission}");
    }
    let list = rules.permission("user:list").unwrap();
    let somewhere = |principal| rules.can_somewhere(principal, list, &Context::new(), now()).unwrap();
    assert!(somewhere(&main) && somewhere(&east));
    // An operator may not list at all, and a region head without a region finds nothing.
    assert!(!somewhere(&operator) && !somewhere(&homeless));
    let filter =
        |principal| rules.filter(principal, list, &Context::new(), now()).unwrap().into_predicate(now()).unwrap();
    assert_eq!(filter(&main), Predicate::Always);
    assert_eq!(filter(&east), Predicate::equals("region_id", EAST));
    assert_eq!(rules.relations_read("drone"), ["assigned_users"]);
    assert!(rules.carries_authority("user", "region_id") && rules.carries_authority("drone", "assigned_users"));
    assert!(!rules.carries_authority("drone", "model") && !rules.carries_authority("user", "email"));
}

#[test]
fn standard_lets_users_look_after_themselves() {
    let rules = RuleSet::compile(&Policy::preset("standard").unwrap(), &rolekeep_test_cases::schema()).unwrap();
    let user_1 = rules.resolve_stored(facts(MAIN, None, vec![held("user", Scope::Global)]));
    let moderator = rules.resolve_stored(facts(EASTERN, None, vec![held("moderator", Scope::Global)]));
    let admin = rules.resolve_stored(facts(OPERATOR, None, vec![held("admin", Scope::Global)]));
    let (own, other) = (user(MAIN, None), user(WEST, None));
    for (permission, by_itself, to_other, by_moderator) in [
        ("user:read", true, false, true),
        ("user:update", true, false, true),
        ("user:update_profile", true, false, false),
        ("user:read_profile", true, true, true),
        ("user:read_any_profile", false, false, true),
        ("user:list", false, false, true),
        ("user:set_status", false, false, true),
        ("user:write", false, false, true),
        ("user:delete", false, false, false),
        ("user:set_authority", false, false, false),
        ("admin:all", false, false, false),
    ] {
        let (own, other) = match permission {
            "admin:all" => (&Resource::of("admin"), &Resource::of("admin")),
            _ => (&own, &other),
        };
        assert_eq!(can(&rules, &user_1, permission, own), by_itself, "{permission}");
        assert_eq!(can(&rules, &user_1, permission, other), to_other, "{permission}");
        assert_eq!(can(&rules, &moderator, permission, other), by_moderator, "{permission}");
        assert!(can(&rules, &admin, permission, other));
    }
    assert_eq!(rules.default_roles(), ["user"]);
    let roles: Vec<_> = rules.roles().map(|role| (role.name, role.is_administrator)).collect();
    assert_eq!(roles, [("admin".to_owned(), true), ("moderator".to_owned(), false), ("user".to_owned(), false)]);
    let effective = rules.effective(&moderator, now());
    let own = effective.iter().filter(|grant| grant.granted_by == "user");
    let own: BTreeMap<_, _> = own.map(|grant| (grant.permission.as_str(), grant)).collect();
    assert_eq!(
        own.keys().collect::<Vec<_>>(),
        [&"user:read", &"user:read_profile", &"user:update", &"user:update_profile"]
    );
    assert!(own.values().all(|grant| grant.role == "moderator"));
    assert!(own.iter().all(|(name, grant)| grant.condition.is_none() == (*name == "user:read_profile")));
}

#[test]
fn an_explanation_says_what_would_have_to_change() {
    let policy = Policy::preset("flyos").unwrap().add_role(Role::new("watch").allow("drone:read")).add_role(
        Role::new("grounded").deny_when("drone:read", "has resource.region_id and resource.region_id != principal.id"),
    );
    let rules = RuleSet::compile(&policy, &rolekeep_test_cases::schema()).unwrap();
    let soon =
        StoredAssignment { valid_from: Some(time("2026-07-01T00:00:00Z")), ..held("watch", Scope::region(EAST)) };
    let principal = rules.resolve_stored(facts(EASTERN, Some(EAST), vec![held("watch", Scope::region(EAST)), soon]));
    let explanation = why(&rules, &principal, "drone:read", Some(&drone(Some(WEST), &[])));
    let moved = &explanation.changes[0];
    assert_eq!((explanation.changes.len(), &moved.scopes), (1, &vec![Scope::region(WEST).to_string()]));
    assert_eq!(moved.assignment.as_ref().unwrap().scope, Scope::region(EAST).to_string());
    assert_eq!(explanation.changes[0].kind, ChangeKind::MoveScope);

    // The one condition must hold and that of the deny must not; either alone does not do.
    let commander = vec![held("REGIONAL_HQ", Scope::Global), held("grounded", Scope::Global)];
    let principal = rules.resolve_stored(facts(EASTERN, Some(EAST), commander));
    let explanation = why(&rules, &principal, "drone:read", Some(&drone(Some(WEST), &[])));
    let kinds: Vec<ChangeKind> = explanation.changes.iter().map(|change| change.kind).collect();
    assert_eq!(explanation.cause, Cause::Denied);
    assert_eq!(kinds, [ChangeKind::MeetCondition, ChangeKind::MeetCondition]);
    let texts: Vec<&str> = explanation.changes.iter().map(|change| change.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            // Not that it has no region: the other one needs it.
            "`resource.region_id != principal.id` must not hold; principal.id is \
             00000000-0000-0000-0000-000000000002, resource.region_id is 00000000-0000-0000-0000-00000000000f",
            "`resource.region_id == principal.region_id` must hold; principal.region_id is \
             00000000-0000-0000-0000-00000000000e, resource.region_id is 00000000-0000-0000-0000-00000000000f",
        ]
    );

    let mut suspended = facts(OPERATOR, Some(EAST), vec![held("OPERATOR", Scope::Global)]);
    (suspended.is_active, suspended.status) = (false, "suspended".into());
    let suspended = rules.resolve_stored(suspended);
    let explanation = why(&rules, &suspended, "drone:read", Some(&drone(None, &[OPERATOR])));
    assert_eq!(explanation.changes[0].kind, ChangeKind::Activate);
    let operator = rules.resolve_stored(facts(OPERATOR, Some(EAST), vec![held("OPERATOR", Scope::Global)]));
    let explanation = why(&rules, &operator, "drone:update", Some(&drone(None, &[])));
    assert_eq!(explanation.changes[0].role.as_deref(), Some("MAIN_HQ"));
    let explanation = why(&rules, &operator, "drone:read", Some(&drone(None, &[OPERATOR])));
    assert_eq!(explanation.decided_by.unwrap().tests[0].values["resource.assigned_users"], "a set of 1");
}

#[test]
fn what_is_missing_is_an_error_and_never_a_decision() {
    let rules = flyos();
    let main = rules.resolve_stored(facts(MAIN, None, vec![held("MAIN_HQ", Scope::Global)]));
    let reason =
        |resource: &Resource<'_>| decide(&rules, &main, "drone:read", Some(resource), |_| ()).unwrap_err().reason();
    // Not even for an administrator.
    let bare = Resource::of("drone").with("id", EAST).with("region_id", Value::Null);
    assert_eq!(reason(&bare), Reason::ResourceIncomplete);
    let broken = drone(Some(EAST), &[]).with("id", Value::Null);
    assert_eq!(reason(&broken), Reason::ResourceIncomplete);
    assert_eq!(reason(&user(MAIN, None)), Reason::InvalidInput);
    let other = flyos();
    let error = decide(&other, &main, "drone:read", None, |_| ()).unwrap_err();
    assert_eq!(error.reason(), Reason::Internal);

    let policy = Policy::new()
        .context("ip", "ip")
        .add_role(Role::new("r").allow_when("audit:read", "context.ip in '10.0.0.0/8'"));
    let rules = RuleSet::compile(&policy, &rolekeep_test_cases::schema()).unwrap();
    let principal = rules.resolve_stored(facts(MAIN, None, vec![held("r", Scope::Global)]));
    let asked = |context: &Context| {
        let permission = rules.permission("audit:read").unwrap();
        let question = Question { principal: &principal, permission, fields: &[], resource: None, context, now: now() };
        rules.decide(&question).map(|decision| decision.is_allowed()).map_err(|error| error.reason())
    };
    assert_eq!(asked(&Context::new()), Err(Reason::ContextIncomplete));
    assert_eq!(asked(&Context::new().with("ip", 7)), Err(Reason::ContextInvalid));
    assert_eq!(asked(&Context::new().with("ip", "::ffff:10.1.2.3")), Ok(true));
    assert_eq!(asked(&Context::new().with("ip", "11.1.2.3")), Ok(false));
}

#[test]
fn admin_all_is_held_globally_or_not_at_all() {
    let rules = flyos();
    let scoped = rules.resolve_stored(facts(MAIN, Some(EAST), vec![held("MAIN_HQ", Scope::region(EAST))]));
    assert!(!can(&rules, &scoped, "drone:read", &drone(Some(EAST), &[])));
    let ended = StoredAssignment { valid_until: Some(now()), ..held("MAIN_HQ", Scope::Global) };
    let ended = rules.resolve_stored(facts(MAIN, Some(EAST), vec![ended]));
    assert!(!can(&rules, &ended, "drone:read", &drone(Some(EAST), &[])));
}

#[test]
fn free_attributes_decide_but_cannot_list() {
    let policy = Policy::new().resource_type("user", [("clearance", "int?"), ("tags", "set<string>?")]).add_role(
        Role::new("r")
            .allow_when("drone:list", "principal.clearance >= 3")
            .allow_when("user:list", "resource.tags contains 'x'"),
    );
    let rules = RuleSet::compile(&policy, &rolekeep_test_cases::schema()).unwrap();
    let with = |value: Value| {
        let mut facts = facts(MAIN, None, vec![held("r", Scope::Global)]);
        facts.attributes.push(("clearance".into(), value));
        rules.resolve_stored(facts)
    };
    let drone = drone(None, &[]);
    assert!(can(&rules, &with(Value::Int(3)), "drone:list", &drone));
    assert!(can(&rules, &with(Value::Json("3.0".into())), "drone:list", &drone));
    for other in [Value::Int(2), Value::Null] {
        assert!(!can(&rules, &with(other), "drone:list", &drone));
    }
    let tagged = |tags: &str| user(MAIN, None).stored("tags", Value::Json(tags.into()));
    let principal = with(Value::Null);
    assert!(can(&rules, &principal, "user:list", &tagged("[\"y\",\"x\"]")));
    assert!(!can(&rules, &principal, "user:list", &tagged("[\"y\",\"x\",1]")));
    let list = rules.permission("user:list").unwrap();
    assert_eq!(rules.filter(&principal, list, &Context::new(), now()).unwrap_err().reason(), Reason::InvalidInput);
    assert!(rules.can_somewhere(&principal, list, &Context::new(), now()).unwrap());
}

#[test]
fn who_is_not_signed_in_has_a_role_of_its_own() {
    let open = Role::new("guest").allow_when(
        "drone:read",
        "has principal.region_id and resource.region_id == principal.region_id or resource.status == 'ACTIVE'",
    );
    let rules =
        RuleSet::compile(&Policy::new().add_role(open).anonymous("guest"), &rolekeep_test_cases::schema()).unwrap();
    let anonymous = rules.anonymous();
    let status = |status: &str| drone(None, &[]).with("status", status);
    assert!(can(&rules, &anonymous, "drone:read", &status("ACTIVE")));
    assert!(!can(&rules, &anonymous, "drone:read", &status("OFFLINE")));
    // Nothing is known of them, so what reads them must say what absence means.
    let careless =
        Role::new("guest").allow("drone:list").deny_when("drone:read", "resource.operator_id == principal.id");
    let error = RuleSet::compile(&Policy::new().add_role(careless).anonymous("guest"), &rolekeep_test_cases::schema())
        .unwrap_err();
    assert!(error.to_string().contains("`principal.id` may be absent"), "{error}");
    let administrator = Policy::new().role("guest", ["admin:all"]).anonymous("guest");
    assert!(RuleSet::compile(&administrator, &rolekeep_test_cases::schema()).is_err());
    let none = RuleSet::compile(&Policy::new(), &rolekeep_test_cases::schema()).unwrap();
    assert!(!can(&none, &none.anonymous(), "drone:read", &drone(None, &[])));
    // What others' conditions read of the principal is nothing that they would have to have.
    let flyos = flyos();
    assert!(!can(&flyos, &flyos.anonymous(), "drone:read", &drone(None, &[])));
    let read = flyos.permission("drone:read").unwrap();
    assert!(!flyos.can_somewhere(&flyos.anonymous(), read, &Context::new(), now()).unwrap());
}

#[test]
fn a_filter_folds_scopes_and_expires() {
    let policy = Policy::new().role("watch", ["drone:list"]);
    let rules = RuleSet::compile(&policy, &rolekeep_test_cases::schema()).unwrap();
    let mut assignments: Vec<_> = (0..50).map(|number| held("watch", Scope::region(Uuid::from_u128(number)))).collect();
    assignments[0].valid_until = Some(time("2026-06-01T12:00:01Z"));
    let principal = rules.resolve_stored(facts(MAIN, None, assignments));
    let filter = rules.filter(&principal, rules.permission("drone:list").unwrap(), &Context::new(), now()).unwrap();
    assert!(
        matches!(filter.predicate_at(now()).unwrap(), Predicate::In(name, ids) if name == "region_id" && ids.len() == 50)
    );
    assert_eq!(filter.expires(), time("2026-06-01T12:00:01Z"));
    assert!(filter.predicate_at(now()).is_ok());
    assert_eq!(filter.predicate_at(filter.expires()).unwrap_err().reason(), Reason::RightsStale);
}

#[test]
fn the_simplest_policy_works_and_names_what_was_meant() {
    let policy = Policy::new().permissions(["document:edit", "document:delete"]).role("editor", ["document:edit"]);
    let rules = RuleSet::compile(&policy, &Schema::new()).unwrap();
    let editor =
        rules.resolve_stored(facts(MAIN, None, vec![held("editor", Scope::Global), held("unknown", Scope::Global)]));
    let document = Resource::of("document");
    assert!(can(&rules, &editor, "document:edit", &document));
    assert!(!can(&rules, &editor, "document:delete", &document));
    let error = rules.permission("document:edti").unwrap_err();
    assert_eq!(error.reason(), Reason::UnknownPermission);
    assert!(error.message().contains("document:edit"), "{error}");
    let error = rules.role("edtor").unwrap_err();
    assert!(error.reason() == Reason::UnknownRole && error.message().contains("editor"), "{error}");
    assert!(Policy::preset("standrd").unwrap_err().message().contains("standard"));
    assert!(rules.check_scope(&"regoin:x".parse().unwrap()).unwrap_err().message().contains("region"));
}

#[test]
fn roles_are_told_as_they_were_written() {
    let policy = Policy::new()
        .permissions(["document:read", "document:edit"])
        .role("reader", ["document:read"])
        .add_role(Role::new("guest").by_default().inherits("reader"))
        .add_role(Role::new("editor").description("Writes.").inherits("reader").inherits("guest").deny("document:edit"))
        .add_role(Role::new("chief").inherits("editor").allow("admin:all"))
        .add_role(Role::new("owner").inherits("chief"));
    let rules = RuleSet::compile(&policy, &Schema::new()).unwrap();
    let told: Vec<String> = rules
        .roles()
        .map(|role| {
            let marks = [("default", role.is_default), ("administrator", role.is_administrator)];
            let marks: Vec<&str> = marks.iter().filter(|(_, is_so)| *is_so).map(|(mark, _)| *mark).collect();
            format!("{} {:?} {:?} {marks:?} {:?}", role.name, role.description, role.inherits, role.grants)
        })
        .collect();
    let expected = [
        r#"chief None ["editor"] ["administrator"] ["admin:all"]"#,
        r#"editor Some("Writes.") ["guest", "reader"] [] ["deny document:edit"]"#,
        r#"guest None ["reader"] ["default"] []"#,
        r#"owner None ["chief"] ["administrator"] []"#,
        r#"reader None [] [] ["document:read"]"#,
    ];
    assert_eq!(told, expected);
    assert_eq!(rules.administrator_roles(), ["chief", "owner"]);
    assert_eq!(rules.default_roles(), ["guest"]);
    let denying = ["reader", "guest", "editor", "chief", "owner", "unknown"].map(|role| rules.has_denies(role));
    assert_eq!(denying, [false, false, true, true, true, false]);
}
