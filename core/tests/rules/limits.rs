//! Hostile and enormous policies are refused or compiled in bounded time: never a panic, never an
//! exhausted stack.

use rolekeep::rules::{Context, Policy, Question, Role, RuleSet, Schema, Scope, StoredAssignment, StoredPrincipal};

fn told(policy: Result<Policy, rolekeep::Error>) -> String {
    match policy.and_then(|policy| RuleSet::compile(&policy, &rolekeep_test_cases::schema())) {
        Ok(_) => "no error".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn when(condition: String) -> String {
    told(Ok(Policy::new().add_role(Role::new("r").allow_when("drone:read", condition))))
}

#[test]
fn nesting_is_bounded() {
    for depth in [1_000, 100_000] {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        let (brace, shut) = ("{\"a\":".repeat(depth), "}".repeat(depth));
        for json in [format!("{{\"roles\":{open}{close}}}"), format!("{{\"roles\":{brace}1{shut}}}")] {
            assert!(told(Policy::from_json(&json)).contains("nested too deeply"));
        }
        let dotted = "a.".repeat(depth);
        let tables = "{a=".repeat(depth);
        let file = [
            format!("roles = {open}{close}"),
            format!("{dotted}a = 1"),
            format!("[{dotted}a]"),
            format!("x = {tables}1{shut}"),
        ];
        for toml in file {
            assert_ne!(told(Policy::from_toml(&toml)), "no error");
        }
    }
    // Dotted keys within inline tables multiply both of the parser's limits.
    let steep = format!("x = {}1{}", format!("{{ {}a = ", "a.".repeat(70)).repeat(70), "}".repeat(70));
    assert_ne!(told(Policy::from_toml(&steep)), "no error");
}

#[test]
fn conditions_are_bounded() {
    let parentheses = |depth: usize| format!("{}resource.code == 'x'{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(when(parentheses(32)), "no error");
    for depth in [33, 1_000, 100_000] {
        assert!(when(parentheses(depth)).contains("parentheses"));
        assert!(when(format!("{}true == true", "not ".repeat(depth))).contains("cannot follow"));
    }
    for word in [" or ", " and "] {
        let terms = |count: usize| vec!["resource.code == 'x'"; count].join(word);
        assert_eq!(when(terms(500)), "no error");
        assert!(when(terms(501)).contains("at most 500 comparisons"));
        assert!(when(terms(40_000)).contains("at most 500 comparisons"));
        assert!(when(terms(100_000)).contains("at most"));
    }
    let long = |bytes: usize| format!("resource.code == 'x'{}", " ".repeat(bytes - 20));
    assert_eq!(when(long(1 << 20)), "no error");
    assert!(when(long((1 << 20) + 1)).contains("at most 1048576 bytes"));
    let many: Vec<String> = (0..50_000).map(|number| format!("'{number}'")).collect();
    assert_eq!(when(format!("resource.code in [{}]", many.join(","))), "no error");
}

#[test]
fn a_policy_of_ten_megabytes_loads_and_a_larger_one_is_refused() {
    let role = |number: usize| {
        let parent = format!("role{}", number.saturating_sub(1) / 100);
        let inherits = if number == 0 { String::new() } else { format!("inherits = [\"{parent}\"]\n") };
        let about = "x".repeat(900);
        let when = "resource.code == \\\"a\\\" and resource.region_id == principal.region_id";
        format!(
            "[roles.role{number}]\ndescription = \"{about}\"\n{inherits}allow = [\"user:read\", {{ permission = \"drone:read\", when = \"{when}\" }}]\n\n"
        )
    };
    let file: String = (0..9_000).map(role).collect();
    assert!(file.len() > 9_500_000, "{}", file.len());
    assert_eq!(told(Policy::from_toml(&file)), "no error");
    assert!(told(Policy::from_toml(&" ".repeat(17_000_000))).contains("at most"));
}

#[test]
fn a_file_full_of_mistakes_tells_them_all_up_to_a_limit() {
    let refused = |count: usize| {
        let mistakes: Vec<String> = (0..count).map(|number| format!("\"nothing:here{number}\"")).collect();
        let policy = Policy::from_json(&format!("{{\"roles\":{{\"r\":{{\"allow\":[{}]}}}}}}", mistakes.join(",")));
        RuleSet::compile(&policy.unwrap(), &rolekeep_test_cases::schema()).unwrap_err()
    };
    let error = refused(20_000);
    assert_eq!((error.problems().len(), error.message()), (20_000, "the policy has errors"));
    let error = refused(20_003);
    assert_eq!((error.problems().len(), error.message()), (20_000, "the policy has errors; 3 more than those told"));
}

#[test]
fn what_is_given_twice_is_refused_with_both_places() {
    let problems = |policy: Result<Policy, rolekeep::Error>| {
        let error = policy.and_then(|policy| RuleSet::compile(&policy, &rolekeep_test_cases::schema())).unwrap_err();
        let told = error.problems().iter().map(|one| {
            format!("{}:{} {} ({})", one.line, one.column, one.message, one.help.as_deref().unwrap_or_default())
        });
        told.collect::<Vec<_>>().join("; ")
    };
    assert_eq!(
        problems(Policy::from_json(
            "{\"roles\": {\"r\": {}},\n \"r\\u006fles\": {\"r\": {\"allow\": [\"admin:all\"]}}}"
        )),
        "2:3 `roles` is given twice (first given at line 1, column 3)"
    );
    assert_eq!(
        problems(Policy::from_json("{\"a\\\\\": 1, \"b\": 1, \"a\\u005c\": 1}")).split("; ").nth(2).unwrap(),
        "1:21 `a\\` is given twice (first given at line 1, column 3)"
    );
    assert_eq!(
        problems(Policy::from_toml("[roles.r]\nallow = []\n[roles.s]\nallow = []\n[roles.r]\nallow = [\"admin:all\"]")),
        "5:8 `r` is given twice (first given at line 1, column 8)"
    );
    assert_eq!(
        problems(Policy::from_toml("[roles.s]\nallow = []\n[roles.r]\n\"allow\" = []\nallow = [\"admin:all\"]")),
        "5:1 `allow` is given twice ()"
    );
    assert_eq!(
        problems(Policy::from_json("{\"permissions\": [\"a:b\", \"c:d\",\n\"a:b\"]}")),
        "2:1 permission `a:b` is declared twice (first declared at line 1, column 18)"
    );
    let twice = Policy::new().role("r", ["user:read"]).role("r", ["admin:all"]);
    assert_eq!(problems(Ok(twice)), "1:1 role `r` is declared twice ()");
}

/// What grants nothing denies everything, whoever asks.
#[test]
fn an_empty_policy_or_a_backward_window_allows_nothing() {
    let now = "2026-06-01T12:00:00Z".parse().unwrap();
    let time = |text: &str| Some(text.parse().unwrap());
    let window = |from, until| StoredAssignment {
        valid_from: from,
        valid_until: until,
        ..StoredAssignment::new("r", Scope::Global)
    };
    let windows = [
        window(time("2026-07-01T00:00:00Z"), time("2026-05-01T00:00:00Z")),
        window(time("2026-06-01T12:00:00Z"), time("2026-06-01T12:00:00Z")),
        window(None, time("2026-06-01T12:00:00Z")),
        window(time("2026-06-01T12:00:00.000001Z"), None),
    ];
    let role = "[roles.r]\nallow = [\"admin:all\", \"drone:read\"]";
    for (text, is_json, facts) in [
        ("", false, vec![]),
        ("{}", true, vec![]),
        ("# nothing\n", false, windows.to_vec()),
        (role, false, windows.to_vec()),
    ] {
        let policy = if is_json { Policy::from_json(text) } else { Policy::from_toml(text) }.unwrap();
        let rules = RuleSet::compile(&policy, &rolekeep_test_cases::schema()).unwrap();
        let principal =
            rules.resolve_stored(StoredPrincipal { assignments: facts, ..StoredPrincipal::new(uuid::Uuid::nil()) });
        let context = Context::new();
        for info in rules.permissions() {
            let permission = rules.permission(&info.name).unwrap();
            for principal in [&principal, &rules.anonymous()] {
                let question = Question { principal, permission, fields: &[], resource: None, context: &context, now };
                assert!(!rules.decide(&question).unwrap().is_allowed(), "{text:?} allows {}", info.name);
                assert!(!rules.can_somewhere(principal, permission, &context, now).unwrap());
            }
        }
    }
}

#[test]
fn what_multiplies_is_refused() {
    // A chain in which every role inherits all before it, each with a deny of its own.
    let chain = (0..60_000).fold(Policy::new(), |policy, number| {
        let role = Role::new(format!("role{number}")).deny("user:read");
        policy.add_role(if number == 0 { role } else { role.inherits(format!("role{}", number - 1)) })
    });
    assert!(told(Ok(chain)).contains("too large"));
    let permissions: Vec<String> = (0..20_000).map(|number| format!("type{number}:read")).collect();
    let wide = (0..6_000).fold(Policy::new().permissions(permissions), |policy, number| {
        policy.role(format!("role{number}"), ["*:read"])
    });
    assert!(told(Ok(wide)).contains("too large"));
}

#[test]
fn an_edit_is_refused_where_the_policy_with_it_would_be() {
    let roles =
        |count: usize| (0..count).fold(Policy::new(), |policy, at| policy.add_role(Role::new(format!("r{at}"))));
    let full = RuleSet::compile(&roles(100_000), &Schema::new()).unwrap();
    assert!(full.with_role(Role::new("other")).unwrap_err().to_string().contains("at most 100000 roles"));
    full.with_role(Role::new("r7").description("changed")).unwrap();
    full.without_role("r7").unwrap().with_role(Role::new("other")).unwrap();

    // Each matches all permissions, and there is room for some of them.
    let permissions: Vec<String> = (0..20_000).map(|number| format!("type{number}:read")).collect();
    let wide = (0..1_480).fold(Policy::new().permissions(permissions), |policy, number| {
        policy.role(format!("role{number}"), ["*:read"])
    });
    let mut rules = RuleSet::compile(&wide, &Schema::new()).unwrap();
    // What is replaced leaves room.
    for _ in 0..40 {
        rules = rules.with_role(Role::new("role0").allow("*:read")).unwrap();
    }
    let refused =
        (0..40).find_map(|number| match rules.with_role(Role::new(format!("more{number}")).allow("*:read")) {
            Ok(edited) => {
                rules = edited;
                None
            }
            Err(error) => Some(error),
        });
    assert!(refused.unwrap().to_string().contains("too large"));
    RuleSet::compile(&rules.policy(), &Schema::new()).unwrap();
}

#[test]
fn a_chain_of_a_thousand_roles_decides() {
    let chain = (0..1_000).fold(Policy::new().permissions(["a:b"]), |policy, number| {
        policy.add_role(match number {
            0 => Role::new("role0").allow("a:b"),
            _ => Role::new(format!("role{number}")).inherits(format!("role{}", number - 1)),
        })
    });
    let rules = RuleSet::compile(&chain, &Schema::new()).unwrap();
    let held = StoredAssignment::new("role999", Scope::Global);
    let principal = rules
        .resolve_stored(StoredPrincipal { assignments: vec![held], ..StoredPrincipal::new(uuid::Uuid::from_u128(1)) });
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let permission = rules.permission("a:b").unwrap();
    let context = Context::new();
    let question = Question { principal: &principal, permission, fields: &[], resource: None, context: &context, now };
    let decision = rules.decide(&question).unwrap();
    assert!(decision.is_allowed());
    assert_eq!(decision.explain().decided_by.unwrap().role_path.len(), 1_000);
}

/// Compiles only where these are so.
#[test]
fn compiled_rules_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<RuleSet>();
    crosses::<Policy>();
    crosses::<rolekeep::rules::Principal>();
}
