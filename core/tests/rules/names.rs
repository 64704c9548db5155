//! The names of a policy in other languages: `names/*.txt`, which `UPDATE_SNAPSHOTS=1` writes anew. That they
//! compile is tested in each of those languages.

use std::{fs, path::Path};

use rolekeep::{
    Reason,
    command::{self, Language},
    rules::{Policy, RuleSet, Schema},
};

/// What was written for Rust is compiled here.
#[allow(dead_code, clippy::module_inception, reason = "a program uses some of them, and names types as it likes")]
mod written {
    include!("../names/names.rs");
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
    let policy = fs::read(folder.join("policy.toml")).unwrap();
    for (language, file) in LANGUAGES {
        let arguments = ["permissions", "policy.toml", &format!("--{language}")];
        let command::Output { code, out: text, err } = command::run(&arguments, Some(&policy), false);
        assert_eq!((code, err.as_str()), (0, ""));
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
        let rules = RuleSet::compile(&policy, &Schema::new()).unwrap();
        let error = command::names(&rules, language).unwrap_err();
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
    let rules = RuleSet::compile(&roles(), &Schema::new()).unwrap();
    assert!(command::names(&rules, Language::TypeScript).is_ok());
    let keyword = Policy::new().permissions(["type:a", "type_:a"]);
    assert!(refused(keyword, Language::Rust).contains("`type` and `type_` are both `type_`"));
    let own = Policy::new().permissions(["asked:a"]);
    assert!(refused(own, Language::TypeScript).contains("AskedPermission"));
}

#[test]
fn the_command_tells_what_is_wrong() {
    let run = |arguments: &[&str], contents: &[u8]| command::run(arguments, Some(contents), false);
    let faulty = b"[roles.r]\nallow = [\"drone:raed\"]";
    let good = run(&["check", "policy.toml"], b"[roles.r]\nallow = [\"drone:read\"]");
    assert_eq!((good.code, good.out.as_str(), good.err.as_str()), (0, "", ""));
    for arguments in [
        ["check", "a/main.toml"].as_slice(),
        &["permissions", "a/main.toml", "--rust"],
        &["permissions", "--rust", "a/main.toml"],
    ] {
        assert_eq!(command::file(arguments), Some("a/main.toml"));
        let output = run(arguments, faulty);
        assert_eq!((output.code, output.out.as_str()), (1, ""));
        #[cfg(feature = "reports")]
        assert!(
            output.err.contains("--> a/main.toml:2:10") && output.err.ends_with("did you mean `drone:read`?\n"),
            "{}",
            output.err
        );
    }
    #[cfg(feature = "reports")]
    assert!(command::run(&["check", "main.toml"], Some(faulty), true).err.contains("\u{1b}["));
    // JSON by its name.
    assert_eq!(run(&["check", "policy.json"], b"{}").code, 0);
    assert_eq!(run(&["check", "policy.toml"], b"{}").code, 1);
    assert_eq!(command::file(&["check", "preset:flyos"]), None);
    assert_eq!(command::run(&["check", "preset:flyos"], None, false).code, 0);
    assert!(command::run(&["check", "preset:flios"], None, false).err.contains("did you mean flyos?"));
    assert_eq!(command::run(&["check", "policy.toml"], None, false).code, 1);
    // For rules without a store a policy declares everything itself; what a store refuses is refused.
    let own_users = include_bytes!("../../../docs/examples/documents.toml");
    assert_eq!(run(&["check", "policy.toml", "--rules"], own_users).code, 0);
    assert!(run(&["permissions", "policy.toml", "--rules", "--rust"], own_users).out.contains("document:edit"));
    assert!(!run(&["permissions", "policy.toml", "--rules", "--rust"], own_users).out.contains("user:read"));
    assert_eq!(run(&["check", "policy.toml"], own_users).code, 1);
    assert_eq!(run(&["check", "policy.toml", "--rules"], b"[roles.r]\nallow = [\"drone:read\"]").code, 1);
    let free = run(&["check", "policy.toml"], b"[types.group]\nattributes = { level = \"int?\" }");
    assert!(free.code == 1 && free.err.contains("level"), "{}", free.err);
    let wrong: [&[&str]; 7] = [
        &[],
        &["permissions", "x.toml"],
        &["permissions", "x.toml", "--rust", "--swift"],
        &["permissions", "x.toml", "--cobol"],
        &["frobnicate"],
        &["check"],
        &["check", "x.toml", "--rust"],
    ];
    for wrong in wrong {
        assert_eq!(command::file(wrong), None);
        let output = run(wrong, b"");
        assert_eq!((output.code, output.out.as_str(), output.err.as_str()), (2, "", command::USAGE), "{wrong:?}");
    }
}

#[test]
fn bytes_that_are_no_text_are_told_with_their_place() {
    let check = |bytes: &[u8]| command::run(&["check", "policy.toml"], Some(bytes), false).err;
    assert_eq!(check("# ä\n".as_bytes()), "");
    assert_eq!(
        check(b"# \xc3\xa4\nx = \"\xc3\xa4\xff\""),
        "the policy file cannot be read\n  line 2, column 7: byte 0xff is not valid UTF-8 (policy files are UTF-8)\n"
    );
    // A file that ends within a character, too; and one of another encoding.
    assert!(check(b"\xe6\xbc").contains("line 1, column 1: byte 0xe6"));
    assert!(check(b"\xff\xfe[\0r\0").contains("line 1, column 1: byte 0xff"));
}
