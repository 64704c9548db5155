//! What ends an invitation, and what does not.

use rolekeep::{
    passwords::{ChangePassword, SetPassword},
    regions::{CreateRegion, DeleteRegion},
    roles::{DeleteRole, NewGrant, UnassignRole, UpdateRole},
    sessions::RevokeAllSessions,
    signing_keys::RevokeSigningKey,
    users::{ActivateUser, BanUser, DeactivateUser, DeleteUser, LiftUser, SuspendUser, UpdateUser},
};

use super::*;

/// What happens between the invitation and its acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Nothing,
    Used,
    Revoked,
    Replaced,
    Expired,
    InviterOff,
    InviterSuspended,
    InviterBanned,
    InviterDeleted,
    InviterBack,
    InviterDemoted,
    InviterMayInviteOnly,
    NobodyMayInvite,
    InviterLoggedOut,
    InviterHasNewPassword,
    InviterHasNewAddress,
    RoleGone,
    ScopeGone,
    RootKeyGone,
    AddressOfWhoIsOff,
    AddressOfWhoIsGone,
}

impl Event {
    /// Each, and whether it ends the invitation.
    const ALL: [(Self, bool); 21] = [
        (Self::Nothing, false),
        (Self::Used, true),
        (Self::Revoked, true),
        (Self::Replaced, true),
        (Self::Expired, true),
        (Self::InviterOff, true),
        (Self::InviterSuspended, true),
        (Self::InviterBanned, true),
        (Self::InviterDeleted, true),
        (Self::InviterBack, false),
        (Self::InviterDemoted, true),
        (Self::InviterMayInviteOnly, true),
        (Self::NobodyMayInvite, true),
        (Self::InviterLoggedOut, false),
        (Self::InviterHasNewPassword, false),
        (Self::InviterHasNewAddress, false),
        (Self::RoleGone, true),
        (Self::ScopeGone, true),
        (Self::RootKeyGone, true),
        (Self::AddressOfWhoIsOff, true),
        (Self::AddressOfWhoIsGone, true),
    ];

    async fn happens(self, stage: &Stage, id: InvitationId, token: &Secret) {
        let (system, bob) = (stage.um.system(), stage.bob);
        match self {
            Self::Nothing => {}
            Self::Used => drop(stage.accept(token).await.unwrap()),
            Self::Revoked => stage.me.invitations().revoke(RevokeInvitation::new(id)).await.unwrap(),
            Self::Replaced => {
                stage.clock.pass(61);
                stage.me.invitations().create(invitation("ADA@example.org", &[])).await.unwrap();
            }
            Self::Expired => stage.clock.pass(72 * HOUR),
            Self::InviterOff => drop(system.users().deactivate(DeactivateUser::new(bob)).await.unwrap()),
            Self::InviterSuspended => drop(system.users().suspend(SuspendUser::new(bob)).await.unwrap()),
            Self::InviterBanned => drop(system.users().ban(BanUser::new(bob)).await.unwrap()),
            Self::InviterDeleted => system.users().delete(DeleteUser::new(bob)).await.unwrap(),
            Self::InviterBack => {
                system.users().deactivate(DeactivateUser::new(bob)).await.unwrap();
                system.users().activate(ActivateUser::new(bob)).await.unwrap();
                system.users().ban(BanUser::new(bob)).await.unwrap();
                system.users().lift(LiftUser::new(bob)).await.unwrap();
            }
            Self::InviterDemoted => system.roles().unassign(UnassignRole::new(bob, "admin")).await.unwrap(),
            Self::InviterMayInviteOnly => {
                system.roles().unassign(UnassignRole::new(bob, "admin")).await.unwrap();
                system.roles().assign(AssignRole::new(bob, "host")).await.unwrap();
            }
            Self::NobodyMayInvite => {
                system.roles().assign(AssignRole::new(bob, "host")).await.unwrap();
                system.roles().unassign(UnassignRole::new(bob, "admin")).await.unwrap();
                let grants = [NewGrant::new("user:read")];
                system.roles().update(UpdateRole::new("host").grants(grants.to_vec())).await.unwrap();
            }
            Self::InviterLoggedOut => stage.me.sessions().revoke_all(RevokeAllSessions::new()).await.unwrap(),
            Self::InviterHasNewPassword => {
                stage.me.passwords().change(ChangePassword::new(PASSWORD, NEW)).await.unwrap();
                system.passwords().set(SetPassword::new(bob, PASSWORD)).await.unwrap();
            }
            Self::InviterHasNewAddress => {
                system.users().update(UpdateUser::new(bob).email("bob@example.com")).await.unwrap();
            }
            Self::RoleGone => drop(system.roles().delete(DeleteRole::new("helper").force(true)).await.unwrap()),
            Self::ScopeGone => system.regions().delete(DeleteRegion::new("east")).await.unwrap(),
            Self::RootKeyGone => {
                let keys = system.signing_keys().list().await.unwrap();
                for key in keys {
                    system.signing_keys().revoke(RevokeSigningKey::new(key.id)).await.unwrap();
                }
            }
            Self::AddressOfWhoIsOff | Self::AddressOfWhoIsGone => {
                let id = system.users().create(CreateUser::new(ADA)).await.unwrap().id;
                match self {
                    Self::AddressOfWhoIsOff => drop(system.users().ban(BanUser::new(id)).await.unwrap()),
                    _ => system.users().delete(DeleteUser::new(id)).await.unwrap(),
                }
            }
        }
    }
}

#[tokio::test]
async fn sec_6_an_invitation_ends_with_what_it_stands_on() {
    let mut messages = std::collections::BTreeSet::new();
    for (event, ends) in Event::ALL {
        let stage = Stage::open().await;
        stage.um.system().regions().create(CreateRegion::new("east", "East")).await.unwrap();
        let roles = [NewInvitationRole::new("helper"), NewInvitationRole::new("user").scope("region:east")];
        let made = stage.me.invitations().create(CreateInvitation::new(ADA).roles(roles)).await.unwrap();
        let token = stage.token(ADA).await;
        event.happens(&stage, made.id, &token).await;
        let before = stage.accounts(ADA).await;
        let answer = stage.accept(&token).await;
        if ends {
            messages.insert(void(answer).message().to_owned());
            assert_eq!(stage.accounts(ADA).await, before, "{event:?}");
        } else {
            let user = answer.unwrap_or_else(|error| panic!("{event:?}: {error:?}")).user;
            assert_eq!(stage.roles(user.id).await.len(), 3, "{event:?}");
        }
    }
    assert_eq!(messages.len(), 1, "they tell apart why: {messages:?}");
}

/// What an inviter with no more than `user:invite` brings, everybody gets: it needs that right alone, and still needs it.
#[tokio::test]
async fn sec_10_who_may_invite_gives_no_more_than_the_default_roles() {
    let stage = Stage::by(POLICY, "host").await;
    for roles in [&["helper"][..], &["admin"], &["user", "host"]] {
        assert_eq!(reason(stage.me.invitations().create(invitation(ADA, roles)).await), Some(Reason::Denied));
    }
    let (_, token) = stage.invite(ADA, &["user"]).await;
    stage.um.system().roles().unassign(UnassignRole::new(stage.bob, "host")).await.unwrap();
    void(stage.accept(&token).await);
    stage.um.system().roles().assign(AssignRole::new(stage.bob, "host")).await.unwrap();
    let user = stage.accept(&token).await.unwrap().user;
    assert_eq!(stage.roles(user.id).await, ["user global"]);
}

/// Of two open ones the newer counts, in the mails as well; whoever made the first.
#[tokio::test]
async fn aut_9_the_newer_of_two_invitations_replaces_the_older() {
    let stage = Stage::open().await;
    let (_, first) = stage.invite(ADA, &["helper"]).await;
    stage.clock.pass(61);
    stage.um.system().invitations().create(invitation("Ada@Example.org", &[])).await.unwrap();
    let second = stage.token("Ada@example.org").await;
    assert_eq!(stage.states().await, [InvitationState::Open, InvitationState::Replaced]);
    void(stage.accept(&first).await);
    let user = stage.accept(&second).await.unwrap().user;
    assert_eq!(stage.roles(user.id).await, ["user global"]);
    assert_eq!(stage.states().await, [InvitationState::Accepted, InvitationState::Replaced]);
}

/// What is revoked before it was sent is not sent any more.
#[tokio::test]
async fn aut_9_no_mail_tells_of_an_invitation_that_has_ended() {
    use crate::mails::Answer;
    let stage = Stage::open().await;
    stage.mails.answer([Answer::Fails]);
    let made = stage.me.invitations().create(invitation(ADA, &[])).await.unwrap();
    stage.mails.take("invitation", ADA).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    stage.me.invitations().revoke(RevokeInvitation::new(made.id)).await.unwrap();
    stage.clock.pass(60);
    // Wakes who gives out.
    stage.invite("eve@example.org", &[]).await;
    assert_eq!(stage.mails.left(), 0);
}

/// Ended ones are seen for 90 days; the claim on the address of one that nobody accepted goes soon.
#[tokio::test]
async fn aut_9_invitations_are_forgotten_after_their_time() {
    let stage = Stage::open().await;
    stage.invite(ADA, &[]).await;
    let claims = async || {
        let claims: Vec<rolekeep::internals::registry::Claim> = all(&*stage.storage).await;
        claims.into_iter().filter(|claim| claim.kind == "invitation").count()
    };
    let rows = async || all::<Invitation>(&*stage.storage).await.len();
    assert_eq!((claims().await, rows().await), (1, 1));
    stage.clock.pass(72 * HOUR);
    stage.um.tidy().await.unwrap();
    assert_eq!((claims().await, rows().await), (1, 1));
    assert_eq!(stage.states().await, [InvitationState::Expired]);
    stage.clock.pass(25 * HOUR);
    stage.um.tidy().await.unwrap();
    assert_eq!((claims().await, rows().await), (0, 1));
    stage.clock.pass(90 * 24 * HOUR);
    stage.um.tidy().await.unwrap();
    assert_eq!((claims().await, rows().await), (0, 0));
    // One that ends lets its claim go at once.
    let me = stage.um.acting_as(stage.bob).await.unwrap();
    let made = me.invitations().create(invitation("eve@example.org", &[])).await.unwrap();
    me.invitations().revoke(RevokeInvitation::new(made.id)).await.unwrap();
    assert_eq!((claims().await, rows().await), (0, 1));
}
