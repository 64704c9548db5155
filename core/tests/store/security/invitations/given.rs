//! What an invitation brings, and what its inviter alone may choose.

use rolekeep::{FieldCode, Time, roles::RoleAssignment};

use super::*;

fn reads(attribute: &str) -> String {
    format!(
        "[permissions]\n\"note:read\" = \"\"\n{POLICY}\n[roles.chooser]\nallow = [\"user:invite\", \"user:set_authority\"]\n\
         [roles.reader]\nallow = [{{ permission = \"note:read\", when = \"principal.{attribute} == 'boss'\" }}]"
    )
}

/// What conditions read of users is not chosen by who accepts.
#[tokio::test]
async fn sec_10_nobody_accepts_with_a_name_that_decides_about_rights() {
    for attribute in ["username", "full_name", "display_name", "first_name", "last_name"] {
        let stage = Stage::with(&reads(attribute)).await;
        for with_account in [false, true] {
            let email = if with_account { "eve@example.org" } else { ADA };
            if with_account {
                stage.um.system().users().create(CreateUser::new(email)).await.unwrap();
            }
            let (_, token) = stage.invite(email, &[]).await;
            let mut accept = AcceptInvitation::new(token.clone()).password(NEW);
            let field = match attribute {
                "username" => &mut accept.username,
                "full_name" => &mut accept.full_name,
                "display_name" => &mut accept.display_name,
                "first_name" => &mut accept.first_name,
                _ => &mut accept.last_name,
            };
            *field = Some("boss".to_owned());
            let refused = stage.anybody().invitations().accept(accept).await.unwrap_err();
            assert_eq!(
                (refused.fields()[0].field.as_str(), refused.fields()[0].code),
                (attribute, FieldCode::UnknownField)
            );
            let accept = AcceptInvitation::new(token).password(NEW);
            stage.anybody().invitations().accept(accept).await.unwrap();
        }
    }
}

/// An address that conditions read is chosen by who may give what it brings, also when it is accepted.
#[tokio::test]
async fn sec_10_an_address_that_decides_about_rights_is_invited_by_who_may_give_those() {
    let refused = Stage::by(&reads("email"), "host").await;
    assert_eq!(reason(refused.me.invitations().create(invitation(ADA, &[])).await), Some(Reason::Denied));
    let stage = Stage::by(&reads("email"), "chooser").await;
    let (_, token) = stage.invite(ADA, &[]).await;
    let roles = stage.um.system();
    roles.roles().assign(AssignRole::new(stage.bob, "host")).await.unwrap();
    roles.roles().unassign(rolekeep::roles::UnassignRole::new(stage.bob, "chooser")).await.unwrap();
    void(stage.accept(&token).await);
    roles.roles().assign(AssignRole::new(stage.bob, "chooser")).await.unwrap();
    stage.accept(&token).await.unwrap();
}

/// What an account holds there already is made wider, and never narrower; what is over is not given.
#[tokio::test]
async fn aut_9_roles_that_are_held_already_are_not_narrowed() {
    let stage = Stage::open().await;
    let id = stage.um.system().users().create(CreateUser::new(ADA).username("ada")).await.unwrap().id;
    let now = || rolekeep::environment::Environment::now(&stage.clock);
    let at = |hours: i64| Time::from_second(now().as_second() + hours * 3600).unwrap();
    let (soon, later, last) = (at(20), at(40), at(200));
    type Window = (Option<Time>, Option<Time>);
    // Held, brought, and what comes of it.
    let cases: [(Option<Window>, Window, Option<Window>); 8] = [
        (None, (None, Some(later)), Some((None, Some(later)))),
        (None, (Some(later), None), Some((Some(later), None))),
        (Some((None, None)), (None, Some(later)), Some((None, None))),
        (Some((None, Some(later))), (None, None), Some((None, None))),
        (Some((Some(soon), Some(later))), (None, Some(last)), Some((None, Some(last)))),
        (Some((None, Some(later))), (Some(soon), Some(last)), Some((None, Some(later)))),
        (Some((Some(soon), None)), (None, Some(later)), Some((Some(soon), None))),
        (None, (None, Some(soon)), Some((None, Some(soon)))),
    ];
    for (held, brought, then) in cases {
        let system = stage.um.system();
        for old in all::<RoleAssignment>(&*stage.storage)
            .await
            .into_iter()
            .filter(|old| old.user_id == id && old.role == "helper")
        {
            let unassign = rolekeep::roles::UnassignRole::new(id, old.role).scope(old.scope);
            system.roles().unassign(unassign).await.unwrap();
        }
        if let Some((from, until)) = held {
            let mut assign = AssignRole::new(id, "helper");
            (assign.valid_from, assign.valid_until) = (from, until);
            system.roles().assign(assign).await.unwrap();
        }
        stage.clock.pass(61);
        let mut role = NewInvitationRole::new("helper");
        (role.valid_from, role.valid_until) = brought;
        system.invitations().create(CreateInvitation::new(ADA).roles([role])).await.unwrap();
        let token = stage.token(ADA).await;
        let ada = stage.um.acting_as(id).await.unwrap();
        ada.invitations().accept(AcceptInvitation::new(token)).await.unwrap();
        let found = all::<RoleAssignment>(&*stage.storage).await;
        let found = found.into_iter().find(|one| one.user_id == id && one.role == "helper");
        assert_eq!(found.map(|one| (one.valid_from, one.valid_until)), then, "{held:?} and {brought:?}");
        stage.clock.pass(15 * 60);
    }
    // What is over by then.
    let mut role = NewInvitationRole::new("helper");
    role.valid_until = Some(soon);
    stage.um.system().invitations().create(CreateInvitation::new("eve@example.org").roles([role])).await.unwrap();
    let token = stage.token("eve@example.org").await;
    stage.clock.pass(21 * HOUR);
    let eve = stage.accept_as(&token, "eve").await.unwrap().user.id;
    assert_eq!(stage.roles(eve).await, ["user global"]);
}

/// Nor by an invitation to oneself: who may give default roles alone gives them to new accounts, and brings nobody one that was taken.
#[tokio::test]
async fn sec_10_nobody_takes_back_by_an_invitation_what_was_taken() {
    let stage = Stage::by(POLICY, "host").await;
    let taken = rolekeep::roles::UnassignRole::new(stage.bob, "user");
    stage.um.system().roles().unassign(taken).await.unwrap();
    let before = stage.roles(stage.bob).await;
    let (_, token) = stage.invite("bob@example.org", &["user"]).await;
    stage.me.invitations().accept(AcceptInvitation::new(token)).await.unwrap();
    assert_eq!(stage.roles(stage.bob).await, before);
}
