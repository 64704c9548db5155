//! A rival acts after a plan was made and before it is committed: rights that are gone write nothing
//! (SEC-6), and no row is left half right (SEC-16, FLT-3, FLT-4).

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rolekeep::{
    Code, Policy, Reason, RequestContext, UserId, UserManagement,
    drones::{AssignDrone, CreateDrone, DroneModel, UnassignDrone, UpdateDrone},
    policy::ImportPolicy,
    regions::CreateRegion,
    roles::{AssignRole, ListAssignments, UnassignRole},
    sessions::{ListSessions, RevokeAllSessions, SignInResult},
    users::{CreateUser, DeactivateUser, SuspendUser, UpdateUser},
};

use super::kit::{Interposed, PASSWORD, POLICY, caller, policy, signed_in, user};

use crate::cheap;

async fn drone(um: &UserManagement, code: &str, operator: Option<UserId>) {
    let new = CreateDrone::new(code, DroneModel::Mq5);
    let new = operator.into_iter().fold(new, |new, operator| new.operator_id(operator));
    um.system().drones().create(new).await.unwrap();
}

/// Operator and users of a drone, by username.
async fn crew(um: &UserManagement, code: &str) -> (Option<String>, Vec<String>) {
    let view = um.system().drones().get(code).await.unwrap();
    let name = |user: rolekeep::drones::UserBrief| user.username.unwrap();
    (view.operator.map(name), view.assigned_users.into_iter().map(name).collect())
}

#[tokio::test]
async fn sec_6_who_lost_its_rights_meanwhile_writes_nothing() {
    for loss in ["demoted", "suspended", "session revoked", "logged out everywhere"] {
        let (um, storage) = Interposed::open(policy()).await;
        user(&um, "root", &["admin"]).await;
        let victim = user(&um, "victim", &[]).await;
        let (me, id) = signed_in(&um, "mia", &["admin"]).await;
        let session = me.sessions().list(ListSessions::new()).await.unwrap().items[0].id;
        let system = um.system();
        storage.before_next_commit(async move {
            match loss {
                "demoted" => system.roles().unassign(UnassignRole::new(id, "admin")).await.unwrap(),
                "suspended" => drop(system.users().suspend(SuspendUser::new(id)).await.unwrap()),
                "session revoked" => system.sessions().revoke(session).await.unwrap(),
                _ => {
                    let all = rolekeep::sessions::RevokeAllSessions::new().user_id(id);
                    system.sessions().revoke_all(all).await.unwrap();
                }
            }
        });
        let refused = me.users().update(UpdateUser::new(victim.id).full_name("Changed")).await;
        assert!(storage.has_acted());
        let code = refused.expect_err(loss).code();
        assert!(matches!(code, Code::NotFound | Code::Forbidden | Code::Unauthorized), "{loss}: {code}");
        assert_eq!(um.system().users().get(victim.id).await.unwrap().full_name, None, "{loss}");
    }
}

#[tokio::test]
async fn sec_6_no_session_is_left_over_of_who_was_suspended_while_signing_in() {
    let (um, storage) = Interposed::open(policy()).await;
    let (_, id) = signed_in(&um, "mia", &[]).await;
    for deed in ["login", "refresh"] {
        let login = um.login("mia", PASSWORD, Default::default()).await.unwrap().done().unwrap();
        let system = um.system();
        storage.before_next_commit(async move {
            system.users().deactivate(DeactivateUser::new(id)).await.unwrap();
        });
        let refused = match deed {
            "login" => um.login("mia", PASSWORD, Default::default()).await.and_then(SignInResult::done),
            _ => um.anonymous(Default::default()).sessions().refresh(login.refresh_token).await,
        };
        assert_eq!(refused.expect_err(deed).code(), Code::Unauthorized, "{deed}");
        assert!(storage.has_acted());
        um.system().users().activate(id).await.unwrap();
        let left = um.acting_as(id).await.unwrap().sessions().list(ListSessions::new()).await.unwrap();
        assert_eq!(left.items, [], "{deed}");
    }
}

/// Logins of one account at once are planned on the same row; hashing again for each would starve them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_15_many_logins_of_one_account_at_once_all_succeed() {
    let um = cheap::builder().open().await.unwrap();
    um.system().users().create(CreateUser::new("me@example.org").password(PASSWORD)).await.unwrap();
    let login = || {
        let um = um.clone();
        tokio::spawn(async move { um.login("me@example.org", PASSWORD, Default::default()).await.map(drop) })
    };
    let logins: Vec<_> = (0..40).map(|_| login()).collect();
    for login in logins {
        login.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn flt_4_a_user_who_is_deleted_meanwhile_gets_no_drone() {
    for deed in ["assign", "create"] {
        let (um, storage) = Interposed::open(policy()).await;
        let pilot = user(&um, "pilot", &[]).await.id;
        drone(&um, "d1", None).await;
        // The other way round: what the deletion looked at changes before it is committed.
        let system = um.system();
        storage.before_next_commit(async move {
            match deed {
                "assign" => drop(system.drones().assign(AssignDrone::new("d1", pilot)).await.unwrap()),
                _ => drop(
                    system.drones().create(CreateDrone::new("d2", DroneModel::Mq5).operator_id(pilot)).await.unwrap(),
                ),
            }
        });
        um.system().users().delete(pilot).await.unwrap();
        assert!(storage.has_acted());
        let code = if deed == "assign" { "d1" } else { "d2" };
        assert_eq!(crew(&um, code).await, (None, vec![]), "{deed}");
    }
}

#[tokio::test]
async fn flt_3_an_operator_always_has_the_assignment() {
    let (um, storage) = Interposed::open(policy()).await;
    let (first, second) = (user(&um, "first", &[]).await.id, user(&um, "second", &[]).await.id);
    drone(&um, "d1", Some(second)).await;
    // Assigned, but the operator is somebody else.
    um.system().drones().assign(AssignDrone::new("d1", first)).await.unwrap();
    let system = um.system();
    storage.before_next_commit(async move {
        system.drones().assign(AssignDrone::new("d1", second)).await.unwrap();
    });
    um.system().drones().unassign(UnassignDrone::new("d1", second)).await.unwrap();
    assert!(storage.has_acted());
    assert_eq!(crew(&um, "d1").await, (None, vec!["first".to_owned()]));
}

#[tokio::test]
async fn flt_4_a_user_and_a_drone_do_not_part_unseen() {
    for first in ["user", "drone"] {
        let (um, storage) = Interposed::open(policy()).await;
        for code in ["east", "west"] {
            um.system().regions().create(CreateRegion::new(code, code)).await.unwrap();
        }
        let new = CreateUser::new("pilot@example.org").username("pilot").region("east");
        let pilot = um.system().users().create(new).await.unwrap().id;
        drone(&um, "d1", Some(pilot)).await;
        let (system, rival) = (um.system(), um.system());
        let move_user = async move |system: rolekeep::Caller| {
            system.users().update(UpdateUser::new(pilot).region("west")).await.unwrap();
        };
        let move_drone = async move |system: rolekeep::Caller| {
            system.drones().update(UpdateDrone::new("d1").region("east")).await.unwrap();
        };
        if first == "user" {
            storage.before_next_commit(async move {
                rival.users().update(UpdateUser::new(pilot).region("west")).await.unwrap();
            });
            move_drone(system).await;
        } else {
            storage.before_next_commit(async move {
                rival.drones().update(UpdateDrone::new("d1").region("east")).await.unwrap();
            });
            move_user(system).await;
        }
        assert!(storage.has_acted());
        assert_eq!(crew(&um, "d1").await, (None, vec![]), "{first} first");
    }
}

/// Moving a drone takes it from its users, which decides who may see it.
#[tokio::test]
async fn sec_10_taking_a_drone_away_by_moving_it_needs_authority() {
    let text = super::kit::POLICY.replace("\"drone:create\", \"drone:set_authority\"", "\"drone:create\"")
        + "\n[roles.pilot]\nallow = [{ permission = \"drone:read\", when = \"resource.assigned_users contains principal.id\" }]";
    let (um, _) = Interposed::open(Policy::from_toml(&text).unwrap()).await;
    for code in ["east", "west"] {
        um.system().regions().create(CreateRegion::new(code, code)).await.unwrap();
    }
    let new = CreateUser::new("pilot@example.org").username("pilot").region("east").roles(["pilot"]);
    let pilot = um.system().users().create(new).await.unwrap().id;
    drone(&um, "d1", Some(pilot)).await;
    let (gardener, _) = super::kit::caller(&um, "gardener", &["gardener"]).await;
    let refused = gardener.drones().update(UpdateDrone::new("d1").region("west")).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Denied);
    assert_eq!(crew(&um, "d1").await.1, ["pilot"]);
}

/// The plan reads a newer guard of its caller than the one its rights came with.
#[tokio::test]
async fn sec_6_who_changes_itself_while_another_does_is_planned_again() {
    let (um, storage) = Interposed::open(policy()).await;
    let (me, id) = signed_in(&um, "mia", &["admin"]).await;
    let system = um.system();
    storage.before_next_read(async move {
        system.users().update(UpdateUser::new(id).first_name("Mia")).await.unwrap();
    });
    let after = me.users().update(UpdateUser::new(id).last_name("Moss")).await.unwrap().user;
    assert!(storage.has_acted());
    assert_eq!((after.first_name.as_deref(), after.last_name.as_deref()), (Some("Mia"), Some("Moss")));
}

/// The same for the session by which the caller came.
#[tokio::test]
async fn sec_6_who_ends_a_session_that_another_ended_is_refused() {
    let (um, storage) = Interposed::open(policy()).await;
    let (me, _) = signed_in(&um, "mia", &["admin"]).await;
    let session = me.sessions().list(ListSessions::new()).await.unwrap().items[0].id;
    let system = um.system();
    storage.before_next_read(async move { system.sessions().revoke(session).await.unwrap() });
    let refused = me.sessions().logout().await.unwrap_err();
    assert!(storage.has_acted());
    assert_eq!(refused.code(), Code::Unauthorized);
}

/// What a deletion or a move takes along is read once newcomers move the same guard, not before.
#[tokio::test]
async fn flt_4_no_drone_comes_between_what_was_read_and_the_guard() {
    for deed in ["delete", "move"] {
        let (um, storage) = Interposed::open(policy()).await;
        for code in ["east", "west"] {
            um.system().regions().create(CreateRegion::new(code, code)).await.unwrap();
        }
        let new = CreateUser::new("pilot@example.org").username("pilot").region("east");
        let pilot = um.system().users().create(new).await.unwrap().id;
        um.system().drones().create(CreateDrone::new("d1", DroneModel::Mq5).region("east")).await.unwrap();
        let system = um.system();
        let rival = async move { drop(system.drones().assign(AssignDrone::new("d1", pilot)).await.unwrap()) };
        storage.before_next_read_of("guards", rival);
        match deed {
            "delete" => um.system().users().delete(pilot).await.unwrap(),
            _ => drop(um.system().users().update(UpdateUser::new(pilot).clear_region()).await.unwrap()),
        }
        assert!(storage.has_acted());
        assert_eq!(crew(&um, "d1").await, (None, vec![]), "{deed}");
    }
}

/// Whichever comes first: afterwards no role is held on what is gone (docs/rules.md, "Giving and administering").
#[tokio::test]
async fn rbc_2_no_role_is_left_on_what_is_deleted_meanwhile() {
    for kind in ["drone", "user", "region", "of a region"] {
        for first in ["assignment", "deletion"] {
            let (um, storage) = Interposed::open(policy()).await;
            let holder = user(&um, "holder", &[]).await.id;
            let system = um.system();
            let id = match kind {
                "drone" => {
                    system.drones().create(CreateDrone::new("d1", DroneModel::Mq5)).await.unwrap().id.to_string()
                }
                "user" => user(&um, "gone", &[]).await.id.to_string(),
                _ => system.regions().create(CreateRegion::new("east", "East")).await.unwrap().id.to_string(),
            };
            let scope = match kind {
                "of a region" => format!("region:{id}"),
                kind => format!("resource:{kind}:{id}"),
            };
            let assign = move |system: rolekeep::Caller, scope: String| async move {
                system.roles().assign(AssignRole::new(holder, "clerk").scope(scope)).await.map(drop)
            };
            let delete = move |system: rolekeep::Caller, id: String| async move {
                match kind {
                    "drone" => system.drones().delete(id.as_str()).await.unwrap(),
                    "user" => system.users().delete(id.parse::<UserId>().unwrap()).await.unwrap(),
                    _ => system.regions().delete(id.as_str()).await.unwrap(),
                }
            };
            let rival = um.system();
            if first == "deletion" {
                storage.before_next_commit(delete(rival, id));
                assign(system, scope).await.unwrap_err();
            } else {
                storage.before_next_commit(async move { assign(rival, scope).await.unwrap() });
                delete(system, id).await;
            }
            assert!(storage.has_acted());
            let left = um.system().roles().assignments(ListAssignments::new().user_id(holder)).await.unwrap().items;
            assert_eq!(left, [], "{kind}, {first} first");
        }
    }
}

/// An administrator who is appointed while it is suspended, and the one before who goes then: one of them stays.
#[tokio::test]
async fn usr_6_an_administrator_is_left_whoever_is_appointed_meanwhile() {
    for deed in ["deactivate", "unassign", "revoke admin"] {
        let (um, storage) = Interposed::open(policy()).await;
        let root = user(&um, "root", &["admin"]).await.id;
        let eve = user(&um, "eve", if deed == "deactivate" { &[] } else { &["admin"] }).await.id;
        let system = um.system();
        if deed != "deactivate" {
            system.users().deactivate(eve).await.unwrap();
        }
        let rival = um.system();
        storage.before_next_read_of("guards", async move {
            match deed {
                "deactivate" => drop(rival.roles().assign(AssignRole::new(eve, "admin")).await.unwrap()),
                _ => drop(rival.users().activate(eve).await.unwrap()),
            }
            rival.users().deactivate(root).await.unwrap();
        });
        let answer = match deed {
            "deactivate" => system.users().deactivate(eve).await.map(drop),
            "unassign" => system.roles().unassign(UnassignRole::new(eve, "admin")).await,
            _ => system.users().revoke_admin(eve).await,
        };
        assert!(storage.has_acted());
        assert_eq!(answer.expect_err(deed).reason(), Reason::LastAdministrator, "{deed}");
        assert!(um.acting_as(eve).await.unwrap().can("admin:all", None).unwrap(), "{deed}");
    }
}

/// What a caller who is none may do to a user holds for that user as it is when the commit comes.
#[tokio::test]
async fn sec_6_who_is_appointed_meanwhile_is_beyond_a_moderator() {
    const STAFF: &str = r#"
        [roles.admin]
        allow = ["admin:all"]
        [roles.clerk]
        [roles.staff]
        allow = ["user:*", "session:*"]
    "#;
    for role in ["admin", "clerk"] {
        for deed in ["suspend", "update", "delete", "end sessions"] {
            let (um, storage) = Interposed::open(Policy::from_toml(STAFF).unwrap()).await;
            user(&um, "root", &["admin"]).await;
            let (me, _) = signed_in(&um, "staff", &["staff"]).await;
            let (eves, eve) = signed_in(&um, "eve", &[]).await;
            let rival = um.system();
            storage.before_next_read_of("guards", async move {
                rival.roles().assign(AssignRole::new(eve, role)).await.unwrap();
            });
            let answer = match deed {
                "suspend" => me.users().suspend(SuspendUser::new(eve)).await.map(drop),
                "update" => me.users().update(UpdateUser::new(eve).username("mine")).await.map(drop),
                "delete" => me.users().delete(eve).await,
                _ => me.sessions().revoke_all(RevokeAllSessions::new().user_id(eve)).await,
            };
            assert!(storage.has_acted(), "{deed}");
            if role == "admin" {
                assert_eq!(answer.expect_err(deed).reason(), Reason::Denied, "{deed}");
                assert!(eves.can("admin:all", None).unwrap(), "{deed}");
                continue;
            }
            answer.unwrap();
            let left = um.system().roles().assignments(ListAssignments::new().user_id(eve)).await.unwrap().items;
            assert_eq!(left.len(), usize::from(deed != "delete"), "{deed}");
        }
    }
}

/// Who changes itself without a pause is suspended all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_15_nobody_holds_off_its_own_suspension() {
    const SELF: &str = r#"
        [roles.member]
        allow = [{ permission = ["user:read", "user:update"], when = "resource.id == principal.id" }]
    "#;
    let folder = tempfile::tempdir().unwrap();
    let builder = cheap::builder().policy(Policy::from_toml(SELF).unwrap());
    let um = builder.sqlite(folder.path().join("x.db")).open().await.unwrap();
    let eve = user(&um, "eve", &["member"]).await.id;
    for round in 0..10 {
        let me = um.acting_as(eve).await.unwrap();
        let busy = |task: usize| {
            let me = me.clone();
            tokio::spawn(async move {
                let mut at = 0;
                loop {
                    at += 1;
                    let change = UpdateUser::new(eve).display_name(format!("{task} {at}"));
                    let Err(error) = me.users().update(change).await else { continue };
                    if error.reason() != Reason::Contention {
                        return error.code();
                    }
                }
            })
        };
        let busy: Vec<_> = (0..16).map(busy).collect();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let suspended = um.system().users().suspend(SuspendUser::new(eve)).await;
        suspended.unwrap_or_else(|error| panic!("round {round}: {error}"));
        for busy in busy {
            assert_eq!(busy.await.unwrap(), Code::Unauthorized);
        }
        um.system().users().lift(eve).await.unwrap();
    }
}

/// However many change one row: they queue for it, as long as the queue moves.
#[tokio::test]
async fn sec_15_many_who_change_one_row_all_come_to_it() {
    let (um, storage) = Interposed::open(policy()).await;
    let eve = user(&um, "eve", &[]).await.id;
    storage.slow_down(8);
    let change = |task: usize| {
        let system = um.system();
        tokio::spawn(async move {
            for at in 0..3 {
                let change = UpdateUser::new(eve).full_name(format!("{task} {at}"));
                system.users().update(change).await.map_err(|error| error.reason())?;
            }
            Ok::<_, Reason>(())
        })
    };
    let tasks: Vec<_> = (0..64).map(change).collect();
    let mut failed = Vec::new();
    for task in tasks {
        failed.extend(task.await.unwrap().err());
    }
    assert_eq!(failed, [] as [Reason; 0]);
    assert_eq!(um.system().users().get(eve).await.unwrap().version, 1 + 64 * 3);
}

/// Before each of the next commits one of the rivals is first; the commit after them never ends.
fn outrun<T: Send + 'static>(
    storage: Arc<Interposed>,
    mut rivals: Vec<Pin<Box<dyn Future<Output = T> + Send>>>,
    is_stuck: Arc<AtomicBool>,
) {
    let next = storage.clone();
    storage.before_next_commit(async move {
        match rivals.pop() {
            Some(rival) => {
                rival.await;
                outrun(next, rivals, is_stuck);
            }
            None => {
                is_stuck.store(true, Ordering::SeqCst);
                std::future::pending().await
            }
        }
    });
}

/// Whoever has the turn alone and does not go on keeps nobody waiting for long.
#[tokio::test]
async fn sec_15_a_request_that_nobody_goes_on_with_stops_no_other() {
    let (um, storage) = Interposed::open(policy()).await;
    let (eve, ada) = (user(&um, "eve", &[]).await.id, user(&um, "ada", &[]).await.id);
    let rename = |id, name: String| {
        let system = um.system();
        async move { system.users().update(UpdateUser::new(id).full_name(name)).await }
    };
    let is_stuck = Arc::new(AtomicBool::new(false));
    let rivals = (0..3).map(|attempt| -> Pin<Box<dyn Future<Output = _> + Send>> {
        Box::pin(rename(eve, format!("Rival {attempt}")))
    });
    outrun(storage.clone(), rivals.collect(), is_stuck.clone());
    let mut stuck = Box::pin(rename(eve, "Stuck".to_owned()));
    while !is_stuck.load(Ordering::SeqCst) {
        let _ = tokio::time::timeout(Duration::from_millis(1), &mut stuck).await;
    }
    // It holds its turn from now on, and is not asked to go on.
    let began = std::time::Instant::now();
    for at in 0..20 {
        rename(ada, format!("Ada {at}")).await.unwrap();
    }
    let took = began.elapsed();
    assert!((150..30_000).contains(&took.as_millis()), "{took:?}");
    drop(stuck);
}

/// Whoever follows the feed may have the next policy first: the edit returns when everybody's rights are there, too.
#[tokio::test]
async fn rbc_2_an_edit_that_another_task_hears_of_first_is_in_force_when_it_returns() {
    let (um, storage) = Interposed::open(policy()).await;
    let (ada, id) = caller(&um, "ada", &["moderator"]).await;
    assert!(ada.can("user:list", None).unwrap());
    storage.share();
    um.refresh().await.unwrap();
    let is_reading = Arc::new(AtomicBool::new(false));
    let (other, place, reading) = (um.clone(), storage.clone(), is_reading.clone());
    storage.after_next_commit(async move {
        let begun = reading.clone();
        place.before_next_read_of("users", async move {
            begun.store(true, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(100)).await;
        });
        tokio::spawn(async move { other.refresh().await });
        let reads = async {
            while !reading.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reads).await.unwrap();
    });
    // Conditions read another attribute of accounts: all are read anew.
    let text = POLICY.replace("[roles.moderator]\nallow = [", "[roles.moderator]\nallow = [\"drone:list\", ");
    let when = "{ permission = \"policy:explain\", when = \"has principal.display_name\" }";
    let text = text.replace("\"policy:explain\"", when);
    um.system().policy().import(ImportPolicy::new(text)).await.unwrap();
    assert!(is_reading.load(Ordering::SeqCst) && storage.has_acted());
    assert!(ada.can("drone:list", None).unwrap());
    assert!(um.check_cached(id, "drone:list", None).unwrap());
}

/// What somebody may do who has not signed in is decided by one policy as well.
#[tokio::test]
async fn sec_6_what_anybody_might_do_is_not_done_under_another_policy() {
    let guest = "[roles.admin]\nallow = [\"admin:all\"]\n[roles.guest]\nallow = [";
    let text = move |allow: &str| format!("anonymous = \"guest\"\n{guest}{allow}]\n");
    let before = text("\"drone:create\", \"drone:read\"");
    let (um, storage) = Interposed::open(Policy::from_toml(&before).unwrap()).await;
    let anybody = um.anonymous(RequestContext::default());
    anybody.drones().create(CreateDrone::new("d1", DroneModel::Mq5)).await.unwrap();
    let system = um.system();
    storage.before_next_commit(async move {
        let after = ImportPolicy::new(text("\"drone:read\""));
        drop(system.policy().import(after).await.unwrap());
    });
    let refused = anybody.drones().create(CreateDrone::new("d2", DroneModel::Mq5)).await;
    assert_eq!(refused.unwrap_err().reason(), Reason::NotSignedIn);
    assert!(storage.has_acted());
    assert!(um.system().drones().get("d2").await.is_err());
}
