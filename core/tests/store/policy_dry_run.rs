//! A dry run lists exactly the decisions that change: compared with the engine, asked about every user,
//! permission and scope before and after (RBC-14).

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rolekeep::{
    Policy, RegionId, Resource, UserId, UserManagement, Value,
    internals::target,
    policy::{DecisionAnswer, DryRunPolicy},
    regions::CreateRegion,
    roles::AssignRole,
    rules::{Context, Question, Role, RuleSet, Scope, StoredAssignment, StoredPrincipal},
    users::{CreateUser, DeactivateUser},
};
use uuid::Uuid;

use crate::cheap;

const PATTERNS: &[&str] = &[
    "document:read",
    "document:edit",
    "document:*",
    "*:read",
    "drone:read",
    "drone:*",
    "*:*",
    "region:read",
    "note:edit",
    "note:*",
];
const ROLES: [&str; 5] = ["r0", "r1", "r2", "r3", "r4"];

/// One role: its grants (pattern, deny), and which of those before it it inherits.
type Drawn = (Vec<(usize, bool)>, Vec<usize>);

#[derive(Clone, Debug)]
struct DrawnPolicy {
    roles: Vec<Drawn>,
    administrator: Option<usize>,
    anonymous: Option<usize>,
    has_print: bool,
}

fn role() -> impl Strategy<Value = Drawn> {
    let grant = (0..PATTERNS.len(), prop::bool::weighted(0.2));
    (prop::collection::vec(grant, 0..4), prop::collection::vec(0..ROLES.len(), 0..2))
}

fn drawn() -> impl Strategy<Value = DrawnPolicy> {
    let one_of = || prop::option::weighted(0.3, 0..ROLES.len());
    (prop::collection::vec(role(), ROLES.len()), one_of(), one_of(), any::<bool>()).prop_map(
        |(roles, administrator, anonymous, has_print)| DrawnPolicy { roles, administrator, anonymous, has_print },
    )
}

/// Roles of the second policy, in place of those of the first.
fn edits() -> impl Strategy<Value = Vec<(usize, Drawn)>> {
    prop::collection::vec((0..ROLES.len(), role()), 0..3)
}

impl DrawnPolicy {
    /// `drops` leaves a role out, with what names it.
    fn build(&self, drops: Option<usize>) -> Policy {
        let mut policy = Policy::new()
            .resource_type("document", [("id", "id"), ("region_id", "id?")])
            .resource_type("note", [("id", "id")])
            .permissions(["document:read", "document:edit", "note:edit"]);
        if self.has_print {
            policy = policy.permissions(["document:print", "note:read"]);
        }
        for (at, (grants, inherits)) in self.roles.iter().enumerate().filter(|(at, _)| Some(*at) != drops) {
            let mut role = Role::new(ROLES[at]);
            for (pattern, is_deny) in grants {
                let pattern = PATTERNS[*pattern];
                role = if *is_deny { role.deny(pattern) } else { role.allow(pattern) };
            }
            if self.administrator == Some(at) {
                role = role.allow("admin:all");
            }
            for junior in inherits.iter().filter(|junior| **junior < at && Some(**junior) != drops) {
                role = role.inherits(ROLES[*junior]);
            }
            policy = policy.add_role(role);
        }
        // Who is not signed in may not hold `admin:all`, itself or through a junior.
        let anonymous =
            self.anonymous.filter(|at| Some(*at) != drops && self.administrator.is_none_or(|admin| *at < admin));
        match anonymous {
            Some(at) => policy.anonymous(ROLES[at]),
            None => policy,
        }
    }
}

struct World {
    um: UserManagement,
    users: Vec<UserId>,
    held: BTreeMap<UserId, Vec<(String, Scope)>>,
    regions: Vec<RegionId>,
}

impl World {
    async fn new(policy: Policy, assignments: &[(usize, usize, usize)]) -> Self {
        let um = cheap::builder().policy(policy).open().await.unwrap();
        let system = um.system();
        let mut regions = Vec::new();
        for code in ["east", "west"] {
            regions.push(system.regions().create(CreateRegion::new(code, code)).await.unwrap().id);
        }
        let mut users = Vec::new();
        for at in 0..4 {
            users.push(system.users().create(CreateUser::new(format!("user{at}@example.org"))).await.unwrap().id);
        }
        let mut held: BTreeMap<UserId, Vec<(String, Scope)>> = BTreeMap::new();
        for (user, role, scope) in assignments {
            let scope = if *scope == 0 { Scope::Global } else { Scope::region(regions[*scope - 1].0) };
            let assign = AssignRole::new(users[*user], ROLES[*role]).scope(scope.to_string());
            // Given twice, or an administrator's in a region: refused, and so not held.
            if system.roles().assign(assign).await.is_ok() {
                held.entry(users[*user]).or_default().push((ROLES[*role].to_owned(), scope));
            }
        }
        // Who may not sign in has no decisions that change; the last administrator stays.
        if system.users().deactivate(DeactivateUser::new(users[3])).await.is_ok() {
            users.pop();
        }
        Self { um, users, held, regions }
    }

    /// Every decision of the engine, with a resource that lies in the scope and in no other.
    fn decisions(&self, policy: &Policy, names: &BTreeSet<String>) -> BTreeMap<(Option<UserId>, String, String), bool> {
        let rules = RuleSet::compile(policy, &target::schema()).unwrap();
        let now = "2030-01-01T00:00:00Z".parse().unwrap();
        let mut decisions = BTreeMap::new();
        for user in [None].into_iter().chain(self.users.iter().copied().map(Some)) {
            let held = user.and_then(|user| self.held.get(&user)).cloned().unwrap_or_default();
            let principal = match user {
                None => rules.anonymous(),
                Some(user) => {
                    let assignments =
                        held.iter().map(|(role, scope)| StoredAssignment::new(role.as_str(), scope.clone()));
                    let assignments = assignments.collect();
                    rules.resolve_stored(StoredPrincipal {
                        is_verified: false,
                        assignments,
                        ..StoredPrincipal::new(user)
                    })
                }
            };
            let scopes: BTreeSet<Scope> = held.iter().map(|(_, scope)| scope.clone()).chain([Scope::Global]).collect();
            for (name, scope) in names.iter().flat_map(|name| scopes.iter().map(move |scope| (name, scope))) {
                let ty = name.split(':').next().unwrap();
                let region = match scope {
                    Scope::Of { id: Value::Id(id), .. } => *id,
                    _ => Uuid::from_u128(7),
                };
                let is_in_region = rules.reads(ty).iter().any(|read| read == "region_id") || ty == "region";
                if *scope != Scope::Global && !is_in_region {
                    continue;
                }
                let own = if ty == "region" { region } else { Uuid::from_u128(9) };
                let mut resource = Resource::of(ty.to_owned());
                for read in rules.reads(ty) {
                    resource = match read.as_str() {
                        "id" => resource.with("id", Value::Id(own)),
                        "region_id" => resource.with("region_id", Value::Id(region)),
                        other => panic!("{ty} reads {other}"),
                    };
                }
                let allowed = rules.permission(name).is_ok_and(|permission| {
                    let context = Context::new();
                    let resource = Some(&resource);
                    let question =
                        Question { principal: &principal, permission, fields: &[], resource, context: &context, now };
                    rules.decide(&question).unwrap().is_allowed()
                });
                decisions.insert((user, name.clone(), scope.to_string()), allowed);
            }
        }
        decisions
    }
}

async fn compare(
    first: DrawnPolicy,
    edits: Vec<(usize, Drawn)>,
    drops: Option<usize>,
    has_print: bool,
    assignments: Vec<(usize, usize, usize)>,
) -> Result<u32, TestCaseError> {
    let mut second = DrawnPolicy { has_print, ..first.clone() };
    for (at, role) in edits {
        second.roles[at] = role;
    }
    let (before, after) = (first.build(None), second.build(drops));
    // Patterns that match nothing make no policy.
    let (Ok(old), Ok(new)) =
        (RuleSet::compile(&before, &target::schema()), RuleSet::compile(&after, &target::schema()))
    else {
        return Err(TestCaseError::reject("no policy"));
    };
    let names: BTreeSet<String> = old.permissions().chain(new.permissions()).map(|one| one.name).collect();
    let world = World::new(before.clone(), &assignments).await;
    prop_assert_eq!(world.regions.len(), 2);
    let (then, now) = (world.decisions(&after, &names), world.decisions(&before, &names));
    let mut expected = BTreeSet::new();
    for (key, is_allowed) in &now {
        // A scope may cover what it did not before; here the types stay.
        if then.get(key) != Some(is_allowed) {
            expected.insert((key.clone(), *is_allowed));
        }
    }
    let dry_run = DryRunPolicy::new().text(after.to_toml().unwrap());
    let (mut found, mut skip) = (BTreeSet::new(), 0);
    let mut users = BTreeSet::new();
    loop {
        let page = world.um.system().policy().dry_run(dry_run.clone().skip(skip).limit(7)).await.unwrap();
        prop_assert_eq!(page.total, expected.len() as i64);
        for change in &page.decisions {
            prop_assert_ne!(change.before, change.after);
            prop_assert!(change.before != DecisionAnswer::Conditional && change.after != DecisionAnswer::Conditional);
            users.insert(change.user_id);
            let key = (change.user_id, change.permission.clone(), change.scope.clone());
            prop_assert!(found.insert((key, change.before == DecisionAnswer::Allowed)), "listed twice: {:?}", change);
        }
        skip += page.decisions.len() as u32;
        if !page.has_more {
            prop_assert_eq!(page.users, users.len() as i64);
            break;
        }
        prop_assert!(!page.decisions.is_empty());
    }
    prop_assert_eq!(&found, &expected);
    Ok(skip)
}

#[test]
fn rbc_14_a_dry_run_lists_what_the_engine_decides_otherwise() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let changed = std::cell::Cell::new(0_u32);
    let cases = ProptestConfig { cases: 150, max_global_rejects: 10_000, ..ProptestConfig::default() };
    let assignments = prop::collection::vec((0..4_usize, 0..ROLES.len(), 0..3_usize), 0..10);
    let drops = prop::option::weighted(0.3, 0..ROLES.len());
    proptest!(cases, |(first in drawn(), edits in edits(), drops in drops, print in any::<bool>(), assignments in assignments)| {
        let count = runtime.block_on(compare(first, edits, drops, print, assignments))?;
        changed.set(changed.get() + u32::from(count > 0));
    });
    assert!(changed.get() > 50, "only {} cases changed anything", changed.get());
}
