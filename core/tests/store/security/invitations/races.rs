//! What happens between the plan of an acceptance and its commit.

use rolekeep::{
    regions::{CreateRegion, DeleteRegion},
    roles::{DeleteRole, NewGrant, UnassignRole, UpdateRole},
    users::{DeactivateUser, DeleteUser},
    verification::ConfirmVerification,
};

use super::*;

/// What somebody else does just before the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rival {
    Accepts,
    Revokes,
    Replaces,
    TakesTheRole,
    Deactivates,
    Deletes,
    ChangesThePolicy,
    DeletesTheRole,
    DeletesTheScope,
    TakesTheName,
    TakesTheAddress,
    ProvesTheAddress,
}

impl Rival {
    const ALL: [Self; 12] = [
        Self::Accepts,
        Self::Revokes,
        Self::Replaces,
        Self::TakesTheRole,
        Self::Deactivates,
        Self::Deletes,
        Self::ChangesThePolicy,
        Self::DeletesTheRole,
        Self::DeletesTheScope,
        Self::TakesTheName,
        Self::TakesTheAddress,
        Self::ProvesTheAddress,
    ];

    /// Why the acceptance fails; none: it does not.
    fn refusal(self) -> Option<Reason> {
        match self {
            Self::TakesTheName => Some(Reason::Taken),
            Self::ProvesTheAddress => Some(Reason::NotSignedIn),
            Self::TakesTheAddress => None,
            _ => Some(Reason::InvalidToken),
        }
    }
}

/// The acceptance of an invitation by an administrator, or by one who brings no more than what everybody gets.
async fn beside(rival: Rival) -> (Arc<Stage>, Option<Reason>) {
    let policy = format!("{POLICY}\n[roles.other]\nallow = [\"user:list\"]");
    let may_invite_only = rival == Rival::ChangesThePolicy;
    let stage = Arc::new(Stage::by(&policy, if may_invite_only { "host" } else { "admin" }).await);
    let system = stage.um.system();
    system.regions().create(CreateRegion::new("east", "East")).await.unwrap();
    let mut wanted = CreateInvitation::new(ADA);
    if !may_invite_only {
        wanted.roles = vec![NewInvitationRole::new("helper"), NewInvitationRole::new("user").scope("region:east")];
    }
    let proof = if rival == Rival::ProvesTheAddress {
        system.users().create(CreateUser::new(ADA).username("cleo").password(PASSWORD)).await.unwrap();
        let cleo = stage.signed_in("cleo", PASSWORD).await;
        cleo.verification().send().await.unwrap();
        let proof = stage.mails.take("verification", ADA).await.token.unwrap();
        Some((cleo, proof))
    } else {
        None
    };
    let made = stage.me.invitations().create(wanted).await.unwrap();
    let token = stage.token(ADA).await;
    let (other, bob) = (stage.clone(), stage.bob);
    let again = token.clone();
    stage.storage.before_next_commit(async move {
        let me = &other.me;
        match rival {
            Rival::Accepts => {
                let accept = AcceptInvitation::new(again).username("first").password(NEW);
                drop(other.anybody().invitations().accept(accept).await.unwrap());
            }
            Rival::Revokes => me.invitations().revoke(RevokeInvitation::new(made.id)).await.unwrap(),
            Rival::Replaces => {
                other.clock.pass(61);
                drop(system.invitations().create(invitation(ADA, &[])).await.unwrap());
            }
            Rival::TakesTheRole => system.roles().unassign(UnassignRole::new(bob, "admin")).await.unwrap(),
            Rival::Deactivates => drop(system.users().deactivate(DeactivateUser::new(bob)).await.unwrap()),
            Rival::Deletes => system.users().delete(DeleteUser::new(bob)).await.unwrap(),
            Rival::ChangesThePolicy => {
                let grants = vec![NewGrant::new("user:read")];
                drop(system.roles().update(UpdateRole::new("host").grants(grants)).await.unwrap());
            }
            Rival::DeletesTheRole => drop(system.roles().delete(DeleteRole::new("helper")).await.unwrap()),
            Rival::DeletesTheScope => system.regions().delete(DeleteRegion::new("east")).await.unwrap(),
            Rival::TakesTheName => {
                drop(system.users().create(CreateUser::new("eve@example.org").username("ADA")).await.unwrap());
            }
            Rival::TakesTheAddress => {
                let thief = CreateUser::new(ADA).username("thief").password(PASSWORD);
                drop(system.users().create(thief).await.unwrap());
            }
            Rival::ProvesTheAddress => {
                let (cleo, proof) = proof.unwrap();
                drop(cleo.verification().confirm(ConfirmVerification::new(proof)).await.unwrap());
            }
        }
    });
    let answer = stage.accept(&token).await;
    assert!(stage.storage.has_acted());
    if rival == Rival::TakesTheName {
        stage.accept_as(&token, "ada_2").await.unwrap();
    }
    (stage, reason(answer))
}

#[tokio::test]
async fn sec_16_what_happens_meanwhile_decides() {
    for rival in Rival::ALL {
        let (stage, refusal) = beside(rival).await;
        assert_eq!(refusal, rival.refusal(), "{rival:?}");
        let (accounts, accepted) = match rival {
            Rival::Accepts | Rival::TakesTheName | Rival::TakesTheAddress => (1, true),
            Rival::ProvesTheAddress => (1, false),
            _ => (0, false),
        };
        assert_eq!(stage.accounts(ADA).await, accounts, "{rival:?}");
        assert_eq!(stage.states().await.contains(&InvitationState::Accepted), accepted, "{rival:?}");
        match rival {
            Rival::Accepts => assert!(stage.signs_in("first", NEW).await && !stage.signs_in("ada", NEW).await),
            Rival::TakesTheName => assert!(stage.signs_in("ada_2", NEW).await && !stage.signs_in("ada", NEW).await),
            // It was somebody else's who was there first, and is Ada's.
            Rival::TakesTheAddress => {
                assert!(stage.signs_in("ada", NEW).await && !stage.signs_in("thief", PASSWORD).await)
            }
            Rival::ProvesTheAddress => {
                assert!(stage.signs_in("cleo", PASSWORD).await && !stage.signs_in(ADA, NEW).await)
            }
            _ => {}
        }
    }
}

/// The roles of who invites are not read before what stands for them: a role that it loses while its rights are read is lost.
#[tokio::test]
async fn sec_6_a_role_that_is_lost_while_rights_are_read_is_lost() {
    for table in ["guards", "users", "invitations", "claims"] {
        let stage = Stage::open().await;
        let (_, token) = stage.invite(ADA, &["helper"]).await;
        let (system, bob) = (stage.um.system(), stage.bob);
        stage.storage.before_next_read_of(table, async move {
            system.roles().unassign(UnassignRole::new(bob, "admin")).await.unwrap();
        });
        void(stage.accept(&token).await);
        assert!(stage.storage.has_acted(), "{table}");
        assert_eq!(stage.accounts(ADA).await, 0);
    }
    let stage = Stage::open().await;
    let (_, token) = stage.invite(ADA, &["helper"]).await;
    let (system, bob) = (stage.um.system(), stage.bob);
    stage.storage.before_next_query(async move {
        system.roles().unassign(UnassignRole::new(bob, "admin")).await.unwrap();
    });
    void(stage.accept(&token).await);
    assert!(stage.storage.has_acted());
}

/// Who revokes after somebody accepted changes nothing.
#[tokio::test]
async fn sec_16_what_is_accepted_meanwhile_is_not_revoked() {
    let stage = Arc::new(Stage::open().await);
    let (made, token) = stage.invite(ADA, &["helper"]).await;
    let other = stage.clone();
    stage.storage.before_next_commit(async move {
        other.accept(&token).await.unwrap();
    });
    stage.me.invitations().revoke(RevokeInvitation::new(made.id)).await.unwrap();
    assert!(stage.storage.has_acted());
    assert_eq!(stage.states().await, [InvitationState::Accepted]);
    assert!(stage.signs_in("ada", NEW).await);
}

/// Two who invite the same address at once, on whatever is known of it when they look: one invitation is open.
#[tokio::test]
async fn sec_16_an_address_has_one_open_invitation() {
    for has_one in [false, true] {
        let stage = Arc::new(Stage::open().await);
        if has_one {
            stage.invite(ADA, &[]).await;
            stage.clock.pass(61);
        }
        let other = stage.clone();
        stage.storage.before_next_commit(async move {
            other.um.system().invitations().create(invitation(ADA, &[])).await.unwrap();
            other.clock.pass(61);
        });
        stage.me.invitations().create(invitation("ADA@example.org", &["helper"])).await.unwrap();
        assert!(stage.storage.has_acted());
        let open = stage.states().await.into_iter().filter(|state| *state == InvitationState::Open).count();
        assert_eq!(open, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_16_one_invitation_has_one_winner() {
    let stage = Arc::new(Stage::open().await);
    let (_, token) = stage.invite(ADA, &["helper"]).await;
    let four = ["one", "two", "three", "four"].map(|name| {
        let (stage, token) = (stage.clone(), token.clone());
        tokio::spawn(async move { stage.accept_as(&token, name).await.is_ok() })
    });
    let won = futures_util::future::join_all(four).await.into_iter().filter(|won| *won.as_ref().unwrap()).count();
    assert_eq!((won, stage.accounts(ADA).await), (1, 1));
}
