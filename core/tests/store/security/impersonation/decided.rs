//! What is decided: what both may do, by every way of asking.

use rolekeep::{
    Resource,
    observe::{CallerKind, Ended, Observer},
    permissions::EffectiveGrant,
    roles::UnassignRole,
    users::{DeactivateUser, UpdateUser},
};

use super::*;

use crate::cheap;

#[tokio::test]
async fn sec_10_it_does_what_both_may() {
    let stage = Stage::open().await;
    stage.um.system().roles().unassign(UnassignRole::new(stage.mia, "reader")).await.unwrap();
    let me = stage.signed_in("mia").await;
    let ada = stage.signed_in("ada").await;
    let (_, acting) = stage.as_ada(&me).await;
    let document = Resource::of("document").with("owner_id", stage.ada.0);
    for (permission, adas, mias) in [
        ("document:read", true, true),
        ("document:edit", true, false),
        ("user:list", false, true),
        ("invoice:pay", false, false),
    ] {
        assert_eq!(ada.can(permission, None), Ok(adas), "{permission}");
        assert_eq!(me.can(permission, None), Ok(mias), "{permission}");
        let both = Ok(adas && mias);
        let handle = rolekeep::PermissionHandle::new(permission);
        assert_eq!(acting.can(permission, None), both, "{permission}");
        assert_eq!(acting.can(&handle, None), both, "{permission}");
        assert_eq!(acting.can(&handle, None), both, "{permission}, again");
        assert_eq!(acting.can_somewhere(permission), both, "{permission}");
        assert_eq!(acting.can_many(&[(permission, None)]).map(|all| all[0]), both, "{permission}");
        assert_eq!(acting.explain(permission, None).map(|one| one.allowed), both, "{permission}");
        assert_eq!(acting.require(permission, None).is_ok(), adas && mias, "{permission}");
        if permission.starts_with("document:") {
            assert_eq!(acting.can(permission, &document), both, "{permission}");
            let filter = acting.filter(permission).unwrap();
            let is_none = *filter.predicate().unwrap() == rolekeep::storage::Predicate::Never;
            assert_eq!(is_none, !(adas && mias), "{permission}");
        }
    }
    assert_eq!(acting.has_role("reader", None), Ok(false));
    assert_eq!(acting.is_administrator(), Ok(false));
    let mine: Vec<EffectiveGrant> = acting.permissions().mine().await.unwrap();
    assert!(
        !mine.is_empty() && mine.iter().all(|grant| grant.role == "reader"),
        "what the user has is shown: {mine:?}"
    );
    // What denies one of them denies both.
    stage.give(stage.mia, "careful").await;
    assert_eq!(acting.can("document:read", None), Ok(false));
    stage.um.system().roles().unassign(UnassignRole::new(stage.mia, "careful")).await.unwrap();
    assert_eq!(acting.can("document:read", None), Ok(true));
    stage.give(stage.ada, "careful").await;
    assert_eq!(acting.can("document:read", None), Ok(false));
}

/// Nothing was proved of the user; of who acts, what its own session says.
#[tokio::test]
async fn sec_10_nothing_is_fresh_of_the_user() {
    for role in ["fresh", "strong"] {
        let stage = Stage::of(&["admin"]).await;
        stage.give(stage.ada, role).await;
        let me = stage.signed_in("mia").await;
        let (_, acting) = stage.as_ada(&me).await;
        let ada = stage.signed_in("ada").await;
        assert_eq!(ada.can("document:delete", None), Ok(true), "{role}");
        assert_eq!(acting.can("document:delete", None), Ok(false), "{role}");
    }
}

/// Nobody changes by somebody else's account what decides about its own, nor reaches an administrator by being one of its kind.
#[tokio::test]
async fn sec_10_nobody_comes_to_more_by_acting_as_another() {
    let stage = Stage::open().await;
    let also = r#"== \"ada\" and not has resource.phone"#;
    let text = POLICY.replace(r#"== \"ada\""#, also);
    stage.um.system().policy().import(rolekeep::policy::ImportPolicy::new(text)).await.unwrap();
    let me = stage.signed_in("mia").await;
    let (_, acting) = stage.as_ada(&me).await;
    stage.give(stage.ada, "support").await;
    // The policy reads usernames and phones.
    let own = UpdateUser::new(stage.mia).phone("+4930901820".to_owned());
    assert_eq!(reason(me.users().update(own.clone()).await), Reason::Denied);
    assert_eq!(reason(acting.users().update(own).await), Reason::Denied);
    // Who becomes an administrator meanwhile is out of reach, also by itself.
    stage.give(stage.ada, "admin").await;
    assert_eq!(reason(me.users().deactivate(DeactivateUser::new(stage.ada)).await), Reason::Denied);
    assert_eq!(reason(acting.users().deactivate(DeactivateUser::new(stage.ada)).await), Reason::Denied);
    assert_eq!(
        reason(acting.users().update(UpdateUser::new(stage.ada).full_name("Eve".to_owned())).await),
        Reason::Denied
    );
}

/// Whoever counts requests hears who asks.
#[tokio::test]
async fn aut_12_requests_are_those_of_who_acts() {
    #[derive(Default)]
    struct Heard(std::sync::Mutex<Vec<(CallerKind, Option<UserId>)>>);
    impl Observer for Heard {
        fn ended(&self, ended: &Ended<'_>) {
            self.0.lock().unwrap().push((ended.request.caller, ended.request.on_behalf_of));
        }
    }
    let heard = Arc::new(Heard::default());
    let um = cheap::builder().policy(policy()).observer(heard.clone()).open().await.unwrap();
    let (me, mia) = crate::security::kit::signed_in(&um, "mia", &["support"]).await;
    let (_, ada) = crate::security::kit::signed_in(&um, "ada", &[]).await;
    let token = me.sessions().impersonate(Impersonate::new(ada, "A test")).await.unwrap().access_token;
    let acting = um.authenticate(token.expose(), RequestContext::default()).await.unwrap();
    heard.0.lock().unwrap().clear();
    acting.users().me().await.unwrap();
    me.users().me().await.unwrap();
    assert_eq!(*heard.0.lock().unwrap(), [(CallerKind::User(mia), Some(ada)), (CallerKind::User(mia), None)]);
}

/// A key of an idempotent request is whose it is.
#[tokio::test]
async fn sec_9_idempotency_keys_are_not_the_users_own() {
    let stage = Stage::of(&["admin"]).await;
    stage.give(stage.ada, "admin").await;
    let keyed = || RequestContext::default().idempotency_key("one");
    let (me, ada) = (stage.signed_in("mia").await, stage.signed_in("ada").await.with_request(keyed()));
    let (_, acting) = stage.as_ada(&me).await;
    let update = || UpdateUser::new(stage.mia).full_name("Mia".to_owned());
    ada.users().update(update()).await.unwrap();
    acting.with_request(keyed()).users().update(update()).await.unwrap();
    assert_eq!(reason(acting.with_request(keyed()).users().update(update()).await), Reason::AlreadyDone);
    me.with_request(keyed()).users().update(update()).await.unwrap();
}
