//! A check allocates nothing: counted by the allocator, for each of the paths that a decision takes.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]
#![allow(unsafe_code, reason = "an allocator that counts is unsafe by its trait")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    hint::black_box,
    sync::Arc,
};

use rolekeep::{
    Time, Value,
    rules::{
        Context, Policy, PrincipalCache, Question, Resource, Role, RuleSet, Schema, Scope, StoredAssignment,
        StoredPrincipal,
    },
};
use uuid::Uuid;

thread_local! {
    /// Of this thread alone: the harness runs tests in several.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

fn count() {
    // A thread that is ending has no counter any more, and no test.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(run: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    run();
    ALLOCATIONS.get() - before
}

const USER: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
const EAST: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002);
const WEST: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0003);
const NOW: i64 = 1_767_225_600_000_000;

fn at(micros: i64) -> Time {
    Time::from_microsecond(micros).unwrap()
}

fn held(role: &str, scope: Scope, from: i64, until: i64) -> StoredAssignment {
    StoredAssignment { role: role.into(), scope, valid_from: Some(at(from)), valid_until: Some(at(until)), group: None }
}

/// A user whose checks take every path: plain, inherited, denied, in a window, in a region, conditional.
fn cache() -> PrincipalCache {
    let policy = Policy::new()
        .resource_type("user", [("level", "int")])
        .resource_type("drone", [("region_id", "id"), ("level", "int"), ("status", "string")])
        .permissions(["page:read", "page:edit", "page:print", "page:drop", "page:fly", "drone:read", "drone:drop"])
        .role("reader", ["page:read"])
        .add_role(Role::new("editor").inherits("reader").allow("page:edit").allow("page:drop").deny("page:drop"))
        .role("printer", ["page:print"])
        .role("flyer", ["page:fly"])
        .add_role(
            Role::new("pilot")
                .allow_when("drone:read", "resource.status == \"active\" and resource.level <= principal.level")
                .deny_when("drone:drop", "resource.status == \"active\""),
        );
    let rules = RuleSet::compile(&policy, &Schema::new()).unwrap();
    let cache = PrincipalCache::new(Arc::new(rules), 10);
    let mut facts = StoredPrincipal::new(USER);
    facts.attributes = vec![("level".into(), Value::Int(5))];
    let (day, region) = (86_400_000_000, Scope::region(EAST));
    facts.assignments = vec![
        StoredAssignment {
            role: "editor".into(),
            scope: Scope::Global,
            valid_from: None,
            valid_until: None,
            group: None,
        },
        held("printer", Scope::Global, NOW - day, NOW + day),
        held("flyer", Scope::Global, NOW + day, NOW + 2 * day),
        held("pilot", region, NOW - day, NOW + day),
    ];
    cache.put(facts);
    cache
}

const QUESTIONS: [(&str, bool); 7] = [
    ("page:read", true),
    ("page:edit", true),
    ("page:print", true),
    ("page:drop", false),
    ("page:fly", false),
    ("drone:read", false),
    ("drone:drop", false),
];

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(black_box(Box::new(1)))), 1);
    assert_eq!(
        allocations(|| {
            black_box(1);
        }),
        0
    );
}

#[test]
fn checks_by_handles_and_by_strings_allocate_nothing() {
    let (cache, now, name) = (cache(), at(NOW), USER.to_string());
    let rights = cache.rights();
    let user = rights.user(USER).unwrap();
    for (permission, wanted) in QUESTIONS {
        let id = rights.rules().permission(permission).unwrap();
        let mut answers = [None, None, None];
        let allocated = allocations(|| {
            answers = [
                rights.check(user, id, now).ok(),
                rights.check_named(&name, permission, now).ok(),
                cache.with_rights(|rights| rights.check(user, id, now)).ok(),
            ];
        });
        assert_eq!(answers, [Some(wanted); 3], "{permission}");
        assert_eq!(allocated, 0, "{permission}");
    }
}

#[test]
fn decisions_about_a_resource_allocate_nothing() {
    let (cache, context, now) = (cache(), Context::new(), at(NOW));
    let rights = cache.rights();
    let principal = rights.principal_of(USER).unwrap();
    for (region, status, wanted) in [(EAST, "active", true), (WEST, "active", false), (EAST, "retired", false)] {
        let resource = Resource::of("drone").with("region_id", region).with("level", 3).with("status", status);
        let permission = rights.rules().permission("drone:read").unwrap();
        let question =
            Question { principal, permission, fields: &[], resource: Some(&resource), context: &context, now };
        let mut answer = None;
        let allocated = allocations(|| answer = rights.rules().decide(&question).ok().map(|one| one.is_allowed()));
        assert_eq!(answer, Some(wanted), "{status} in {region}");
        assert_eq!(allocated, 0, "{status} in {region}");
    }
}

/// As many attributes as are found without room of their own; asked in the short way and in the long one.
#[test]
fn decisions_about_resources_of_many_attributes_allocate_nothing() {
    let names: Vec<String> = (0..7).map(|at| format!("level_{at}")).collect();
    let attributes = names.iter().map(|name| (name.as_str(), "int")).chain([("region_id", "id")]);
    let condition: Vec<String> = names.iter().map(|name| format!("resource.{name} == 1")).collect();
    let reader = Role::new("reader").allow_when("thing:read", condition.join(" and "));
    let policy = Policy::new().resource_type("thing", attributes).permissions(["thing:read"]).add_role(reader);
    let rules = RuleSet::compile(&policy, &Schema::new()).unwrap();
    let assignments = vec![StoredAssignment::new("reader", Scope::region(EAST))];
    let principal = rules.resolve_stored(StoredPrincipal { assignments, ..StoredPrincipal::new(USER) });
    let (permission, context, now) = (rules.permission("thing:read").unwrap(), Context::new(), at(NOW));
    for (region, last, wanted) in [(EAST, 1, true), (WEST, 1, false), (EAST, 2, false)] {
        let levels = || (0..7).map(|at| Value::Int(if at == 6 { last } else { 1 }));
        let named =
            names.iter().cloned().zip(levels()).fold(Resource::of("thing"), |one, (name, value)| one.with(name, value));
        let resource = named.with("region_id", region);
        let question = Question {
            principal: &principal,
            permission,
            fields: &[],
            resource: Some(&resource),
            context: &context,
            now,
        };
        let mut answers = [None; 2];
        let allocated = allocations(|| {
            let decided = rules.decide(&question).ok().map(|one| one.is_allowed());
            answers = [rules.allows(&question).ok(), decided];
        });
        assert_eq!(answers, [Some(wanted); 2], "{last} in {region}");
        assert_eq!(allocated, 0, "{last} in {region}");
    }
}
