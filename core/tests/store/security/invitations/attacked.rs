//! Attacks on invitations: each test says what holds once it is mended.

use super::*;

const DAY: u64 = 24 * HOUR;

/// The clock is ahead by more than an invitation lives while it is revoked. Then somebody puts it right.
#[tokio::test]
async fn aut_9_an_invitation_that_was_revoked_by_a_wrong_clock_stays_revoked() {
    let stage = Stage::open().await;
    let (made, token) = stage.invite(ADA, &[]).await;
    stage.clock.pass(4 * DAY);
    let me = stage.signed_in("bob", PASSWORD).await;
    me.invitations().revoke(RevokeInvitation::new(made.id)).await.unwrap();
    stage.clock.put_back(4 * DAY);
    void(stage.accept(&token).await);
    assert_eq!(stage.states().await, [InvitationState::Revoked]);
}

/// The same of one in whose place another was made, with fewer roles.
#[tokio::test]
async fn aut_9_an_invitation_that_was_replaced_by_a_wrong_clock_stays_replaced() {
    let stage = Stage::open().await;
    let (_, older) = stage.invite(ADA, &["helper"]).await;
    stage.clock.pass(4 * DAY);
    let me = stage.signed_in("bob", PASSWORD).await;
    me.invitations().create(invitation(ADA, &[])).await.unwrap();
    let newer = stage.token(ADA).await;
    stage.clock.put_back(4 * DAY);
    void(stage.accept(&older).await);
    assert_eq!(stage.accounts(ADA).await, 0);
    let accepted = stage.accept(&newer).await.unwrap();
    assert_eq!(stage.roles(accepted.user.id).await, ["user global"]);
}

/// Whoever invites may do so at the desk alone, as the application says with its requests. Who accepts is told nothing of that rule.
#[tokio::test]
async fn sec_9_who_accepts_is_told_nothing_of_what_the_inviter_may() {
    let policy = POLICY.replace(
        "allow = [\"user:invite\"]",
        "allow = [{ permission = \"user:invite\", when = \"context.at_desk == true\" }]",
    );
    let stage = Stage::by(&format!("[context]\nat_desk = \"bool\"\n{policy}"), "host").await;
    let mut desk = RequestContext::default();
    desk.context = rolekeep::rules::Context::new().with("at_desk", true);
    stage.me.with_request(desk).invitations().create(invitation(ADA, &[])).await.unwrap();
    let token = stage.token(ADA).await;
    let error = void(stage.accept(&token).await);
    assert!(!error.message().contains("at_desk"), "{error}");
}

/// Who is invited chooses a name, and does not ask for one after the other.
#[tokio::test]
async fn sec_1_who_is_invited_learns_of_few_names() {
    let stage = Stage::open().await;
    let (_, token) = stage.invite(ADA, &[]).await;
    for _ in 0..5 {
        assert_eq!(reason(stage.accept_as(&token, "bob").await), Some(Reason::Taken));
    }
    assert_eq!(reason(stage.accept_as(&token, "bob").await), Some(Reason::RateLimited));
    // What the form itself says does not count.
    stage.clock.pass(180);
    for _ in 0..10 {
        let short = accepting(&token).password("too short");
        assert_eq!(reason(stage.anybody().invitations().accept(short).await), Some(Reason::InvalidInput));
    }
    stage.accept(&token).await.unwrap();
}
