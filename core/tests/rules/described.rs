//! Rules without accounts: what a host says of a principal, and what is wrong with it (RBC-19).

use rolekeep::{
    Error, Policy, Reason, Resource, Time, Value,
    ffi::rules::{BoundPrincipal, compile},
    rules::{AssignedRole, Context, PermissionHandle, PrincipalData, Rules, Scope},
    storage::sql::TableMapping,
};
use serde_json::json;

const POLICY: &str = r#"
    anonymous = "visitor"

    [types.user]
    attributes = { id = "string", department = "string", level = "int?", teams = "set<string>?" }

    [types.document]
    attributes = { owner = "string", tenant = "string?", level = "int" }

    [permissions]
    "document:read" = "Open a document"
    "document:edit" = "Change a document"

    [context]
    on_site = "bool"

    [scopes.tenant]
    attribute = "tenant"

    [roles.visitor]
    allow = [{ permission = "document:read", when = 'resource.owner == "everybody"' }]

    [roles.reader]
    allow = [{ permission = "document:read", when = 'has principal.level and resource.level <= principal.level' }]

    [roles.editor]
    allow = ["document:edit"]
    deny = [{ permission = "document:edit", when = 'has principal.department and principal.department == "sales"' }]

    [roles.author]
    allow = [{ permission = "document:edit", when = "resource.owner == principal.id" }]
"#;

fn rules() -> Rules {
    Rules::compile(&Policy::from_toml(POLICY).unwrap()).unwrap()
}

fn document(owner: &str) -> Resource<'static> {
    Resource::of("document").with("owner", owner).with("tenant", "acme").with("level", 3)
}

fn maps(id: &str) -> PrincipalData {
    PrincipalData::new(id).attribute("department", "maps")
}

/// Each wrong field and its code.
fn fields(problem: &Error) -> Vec<(&str, String)> {
    problem.fields().iter().map(|one| (one.field.as_str(), one.code.to_string())).collect()
}

#[test]
fn a_grant_that_no_role_has_takes_a_role_that_is_held() {
    let policy = Policy::new().permissions(["document:read", "document:edit"]).role("reader", ["document:read"]);
    let rules = Rules::compile(&policy).unwrap();
    let text = |held: AssignedRole| {
        let ada =
            rules.resolve_principal(&PrincipalData::new("00000000-0000-0000-0000-000000000001").roles([held])).unwrap();
        rules.explain(&ada, "document:edit", None).unwrap().changes.remove(0).text
    };
    assert!(text(AssignedRole::new("reader")).ends_with("a role that is held needs a grant of document:edit"));
    let past = AssignedRole::new("reader").valid_until(Time::UNIX_EPOCH);
    assert!(text(past).ends_with("a role needs a grant of document:edit, and must be assigned"));
}

#[test]
fn a_host_with_users_of_its_own_asks() {
    let rules = rules();
    let ada = rules.resolve_principal(&maps("ada").roles(["author"]).attribute("level", 2)).unwrap();
    assert!(rules.check(&ada, "document:edit", &document("ada")).unwrap());
    assert!(!rules.check(&ada, "document:edit", &document("bob")).unwrap());
    assert!(rules.can_somewhere(&ada, "document:edit").unwrap());
    assert!(rules.has_role(&ada, "author", None).unwrap() && !rules.has_role(&ada, "editor", None).unwrap());
    let (own, other) = (document("ada"), document("bob"));
    let many = rules.check_many(&ada, &[("document:edit", Some(&own)), ("document:edit", Some(&other))]).unwrap();
    assert_eq!(many, [true, false]);
    assert_eq!(rules.require(&ada, "document:edit", &other).unwrap_err().reason(), Reason::Denied);
    let why = rules.explain(&ada, "document:edit", &other).unwrap();
    assert!(!why.allowed && why.text.contains("author"), "{}", why.text);
    let filter = rules.filter(&ada, "document:edit").unwrap();
    let sql = filter.to_sql(&TableMapping::sqlite("documents"), Time::now()).unwrap();
    assert_eq!(sql.text, r#""documents"."owner" COLLATE BINARY = ?1"#);
}

#[test]
fn what_is_held_in_a_scope_for_a_time_and_by_a_group_counts_there_and_then() {
    let rules = rules();
    let (past, future) = (Time::UNIX_EPOCH, Time::MAX);
    let tenant = Scope::of("tenant", "acme");
    let asked = |data: PrincipalData, at: Time| {
        let somebody = rules.resolve_principal(&data).unwrap();
        rules.checks().at(at).check(&somebody, "document:edit", &document("bob")).unwrap()
    };
    let now = Time::now();
    assert!(asked(maps("ada").roles([AssignedRole::new("editor").scope(tenant.clone())]), now));
    assert!(!asked(maps("ada").roles([AssignedRole::new("editor").scope(Scope::of("tenant", "globex"))]), now));
    let window = AssignedRole::new("editor").valid_from(past).valid_until(now);
    assert!(asked(maps("ada").roles([window.clone()]), Time::UNIX_EPOCH));
    assert!(!asked(maps("ada").roles([window]), now));
    assert!(!asked(maps("ada").roles([AssignedRole::new("editor").valid_from(future)]), now));
    assert!(asked(maps("ada").group("staff", ["editor"]), now));
    // A deny of a group's role counts as one's own.
    let sales = |id: &str| PrincipalData::new(id).attribute("department", "sales").roles(["author"]);
    assert!(asked(sales("bob"), now));
    assert!(!asked(sales("bob").group("staff", ["editor"]), now));
    assert!(!asked(maps("bob").roles(["author"]).status("suspended"), now));
}

#[test]
fn who_is_not_signed_in_holds_the_anonymous_role() {
    let rules = rules();
    let nobody = rules.anonymous();
    assert!(rules.check(&nobody, "document:read", &document("everybody")).unwrap());
    assert!(!rules.check(&nobody, "document:read", &document("ada")).unwrap());
}

#[test]
fn ids_are_of_the_type_that_the_policy_declares() {
    let with_id = |ty: &str, id: &str| {
        let policy = Policy::new()
            .resource_type("user", [("id", ty)])
            .resource_type("document", [("owner", ty)])
            .permissions(["document:edit"])
            .add_role(
                rolekeep::rules::Role::new("author").allow_when("document:edit", "resource.owner == principal.id"),
            );
        let rules = Rules::compile(&policy).unwrap();
        let somebody = rules.resolve_principal(&PrincipalData::new(id).roles(["author"]))?;
        let owner = match ty {
            "int" => Value::from(7),
            _ => Value::from(id),
        };
        rules.check(&somebody, "document:edit", &Resource::of("document").with("owner", owner))
    };
    assert_eq!(with_id("string", "ada"), Ok(true));
    assert_eq!(with_id("int", "7"), Ok(true));
    assert_eq!(with_id("id", "0190A0B0-0000-7000-8000-000000000001"), Ok(true));
    for (ty, id) in [("int", "ada"), ("id", "ada"), ("id", "7")] {
        let refused = with_id(ty, id).unwrap_err();
        assert_eq!(fields(&refused), [("id", "invalid_format".to_owned())], "{ty}");
        assert!(refused.fields()[0].message.contains(ty), "{refused}");
    }
    for (attribute, ty) in [("id", "time"), ("id", "string?"), ("id", "set<string>"), ("verified", "string")] {
        let policy = Policy::new().resource_type("user", [(attribute, ty)]);
        let refused = Rules::compile(&policy).unwrap_err();
        assert_eq!(refused.reason(), Reason::PolicyInvalid, "{attribute} {ty}");
        assert!(refused.problems()[0].message.starts_with(&format!("`principal.{attribute}` is")), "{refused}");
    }
    // Of a policy that says nothing of accounts, a UUID.
    let plain =
        Rules::compile(&Policy::new().role("reader", ["document:read"]).permissions(["document:read"])).unwrap();
    assert!(plain.resolve_principal(&PrincipalData::new(uuid::Uuid::nil())).is_ok());
}

#[test]
fn all_that_is_wrong_with_a_description_is_told_at_once() {
    let rules = rules();
    let wrong = PrincipalData::new("ada")
        .roles([
            AssignedRole::new("auhtor"),
            AssignedRole::new("editor").scope(Scope::of("tennant", "acme")),
            AssignedRole::new("editor").valid_from(Time::MAX).valid_until(Time::UNIX_EPOCH),
        ])
        .group("staff", ["reder"])
        .attribute("level", "high")
        .attribute("id", "ada")
        .attribute("departmnet", "maps");
    let refused = rules.resolve_principal(&wrong).unwrap_err();
    assert_eq!(refused.reason(), Reason::InvalidInput);
    let expected = [
        ("attributes.departmnet", "unknown_field"),
        ("attributes.id", "unknown_field"),
        ("attributes.level", "invalid_type"),
        ("attributes.department", "required"),
        ("roles[0].role", "not_found"),
        ("roles[1].scope", "not_found"),
        ("roles[2].valid_until", "out_of_range"),
        ("groups.staff[0].role", "not_found"),
    ];
    assert_eq!(fields(&refused), expected.map(|(field, code)| (field, code.to_owned())));
    let text = refused.to_string();
    for meant in
        ["did you mean `author`?", "did you mean `tenant`?", "did you mean `reader`?", "did you mean `department`?"]
    {
        assert!(text.contains(meant), "{meant}: {text}");
    }
    // Null is not given; what may be absent may be null.
    let null = |name: &str| PrincipalData::new("ada").attribute("department", "maps").attribute(name, Value::Null);
    assert_eq!(
        fields(&rules.resolve_principal(&null("department")).unwrap_err()),
        [("attributes.department", "required".into())]
    );
    assert!(rules.resolve_principal(&null("level")).is_ok());
}

#[test]
fn a_principal_is_good_for_the_rules_that_made_it() {
    let (one, other) = (rules(), rules());
    let ada = one.resolve_principal(&maps("ada").roles(["editor"])).unwrap();
    assert!(one.clone().check(&ada, "document:edit", &document("bob")).unwrap());
    let refused = other.check(&ada, "document:edit", &document("bob")).unwrap_err();
    assert_eq!(refused.reason(), Reason::PrincipalInvalid);
}

/// As a caller's: a deny that reads the context must not open because something else was said of it later.
#[test]
fn what_was_said_of_the_context_stays() {
    let policy = POLICY.replace(
        r#"allow = ["document:edit"]"#,
        r#"allow = [{ permission = "document:edit", when = "context.on_site == true" }]"#,
    );
    let policy = policy.replace(r#"on_site = "bool""#, "on_site = \"bool\"\n    badge = \"string?\"");
    let rules = compile(&json!({ "policy_toml": policy }).to_string(), Time::now).unwrap();
    let ada = json!({ "id": "ada", "attributes": { "department": "maps" }, "roles": ["editor"] });
    let ada =
        BoundPrincipal::described(&rules, &ada.to_string()).unwrap().with_context(r#"{"on_site": true}"#).unwrap();
    let asked = |who: &BoundPrincipal| {
        who.can("document:edit", Some(r#"{"type":"document","owner":"x","tenant":null,"level":3}"#))
    };
    assert_eq!(asked(&ada.with_context(r#"{"badge": "x"}"#).unwrap()), Ok(true));
    assert_eq!(asked(&ada.with_context(r#"{"on_site": false}"#).unwrap()), Ok(false));
}

#[test]
fn explanations_name_principals_by_the_hosts_ids() {
    let rules = rules();
    let one = |id: &str| rules.resolve_principal(&maps(id).roles(["author"])).unwrap();
    let acting = rules.rule_set().on_behalf_of(&one("ada"), &one("bob")).unwrap();
    let why = rules.explain(&acting, "document:edit", &document("ada")).unwrap();
    assert!(why.text.contains("for bob, on whose behalf the principal acts"), "{}", why.text);
    // Both hold the same and are not the same: what one lacks is told of that one alone.
    let asked: Vec<_> = why.changes.iter().map(|change| (change.asker, change.principal)).collect();
    assert_eq!(asked, [(1, None)], "{}", why.text);
    let same = rules.rule_set().on_behalf_of(&one("bob"), &one("bob")).unwrap();
    assert!(rules.check(&same, "document:edit", &document("bob")).unwrap());
}

/// Conditions that permissions share are asked once: of each resource, of each who asks, and only some are remembered.
#[test]
fn many_at_once_are_what_each_is_alone() {
    let grants: String = (0..24)
        .map(|at| {
            let (level, whose) = (at % 12, if at < 12 { "resource.owner == principal.id and " } else { "" });
            format!(r#"{{ permission = "document:act{at}", when = "{whose}resource.level >= {level}" }},"#)
        })
        .collect();
    let names: Vec<String> = (0..24).map(|at| format!("document:act{at}")).chain(["document:edit".into()]).collect();
    let declared: String = names.iter().take(24).map(|name| format!("\"{name}\" = \"\"\n")).collect();
    let policy = POLICY
        .replace("[permissions]", &format!("[permissions]\n{declared}"))
        .replace("[roles.author]\n    allow = [", &format!("[roles.author]\n    allow = [{grants}"));
    let rules = Rules::compile(&Policy::from_toml(&policy).unwrap()).unwrap();
    let one = |id: &str| rules.resolve_principal(&maps(id).roles(["author"])).unwrap();
    let acting = rules.rule_set().on_behalf_of(&one("ada"), &one("bob")).unwrap();
    let documents = [document("ada"), document("bob").with("level", 7), document("ada").with("level", 11)];
    let handles: Vec<_> = names.iter().map(|name| PermissionHandle::new(name.as_str())).collect();
    let mut seen = [0, 0];
    for somebody in [one("ada"), acting] {
        for documents in [documents.iter().map(Some).chain([None]).collect::<Vec<_>>(), vec![Some(&documents[2])]] {
            let pairs = || handles.iter().flat_map(|handle| documents.iter().map(move |about| (handle, *about)));
            let asked: Vec<_> = pairs().collect();
            let by_name: Vec<_> = pairs().map(|(handle, about)| (handle.name(), about)).collect();
            let alone = asked.iter().map(|(handle, about)| rules.check(&somebody, *handle, *about).unwrap());
            let alone: Vec<bool> = alone.collect();
            assert_eq!(rules.check_many(&somebody, &asked).unwrap(), alone);
            assert_eq!(rules.check_many(&somebody, &by_name).unwrap(), alone);
            alone.iter().for_each(|is_allowed| seen[usize::from(*is_allowed)] += 1);
        }
    }
    assert!(seen[0] > 30 && seen[1] > 30, "{seen:?}");
}

#[test]
fn circumstances_are_given_with_the_question() {
    let policy = POLICY.replace(
        r#"allow = ["document:edit"]"#,
        r#"allow = [{ permission = "document:edit", when = "context.on_site == true" }]"#,
    );
    let rules = Rules::compile(&Policy::from_toml(&policy).unwrap()).unwrap();
    let ada = rules.resolve_principal(&maps("ada").roles(["editor"])).unwrap();
    let context = Context::new().with("on_site", true);
    assert!(rules.checks().context(&context).check(&ada, "document:edit", &document("bob")).unwrap());
    let refused = rules.check(&ada, "document:edit", &document("bob")).unwrap_err();
    assert_eq!(refused.reason(), Reason::ContextIncomplete);
}

/// As other languages say it.
#[test]
fn json_is_bounded_and_read_strictly() {
    let settings = json!({ "policy_toml": POLICY }).to_string();
    let rules = compile(&settings, Time::now).unwrap();
    let described = |data: serde_json::Value| BoundPrincipal::described(&rules, &data.to_string());
    let right = json!({
        "id": "ada", "attributes": { "department": "maps", "level": 3, "teams": ["a", "b"] },
        "roles": ["reader", { "role": "editor", "scope": "tenant:acme", "valid_from": null }], "groups": { "staff": ["author"] },
    });
    assert!(
        described(right)
            .unwrap()
            .can("document:read", Some(r#"{"type":"document","owner":"x","tenant":null,"level":3}"#))
            .unwrap()
    );
    let wrong = json!({ "attributes": [], "roles": [{ "scope": "nowhere" }, 5], "gruops": {} });
    let expected = [
        ("id", "required"),
        ("attributes", "invalid_type"),
        ("roles[0].role", "required"),
        ("roles[0].scope", "invalid_format"),
        ("roles[1]", "invalid_type"),
        ("gruops", "unknown_field"),
    ];
    assert_eq!(fields(&described(wrong).unwrap_err()), expected.map(|(field, code)| (field, code.to_owned())));
    for (text, reason) in [
        (format!(r#"{{"id": "{}"}}"#, "x".repeat(10 << 20)), Reason::InvalidJson),
        ("[".repeat(1_000) + &"]".repeat(1_000), Reason::InvalidJson),
        (r#"{"id": "ada", "id": "bob"}"#.to_owned(), Reason::InvalidJson),
        ("ada".to_owned(), Reason::InvalidJson),
        (r#""ada""#.to_owned(), Reason::InvalidInput),
    ] {
        assert_eq!(BoundPrincipal::described(&rules, &text).unwrap_err().reason(), reason, "{text:.40}");
    }
    for (settings, reason) in [
        (json!({}), Reason::ConfigInvalid),
        (json!({ "policy_toml": POLICY, "preset": "standard" }), Reason::ConfigInvalid),
        (json!({ "policy_toml": "[roles" }), Reason::PolicyInvalid),
        (json!({ "policy": POLICY }), Reason::InvalidInput),
    ] {
        assert_eq!(compile(&settings.to_string(), Time::now).unwrap_err().reason(), reason, "{settings}");
    }
    assert!(compile(r#"{"preset": "standard"}"#, Time::now).is_ok());
}
