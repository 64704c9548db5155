//! Changes of addresses, and who undoes them.

use rolekeep::{
    Caller, Reason,
    email::{ChangeEmail, ConfirmEmail, RevertEmail},
    roles::AssignRole,
    users::{FindUser, GetUser, SuspendUser, UpdateUser},
};

use super::*;

const OTHER: &str = "ada@example.com";
const THIRD: &str = "ada@example.net";
const DAY: u64 = 24 * HOUR;

impl Stage {
    async fn signed_in(&self, password: &str) -> Caller {
        let login = self.um.login("ada", password, RequestContext::default()).await.unwrap().done().unwrap();
        self.um.authenticate(login.access_token.expose(), RequestContext::default()).await.unwrap()
    }

    /// Ada's address becomes another; what undoes it.
    async fn change(&self, from: &str, to: &str) -> Secret {
        self.clock.pass(HOUR);
        if !self.is_verified(self.ada).await {
            let token = self.proof(self.ada, from).await;
            assert!(self.confirm(&token, Some(PASSWORD)).await.unwrap().is_none());
        }
        let me = self.signed_in(PASSWORD).await;
        me.email().change(ChangeEmail::new(to)).await.unwrap();
        let token = self.mails.take("email_change", to).await.token.unwrap();
        me.email().confirm(ConfirmEmail::new(token)).await.unwrap();
        let undo = self.mails.take("email_changed", from).await.token.unwrap();
        self.mails.take("email_changed", to).await;
        undo
    }

    async fn revert(&self, token: &Secret) -> Result<()> {
        self.um.anonymous(RequestContext::default()).email().revert(RevertEmail::new(token.clone())).await
    }

    async fn has(&self, address: &str) -> bool {
        let mut find = FindUser::new();
        find.email = Some(address.to_owned());
        self.um.system().users().find(find).await.is_ok_and(|user| user.id == self.ada)
    }

    async fn is_free(&self, address: &str) -> bool {
        let created = self.um.system().users().create(CreateUser::new(address)).await;
        assert!(created.is_ok() || created.as_ref().is_err_and(|error| error.reason() == Reason::Taken));
        created.is_ok()
    }
}

/// The thief of a session and a password changes the address, and again: the first address undoes both.
#[tokio::test]
async fn sec_10_the_first_address_undoes_all_changes() {
    let stage = Stage::open().await;
    let first = stage.change(ADA, OTHER).await;
    let second = stage.change(OTHER, THIRD).await;
    let thief = stage.signed_in(PASSWORD).await;
    stage.clock.pass(6 * DAY);
    stage.revert(&first).await.unwrap();
    assert!(stage.has(ADA).await && !stage.has(OTHER).await && !stage.has(THIRD).await);
    assert_eq!(thief.users().me().await.unwrap_err().reason(), Reason::SessionEnded);
    assert!(!stage.signs_in(PASSWORD).await);
    void(stage.revert(&second).await);
    void(stage.revert(&first).await);
    assert!(stage.is_free(OTHER).await && stage.is_free(THIRD).await);
    let reset = stage.mails.take("password_reset", ADA).await.token.unwrap();
    stage.reset(&reset).await.unwrap();
    assert!(stage.signs_in(NEW).await);
}

/// Undoing the second change leaves the first, which can be undone still.
#[tokio::test]
async fn aut_9_one_change_is_undone_after_the_other() {
    let stage = Stage::open().await;
    let first = stage.change(ADA, OTHER).await;
    let second = stage.change(OTHER, THIRD).await;
    stage.revert(&second).await.unwrap();
    assert!(stage.has(OTHER).await && stage.is_free(THIRD).await);
    stage.revert(&first).await.unwrap();
    assert!(stage.has(ADA).await && stage.is_free(OTHER).await);
}

/// There and back again, and undone after all.
#[tokio::test]
async fn aut_9_an_address_is_taken_back_by_its_owner() {
    let stage = Stage::open().await;
    let first = stage.change(ADA, OTHER).await;
    let second = stage.change(OTHER, ADA).await;
    assert!(stage.has(ADA).await && !stage.is_free(OTHER).await);
    stage.revert(&first).await.unwrap();
    assert!(stage.has(ADA).await && stage.is_free(OTHER).await);
    void(stage.revert(&second).await);
}

#[tokio::test]
async fn aut_9_an_address_is_held_for_seven_days() {
    let stage = Stage::open().await;
    let undo = stage.change(ADA, OTHER).await;
    assert!(!stage.is_free(ADA).await);
    stage.clock.pass(7 * DAY + 1);
    void(stage.revert(&undo).await);
    assert!(stage.is_free("Ada@Example.org").await);
    stage.clock.pass(2 * DAY);
    stage.um.tidy().await.unwrap();
    assert!(stage.has(OTHER).await);
}

#[tokio::test]
async fn aut_9_another_way_of_writing_is_the_same_address() {
    let stage = Stage::open().await;
    stage.clock.pass(HOUR);
    let me = stage.signed_in(PASSWORD).await;
    me.email().change(ChangeEmail::new("Ada@example.org")).await.unwrap();
    let token = stage.mails.take("email_change", "Ada@example.org").await.token.unwrap();
    me.email().confirm(ConfirmEmail::new(token)).await.unwrap();
    assert!(stage.has(ADA).await && !stage.is_free(ADA).await);
    stage.clock.pass(9 * DAY);
    stage.um.tidy().await.unwrap();
    assert!(stage.has(ADA).await && !stage.is_free(ADA).await);
}

/// Compatible letters make one name of two addresses, and no mailbox of two: it is proved, and undone, as any other.
#[tokio::test]
async fn sec_2_an_address_of_compatible_letters_is_another_mailbox() {
    const WIDE: &str = "\u{ff41}da@example.org";
    let stage = Stage::with(policy().role("own", ["user:read", "user:update"])).await;
    stage.um.system().roles().assign(AssignRole::new(stage.ada, "own")).await.unwrap();
    let token = stage.proof(stage.ada, ADA).await;
    assert!(stage.confirm(&token, Some(PASSWORD)).await.unwrap().is_none());
    // The thief of a session.
    let me = stage.signed_in(PASSWORD).await;
    let refused = me.users().update(UpdateUser::new(stage.ada).email(WIDE)).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Denied);
    me.users().update(UpdateUser::new(stage.ada).email("ADA@example.org")).await.unwrap();
    // By an administrator it is not proved any more.
    let wide = stage.um.system().users().update(UpdateUser::new(stage.ada).email(WIDE)).await.unwrap();
    assert!(!wide.user.email_verified);
    stage.um.system().users().update(UpdateUser::new(stage.ada).email(ADA)).await.unwrap();
    for told in ["ADA@example.org", WIDE, WIDE, ADA] {
        stage.mails.take("email_changed", told).await;
    }
    // By its user it is undone by who had it before.
    stage.clock.pass(DAY);
    let undo = stage.change(ADA, WIDE).await;
    assert!(stage.has(ADA).await && !stage.is_free(ADA).await);
    stage.revert(&undo).await.unwrap();
    stage.mails.take("password_reset", ADA).await;
    assert!(stage.has(ADA).await && !stage.is_free(WIDE).await);
    let user = stage.um.system().users().get(GetUser::new(stage.ada)).await.unwrap();
    assert_eq!(user.email.as_deref(), Some(ADA));
    stage.clock.pass(9 * DAY);
    stage.um.tidy().await.unwrap();
    assert!(!stage.is_free(ADA).await);
}

/// What was mailed to one mailbox proves no other.
#[tokio::test]
async fn sec_2_a_link_of_before_proves_no_address_of_compatible_letters() {
    let stage = Stage::open().await;
    let token = stage.proof(stage.ada, ADA).await;
    let wide = UpdateUser::new(stage.ada).email("\u{ff41}da@example.org");
    stage.um.system().users().update(wide).await.unwrap();
    void(stage.confirm(&token, Some(PASSWORD)).await);
}

/// Nobody hears whether an address is taken before it proves to have it; who was faster has it.
#[tokio::test]
async fn sec_16_two_ask_for_one_address() {
    let stage = Stage::open().await;
    let me = stage.signed_in(PASSWORD).await;
    me.email().change(ChangeEmail::new(OTHER)).await.unwrap();
    let token = stage.mails.take("email_change", OTHER).await.token.unwrap();
    assert!(stage.is_free(OTHER).await, "asking holds nothing");
    let error = me.email().confirm(ConfirmEmail::new(token)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Taken);
    assert!(stage.has(ADA).await);
}

#[tokio::test]
async fn sec_6_a_change_under_way_ends_with_the_epoch() {
    let stage = Stage::open().await;
    let me = stage.signed_in(PASSWORD).await;
    me.email().change(ChangeEmail::new(OTHER)).await.unwrap();
    let token = stage.mails.take("email_change", OTHER).await.token.unwrap();
    let set = rolekeep::passwords::SetPassword::new(stage.ada, NEW).is_temporary(false);
    stage.um.system().passwords().set(set).await.unwrap();
    let me = stage.signed_in(NEW).await;
    void(me.email().confirm(ConfirmEmail::new(token)).await);
    // Nor does an old session ask.
    stage.clock.pass(6 * 60);
    assert_eq!(me.email().change(ChangeEmail::new(THIRD)).await.unwrap_err().reason(), Reason::StepUpRequired);
}

#[tokio::test]
async fn sec_6_who_is_suspended_undoes_nothing() {
    let stage = Stage::open().await;
    let undo = stage.change(ADA, OTHER).await;
    stage.um.system().users().suspend(SuspendUser::new(stage.ada)).await.unwrap();
    void(stage.revert(&undo).await);
}

/// Another username is told, the letter case of one is not, and who changes it all day fills nobody's mailbox.
#[tokio::test]
async fn v6_3_7_another_username_is_told_a_few_times_an_hour() {
    let stage = Stage::open().await;
    let named = async |name: &str| {
        stage.um.system().users().update(UpdateUser::new(stage.ada).username(name)).await.unwrap();
    };
    named("Ada").await;
    for round in 0..8 {
        named(&format!("ada{round}")).await;
    }
    for _ in 0..5 {
        stage.mails.take("username_changed", ADA).await;
    }
    // What comes after them in time is given out after them.
    stage.forgot("ada7").await.unwrap();
    stage.mails.take("password_reset", ADA).await;
    assert_eq!(stage.mails.left(), 0);
    stage.clock.pass(HOUR);
    named("ada").await;
    stage.mails.take("username_changed", ADA).await;
}
