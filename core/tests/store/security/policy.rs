//! A rival edits the policy after a plan was made and before it is committed: what was decided by the
//! old rules is decided anew (RBC-1, RBC-2; docs/rules.md, "Giving and administering").

use rolekeep::{
    Code, Reason, UserManagement,
    policy::ImportPolicy,
    roles::{AssignRole, CreateRole, DeleteRole, NewGrant, UpdateRole},
    users::{CreateUser, DeactivateUser, UpdateUser},
};

use super::kit::{Interposed, caller, policy, user};

fn grants(allow: &[&str]) -> Vec<NewGrant> {
    allow.iter().map(|permission| NewGrant::new(*permission)).collect()
}

#[tokio::test]
async fn sec_6_whose_role_is_edited_meanwhile_writes_nothing() {
    for edit in ["narrowed", "denied", "deleted", "imported"] {
        let (um, storage) = Interposed::open(policy()).await;
        let victim = user(&um, "victim", &[]).await;
        let (me, _) = caller(&um, "mia", &["moderator"]).await;
        me.users().update(UpdateUser::new(victim.id).full_name("Before")).await.unwrap();
        let system = um.system();
        storage.before_next_commit(async move {
            let roles = system.roles();
            let update = UpdateRole::new("moderator");
            match edit {
                "narrowed" => drop(roles.update(update.grants(grants(&["user:read"]))).await.unwrap()),
                "denied" => {
                    let deny = NewGrant::new("user:update").effect(rolekeep::rules::Effect::Deny);
                    let all = [grants(&["user:*"]), vec![deny]].concat();
                    drop(roles.update(update.grants(all)).await.unwrap());
                }
                "deleted" => drop(roles.delete(DeleteRole::new("moderator").force(true)).await.unwrap()),
                _ => {
                    let import = ImportPolicy::new("[roles.moderator]\nallow = [\"user:read\"]\n").force(true);
                    drop(system.policy().import(import).await.unwrap());
                }
            }
        });
        let refused = me.users().update(UpdateUser::new(victim.id).full_name("Changed")).await;
        assert!(storage.has_acted());
        assert_eq!(refused.expect_err(edit).code(), Code::Forbidden, "{edit}");
        let stored = um.system().users().get(victim.id).await.unwrap();
        assert_eq!(stored.full_name.as_deref(), Some("Before"), "{edit}");
    }
}

/// The host is held back by no rule, but it gives no role that is gone.
#[tokio::test]
async fn sec_16_nobody_gets_a_role_that_goes() {
    for new_user in [false, true] {
        let (um, storage) = Interposed::open(policy()).await;
        let ada = user(&um, "ada", &[]).await;
        let system = um.system();
        storage.before_next_commit(async move { drop(system.roles().delete("moderator").await.unwrap()) });
        let refused = match new_user {
            false => um.system().roles().assign(AssignRole::new(ada.id, "moderator")).await.map(drop),
            true => {
                let new = CreateUser::new("bob@example.org").roles(["moderator"]);
                um.system().users().create(new).await.map(drop)
            }
        };
        assert!(storage.has_acted());
        let refused = refused.unwrap_err();
        assert_eq!((refused.code(), refused.reason()), (Code::Validation, Reason::InvalidInput));
        // A later role of that name has no holder.
        um.system().roles().create("moderator").await.unwrap();
        let held = um.system().roles().assignments(rolekeep::roles::ListAssignments::new()).await.unwrap();
        assert_eq!(held.total, Some(0), "{:?}", held.items);
    }
}

/// The edit leaves one administrator, who goes meanwhile; whichever way round, one is left.
#[tokio::test]
async fn usr_6_an_edit_and_a_deactivation_leave_an_administrator() {
    for is_edit_first in [false, true] {
        let (um, storage) = Interposed::open(policy()).await;
        user(&um, "root", &["admin"]).await;
        um.system().roles().create(CreateRole::new("owner")).await.unwrap();
        let owner = user(&um, "owner", &["owner"]).await;
        // The owner becomes the one administrator.
        let text = "[roles.owner]\nallow = [\"admin:all\"]\n[roles.admin]\nallow = [\"user:read\"]\n";
        let import = |um: &UserManagement| {
            let system = um.system();
            async move { system.policy().import(ImportPolicy::new(text)).await.map(drop) }
        };
        let deactivate = |um: &UserManagement| {
            let system = um.system();
            async move { system.users().deactivate(DeactivateUser::new(owner.id)).await.map(drop) }
        };
        let second = match is_edit_first {
            false => {
                let rival = deactivate(&um);
                storage.before_next_commit(async move { rival.await.unwrap() });
                import(&um).await
            }
            true => {
                let rival = import(&um);
                storage.before_next_commit(async move { rival.await.unwrap() });
                deactivate(&um).await
            }
        };
        assert!(storage.has_acted());
        assert_eq!(second.unwrap_err().reason(), Reason::LastAdministrator, "edit first: {is_edit_first}");
    }
}

/// Of two edits of one role the second is made on the first, or refused where it names the version.
#[tokio::test]
async fn usr_5_no_edit_of_a_role_is_lost() {
    for expected in [None, Some(1)] {
        let (um, storage) = Interposed::open(policy()).await;
        let system = um.system();
        storage.before_next_commit(async move {
            let edit = UpdateRole::new("clerk").grants(grants(&["drone:read"]));
            drop(system.roles().update(edit).await.unwrap());
        });
        let edit = UpdateRole::new("clerk").description("Second");
        let edit = expected.into_iter().fold(edit, |edit, version| edit.expected_version(version));
        let second = um.system().roles().update(edit).await;
        assert!(storage.has_acted());
        match expected {
            None => {
                let role = second.unwrap();
                assert_eq!((role.version, role.grants.len()), (3, 1));
                assert_eq!(role.description.as_deref(), Some("Second"));
            }
            Some(_) => assert_eq!(second.unwrap_err().reason(), Reason::VersionStale),
        }
    }
}
