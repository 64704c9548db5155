//! What is held in a country reaches what lies in its regions, and nothing else: whatever is moved meanwhile, here and on another instance
//! (RBC-6, SEC-6, SEC-16).

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};

use rolekeep::{
    Caller, Code, Policy, Reason, RegionId, Resource, UserId, UserManagement,
    policy::{DecisionAnswer, DryRunPolicy, ImportPolicy, RoleEdit},
    regions::{CreateRegion, UpdateRegion},
    roles::{AssignRole, ListAssignments, NewGrant},
    scopes::{CreateScope, DeleteScope, ListScopes, MoveScope, UpdateScope},
    storage::{SqliteOptions, sqlite::Durability},
    users::{CreateUser, ListUsers, UpdateUser},
};

use super::kit::{Interposed, user};
use crate::cheap;

const RULES: &str = r#"
permissions = ["site:inspect", "site:list"]
[types.site]
attributes = { base_id = "string?", region_id = "id?", country_id = "string?" }
[types.user]
attributes = { country_id = "string?" }
[scopes.country]
attribute = "country_id"
[scopes.region]
attribute = "region_id"
parent = "country_id"
[scopes.base]
attribute = "base_id"
parent = "region_id"
[roles.admin]
allow = ["admin:all"]
[roles.inspector]
allow = ["site:inspect", "site:list"]
[roles.barred]
deny = ["site:inspect", "user:list"]
[roles.warden]
allow = ["user:read", "user:list", "user:update", "user:set_authority", "region:read", "region:update", "region:set_authority"]
[roles.mover]
allow = ["scope:*"]
"#;

const FLAT: &str = "permissions = ['site:inspect', 'site:list']\n[roles.admin]\nallow = ['admin:all']\n";

fn policy() -> Policy {
    Policy::from_toml(RULES).unwrap()
}

/// A store with two countries and a region `east` in Austria.
async fn settle(um: &UserManagement) -> RegionId {
    let system = um.system();
    let east = system.regions().create(CreateRegion::new("east", "East")).await.unwrap().id;
    for country in ["country:at", "country:it"] {
        system.scopes().create(CreateScope::new(country, "Country")).await.unwrap();
    }
    system.scopes().create(CreateScope::new("region:east", "East").parent("country:at")).await.unwrap();
    east
}

async fn give(um: &UserManagement, user: UserId, role: &str, scope: &str) {
    um.system().roles().assign(AssignRole::new(user, role).scope(scope)).await.unwrap();
}

async fn place(um: &UserManagement, scope: &str, parent: Option<&str>) -> rolekeep::Result<()> {
    let to = MoveScope::new(scope);
    let to = if let Some(parent) = parent { to.parent(parent) } else { to };
    um.system().scopes().move_to(to).await.map(drop)
}

fn site(region: RegionId) -> Resource<'static> {
    Resource::of("site").with("region_id", region).with("base_id", None::<&str>).with("country_id", None::<&str>)
}

fn may_inspect(me: &Caller, region: RegionId) -> bool {
    me.can("site:inspect", &site(region)).unwrap()
}

async fn open(file: &Path) -> rolekeep::Result<UserManagement> {
    let options = SqliteOptions::new(file).durability(Durability::Normal);
    cheap::builder().config(cheap::patient()).policy(policy()).sqlite_with(options).open().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_6_what_was_moved_is_out_of_reach_at_once_on_another_instance_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("moved.db");
    let (here, there) = (open(&file).await.unwrap(), open(&file).await.unwrap());
    let east = settle(&here).await;
    let ada = user(&here, "ada", &[]).await.id;
    give(&here, ada, "inspector", "country:at").await;
    let (at_home, abroad) = (here.acting_as(ada).await.unwrap(), there.acting_as(ada).await.unwrap());
    assert!(may_inspect(&at_home, east) && may_inspect(&abroad, east));
    for (country, expected) in [("country:it", false), ("country:at", true)] {
        let made_before = abroad.filter("site:list").unwrap();
        place(&here, "region:east", Some(country)).await.unwrap();
        // Here before the move returns; there where that much is asked for, and then for all.
        assert_eq!(may_inspect(&at_home, east), expected);
        let checks = there.checks().at_least(here.position());
        assert_eq!(checks.check(ada, "site:inspect", &site(east)).await.unwrap(), expected);
        assert_eq!(may_inspect(&abroad, east), expected);
        assert_eq!(made_before.predicate().unwrap_err().reason(), Reason::RightsStale);
    }
    // And by itself: in less than a second, where the machine has time.
    place(&here, "region:east", None).await.unwrap();
    let began = Instant::now();
    while may_inspect(&abroad, east) {
        assert!(began.elapsed() < Duration::from_secs(20), "the move was not heard of");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // An instance that is opened later reads where everything lies.
    place(&there, "region:east", Some("country:at")).await.unwrap();
    let later = open(&file).await.unwrap();
    assert!(may_inspect(&later.acting_as(ada).await.unwrap(), east));
    let flat = cheap::builder().policy(Policy::from_toml(FLAT).unwrap()).sqlite(&file).open().await;
    assert_eq!(flat.err().map(|error| error.reason()), Some(Reason::InUse));
}

/// A caller that reaches something through an outer scope alone, while what lies between is moved away.
#[tokio::test]
async fn sec_6_what_was_allowed_by_where_a_region_lay_is_not_done_after_it_was_moved() {
    for deed in ["user", "region"] {
        for moved in ["away", "elsewhere and back", "another"] {
            let (um, storage) = Interposed::open(policy()).await;
            settle(&um).await;
            um.system().regions().create(CreateRegion::new("west", "West")).await.unwrap();
            um.system().scopes().create(CreateScope::new("region:west", "West")).await.unwrap();
            let new = CreateUser::new("bob@example.org").username("bob").region("east");
            let bob = um.system().users().create(new).await.unwrap().id;
            let ada = user(&um, "ada", &[]).await.id;
            give(&um, ada, "warden", "country:at").await;
            let me = um.acting_as(ada).await.unwrap();
            let rival = um.clone();
            storage.before_next_commit(async move {
                match moved {
                    "another" => place(&rival, "region:west", Some("country:it")).await.unwrap(),
                    _ => place(&rival, "region:east", Some("country:it")).await.unwrap(),
                }
                if moved == "elsewhere and back" {
                    place(&rival, "region:east", Some("country:at")).await.unwrap();
                }
            });
            let done = match deed {
                "user" => me.users().update(UpdateUser::new(bob).first_name("Bob")).await.map(drop),
                _ => me.regions().update(UpdateRegion::new("east").name("Ours")).await.map(drop),
            };
            assert!(storage.has_acted());
            match moved {
                // Another user might lie in the country itself, another region could not.
                "away" if deed == "user" => assert_eq!(done.unwrap_err().code(), Code::NotFound),
                "away" => assert_eq!(done.unwrap_err().code(), Code::Forbidden),
                _ => done.unwrap(),
            }
        }
    }
}

#[tokio::test]
async fn sec_16_nothing_lies_within_what_is_gone() {
    for first in ["move", "create", "delete"] {
        for gone in ["country", "region"] {
            let (um, storage) = Interposed::open(policy()).await;
            settle(&um).await;
            place(&um, "region:east", None).await.unwrap();
            um.system().scopes().create(CreateScope::new("base:alpha", "Alpha")).await.unwrap();
            let (inner, outer, new) = match gone {
                "country" => ("region:east", "country:at", None),
                _ => ("base:alpha", "region:east", Some("base:beta")),
            };
            let joins = async move |um: &UserManagement| match (first, new) {
                ("create", Some(new)) => {
                    um.system().scopes().create(CreateScope::new(new, "Beta").parent(outer)).await.map(drop)
                }
                _ => place(um, inner, Some(outer)).await,
            };
            let ends = async move |um: &UserManagement| match gone {
                "country" => um.system().scopes().delete(DeleteScope::new(outer)).await,
                _ => um.system().regions().delete("east").await,
            };
            let rival = um.clone();
            if first == "delete" {
                storage.before_next_commit(async move { ends(&rival).await.unwrap() });
                assert_eq!(joins(&um).await.unwrap_err().fields()[0].field, "parent", "{gone}");
            } else {
                storage.before_next_commit(async move { joins(&rival).await.unwrap() });
                assert_eq!(ends(&um).await.unwrap_err().reason(), Reason::InUse, "{first} {gone}");
            }
            assert!(storage.has_acted());
            let rows = um.system().scopes().list(ListScopes::new()).await.unwrap().items;
            let there: BTreeSet<&str> = rows.iter().map(|row| row.scope.as_str()).collect();
            let is_region = |scope: &str| scope.starts_with("region:");
            for parent in rows.iter().filter_map(|row| row.parent.as_deref()) {
                assert!(there.contains(parent) || is_region(parent) && first != "delete", "{first} {gone}: {parent}");
            }
        }
    }
}

/// Of two who move the same scope at once, the later one is where it lies: in its row, and for who holds roles in either country.
#[tokio::test]
async fn sec_16_of_two_moves_at_once_the_later_one_counts() {
    let (um, storage) = Interposed::open(policy()).await;
    let east = settle(&um).await;
    let (ada, bob) = (user(&um, "ada", &[]).await.id, user(&um, "bob", &[]).await.id);
    give(&um, ada, "inspector", "country:at").await;
    give(&um, bob, "inspector", "country:it").await;
    let (ada, bob) = (um.acting_as(ada).await.unwrap(), um.acting_as(bob).await.unwrap());
    let rival = um.clone();
    storage.before_next_commit(async move { place(&rival, "region:east", Some("country:it")).await.unwrap() });
    place(&um, "region:east", None).await.unwrap();
    assert!(storage.has_acted());
    assert!(!may_inspect(&ada, east) && !may_inspect(&bob, east));
    // One that relied on what it saw is told.
    let seen = um.system().scopes().get("region:east").await.unwrap().version;
    let rival = um.clone();
    storage.before_next_commit(async move { place(&rival, "region:east", Some("country:it")).await.unwrap() });
    let to = MoveScope::new("region:east").parent("country:at").expected_version(seen);
    assert_eq!(um.system().scopes().move_to(to).await.unwrap_err().reason(), Reason::VersionStale);
    assert!(!may_inspect(&ada, east) && may_inspect(&bob, east));
}

#[tokio::test]
async fn sec_16_no_role_is_held_in_a_scope_whose_row_went_meanwhile() {
    for first in ["role", "row"] {
        let (um, storage) = Interposed::open(policy()).await;
        settle(&um).await;
        let ada = user(&um, "ada", &[]).await.id;
        let rival = um.clone();
        let end =
            async |um: &UserManagement| um.system().scopes().delete(DeleteScope::new("country:it")).await.unwrap();
        if first == "role" {
            storage.before_next_commit(async move { give(&rival, ada, "inspector", "country:it").await });
            end(&um).await;
            let held = um.system().roles().assignments(ListAssignments::new().user_id(ada)).await.unwrap().items;
            assert_eq!(held, []);
        } else {
            // Roles are held in scopes without rows, too, as the rows may be the application's.
            storage.before_next_commit(async move { end(&rival).await });
            give(&um, ada, "inspector", "country:it").await;
        }
        assert!(storage.has_acted());
    }
}

#[tokio::test]
async fn rbc_2_no_policy_comes_into_force_under_which_scopes_lie_nowhere() {
    for first in ["policy", "move"] {
        let (um, storage) = Interposed::open(policy()).await;
        settle(&um).await;
        place(&um, "region:east", None).await.unwrap();
        let rival = um.clone();
        let import = async |um: &UserManagement| {
            um.system().policy().import(ImportPolicy::new(FLAT).force(true)).await.map(drop)
        };
        if first == "policy" {
            storage.before_next_commit(async move { import(&rival).await.unwrap() });
            let refused = place(&um, "region:east", Some("country:at")).await.unwrap_err();
            assert_eq!(refused.fields()[0].field, "parent");
        } else {
            storage.before_next_commit(async move {
                place(&rival, "region:east", Some("country:at")).await.unwrap();
            });
            assert_eq!(import(&um).await.unwrap_err().reason(), Reason::InUse);
        }
        assert!(storage.has_acted());
    }
}

/// Who holds roles in no outer scope is not held up by moves: only what rests on them is planned anew.
#[tokio::test]
async fn rbc_6_a_move_stops_nobody_whose_rights_do_not_rest_on_it() {
    let (um, storage) = Interposed::open(policy()).await;
    settle(&um).await;
    let (me, id) = super::kit::caller(&um, "ada", &["mover"]).await;
    let rename = async |name: &str| drop(me.scopes().update(UpdateScope::new("country:it").name(name)).await.unwrap());
    storage.calls();
    rename("Italia").await;
    let of_rename = storage.calls();
    place(&um, "region:east", None).await.unwrap();
    let of_move = storage.calls();
    for (held, parent) in [(None, "country:at"), (Some("country:at"), "country:it")] {
        if let Some(scope) = held {
            give(&um, id, "inspector", scope).await;
            rename("Italy").await;
            storage.calls();
        }
        let rival = um.clone();
        storage.before_next_commit(async move { place(&rival, "region:east", Some(parent)).await.unwrap() });
        rename(&format!("Into {parent}")).await;
        assert!(storage.has_acted());
        // The row of the country is read, too, into which it is moved.
        let is_planned_once = storage.calls() <= of_rename + of_move + 1;
        assert_eq!(is_planned_once, held.is_none(), "{held:?}");
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Checks, lists, filters and what a plain model says agree, whatever is moved where.
#[tokio::test]
async fn rbc_8_checks_and_lists_agree_whatever_is_moved_where() {
    let folder = tempfile::tempdir().unwrap();
    let in_memory = cheap::builder().policy(policy()).open().await.unwrap();
    for um in [in_memory, open(&folder.path().join("agree.db")).await.unwrap()] {
        checks_and_lists_agree(&um).await;
    }
}

async fn checks_and_lists_agree(um: &UserManagement) {
    let system = um.system();
    let countries = ["country:at", "country:it", "country:fr"];
    for country in countries {
        system.scopes().create(CreateScope::new(country, "Country")).await.unwrap();
    }
    let mut regions = Vec::new();
    for at in 0..6 {
        let code = format!("r{at}");
        regions.push(system.regions().create(CreateRegion::new(code.as_str(), "Region")).await.unwrap().id);
        system.scopes().create(CreateScope::new(format!("region:{code}"), "Region")).await.unwrap();
    }
    let mut people = BTreeMap::new();
    for at in 0..18 {
        let new = CreateUser::new(format!("p{at}@example.org")).username(format!("person{at}"));
        let region = regions.get(at % 7).copied();
        let new = if let Some(region) = region { new.region(region.to_string()) } else { new };
        people.insert(system.users().create(new).await.unwrap().id, region);
    }
    let warden = user(um, "warden", &[]).await.id;
    let scopes: [(&str, &str); 3] = [("warden", "country:at"), ("warden", "country:it"), ("barred", "country:fr")];
    for (role, scope) in scopes {
        give(um, warden, role, scope).await;
    }
    let lasting = format!("region:{}", regions[5]);
    give(um, warden, "warden", &lasting).await;
    let me = um.acting_as(warden).await.unwrap();
    let (mut dice, mut lies, mut seen) = (Dice(7), BTreeMap::new(), BTreeSet::new());
    for round in 0..60 {
        let (region, to) = (regions[dice.below(6) as usize], dice.below(4) as usize);
        let country = countries.get(to).copied();
        place(um, &format!("region:{region}"), country).await.unwrap();
        lies.insert(region, country);
        let expected: BTreeSet<UserId> = people
            .iter()
            .filter(|(_, region)| {
                region.is_some_and(|region| {
                    let country = lies.get(&region).copied().flatten();
                    let allowed = matches!(country, Some("country:at" | "country:it")) || region == regions[5];
                    allowed && country != Some("country:fr")
                })
            })
            .map(|(id, _)| *id)
            .collect();
        let listed = me.users().list(ListUsers::new().limit(100)).await.unwrap().items;
        let listed: BTreeSet<UserId> = listed.into_iter().map(|user| user.id).collect();
        assert_eq!(listed, expected, "round {round}");
        let explained = me.can_somewhere("user:list").unwrap();
        assert!(explained || expected.is_empty(), "round {round}");
        for (id, region) in &people {
            let found = um.system().users().get(*id).await.unwrap();
            let mut resource = Resource::of("user").with("id", *id).with("country_id", None::<&str>);
            resource = match region {
                Some(region) => resource.with("region_id", *region),
                None => resource.with("region_id", None::<&str>),
            };
            let may = me.can("user:list", &resource).unwrap();
            assert_eq!(may, expected.contains(&found.id), "round {round}: {region:?}");
            assert_eq!(me.explain("user:list", &resource).unwrap().allowed, may);
        }
        seen.insert(expected.len());
    }
    assert!(seen.len() > 3, "{seen:?}");
}

/// Which kinds of scopes there are is told to who may read the policy, and which regions, to who may read those.
#[tokio::test]
async fn sec_9_who_makes_rows_of_scopes_learns_of_no_kind_and_no_region() {
    let um = cheap::builder().policy(policy()).open().await.unwrap();
    settle(&um).await;
    um.system().regions().create(CreateRegion::new("west", "West")).await.unwrap();
    let mia = user(&um, "mia", &[]).await.id;
    give(&um, mia, "mover", "global").await;
    let me = um.acting_as(mia).await.unwrap();
    let make = async |scope: &str| me.scopes().create(CreateScope::new(scope, "X")).await.unwrap_err();
    // A kind that is almost there, one that lies within nothing, and none at all.
    for kind in ["contry:at", "resource:site:1", "none:1"] {
        let (refused, none) = (make(kind).await, make("nothing:1").await);
        assert_eq!(refused.fields(), none.fields(), "{kind}");
        assert!(!refused.to_string().contains("country"), "{refused}");
    }
    for there in ["region:west", "region:east"] {
        assert_eq!(make(there).await.fields(), make("region:nowhere").await.fields(), "{there}");
    }
    let get = async |scope: &str| me.scopes().get(rolekeep::scopes::GetScope::new(scope)).await;
    let (there, absent) = (get("region:east").await.unwrap_err(), get("region:nowhere").await.unwrap_err());
    assert_eq!((there.reason(), there.message()), (absent.reason(), absent.message()));
    assert_eq!(there.reason(), Reason::NotFound);
    for change in ["rename", "delete"] {
        let ask = async |scope: &str| match change {
            "rename" => me.scopes().update(UpdateScope::new(scope).name("X")).await.map(drop),
            _ => me.scopes().delete(DeleteScope::new(scope)).await,
        };
        let (there, absent) = (ask("region:east").await.unwrap_err(), ask("region:nowhere").await.unwrap_err());
        assert_eq!((there.reason(), there.message()), (absent.reason(), absent.message()), "{change}");
    }
    // Its id, which rows say, names it.
    let rows = me.scopes().list(ListScopes::new().kind("region")).await.unwrap().items;
    assert!(get(&rows[0].scope).await.is_ok());
    // Who may read regions names them by their codes.
    give(&um, mia, "warden", "global").await;
    assert!(get("region:east").await.is_ok());
    me.scopes().create(CreateScope::new("region:west", "West")).await.unwrap();
}

#[tokio::test]
async fn rbc_14_a_dry_run_goes_by_where_scopes_lie() {
    let um = cheap::builder().policy(policy()).open().await.unwrap();
    let east = settle(&um).await;
    let ada = user(&um, "ada", &[]).await.id;
    give(&um, ada, "inspector", "country:at").await;
    give(&um, ada, "mover", &format!("region:{east}")).await;
    let role = || RoleEdit::new("inspector").grants([NewGrant::new("site:list")]);
    let found = async || {
        let run = um.system().policy().dry_run(DryRunPolicy::new().role(role())).await.unwrap();
        let inspect = run.decisions.into_iter().filter(|one| one.permission == "site:inspect");
        let answers = inspect.map(|one| (one.scope, (one.before, one.after)));
        answers.collect::<BTreeMap<String, (DecisionAnswer, DecisionAnswer)>>()
    };
    let lost = (DecisionAnswer::Allowed, DecisionAnswer::Denied);
    let within = found().await;
    assert_eq!(within.get("country:at"), Some(&lost));
    assert_eq!(within.get(&format!("region:{east}")), Some(&lost));
    place(&um, "region:east", Some("country:it")).await.unwrap();
    assert_eq!(found().await.into_keys().collect::<Vec<_>>(), ["country:at"]);
}

/// What a caller may not do to a scope does not say which codes of regions there are.
#[tokio::test]
async fn sec_9_codes_of_hidden_regions_are_not_told_by_their_scopes() {
    let text = format!(
        "{RULES}\n[roles.surveyor]\nallow = ['scope:read', 'scope:list', \
         {{ permission = ['scope:update', 'scope:delete'], when = \"resource.kind == 'country'\" }}]\n"
    );
    let um = super::kit::store(Policy::from_toml(&text).unwrap()).await;
    settle(&um).await;
    let ann = user(&um, "ann", &["surveyor"]).await.id;
    let me = um.acting_as(ann).await.unwrap();
    for scope in ["region:east", "region:none"] {
        let told = [
            me.scopes().update(UpdateScope::new(scope).name("Other")).await.unwrap_err().reason(),
            me.scopes().move_to(MoveScope::new(scope)).await.unwrap_err().reason(),
            me.scopes().delete(DeleteScope::new(scope)).await.unwrap_err().reason(),
        ];
        assert_eq!(told, [Reason::NotFound; 3], "{scope}");
    }
    // Who sees the region hears that it may not.
    um.system().roles().assign(AssignRole::new(ann, "warden")).await.unwrap();
    let refused = me.scopes().delete(DeleteScope::new("region:east")).await.unwrap_err();
    assert_eq!((refused.reason(), refused.permission()), (Reason::Denied, Some("scope:delete")));
}
