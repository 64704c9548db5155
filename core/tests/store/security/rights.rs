//! Rights in memory: who is held stays there, and what is answered together is of one moment (SEC-6).

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use rolekeep::{
    Code, UserId,
    policy::ImportPolicy,
    roles::{AssignRole, UnassignRole},
    setup::{Seed, SeedUser},
};

use super::kit::{Interposed, POLICY, caller, policy, user};

/// Nobody who kept its rights is without them while an edit makes everybody's anew.
#[tokio::test]
async fn sec_6_held_callers_are_asked_about_while_conditions_begin_to_read_their_attributes() {
    let (um, storage) = Interposed::open(policy()).await;
    let (ada, _) = caller(&um, "ada", &["spotter"]).await;
    let (lin, _) = caller(&um, "lin", &["spotter"]).await;
    let (asked, held) = (Arc::new(AtomicBool::new(false)), [ada.clone(), lin.clone()]);
    let (is_asked, rows) = (asked.clone(), storage.clone());
    storage.after_next_commit(async move {
        rows.before_next_read_of("users", async move {
            is_asked.store(held.iter().all(|one| one.can("drone:list", None) == Ok(true)), Ordering::SeqCst);
        });
    });
    let when = "{ permission = \"policy:explain\", when = \"has principal.display_name\" }";
    let text = POLICY.replace("\"policy:explain\"", when);
    um.system().policy().import(ImportPolicy::new(text)).await.unwrap();
    assert!(storage.has_acted() && asked.load(Ordering::SeqCst), "who is held could not be asked about");
    assert_eq!([&ada, &lin].map(|one| one.can("drone:list", None)), [Ok(true), Ok(true)]);
}

/// Who was not there when it was read, and is by then, stays with who holds it.
#[tokio::test]
async fn sec_6_a_late_look_for_nobody_takes_no_new_user_away() {
    let (um, storage) = Interposed::open(policy()).await;
    let id = UserId(uuid::Uuid::from_u128(7));
    let (rival, kept) = (um.clone(), Arc::new(Mutex::new(None)));
    let held = kept.clone();
    storage.before_next_query(async move {
        let seed = Seed::new().users([SeedUser::new(id, "late@example.org").roles(["spotter"])]);
        rival.system().setup().seed(seed).await.unwrap();
        *held.lock().unwrap() = Some(rival.acting_as(id).await.unwrap());
    });
    // Read before, and told after.
    assert_eq!(um.check(id, "drone:list", None).await, Ok(true));
    assert!(storage.has_acted());
    let kept = kept.lock().unwrap().take().unwrap();
    assert_eq!(kept.can("drone:list", None), Ok(true));
}

/// A role that goes from one user to another is held by one of them at each moment.
#[tokio::test]
async fn sec_6_many_checks_are_of_one_moment() {
    let (um, storage) = Interposed::open(policy()).await;
    let (ada, lin) = (user(&um, "ada", &["spotter"]).await.id, user(&um, "lin", &[]).await.id);
    let (system, rows) = (um.system(), storage.clone());
    // Between the reads of two users, where they are read one by one.
    let again = storage.clone();
    storage.before_next_query(async move {
        rows.before_next_query(async move {
            again.before_next_query(async move {
                system.roles().unassign(UnassignRole::new(ada, "spotter")).await.unwrap();
                system.roles().assign(AssignRole::new(lin, "spotter")).await.unwrap();
            });
        });
    });
    let checks = [(ada, "drone:list", None), (lin, "drone:list", None)];
    assert_eq!(um.check_many(&checks).await, Ok(vec![true, false]));
    // What a plan reads is a query, too.
    let _ = um.system().users().get(ada).await.unwrap();
    assert!(storage.has_acted());
    assert_eq!(um.check_many(&checks).await, Ok(vec![false, true]));
}

#[tokio::test]
async fn sec_15_many_who_are_not_in_memory_are_read_together() {
    let (um, storage) = Interposed::open(policy()).await;
    let mut checks = Vec::new();
    for at in 0..60 {
        checks.push((user(&um, &format!("user{at}"), &["spotter"]).await.id, "drone:list", None));
    }
    storage.calls();
    assert_eq!(um.check_many(&checks).await, Ok(vec![true; 60]));
    assert_eq!(storage.calls(), 4, "guards, users, what they hold and their groups");
    assert_eq!(um.check_many(&checks).await, Ok(vec![true; 60]));
    assert_eq!(storage.calls(), 0);
    let nobody = UserId(uuid::Uuid::from_u128(9));
    checks.push((nobody, "drone:list", None));
    assert_eq!(um.check_many(&checks).await.unwrap_err().code(), Code::NotFound);
}
