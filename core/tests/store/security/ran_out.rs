//! What was for a time and is over: rules and lists say of it what is shown, though its row stays as it was.

use std::{sync::Arc, time::Duration};

use rolekeep::{
    Caller, Policy, Reason, Time, UserId, UserManagement,
    environment::Environment,
    roles::AssignRole,
    storage::{MemoryStorage, SqliteOptions, Storage, sqlite::SqliteStorage},
    users::{
        DeactivateUser, DeleteUser, GetUser, GetUserOverview, GetUserStatistics, ListUserOverviews, ListUsers,
        RestoreUser, SuspendUser, UpdateUser, UserStatus,
    },
};

use super::kit::{Ahead, user};
use crate::cheap;

const DAY: u64 = 24 * 3600;

fn policy() -> Policy {
    let text = r#"
        [permissions]
        "desk:open" = "Open a desk"
        [roles.admin]
        allow = ["admin:all"]
        [roles.of_active]
        allow = [{ permission = ["user:read", "user:list"], when = 'resource.status == "active"' }]
        [roles.of_off]
        allow = [{ permission = ["user:read", "user:list"], when = 'resource.status in ["inactive"]' }]
        [roles.of_suspended]
        allow = [{ permission = ["user:read", "user:list", "user:update"], when = 'resource.status == "suspended"' }]
        [roles.of_ending]
        allow = [{ permission = ["user:read", "user:list"], when = 'has resource.suspended_until' }]
        [roles.of_blamed]
        allow = [{ permission = ["user:read", "user:list"], when = 'resource.status_reason == "late"' }]
        [roles.all_but_suspended]
        allow = ["user:read", "user:list"]
        deny = [{ permission = "user:*", when = 'resource.status == "suspended"' }]
        [roles.clerk]
        allow = [{ permission = "desk:open", when = 'principal.status == "active"' }]
    "#;
    Policy::from_toml(text).unwrap()
}

async fn stores(clock: &Ahead) -> Vec<(UserManagement, Option<tempfile::TempDir>)> {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteStorage::open(SqliteOptions::new(folder.path().join("x.db"))).await.unwrap();
    let mut stores = Vec::new();
    for (storage, folder) in
        [(Arc::new(MemoryStorage::new()) as Arc<dyn Storage>, None), (Arc::new(sqlite), Some(folder))]
    {
        let builder = cheap::builder().storage(storage).policy(policy()).environment(clock.clone());
        stores.push((builder.open().await.unwrap(), folder));
    }
    stores
}

fn in_a_day(clock: &Ahead) -> Time {
    clock.now().checked_add(Duration::from_secs(DAY)).unwrap()
}

/// Whom a caller sees of some: by the list, and one by one, which must be the same.
async fn seen(me: &Caller, of: &[UserId]) -> Vec<usize> {
    let list = me.users().list(ListUsers::new()).await.unwrap();
    let listed: Vec<UserId> = list.items.iter().map(|user| user.id).collect();
    assert_eq!(list.total, Some(i64::try_from(listed.len()).unwrap()));
    let mut seen = Vec::new();
    for (at, id) in of.iter().enumerate() {
        let is_read = me.users().get(GetUser::new(*id)).await.is_ok();
        assert_eq!(is_read, listed.contains(id), "{at}");
        seen.extend(is_read.then_some(at));
    }
    seen
}

#[tokio::test]
async fn usr_6_rules_read_no_suspension_that_has_run_out() {
    let clock = Ahead::new();
    for (um, _folder) in stores(&clock).await {
        let system = um.system();
        let ids: Vec<UserId> = {
            let mut ids = Vec::new();
            for name in ["plain", "late", "off", "held"] {
                ids.push(user(&um, name, &["clerk"]).await.id);
            }
            ids
        };
        let [_, late, off, held] = ids[..] else { panic!() };
        system.users().deactivate(DeactivateUser::new(off)).await.unwrap();
        let until = in_a_day(&clock);
        for id in [late, off] {
            system.users().suspend(SuspendUser::new(id).until(until).reason("late")).await.unwrap();
        }
        let later = until.checked_add(Duration::from_secs(DAY)).unwrap();
        system.users().suspend(SuspendUser::new(held).until(later).reason("late")).await.unwrap();
        let mut callers = Vec::new();
        for role in ["of_active", "of_off", "of_suspended", "of_ending", "of_blamed", "all_but_suspended"] {
            callers.push(um.acting_as(user(&um, role, &[role]).await.id).await.unwrap());
        }
        let by_role = async || {
            let mut all = Vec::new();
            for caller in &callers {
                all.push(seen(caller, &ids).await);
            }
            all
        };
        let none: Vec<usize> = Vec::new();
        assert_eq!(by_role().await, [vec![0], none.clone(), vec![1, 2, 3], vec![1, 2, 3], vec![1, 2, 3], vec![0]]);
        let of_suspended = &callers[2];
        of_suspended.users().update(UpdateUser::new(late).full_name("Late")).await.unwrap();

        clock.pass(DAY + 1);
        assert_eq!(by_role().await, [vec![0, 1], vec![2], vec![3], vec![3], vec![3], vec![0, 1, 2]]);
        let refused = of_suspended.users().update(UpdateUser::new(late).full_name("Later")).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::NotFound);
        let me = um.acting_as(late).await.unwrap();
        assert!(me.can("desk:open", None).unwrap());
        let shown = system.users().statistics(GetUserStatistics::new()).await.unwrap();
        assert_eq!((shown.suspended, shown.inactive), (1, 1));
        um.close().await.unwrap();
    }
}

#[tokio::test]
async fn usr_4_nobody_is_listed_by_a_role_whose_time_is_over() {
    let clock = Ahead::new();
    for (um, _folder) in stores(&clock).await {
        let system = um.system();
        let [once, now] = [user(&um, "once", &[]).await.id, user(&um, "now", &[]).await.id];
        let until = in_a_day(&clock);
        system.roles().assign(AssignRole::new(once, "clerk").valid_until(until)).await.unwrap();
        system.roles().assign(AssignRole::new(now, "clerk")).await.unwrap();
        let me = um.acting_as(once).await.unwrap();
        let holders = async || {
            let list = system.users().list(ListUsers::new().role("clerk")).await.unwrap();
            let overviews = system.users().overviews(ListUserOverviews::new().role("clerk")).await.unwrap();
            assert_eq!(list.total, overviews.total);
            let one = system.users().overview(GetUserOverview::new(once)).await.unwrap();
            let roles = |roles: &[rolekeep::roles::HeldRole]| roles.iter().any(|held| held.role == "clerk");
            assert_eq!(roles(&one.roles), roles(&me.roles().mine().await.unwrap()));
            (list.total, roles(&one.roles))
        };
        assert_eq!(holders().await, (Some(2), true));
        clock.pass(DAY + 1);
        assert_eq!(holders().await, (Some(1), false));
        um.close().await.unwrap();
    }
}

#[tokio::test]
async fn usr_7_nobody_is_restored_when_the_time_for_it_is_over() {
    let clock = Ahead::standing_still();
    for (um, _folder) in stores(&clock).await {
        let users = um.system();
        let users = users.users();
        let ada = user(&um, "ada", &[]).await.id;
        users.delete(DeleteUser::new(ada)).await.unwrap();
        clock.pass(30 * DAY - 1);
        assert_eq!(users.restore(RestoreUser::new(ada)).await.unwrap().status, UserStatus::Active);
        users.delete(DeleteUser::new(ada)).await.unwrap();
        clock.pass(30 * DAY + 1);
        // Though nobody has tidied.
        assert_eq!(users.restore(RestoreUser::new(ada)).await.unwrap_err().reason(), Reason::WrongStatus);
        um.close().await.unwrap();
    }
}

#[tokio::test]
async fn usr_4_a_cursor_is_of_the_operation_whose_page_it_stood_in() {
    let um = cheap::builder().policy(policy()).open().await.unwrap();
    for name in ["ada", "bob", "cyd"] {
        user(&um, name, &[]).await;
    }
    let system = um.system();
    let list = system.users().list(ListUsers::new().limit(2)).await.unwrap().next_cursor.unwrap();
    let overviews = system.users().overviews(ListUserOverviews::new().limit(2)).await.unwrap().next_cursor.unwrap();
    for cursor in [&list, &overviews] {
        let is_list = system.users().list(ListUsers::new().limit(2).cursor(cursor.clone())).await.is_ok();
        let of_overviews = ListUserOverviews::new().limit(2).cursor(cursor.clone());
        assert_eq!(
            (is_list, system.users().overviews(of_overviews).await.is_ok()),
            (cursor == &list, cursor == &overviews)
        );
    }
}
