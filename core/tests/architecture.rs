//! The house keeps its shape: which module may use which, and how long a file may be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Who may use whom: a module sees the lines above its own, and those that `+` joins see each other.
/// A new module needs a place here.
const LAYERS: &[&str] = &[
    "model+describe",
    "rules credentials",
    "audit_chain",
    "environment forks net metrics",
    "fetch",
    "config storage",
    "backup migrations",
    "operations",
    "engine",
    "manager+caller+checks",
    "ffi command",
    "lib guide",
];

const LONGEST_FILE: usize = 600;
/// Of which 150 encrypt what a page keeps: in Rust they would be in the wasm of every page (decision 059). 100 hand on what the library tells
/// its host (decision 062).
const LONGEST_BINDING: usize = 2_600;

#[test]
fn modules_depend_one_way() {
    let source = root().join("core/src");
    let mut problems = Vec::new();
    for file in files(&source) {
        let inside = file.strip_prefix(&source).unwrap();
        let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        for used in used_modules(&fs::read_to_string(&file).unwrap()) {
            if !may_use(&module, &used) {
                problems.push(format!("{}: `{module}` must not use `{used}`", inside.display()));
            }
        }
        if place(&module).is_none() {
            problems.push(format!("{}: `{module}` has no place in LAYERS", inside.display()));
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    let long: Vec<String> = files(&root())
        .into_iter()
        .filter_map(|file| {
            let lines = hand_written_lines(&file)?;
            (lines > LONGEST_FILE).then(|| format!("{}: {lines} lines, of {LONGEST_FILE}", file.display()))
        })
        .collect();
    assert!(long.is_empty(), "\n{}", long.join("\n"));
}

#[test]
fn bindings_are_thin() {
    let bindings = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let bindings = bindings.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("bindings-"));
    for binding in bindings {
        // Its tests, its examples and what packs it may be as long as they like; a stub says again what Rust says.
        let own = files(&binding).into_iter().filter(|file| !is_beside(file.strip_prefix(&binding).unwrap()));
        let own = own.filter(|file| file.extension().is_none_or(|ending| ending != "pyi"));
        let lines: usize = own.filter(|file| hand_written_lines(file).is_some()).map(|file| code_lines(&file)).sum();
        assert!(lines <= LONGEST_BINDING, "{}: {lines} lines, of {LONGEST_BINDING}", binding.display());
    }
}

/// Names that were images, or meant several things, and what stands for them now. They do not come back.
const RETIRED: &[(&str, &str)] = &[
    ("Asker", "CallerKind, SampledCaller"),
    ("KeyFacts", "KeyProperties"),
    ("NoScope", "ParseScopeError"),
    ("NoTime", "ParseTimeError"),
    ("Place", "LanePosition, Permit, DocumentPath: what it is"),
    ("Places", "Permits, SettingSources: what they are"),
    ("Rare", "ColdFields"),
    ("Reach", "PermissionSet, HeldScopes"),
    ("Said", "GrantsOfRoles"),
    ("SessionFacts", "SessionProperties"),
    ("Special", "QualifiedGrant"),
    ("Specials", "QualifiedGrants"),
    ("Stamp", "RuleSetVersion"),
    ("Told", "SampledEntry, CommitEvents, RowEvent: what it is"),
    ("UnknownWord", "UnknownVariant"),
    ("Untold", "Unlogged, Unpublished"),
    ("flip", "toggle"),
    ("follow_delete", "delete_consequence"),
    ("is_akin_to", "is_compatible_with"),
    ("is_guarded", "carries_authority"),
    ("judge", "verdict_of_chain"),
];

#[test]
fn retired_names_stay_away() {
    let source = root().join("core/src");
    let mut problems = Vec::new();
    for file in files(&source) {
        for (at, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            let found = retired(line).map(|(old, new)| format!("{}:{}: `{old}`: {new}", file.display(), at + 1));
            problems.extend(found);
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    assert!(retired("let one = rules.is_guarded(kind);").is_some() && retired("// A Place in a list").is_none());
    assert!(retired("let one = Placed::new(\"Told\");").is_none());
}

/// The first retired name in the code of a line.
fn retired(line: &str) -> Option<(&'static str, &'static str)> {
    let code = without_words(line);
    let words = || code.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    RETIRED.iter().copied().find(|(old, _)| words().any(|word| word == *old))
}

/// Two secrets are compared by `Secret`, which does so in constant time, or by what verifies a MAC or a signature (V11.2.4):
/// never as the texts or bytes that they are.
#[test]
fn v11_2_4_no_secret_is_compared_as_text() {
    let source = root().join("core/src");
    let mut problems = Vec::new();
    for file in files(&source) {
        let text = fs::read_to_string(&file).unwrap();
        let own = text.split("#[cfg(test)]").next().unwrap_or_default();
        let is_of_tests = file.components().any(|part| part.as_os_str() == "tests");
        for (at, line) in own.lines().enumerate().filter(|_| !is_of_tests) {
            if compares_a_secret(line) {
                problems.push(format!("{}:{}: {}", file.display(), at + 1, line.trim()));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    let secret = fs::read_to_string(source.join("model/secret.rs")).unwrap();
    let derived = secret.lines().find(|line| line.starts_with("#[derive(")).unwrap();
    assert!(!derived.contains("PartialEq") && secret.contains("impl PartialEq for Secret"));
}

#[test]
fn v11_2_4_a_comparison_of_secrets_is_seen() {
    for line in [
        "if token.expose() == other {",
        "let same = stored != given.expose();",
        "tag == mac(key)?.finalize().into_bytes()",
        "(tag[..] == given[..]).then_some(())",
        "matches.eq(code.expose())",
        "if hash.as_bytes() == signature {",
    ] {
        assert!(compares_a_secret(line), "{line}");
    }
    for line in [
        "if token.expose().len() == 3 {",
        "if *given == self.secret {",
        "// if token.expose() == other",
        "let kind = header.tag_kind == Kind::Mac;",
        "mac.verify_slice(&tag) == Ok(())",
    ] {
        assert!(!compares_a_secret(line), "{line}");
    }
}

/// Whether a line compares what a secret is made of, or what proves that somebody has one.
fn compares_a_secret(line: &str) -> bool {
    let code = without_words(line);
    let sides = |(at, _): (usize, &str)| {
        let before = code[..at].trim_end().rsplit(' ').next().unwrap_or_default();
        let after = code[at + 2..].trim_start().split(' ').next().unwrap_or_default();
        // What ends in a parenthesis is what a function answers.
        is_secret(before) || is_secret(after.trim_end_matches([')', ';', ',', '{']))
    };
    let mut compared = code.match_indices("==").chain(code.match_indices("!="));
    compared.any(sides) || code.contains(".eq(") && code.contains("expose(")
}

fn is_secret(operand: &str) -> bool {
    let operand = operand.trim_start_matches(['&', '*', '(', '!']);
    // The index of a slice does not say of what it is.
    let name = operand.split('[').next().unwrap_or_default();
    let name = name.rsplit(['.', ':']).next().unwrap_or_default();
    let is_exposed = operand.contains("expose(") && !operand.contains(".len");
    is_exposed || operand.contains("finalize(") || ["tag", "mac", "signature"].contains(&name)
}

#[test]
fn layers_are_as_drawn() {
    assert!(
        may_use("storage", "audit_chain")
            && may_use("audit_chain", "credentials")
            && may_use("model", "describe")
            && may_use("engine", "operations")
    );
    assert!(!may_use("rules", "credentials") && !may_use("audit_chain", "storage") && !may_use("operations", "engine"));
    assert!(!may_use("model", "unheard_of") && may_use("caller", "manager") && !may_use("manager", "ffi"));
}

#[test]
fn reads_what_a_file_uses() {
    let text = "
        use crate::model::{id::UserId, error::Error};
        use crate::{
            audit::{chain::{seal, verify}, Entry},
            environment::Env as World, rules,
        };
        // crate::ffi is only spoken of, as in [`crate::manager`]
        fn f(x: crate::storage::Row) -> &'static str { \"see crate::engine\" }
        pub(crate) fn g() {}
        use crate::Result;
    ";
    let used: Vec<String> = used_modules(text).into_iter().collect();
    assert_eq!(used, ["audit", "environment", "model", "rules", "storage"]);
}

fn may_use(module: &str, used: &str) -> bool {
    let (Some(own), Some(other)) = (place(module), place(used)) else { return module == used };
    other.0 < own.0 || other == own
}

/// The layer of a module, and its group within it.
fn place(module: &str) -> Option<(usize, usize)> {
    LAYERS.iter().enumerate().find_map(|(layer, line)| {
        let group = line.split(' ').position(|group| group.split('+').any(|name| name == module))?;
        Some((layer, group))
    })
}

/// The crate's own modules that a text names by `crate::`; comments and strings do not count.
fn used_modules(text: &str) -> BTreeSet<String> {
    let code: String = text.lines().map(|line| without_words(line) + "\n").collect();
    let mut used = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            Some(group) => used.extend(first_level(group)),
            None => used.extend(leading_name(after)),
        }
    }
    // What the crate's front page exports is of types, and starts with a capital.
    used.retain(|name| name.starts_with(|letter: char| letter.is_lowercase()));
    used
}

/// The first name of each item of a `{…}` group, whose opening brace is already read.
fn first_level(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut item) = (0, Vec::new(), String::new());
    for letter in group.chars() {
        match letter {
            '}' if depth == 0 => break,
            ',' if depth == 0 => names.extend(leading_name(&std::mem::take(&mut item))),
            _ => {
                depth += i32::from(letter == '{') - i32::from(letter == '}');
                item.push(letter);
            }
        }
    }
    names.extend(leading_name(&item));
    names
}

fn leading_name(text: &str) -> Option<String> {
    let text = text.trim_start();
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// A line without its comment and without what is between double quotes.
fn without_words(line: &str) -> String {
    let code = line.split("//").next().unwrap_or_default();
    code.split('"').step_by(2).collect()
}

/// How many lines a person wrote; none if a program did.
fn hand_written_lines(file: &Path) -> Option<usize> {
    let text = fs::read_to_string(file).unwrap();
    let generated = text.lines().next().is_some_and(|first| first.contains("@generated"));
    (!generated).then(|| text.lines().count())
}

/// Lines that are neither blank nor a comment nor a docstring.
fn code_lines(file: &Path) -> usize {
    let text = fs::read_to_string(file).unwrap();
    let mut in_docstring = false;
    let mut is_code = |line: &str| {
        let quotes = line.matches("\"\"\"").count();
        let was_in_docstring = in_docstring;
        in_docstring ^= quotes % 2 == 1;
        let is_comment = ["//", "/*", "*", "# "].iter().any(|mark| line.starts_with(mark));
        !was_in_docstring && quotes == 0 && !line.is_empty() && !is_comment
    };
    text.lines().map(str::trim).filter(|line| is_code(line)).count()
}

fn is_beside(path: &Path) -> bool {
    const BESIDE: [&str; 6] = ["test", "tests", "examples", "scripts", "bindgen", "testing.rs"];
    path.iter().any(|part| BESIDE.iter().any(|name| part == *name))
}

/// Every source file below a folder; not what was built or installed.
fn files(folder: &Path) -> Vec<PathBuf> {
    const SOURCES: &[&str] = &["rs", "py", "pyi", "ts", "tsx", "js", "mjs", "kt", "swift", "sh", "sql"];
    const SKIPPED: &[&str] = &["target", "node_modules", "dist", "wasm"];
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !SKIPPED.contains(&name) && !name.starts_with('.') {
                found.extend(files(&path));
            }
        } else if path.extension().is_some_and(|ending| SOURCES.contains(&ending.to_str().unwrap())) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}
