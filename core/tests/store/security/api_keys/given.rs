//! What a key is given: no more than its owner has at that moment, and no more than its patterns say.

use rolekeep::{
    Resource, Scope, SecondFactor,
    permissions::{CreatePermission, DeletePermission},
    roles::{AssignRole, NewGrant, UnassignRole, UpdateRole},
    storage::Predicate,
};

use super::*;
use crate::{cheap, security::kit::signed_in};

#[tokio::test]
async fn aut_11_a_key_has_the_rights_of_its_owner_at_each_call() {
    let stage = Stage::open(&["writer"]).await;
    let made = stage.key(&["document:edit", "document:delete"]).await;
    let program = stage.by(&made.key).await.unwrap();
    let may = |permission: &str| program.can(permission, None).unwrap();
    assert!(may("document:edit") && !may("document:read"), "beyond the patterns, though its owner may");
    assert!(!may("document:delete"), "within the patterns, and its owner may not");
    let system = stage.um.system();
    system.roles().unassign(UnassignRole::new(stage.ada, "writer")).await.unwrap();
    assert!(!may("document:edit"), "its owner has lost it");
    system.roles().assign(AssignRole::new(stage.ada, "writer")).await.unwrap();
    assert!(may("document:edit"), "and has it again");
    system.roles().assign(AssignRole::new(stage.ada, "careful")).await.unwrap();
    assert!(!may("document:edit"), "what its owner is denied it is denied");
    system.roles().unassign(UnassignRole::new(stage.ada, "careful")).await.unwrap();
    let more = UpdateRole::new("writer").grants([NewGrant::new("document:*"), NewGrant::new("invoice:pay")]);
    system.roles().update(more).await.unwrap();
    assert!(may("document:delete") && !may("invoice:pay"));
    assert!(!program.can_somewhere("document:read").unwrap() && program.can_somewhere("document:edit").unwrap());
}

/// The patterns are matched with what there is now.
#[tokio::test]
async fn aut_11_a_key_reaches_what_its_patterns_match_by_now() {
    let stage = Stage::open(&["writer"]).await;
    let system = stage.um.system();
    let (wide, narrow) = (stage.key(&["document:*"]).await, stage.key(&["document:delete"]).await);
    let whole = made_whole(&stage.ada().await).await.unwrap();
    let programs =
        [stage.by(&wide.key).await.unwrap(), stage.by(&narrow.key).await.unwrap(), stage.by(&whole.key).await.unwrap()];
    let may = |permission: &str| programs.iter().map(|one| one.can(permission, None).unwrap()).collect::<Vec<_>>();
    assert_eq!(may("document:read"), [true, false, true]);
    system.permissions().create(CreatePermission::new("document:sign")).await.unwrap();
    let grants = [NewGrant::new("document:*")];
    system.roles().update(UpdateRole::new("writer").grants(grants)).await.unwrap();
    assert_eq!(may("document:sign"), [true, false, true]);
    assert_eq!(may("document:delete"), [true, true, true]);
    system.permissions().delete(DeletePermission::new("document:delete").force(true)).await.unwrap();
    assert_eq!(reason(programs[1].can("document:delete", None)), Reason::UnknownPermission);
    assert_eq!(may("document:sign"), [true, false, true], "a pattern of nothing is of nothing");
    system.permissions().create(CreatePermission::new("document:delete")).await.unwrap();
    assert_eq!(may("document:delete"), [true, true, true]);
}

#[tokio::test]
async fn sec_10_a_key_never_administers() {
    let stage = Stage::open(&["admin"]).await;
    let me = stage.ada().await;
    let (few, whole) =
        (made(&me, &["document:edit", "role:*", "user:*"]).await.unwrap(), made_whole(&me).await.unwrap());
    for key in [&few, &whole] {
        let program = stage.by(&key.key).await.unwrap();
        assert!(program.can("document:edit", None).unwrap());
        assert_eq!(program.can("invoice:pay", None).unwrap(), key.api_key.patterns.is_none());
        assert!(!program.is_administrator().unwrap() && !program.can("admin:all", None).unwrap());
        assert!(!program.has_role("admin", None).unwrap(), "who holds it may do more than the key reaches");
        assert_eq!(reason(program.require_admin()), Reason::Denied);
        let give = AssignRole::new(stage.ada, "writer");
        assert_eq!(reason(program.roles().assign(give).await), Reason::Denied, "a key gives nothing");
        let edit = UpdateRole::new("writer").description("Writes");
        assert_eq!(reason(program.roles().update(edit).await), Reason::Denied);
        let make = CreateUser::new("eve@example.org").roles(["admin"]);
        assert_eq!(reason(program.users().create(make).await), Reason::Denied);
    }
    assert!(me.has_role("admin", None).unwrap() && me.is_administrator().unwrap());
}

#[tokio::test]
async fn aut_11_roles_in_a_scope_are_held_there_by_a_key_too() {
    let stage = Stage::open(&[]).await;
    let system = stage.um.system();
    let region = |code| rolekeep::regions::CreateRegion::new(code, code);
    let (east, west) = (
        system.regions().create(region("east")).await.unwrap().id,
        system.regions().create(region("west")).await.unwrap().id,
    );
    let scope = Scope::of("region", east).to_string();
    system.roles().assign(AssignRole::new(stage.ada, "writer").scope(scope)).await.unwrap();
    let made = stage.key(&["document:edit"]).await;
    let program = stage.by(&made.key).await.unwrap();
    let document =
        |region: rolekeep::RegionId| Resource::of("document").with("region_id", region).with("kind", "letter");
    let may = |permission: &str, region| program.can(permission, &document(region)).unwrap();
    assert!(may("document:edit", east) && !may("document:edit", west) && !may("document:read", east));
    assert!(!program.can("document:edit", None).unwrap());
    let filter = program.filter("document:edit").unwrap();
    let read = program.filter("document:read").unwrap();
    assert!(*filter.predicate().unwrap() != Predicate::Never && *read.predicate().unwrap() == Predicate::Never);
}

/// A key has the level of the session that made it.
#[tokio::test]
async fn aut_10_a_key_has_the_factors_of_the_session_that_made_it() {
    let stage = Stage::open(&["writer"]).await;
    let one = stage.key(&["*:*"]).await;
    let two = made(&stage.ada_by_two().await, &["*:*"]).await.unwrap();
    assert!(!one.api_key.has_second_factor && two.api_key.has_second_factor);
    stage.um.system().roles().assign(AssignRole::new(stage.ada, "treasurer")).await.unwrap();
    let (one, two) = (stage.by(&one.key).await.unwrap(), stage.by(&two.key).await.unwrap());
    assert!(!one.can("invoice:pay", None).unwrap() && two.can("invoice:pay", None).unwrap());
    assert!(one.can("document:edit", None).unwrap(), "by a role that needs none");
    assert!(one.permissions().mine().await.unwrap().iter().all(|grant| grant.role != "treasurer"));
}

#[tokio::test]
async fn aut_10_where_everybody_needs_two_factors_a_key_of_one_allows_nothing() {
    let stage = Stage::open(&["writer"]).await;
    let one = stage.key(&["document:edit"]).await;
    let config = cheap::config().signing_key("k".repeat(32)).second_factor(SecondFactor::Required);
    let strict = cheap::builder().storage(stage.storage.clone()).config(config).open().await.unwrap();
    let program = strict.authenticate(one.key.expose(), RequestContext::default()).await.unwrap();
    assert!(!program.can("document:edit", None).unwrap());
}

/// Nobody is there who proved anything.
#[tokio::test]
async fn aut_11_conditions_know_of_no_proof_by_a_key() {
    let stage = Stage::open(&["recent", "strong"]).await;
    let me = stage.ada_by_two().await;
    assert!(me.can("document:delete", None).unwrap());
    let made = made(&me, &["document:*"]).await.unwrap();
    assert!(!stage.by(&made.key).await.unwrap().can("document:delete", None).unwrap());
}

/// What is listed is what the key reaches, too.
#[tokio::test]
async fn aut_11_lists_show_a_key_what_it_reaches() {
    let stage = Stage::open(&["moderator"]).await;
    signed_in(&stage.um, "mia", &[]).await;
    let me = stage.ada().await;
    let list = rolekeep::users::ListUsers::new;
    let seeing = made(&me, &["user:list", "user:read"]).await.unwrap();
    let blind = made(&me, &["user:update"]).await.unwrap();
    assert_eq!(stage.by(&seeing.key).await.unwrap().users().list(list()).await.unwrap().items.len(), 2);
    assert_eq!(reason(stage.by(&blind.key).await.unwrap().users().list(list()).await), Reason::Denied);
}

/// Other callers see the account with all that it may, whatever keys there are.
#[tokio::test]
async fn aut_11_a_key_holds_back_nobody_else() {
    let stage = Stage::open(&["writer"]).await;
    let me = stage.ada().await;
    let made = made(&me, &["document:read"]).await.unwrap();
    let program = stage.by(&made.key).await.unwrap();
    assert!(!program.can("document:edit", None).unwrap());
    assert!(me.can("document:edit", None).unwrap());
    assert!(stage.um.checks().check(stage.ada, "document:edit", None).await.unwrap());
    assert!(stage.um.acting_as(stage.ada).await.unwrap().can("document:edit", None).unwrap());
}
