//! `policies/policy.schema.json`, by which editors check policy files, against what is read.

use std::{fs, path::Path};

use boon::{Compiler, SchemaIndex, Schemas};
use proptest::{
    prelude::any,
    test_runner::{Config, TestRunner},
};
use rolekeep::{
    internals::target,
    rules::{Policy, RuleSet},
};
use rolekeep_test_cases::{Case, Choices};
use serde_json::{Value as Json, json};

struct Editor {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Editor {
    fn new() -> Self {
        let text = fs::read_to_string(root().join("core/policies/policy.schema.json")).unwrap();
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.enable_format_assertions();
        compiler.add_resource("policy.json", serde_json::from_str(&text).unwrap()).unwrap();
        let index = compiler.compile("policy.json", &mut schemas).unwrap();
        Self { schemas, index }
    }

    fn complaint(&self, policy: &Json) -> Option<String> {
        self.schemas.validate(policy, self.index).err().map(|error| format!("{error:#}"))
    }

    #[track_caller]
    fn accepts(&self, policy: &Json) {
        assert_eq!(self.complaint(policy), None, "{policy}");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn of_toml(text: &str) -> Json {
    toml::from_str(text).unwrap()
}

fn is_refused(policy: &Json) -> bool {
    let read = Policy::from_json(&policy.to_string());
    read.and_then(|policy| RuleSet::compile(&policy, &target::schema())).is_err()
}

#[test]
fn the_schema_is_valid_itself() {
    let text = fs::read_to_string(root().join("core/policies/policy.schema.json")).unwrap();
    let schema: Json = serde_json::from_str(&text).unwrap();
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    let meta = compiler.compile("https://json-schema.org/draft/2020-12/schema", &mut schemas).unwrap();
    assert_eq!(schemas.validate(&schema, meta).map_err(|error| error.to_string()), Ok(()));
}

#[test]
fn every_valid_policy_of_the_tests_is_valid_in_an_editor() {
    let editor = Editor::new();
    let mut seen = 0;
    for preset in ["standard", "flyos"] {
        let file = root().join(format!("core/policies/{preset}.toml"));
        editor.accepts(&of_toml(&fs::read_to_string(file).unwrap()));
        editor.accepts(&serde_json::from_str(&Policy::preset(preset).unwrap().to_json().unwrap()).unwrap());
    }
    editor.accepts(&of_toml(&fs::read_to_string(root().join("core/tests/names/policy.toml")).unwrap()));
    let page = fs::read_to_string(root().join("docs/policy-files.md")).unwrap();
    let examples: Vec<Json> =
        page.split("```toml\n").skip(1).map(|rest| of_toml(rest.split("```").next().unwrap())).collect();
    assert!(examples.len() >= 2 && !examples.iter().any(is_refused));
    examples.iter().for_each(|example| editor.accepts(example));
    for file in fs::read_dir(root().join("tests/conformance/scenarios")).unwrap() {
        let scenarios: Json = serde_json::from_str(&fs::read_to_string(file.unwrap().path()).unwrap()).unwrap();
        let mut parts = vec![&scenarios];
        while let Some(part) = parts.pop() {
            parts.extend(part.as_array().into_iter().flatten());
            parts.extend(part.as_object().into_iter().flat_map(|object| object.values()));
            let policy = match (part["policy_toml"].as_str(), part["policy_json"].as_str()) {
                (Some(toml), _) => toml::from_str(toml).ok(),
                (_, Some(json)) => serde_json::from_str(json).ok(),
                _ => None,
            };
            if let Some(policy) = policy.filter(|policy| !is_refused(policy)) {
                editor.accepts(&policy);
                seen += 1;
            }
        }
    }
    assert!(seen >= 10, "{seen} policies in the scenarios");
    editor.accepts(&json!({ "$schema": "policy.schema.json", "permissions": ["document:read"], "roles": {} }));
    assert!(!is_refused(&json!({ "$schema": "policy.schema.json", "permissions": ["document:read"], "roles": {} })));
}

#[test]
fn random_policies_are_valid_in_an_editor() {
    let editor = Editor::new();
    let mut runner = TestRunner::new(Config::with_cases(500));
    let numbers = proptest::collection::vec(any::<u32>(), 0..300);
    runner
        .run(&numbers, |numbers| {
            let policy = Case::draw(&mut Choices::new(numbers)).policy();
            editor.accepts(&serde_json::from_str(&policy.to_json().unwrap()).unwrap());
            editor.accepts(&of_toml(&policy.to_toml().unwrap()));
            Ok(())
        })
        .unwrap();
}

#[test]
fn faulty_shapes_are_refused_in_an_editor_too() {
    let editor = Editor::new();
    let role = |role: Json| json!({ "roles": { "clerk": role } });
    let grant = |grant: Json| role(json!({ "allow": [grant] }));
    let shapes = [
        json!([]),
        json!("policy"),
        json!({ "descripton": "" }),
        json!({ "description": 7 }),
        json!({ "$schema": 7 }),
        json!({ "hierarchy": "limitted" }),
        json!({ "anonymous": "head of unit" }),
        json!({ "context": { "ip": "ipp" } }),
        json!({ "context": { "a-b": "ip" } }),
        json!({ "context": ["ip"] }),
        json!({ "scopes": { "team": {} } }),
        json!({ "scopes": { "team": { "attribute": "id", "more": 1 } } }),
        json!({ "scopes": { "resource": { "attribute": "id" } } }),
        json!({ "types": { "Document": {} } }),
        json!({ "types": { "document": { "attribute": {} } } }),
        json!({ "types": { "document": { "attributes": { "tags": "list<string>" } } } }),
        json!({ "permissions": "document:read" }),
        json!({ "permissions": { "document": "" } }),
        json!({ "permissions": { "document:read": 7 } }),
        json!({ "permissions": ["document:read", "document:read"] }),
        json!({ "permissions": ["Document:read"] }),
        json!({ "roles": [] }),
        json!({ "roles": { "head of unit": {} } }),
        json!({ "roles": { "clerk": [] } }),
        role(json!({ "alow": [] })),
        role(json!({ "inherits": "guest" })),
        role(json!({ "default": "yes" })),
        role(json!({ "max_holders": 0 })),
        role(json!({ "max_holders": 4_294_967_296_u64 })),
        role(json!({ "allow": "user:read" })),
        role(json!({ "deny": [7] })),
        grant(json!("drone")),
        grant(json!("drone:read{}")),
        grant(json!("drone:read{a")),
        grant(json!({ "when": "principal.verified == true" })),
        grant(json!({ "permission": "user:read", "wen": "principal.verified == true" })),
        grant(json!({ "permission": "user:read", "when": true })),
        grant(json!({ "permission": ["user:read", 7] })),
        grant(json!({ "permission": null })),
    ];
    for shape in shapes {
        assert!(is_refused(&shape), "{shape} is accepted");
        assert!(editor.complaint(&shape).is_some(), "{shape} is accepted in an editor");
    }
}

/// Puts something else somewhere into a policy.
fn spoil(policy: &mut Json, choices: &mut Choices) {
    let instead = [
        json!(null),
        json!(7),
        json!(true),
        json!("x"),
        json!(""),
        json!([]),
        json!({}),
        json!(["user:read"]),
        json!({ "permission": "user:read" }),
        json!("a b"),
        json!({ "x": "string" }),
    ];
    match policy {
        Json::Object(entries) if !entries.is_empty() && !choices.once_in(4) => {
            let key = entries.keys().nth(choices.below(entries.len())).unwrap().clone();
            if choices.once_in(5) {
                let value = entries.remove(&key).unwrap();
                entries.insert(choices.one(&["alow", "A", "roles", "x", "permission"]).to_string(), value);
            } else {
                spoil(entries.get_mut(&key).unwrap(), choices);
            }
        }
        Json::Array(items) if !items.is_empty() && !choices.once_in(4) => {
            let at = choices.below(items.len());
            spoil(&mut items[at], choices);
        }
        _ => *policy = choices.one(&instead).clone(),
    }
}

/// An editor that complains of what is right would soon be switched off.
#[test]
fn an_editor_complains_of_nothing_that_is_accepted() {
    let editor = Editor::new();
    let mut runner = TestRunner::new(Config::with_cases(3_000));
    let numbers = proptest::collection::vec(any::<u32>(), 0..300);
    let complaints = std::cell::Cell::new(0);
    runner
        .run(&(numbers, any::<[u32; 12]>()), |(numbers, spoiling)| {
            let policy = Case::draw(&mut Choices::new(numbers)).policy();
            let mut policy: Json = serde_json::from_str(&policy.to_json().unwrap()).unwrap();
            spoil(&mut policy, &mut Choices::new(spoiling.to_vec()));
            let read = Policy::from_json(&policy.to_string());
            let is_accepted = read.and_then(|policy| RuleSet::compile(&policy, &rolekeep_test_cases::schema())).is_ok();
            match editor.complaint(&policy) {
                Some(complaint) if is_accepted => panic!("{policy}: {complaint}"),
                Some(_) => complaints.set(complaints.get() + 1),
                None => {}
            }
            Ok(())
        })
        .unwrap();
    assert!(complaints.get() > 500, "{} were spoilt", complaints.get());
}
