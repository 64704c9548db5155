//! Every mutation is in the audit log once, with what was changed, and without secrets (AUD-1, SEC-13).

use rolekeep::{
    UserManagement,
    audit::{AuditView, ListAudit},
    users::{CreateUser, GrantAdmin, RevokeAdmin},
};

use super::kit::{PASSWORD, policy, signed_in, store, user};

async fn entries(um: &UserManagement, action: &str) -> Vec<AuditView> {
    um.system().audit().list(ListAudit::new().action(action)).await.unwrap().items
}

#[tokio::test]
async fn aud_1_an_event_has_one_entry_that_says_of_whom() {
    let um = store(policy()).await;
    let (_, id) = signed_in(&um, "mia", &[]).await;
    let login = um.login("mia", PASSWORD, Default::default()).await.unwrap().done().unwrap();
    let anonymous = um.anonymous(Default::default());
    let next = anonymous.sessions().refresh(login.refresh_token).await.unwrap();
    let me = um.authenticate(next.access_token.expose(), Default::default()).await.unwrap();
    me.sessions().revoke_others().await.unwrap();
    me.sessions().logout().await.unwrap();
    let user = Some(id.to_string());
    let session = Some(login.session_id.to_string());
    for (action, count, target) in [
        ("sessions.login", 2, &user),
        ("sessions.refresh", 1, &user),
        ("sessions.revoke_others", 1, &user),
        ("sessions.logout", 1, &session),
    ] {
        let found = entries(&um, action).await;
        assert_eq!(found.len(), count, "{action}");
        assert!(found.iter().all(|entry| entry.target_id == *target), "{action}: {found:?}");
    }
    assert!(um.system().audit().verify(rolekeep::audit::VerifyAudit::new()).await.unwrap().is_whole);
}

#[tokio::test]
async fn aud_1_a_role_that_is_given_or_taken_is_told() {
    let um = store(policy()).await;
    let system = um.system();
    let boss = user(&um, "boss", &["admin"]).await;
    let new = CreateUser::new("new@example.org").roles(["admin", "moderator"]).password(PASSWORD);
    let new = system.users().create(new).await.unwrap();
    // What is told of the new account's roles, by which operation.
    let told = async |action: &str, by: &str| -> Vec<(String, bool)> {
        let by = format!("by {by}");
        let of_new = |entry: &AuditView| entry.target_id.as_ref().unwrap().contains(&new.id.to_string());
        let role = |entry: AuditView| {
            let row = entry.after.clone().or(entry.before.clone())?;
            Some((row.get("role")?.as_str()?.to_owned(), entry.after.is_some()))
        };
        let entries = entries(&um, action).await.into_iter().filter(|entry| entry.detail.as_ref() == Some(&by));
        let mut told: Vec<_> = entries.filter(of_new).filter_map(role).collect();
        told.sort();
        told
    };
    assert_eq!(told("roles.assign", "users.create").await, [("admin".into(), true), ("moderator".into(), true)]);
    system.users().revoke_admin(RevokeAdmin::new(new.id)).await.unwrap();
    assert_eq!(told("roles.unassign", "users.revoke_admin").await, [("admin".into(), false)]);
    system.users().grant_admin(GrantAdmin::new(new.id)).await.unwrap();
    assert_eq!(told("roles.assign", "users.grant_admin").await, [("admin".into(), true)]);
    system.users().delete(new.id).await.unwrap();
    let taken = [("admin".into(), false), ("moderator".into(), false)];
    assert_eq!(told("roles.unassign", "users.delete").await, taken);
    // Each of them is told under its own name, too.
    for action in ["users.create", "users.revoke_admin", "users.grant_admin", "users.delete"] {
        assert!(!entries(&um, action).await.is_empty(), "{action}");
    }

    let all = system.audit().list(ListAudit::new().limit(100)).await.unwrap();
    let text = serde_json::to_string(&all).unwrap();
    assert!(!text.contains("argon2") && !text.contains(PASSWORD), "no secret is told");
    assert!(text.contains(&boss.id.to_string()));
}
