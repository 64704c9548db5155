//! The cache of principals against a plain map: puts, invalidations, evictions, pins, edits of the
//! rules; and readers that see one moment.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use crate::kit::config;
use proptest::prelude::*;
use rolekeep::{
    Time,
    rules::{
        Pin, Policy, PrincipalCache, Role, RuleSet, Schema, Scope, StoredAssignment, StoredPrincipal, Ticket,
        UserHandle,
    },
};
use uuid::Uuid;

const USERS: u128 = 12;
const MAX: usize = 6;

fn policy() -> Policy {
    Policy::new().permissions(["document:read", "document:edit"]).role("reader", ["document:read"])
}

fn facts(user: u128, version: i64, role: &str) -> StoredPrincipal {
    let assignments = vec![StoredAssignment::new(role, Scope::Global)];
    StoredPrincipal { assignments, version, ..StoredPrincipal::new(Uuid::from_u128(user)) }
}

#[derive(Clone, Debug)]
enum Step {
    Put {
        user: u128,
        is_unknown: bool,
    },
    /// Facts that were read when the ticket of the user was taken.
    PutRead {
        user: u128,
    },
    TakeTicket {
        user: u128,
    },
    Outdate {
        user: u128,
        is_renewed: bool,
    },
    Remove {
        user: u128,
    },
    Pin {
        user: u128,
    },
    Unpin {
        user: u128,
    },
    EditRole {
        may_edit: bool,
    },
    AddUnknownRole,
    OtherRules,
    Ask {
        user: u128,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let user = || 1..=USERS;
    let step = prop_oneof![
        6 => (user(), prop::bool::weighted(0.2)).prop_map(|(user, is_unknown)| Step::Put { user, is_unknown }),
        3 => user().prop_map(|user| Step::PutRead { user }),
        3 => user().prop_map(|user| Step::TakeTicket { user }),
        2 => (user(), any::<bool>()).prop_map(|(user, is_renewed)| Step::Outdate { user, is_renewed }),
        1 => user().prop_map(|user| Step::Remove { user }),
        2 => user().prop_map(|user| Step::Pin { user }),
        1 => user().prop_map(|user| Step::Unpin { user }),
        1 => any::<bool>().prop_map(|may_edit| Step::EditRole { may_edit }),
        1 => Just(Step::AddUnknownRole),
        1 => Just(Step::OtherRules),
        4 => user().prop_map(|user| Step::Ask { user }),
    ];
    proptest::collection::vec(step, 0..120)
}

/// What is known, as plainly as can be.
#[derive(Default)]
struct Model {
    /// Version and role of whom may be in memory.
    users: HashMap<u128, (i64, &'static str)>,
    pins: BTreeMap<u128, Pin>,
    tickets: BTreeMap<u128, (Ticket, i64)>,
    /// When the rules changed last.
    rules_since: i64,
    /// The version at which what is known of a user changed last.
    changed: HashMap<u128, i64>,
    handles: Vec<(UserHandle, u128)>,
    may_edit: bool,
    knows_writer: bool,
}

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn a_cache_is_a_map_that_may_forget(steps in steps()) {
        let mut rules = Arc::new(RuleSet::compile(&policy(), &Schema::new()).unwrap());
        let cache = PrincipalCache::new(rules.clone(), MAX);
        let mut model = Model::default();
        let mut count = 0;
        for (version, step) in (1_i64..).zip(steps) {
            match step {
                Step::Put { user, is_unknown } => {
                    let role = if is_unknown { "writer" } else { "reader" };
                    let handle = cache.put(facts(user, version, role));
                    model.users.insert(user, (version, role));
                    model.changed.insert(user, version);
                    model.handles.push((handle, user));
                }
                Step::TakeTicket { user } => {
                    model.tickets.insert(user, (cache.ticket(Uuid::from_u128(user)), version));
                }
                Step::PutRead { user } => {
                    let Some((ticket, taken)) = model.tickets.get(&user).cloned() else { continue };
                    let is_old = model.changed.get(&user).is_some_and(|changed| *changed > taken);
                    let handle = cache.put_read(&ticket, facts(user, taken, "reader"));
                    prop_assert!(!is_old || handle.is_none(), "old facts of {}", user);
                    // Other rules may let go of what is being read; nothing else does without need.
                    prop_assert!(is_old || model.rules_since > taken || handle.is_some(), "new facts of {}", user);
                    if let Some(handle) = handle {
                        model.users.insert(user, (taken, "reader"));
                        model.handles.push((handle, user));
                    }
                }
                Step::Outdate { user, is_renewed } => {
                    let id = Uuid::from_u128(user);
                    let mut outdated = cache.outdate([id]);
                    let is_pinned = model.pins.contains_key(&user);
                    prop_assert_eq!(outdated.ids(), if is_pinned { vec![id] } else { Vec::new() });
                    model.changed.insert(user, version);
                    let read = cache.ticket(id);
                    if is_renewed && is_pinned {
                        let handle = cache.put_read(&read, facts(user, version, "reader"));
                        prop_assert!(handle.is_some());
                        outdated.renewed(id);
                        model.users.insert(user, (version, "reader"));
                        model.handles.extend(handle.map(|handle| (handle, user)));
                    } else {
                        model.users.remove(&user);
                    }
                }
                Step::Remove { user } => {
                    cache.remove(Uuid::from_u128(user));
                    model.changed.insert(user, version);
                    model.users.remove(&user);
                }
                Step::Pin { user } => {
                    model.pins.insert(user, cache.pin(Uuid::from_u128(user)));
                    // A pin is no promise about whom was let go before.
                    if cache.rights().user(Uuid::from_u128(user)).is_none() {
                        model.users.remove(&user);
                    }
                }
                Step::Unpin { user } => {
                    model.pins.remove(&user);
                }
                Step::EditRole { may_edit } => {
                    model.rules_since = version;
                    let patterns: &[&str] = if may_edit { &["document:read", "document:edit"] } else { &["document:read"] };
                    let role = patterns.iter().fold(Role::new("reader"), |role, pattern| role.allow(*pattern));
                    rules = Arc::new(rules.with_role(role).unwrap());
                    model.may_edit = may_edit;
                    let went = cache.replace_rules(|| rules.clone());
                    forget_unknown(&mut model, &went, version)?;
                }
                Step::AddUnknownRole => {
                    model.rules_since = version;
                    rules = Arc::new(rules.with_role(Role::new("writer").allow("document:edit")).unwrap());
                    model.knows_writer = true;
                    let went = cache.replace_rules(|| rules.clone());
                    forget_unknown(&mut model, &went, version)?;
                }
                Step::OtherRules => {
                    rules = Arc::new(RuleSet::compile(&rules.policy(), &Schema::new()).unwrap());
                    let there: Vec<u128> = model.pins.keys().copied().filter(|user| {
                        cache.rights().user(Uuid::from_u128(*user)).is_some()
                    }).collect();
                    let mut went = cache.replace_rules(|| rules.clone());
                    went.sort();
                    prop_assert_eq!(went, there.into_iter().map(Uuid::from_u128).collect::<Vec<_>>());
                    model.users.clear();
                    (1..=USERS).for_each(|user| { model.changed.insert(user, version); });
                }
                Step::Ask { user } => {
                    let now = "2026-06-01T12:00:00Z".parse().unwrap();
                    let rights = cache.rights();
                    let edit = rights.rules().permission("document:edit").unwrap();
                    if let Some(handle) = rights.user(Uuid::from_u128(user)) {
                        let role = model.users[&user].1;
                        let expected = if role == "reader" { model.may_edit } else { model.knows_writer };
                        prop_assert_eq!(rights.check(handle, edit, now).unwrap(), expected);
                        let named = rights.check_named(&Uuid::from_u128(user).to_string(), "document:edit", now);
                        prop_assert_eq!(named.unwrap(), expected);
                    }
                }
            }
            let rights = cache.rights();
            // Room is made when somebody comes: whoever was pinned may stay until then.
            let most = if rights.count() > count { MAX.max(model.pins.len() + 1) } else { count };
            count = rights.count();
            // What is there is what was put last; what is pinned is there.
            for user in 1..=USERS {
                let found = rights.principal_of(Uuid::from_u128(user)).map(|one| one.version());
                let expected = model.users.get(&user).map(|(version, _)| *version);
                prop_assert!(found.is_none() || found == expected, "{} {:?} {:?}", user, found, expected);
                let is_kept = model.pins.contains_key(&user);
                prop_assert!(!is_kept || found == expected, "pinned {} {:?} {:?}", user, found, expected);
            }
            prop_assert!(rights.count() <= most, "{} users", rights.count());
            prop_assert_eq!(rights.users().count(), rights.count());
            // A handle leads to its own user, or nowhere.
            for (handle, user) in &model.handles {
                let found = rights.principal(*handle).and_then(|one| one.id());
                prop_assert!(found.is_none_or(|id| id == Uuid::from_u128(*user)));
            }
        }
    }
}

/// Those that hold a role which was unknown when they were put in went.
fn forget_unknown(model: &mut Model, went: &[Uuid], version: i64) -> Result<(), TestCaseError> {
    let gone: Vec<u128> =
        model.users.iter().filter(|(_, (_, role))| *role == "writer").map(|(user, _)| *user).collect();
    for user in gone {
        // A writer put in after the role became known stays.
        let is_pinned = model.pins.contains_key(&user);
        if went.contains(&Uuid::from_u128(user)) || !is_pinned && !model.knows_writer {
            model.users.remove(&user);
            model.changed.insert(user, version);
        }
    }
    for user in went {
        prop_assert!(!model.users.contains_key(&user.as_u128()));
    }
    Ok(())
}

/// Users change all together; whoever looks sees all of one version, and rules no older.
#[test]
fn a_reader_sees_one_moment() {
    let rules = RuleSet::compile(&policy(), &Schema::new()).unwrap();
    let cache = PrincipalCache::new(Arc::new(rules.clone()), 1_000);
    cache.put_all((1..=50).map(|user| facts(user, 0, "reader")));
    let (is_done, looks) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut last = 0;
                    while !is_done.load(Ordering::Acquire) {
                        let rights = cache.rights();
                        let mut versions: Vec<i64> = rights.users().map(|(_, one)| one.version()).collect();
                        versions.dedup();
                        assert_eq!(versions.len(), 1, "{versions:?}");
                        let known =
                            rights.rules().roles().find(|role| role.name == "mark").map(|role| role.description);
                        let known: i64 = known.flatten().map_or(0, |text| text.parse().unwrap());
                        assert!(known == versions[0] || known == versions[0] + 1, "{known} {versions:?}");
                        assert!(known >= last);
                        last = known;
                        looks.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        // Until both were at it: on a busy machine one may wait long for a processor.
        for version in 1..=1_000_000_i64 {
            if version > 2_000 && looks.load(Ordering::Relaxed) > 500 {
                break;
            }
            let marked = rules.with_role(Role::new("mark").description(version.to_string())).unwrap();
            cache.replace_rules(|| Arc::new(marked));
            cache.put_all((1..=50).map(|user| facts(user, version, "reader")));
        }
        is_done.store(true, Ordering::Release);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        assert!(looks.load(Ordering::Relaxed) > 500, "{looks:?}");
    });
}

/// However somebody is asked about, others, about whom nobody asks, are let go first.
#[test]
fn who_is_asked_about_stays() {
    let rules = Arc::new(RuleSet::compile(&policy(), &Schema::new()).unwrap());
    let read = rules.permission("document:read").unwrap();
    let full = 1..=MAX as u128;
    for (by_handle, by_id) in full.clone().flat_map(|one| full.clone().map(move |other| (one, other))) {
        let cache = PrincipalCache::new(rules.clone(), MAX);
        cache.put_all(full.clone().map(|user| facts(user, 0, "reader")));
        // Whoever is new is asked about in a moment: this one makes all others old.
        cache.put(facts(100, 0, "reader"));
        let rights = cache.rights();
        let Some(handle) = rights.user(Uuid::from_u128(by_handle)) else { continue };
        if by_handle == by_id || rights.user(Uuid::from_u128(by_id)).is_none() {
            continue;
        }
        assert!(rights.check(handle, read, Time::UNIX_EPOCH).unwrap());
        assert!(rights.check_named(&Uuid::from_u128(by_id).to_string(), "document:read", Time::UNIX_EPOCH).unwrap());
        let news = 101..101 + MAX as u128 - 3;
        for user in news.clone() {
            cache.put(facts(user, 0, "reader"));
        }
        let mut left: Vec<Uuid> = cache.rights().users().filter_map(|(_, one)| one.id()).collect();
        left.sort_unstable();
        let mut expected: Vec<Uuid> = [by_handle, by_id, 100].into_iter().chain(news).map(Uuid::from_u128).collect();
        expected.sort_unstable();
        assert_eq!(left, expected, "{by_handle} {by_id}");
    }
}

#[test]
fn facts_read_before_a_change_are_dropped() {
    let rules = Arc::new(RuleSet::compile(&policy(), &Schema::new()).unwrap());
    let id = Uuid::from_u128(1);
    let outdate = |cache: &PrincipalCache| drop(cache.outdate([id]));
    let put = |cache: &PrincipalCache| {
        cache.put(facts(1, 2, "reader"));
    };
    let remove = |cache: &PrincipalCache| cache.remove(id);
    let put_all = |cache: &PrincipalCache| cache.put_all([facts(1, 2, "reader")]);
    type Change<'c> = (&'static str, &'c dyn Fn(&PrincipalCache));
    let changes: [Change<'_>; 4] = [("outdate", &outdate), ("remove", &remove), ("put", &put), ("put_all", &put_all)];
    for (name, change) in changes {
        let cache = PrincipalCache::new(rules.clone(), 10);
        let ticket = cache.ticket(id);
        change(&cache);
        assert!(cache.put_read(&ticket, facts(1, 1, "reader")).is_none(), "{name}");
        let ticket = cache.ticket(id);
        assert!(cache.put_read(&ticket, facts(1, 3, "reader")).is_some(), "{name}");
    }
    let cache = PrincipalCache::new(rules, 10);
    let ticket = cache.ticket(id);
    cache.replace_rules(|| Arc::new(RuleSet::compile(&policy(), &Schema::new()).unwrap()));
    assert!(cache.put_read(&ticket, facts(1, 1, "reader")).is_none());
}
