//! The names of a policy in other languages: `names/*.txt`, which `UPDATE_SNAPSHOTS=1` writes anew. That they
//! compile is tested in each of those languages.
#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

use std::{fs, path::Path};

use rolekeep::{
    Reason, door,
    rules::{Language, Policy, RuleSet, Schema},
};

/// What was written for Rust is compiled here.
#[allow(dead_code, reason = "a program uses some of them")]
mod written {
    include!("names/names.rs");
}

const LANGUAGES: [(Language, &str); 5] = [
    (Language::TypeScript, "names.ts"),
    (Language::Python, "names.py"),
    (Language::Kotlin, "Names.kt"),
    (Language::Swift, "Names.swift"),
    (Language::Rust, "names.rs"),
];

#[test]
fn names_are_written_for_every_language() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/names");
    let policy = fs::read_to_string(folder.join("policy.toml")).unwrap();
    let settings = serde_json::json!({ "policy_toml": policy }).to_string();
    for (language, file) in LANGUAGES {
        let text = door::names(&settings, language.as_str()).unwrap();
        assert!(text.lines().next().unwrap().contains("@generated"), "{file}");
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            fs::write(folder.join(file), &text).unwrap();
        }
        assert_eq!(fs::read_to_string(folder.join(file)).unwrap(), text, "{file}");
        // The library's own permissions are among them.
        for name in ["user:set_status", "drone:set_authority", "admin:all", "user-group:set_status", "MAIN_HQ"] {
            assert!(text.contains(&format!("\"{name}\"")), "{file} lacks {name}");
        }
    }
    assert_eq!(written::permissions::user_group::SET_STATUS, "user-group:set_status");
    assert_eq!(written::permissions::type_::DEFAULT, "type:default");
    assert_eq!(written::permissions::self_::INIT, "self:init");
    assert_eq!(written::permissions::drone::READ, "drone:read");
    assert_eq!(written::roles::MAIN_HQ, "MAIN_HQ");
}

#[test]
fn names_that_become_one_are_refused() {
    let refused = |policy: Policy, language| {
        let error = RuleSet::compile(&policy, &Schema::new()).unwrap().names(language).unwrap_err();
        assert_eq!(error.reason(), Reason::PolicyInvalid);
        error.to_string()
    };
    let types = || Policy::new().permissions(["user-group:read", "user_group:read", "type:a-b", "type:a_b"]);
    assert_eq!(
        refused(types(), Language::Rust),
        "these names cannot be told apart in Rust: `type:a-b` and `type:a_b` are both `A_B`; `user-group` and `user_group` are both `user_group`"
    );
    assert_eq!(
        refused(types(), Language::TypeScript),
        "these names cannot be told apart in TypeScript: `user-group` and `user_group` are both `UserGroupPermission`"
    );
    assert!(refused(types(), Language::Kotlin).contains("are both `UserGroup`"));
    assert!(refused(types(), Language::Swift).contains("are both `aB`"));
    assert!(refused(types(), Language::Python).contains("are both `UserGroupPermission`"));
    let roles = || Policy::new().role("OnCall", ["admin:all"]).role("ON_CALL", ["admin:all"]);
    assert!(refused(roles(), Language::Kotlin).contains("`ON_CALL` and `OnCall` are both `ON_CALL`"));
    // A union of texts tells them apart.
    assert!(RuleSet::compile(&roles(), &Schema::new()).unwrap().names(Language::TypeScript).is_ok());
    let keyword = Policy::new().permissions(["type:a", "type_:a"]);
    assert!(refused(keyword, Language::Rust).contains("`type` and `type_` are both `type_`"));
    let own = Policy::new().permissions(["asked:a"]);
    assert!(refused(own, Language::TypeScript).contains("AskedPermission"));
}

#[test]
fn the_door_says_what_is_wrong() {
    let settings = |text: &str| serde_json::json!({ "policy_toml": text }).to_string();
    assert_eq!(door::names("{}", "cobol").unwrap_err().reason(), Reason::InvalidInput);
    assert_eq!(door::names("{", "rust").unwrap_err().reason(), Reason::InvalidJson);
    assert!(door::names("{}", "rust").unwrap().contains("\"user:create\""));
    let error = door::names(&settings("[roles.r]\nallow = [\"drone:raed\"]"), "rust").unwrap_err();
    assert_eq!(error.problems().len(), 1);
    assert!(door::check_policy(&settings("[roles.r]\nallow = [\"drone:read\"]"), None, false).is_ok());
    let error =
        door::check_policy(&settings("[roles.r]\nallow = [\"drone:raed\"]"), Some("main.toml"), true).unwrap_err();
    #[cfg(feature = "reports")]
    {
        assert!(error.to_string().contains("main.toml:2:10") && error.to_string().contains("\u{1b}["), "{error}");
        let json = serde_json::to_value(&error).unwrap();
        assert!(json["report"].as_str().unwrap().contains("did you mean `drone:read`?"));
    }
    assert_eq!(error.problems().len(), 1);
}

#[test]
fn bytes_that_are_no_text_are_told_with_their_place() {
    assert_eq!(door::policy_text("# ä\n".as_bytes()).unwrap(), "# ä\n");
    let error = door::policy_text(b"# \xc3\xa4\nx = \"\xc3\xa4\xff\"").unwrap_err();
    let problem = &error.problems()[0];
    assert_eq!((problem.line, problem.column), (2, 7));
    assert_eq!(
        error.to_string(),
        "the policy file cannot be read\n  line 2, column 7: byte 0xff begins no character of UTF-8 (policy files are written in UTF-8)"
    );
    // A file that ends within a character, too; and one of another encoding.
    assert_eq!(door::policy_text(b"\xe6\xbc").unwrap_err().problems()[0].column, 1);
    assert_eq!(door::policy_text(b"\xff\xfe[\0r\0").unwrap_err().problems()[0].line, 1);
}
