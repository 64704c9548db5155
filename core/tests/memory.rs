//! What hostile policies cost in memory: counted, so that a machine's speed does not matter. A program of its own, as
//! it counts every allocation.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

#[path = "common/counting.rs"]
mod counting;

use rolekeep::rules::{Policy, RuleSet};

use counting::peak;

#[global_allocator]
static COUNTING: counting::Counting = counting::Counting;

const MIB: usize = 1024 * 1024;
/// As much as is read.
const FILE: usize = 16 * MIB - 200;
/// What reading and compiling may need in all.
const LIMIT: usize = 256 * MIB;

/// As many parts as are read.
const PARTS: usize = 990_000;

/// A file as large as one is read: this again and again, between a beginning and an end. Marked by `#` is a number
/// that differs each time.
fn full(begin: &str, again: &str, end: &str) -> String {
    let parts = again.bytes().filter(|byte| byte.is_ascii_punctuation() || *byte == b'\n').count();
    let mut text = String::with_capacity(FILE + 200);
    text.push_str(begin);
    for number in 0..PARTS / parts.max(1) {
        if text.len() + again.len() + 6 + end.len() >= FILE {
            break;
        }
        match again.split_once('#') {
            Some((before, after)) => text.push_str(&format!("{before}{number}{after}")),
            None => text.push_str(again),
        }
    }
    text + end
}

/// One after the other: they share the count.
#[test]
fn hostile_policies_cost_bounded_memory() {
    let role = "{\"roles\":{\"r\":{\"allow\":[";
    let json = [
        ("zeros", full(&format!("{role}0"), ",0", "]}}}")),
        ("empty lists", full(&format!("{role}[]"), ",[]", "]}}}")),
        ("empty tables", full(&format!("{role}{{}}"), ",{}", "]}}}")),
        ("same key", full("{\"a\":0", ",\"a\":0", "}")),
        ("escaped keys", full("{\"\\u0061\":0", ",\"\\u0061\":0", "}")),
        ("keys", full("{\"a\":0", ",\"#\":0", "}")),
        ("roles", full("{\"roles\":{\"a\":{}", ",\"r#\":{}", "}}")),
        ("permissions", full("{\"permissions\":[\"a:a\"", ",\"a:b#\"", "]}")),
        ("grants", full(&format!("{role}\"user:read\""), ",\"user:read\"", "]}}}")),
        ("everything", full(&format!("{role}\"*:*\""), ",\"*:*\"", "]}}}")),
        ("unknown", full(&format!("{role}\"a:a\""), ",\"a:a\"", "]}}}")),
        ("one long string", format!("{{\"description\":\"{}\"}}", "x".repeat(FILE - 50))),
        ("no end", format!("{{\"description\":\"{}", "x".repeat(FILE - 50))),
        ("brackets", full("", "[", "")),
        ("garbage", "\\".repeat(FILE)),
        ("too many zeros", format!("[0{}]", ",0".repeat(FILE / 2 - 2))),
    ];
    let toml = [
        ("empty", full("", "\n", "")),
        ("comment", format!("#{}", "x".repeat(FILE - 1))),
        ("zeros", full("x=[0", ",0", "]")),
        ("keys", full("", "a#=0\n", "")),
        ("same key", full("", "a=0\n", "")),
        ("same header", full("", "[a]\n", "")),
        ("headers", full("", "[a#]\n", "")),
        ("array headers", full("", "[[a]]\n", "")),
        ("roles", full("", "[roles.r#]\n", "")),
        ("dotted", full("", "a.b.c.d.e#=0\n", "")),
        ("errors", full("", "=\n", "")),
        ("garbage", full("", "\u{1}", "")),
        ("equals", full("", "=", "")),
        ("too many equals", "=".repeat(FILE)),
        ("quotes", full("", "'", "")),
        ("brackets", full("", "[\n", "")),
        (
            "conditions",
            full("[roles.r]\nallow=['drone:read'", ",{permission='drone:read',when='resource.cod == \"x\"'}", "]"),
        ),
    ];
    let big = "resource.code == 'x' or ".repeat(80) + "resource.code == 'y'";
    let many = vec!["'drone:read'"; 150].join(",");
    let types: Vec<String> = (0..5_000).map(|number| format!("type{number}:read")).collect();
    let wild = format!("permissions=['{}']\n[roles.r]\nallow=[", types.join("','"));
    let amplified = [
        (
            "a condition for many",
            full("[roles.r]\nallow=['drone:read'", &format!(",{{permission=[{many}],when=\"{big}\"}}"), "]"),
        ),
        ("a condition for all types", full(&wild, "{permission='*:read',when=\"principal.verified == true\"},", "]")),
        (
            "a faulty condition for all types",
            full(&wild, "{permission='*:read',when=\"resource.nothing == true\"},", "]"),
        ),
        (
            "a huge condition for all types",
            format!("{wild}{{permission='*:read',when=\"{}\"}}]", "(".repeat(MIB) + &big),
        ),
    ];
    let mut failed = Vec::new();
    let mut measure = |name: String, text: &str, read: fn(&str) -> rolekeep::Result<Policy>| {
        let (refused, bytes) = peak(|| {
            let compiled = read(text).and_then(|policy| RuleSet::compile(&policy, &rolekeep_test_cases::schema()));
            compiled.err().map(|error| (error.message().to_owned(), error.to_string().len()))
        });
        let line = format!("{name}: {} MiB, {refused:?}", bytes / MIB);
        println!("{line}, {} bytes", text.len());
        if bytes > LIMIT || refused.as_ref().is_some_and(|(_, length)| *length > MIB) {
            failed.push(line);
        }
    };
    for (name, text) in json {
        measure(format!("JSON, {name}"), &text, Policy::from_json);
    }
    for (name, text) in toml.into_iter().chain(amplified) {
        measure(format!("TOML, {name}"), &text, Policy::from_toml);
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}
