//! Attacks on links and notices that were tried: here what a thief would gain, in `operator` what would happen to whoever
//! runs it.

mod operator;

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use async_trait::async_trait;
use rolekeep::{
    Caller,
    email::{ChangeEmail, ConfirmEmail, RevertEmail},
    notices::{Delivery, Notice, Notifier},
    passwords::SetPassword,
    storage::{Predicate, Query, Row, Storage, table},
    users::{DeleteUser, ExternalIdentity, GetUser, UpdateUser},
    verification::ConfirmVerification,
};

use super::*;

use crate::cheap;

const OTHER: &str = "ada@example.com";
const THIRD: &str = "ada@example.net";
const BOB: &str = "bob@example.org";
const DAY: u64 = 24 * HOUR;

async fn signed_in(um: &UserManagement, name: &str, password: &str) -> Caller {
    let login = um.login(name, password, RequestContext::default()).await.unwrap().done().unwrap();
    um.authenticate(login.access_token.expose(), RequestContext::default()).await.unwrap()
}

/// The link by which somebody who is signed in makes this its address.
async fn asked(stage: &Stage, me: &Caller, to: &str) -> Secret {
    me.email().change(ChangeEmail::new(to)).await.unwrap();
    stage.mails.take("email_change", to).await.token.unwrap()
}

/// The address of an account, which is proved, becomes another; what undoes it.
async fn moved(stage: &Stage, name: &str, from: &str, to: &str) -> Secret {
    stage.clock.pass(HOUR);
    let user = signed_in(&stage.um, name, PASSWORD).await.users().me().await.unwrap();
    if !user.email_verified {
        let token = proof(stage, user.id, from).await;
        confirmed(stage, &token, Some(PASSWORD)).await.unwrap();
    }
    let me = signed_in(&stage.um, name, PASSWORD).await;
    let token = asked(stage, &me, to).await;
    me.email().confirm(ConfirmEmail::new(token)).await.unwrap();
    let undo = stage.mails.take("email_changed", from).await.token.unwrap();
    stage.mails.take("email_changed", to).await;
    undo
}

async fn reverted(stage: &Stage, token: &Secret) -> Result<()> {
    stage.um.anonymous(RequestContext::default()).email().revert(RevertEmail::new(token.clone())).await
}

async fn address_of(stage: &Stage, user: UserId) -> String {
    stage.um.system().users().get(GetUser::new(user)).await.unwrap().email.unwrap()
}

async fn proof(stage: &Stage, user: UserId, address: &str) -> Secret {
    stage.um.acting_as(user).await.unwrap().verification().send().await.unwrap();
    stage.mails.take("verification", address).await.token.unwrap()
}

async fn confirmed(stage: &Stage, token: &Secret, password: Option<&str>) -> Result<Option<Secret>> {
    let mut confirm = ConfirmVerification::new(token.clone());
    confirm.password = password.map(Into::into);
    let answer = stage.um.anonymous(RequestContext::default()).verification().confirm(confirm).await?;
    Ok(answer.reset_token)
}

/// Whether something is mailed within a moment.
async fn mailed(mails: &Mails, kind: &str, to: &str) -> Option<Notice> {
    tokio::time::timeout(Duration::from_secs(3), mails.take(kind, to)).await.ok()
}

async fn rows_of(storage: &dyn Storage, name: &str) -> Vec<Row> {
    storage.query(&Query::of(table(name).unwrap(), Predicate::Always)).await.unwrap().rows
}

/// A store over this storage, by this notifier.
async fn opened(storage: Arc<dyn Storage>, clock: &Ahead, notifier: impl Notifier) -> UserManagement {
    let builder = cheap::builder().storage(storage).policy(policy()).environment(clock.clone());
    builder.config(cheap::config().signing_key("k".repeat(32))).notifier(notifier).open().await.unwrap()
}

async fn with_password(um: &UserManagement, email: &str) -> UserId {
    um.system().users().create(CreateUser::new(email).password(PASSWORD)).await.unwrap().id
}

/// Mails, behind a gate.
#[derive(Clone, Default)]
struct Gate {
    mails: Mails,
    is_shut: Arc<AtomicBool>,
    inside: Arc<AtomicUsize>,
    millis: u64,
}

#[async_trait]
impl Notifier for Gate {
    async fn send(&self, notice: &Notice) -> Result<Delivery> {
        self.inside.fetch_add(1, SeqCst);
        tokio::time::sleep(Duration::from_millis(self.millis)).await;
        while self.is_shut.load(SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.mails.send(notice).await
    }
}

impl Gate {
    async fn until_inside(&self) {
        let before = self.inside.load(SeqCst);
        while self.inside.load(SeqCst) == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A stage whose mail can be held up by `gate`.
async fn gated() -> (Stage, Gate) {
    let (clock, storage, gate) = (Ahead::new(), Arc::new(MemoryStorage::new()), Gate::default());
    let um = opened(storage.clone(), &clock, gate.clone()).await;
    let ada = um.system().users().create(CreateUser::new(ADA).username("ada").password(PASSWORD)).await.unwrap().id;
    let mails = gate.mails.clone();
    (Stage { um, clock, storage, mails, ada }, gate)
}

/// The mail server is slow from now on; what holds it up is a mail of no matter to anybody.
async fn hold_up(stage: &Stage, gate: &Gate) {
    stage.um.system().users().create(CreateUser::new("slow@example.org")).await.unwrap();
    gate.is_shut.store(true, SeqCst);
    let (asked, inside) = (stage.forgot("slow@example.org"), gate.until_inside());
    tokio::join!(async { asked.await.unwrap() }, inside);
}

/// The thief had the addresses in the middle. Both changes are undone, the later one first; the link to a new password that
/// the first undoing mails to the thief's address is for the account as it is when it is sent.
#[tokio::test]
async fn sec_10_a_reset_of_a_revert_goes_to_the_address_that_was_left() {
    let (stage, gate) = gated().await;
    let first = moved(&stage, "ada", ADA, OTHER).await;
    let second = moved(&stage, "ada", OTHER, THIRD).await;
    hold_up(&stage, &gate).await;
    // The thief, who has OTHER and THIRD.
    reverted(&stage, &second).await.unwrap();
    // The owner.
    reverted(&stage, &first).await.unwrap();
    assert_eq!(address_of(&stage, stage.ada).await, ADA);
    gate.is_shut.store(false, SeqCst);
    stage.mails.take("password_reset", ADA).await;
    let Some(stolen) = mailed(&stage.mails, "password_reset", OTHER).await else { return };
    assert!(stage.reset(&stolen.token.unwrap()).await.is_err(), "whoever has {OTHER} chose the password");
}

/// The administrator gives the account its address back; what undoes the thief's second change is the thief's still.
#[tokio::test]
async fn sec_10_an_undo_outlives_what_an_administrator_does() {
    let stage = Stage::open().await;
    moved(&stage, "ada", ADA, OTHER).await;
    let second = moved(&stage, "ada", OTHER, THIRD).await;
    let system = stage.um.system();
    system.users().update(UpdateUser::new(stage.ada).email(ADA)).await.unwrap();
    system.passwords().set(SetPassword::new(stage.ada, NEW).is_temporary(false)).await.unwrap();
    let undone = reverted(&stage, &second).await;
    assert_eq!((address_of(&stage, stage.ada).await.as_str(), undone.is_err()), (ADA, true));
}

/// What proves an address chooses passwords for a day, as often as one likes, also after its owner chose one and proved the
/// address by that.
#[tokio::test]
async fn sec_10_a_proof_of_an_address_chooses_passwords_again_and_again() {
    let stage = Stage::open().await;
    let seen = proof(&stage, stage.ada, ADA).await;
    let own = stage.token().await;
    stage.reset(&own).await.unwrap();
    assert!(stage.um.system().users().get(GetUser::new(stage.ada)).await.unwrap().email_verified);
    stage.clock.pass(20 * HOUR);
    let Ok(Some(reset)) = confirmed(&stage, &seen, None).await else { return };
    let theirs = ResetPassword::new(reset, "the horse of somebody else");
    let changed = stage.um.anonymous(RequestContext::default()).passwords().reset(theirs).await;
    assert!(changed.is_err(), "a link of 20 hours ago took the account");
}

/// The same after the proof was used by the account's owner: another that was mailed beside it goes on.
#[tokio::test]
async fn sec_10_a_second_proof_outlives_the_first() {
    let stage = Stage::open().await;
    let seen = proof(&stage, stage.ada, ADA).await;
    stage.clock.pass(13 * HOUR);
    let second = proof(&stage, stage.ada, ADA).await;
    assert_ne!(seen, second);
    assert!(confirmed(&stage, &second, Some(PASSWORD)).await.unwrap().is_none());
    void(confirmed(&stage, &seen, None).await);
}

/// Somebody registers another's address, links an identity and moves on: the owner of the address, told of it, must not take
/// over an account into which the thief is let by the identity still.
#[tokio::test]
async fn sec_10_an_identity_linked_before_survives_the_owner_of_the_address() {
    let stage = Stage::open().await;
    let thief = ExternalIdentity::new("https://login.example.org", "thief");
    let new = CreateUser::new(BOB).password(PASSWORD).identity(thief);
    let bob = stage.um.system().users().create(new).await.unwrap().id;
    let me = signed_in(&stage.um, BOB, PASSWORD).await;
    let token = asked(&stage, &me, "thief@example.org").await;
    me.email().confirm(ConfirmEmail::new(token)).await.unwrap();
    // An address that was never proved undoes nothing, and is free: its owner makes an account of its own.
    assert_eq!(stage.mails.take("email_changed", BOB).await.token, None);
    let own = stage.um.system().users().create(CreateUser::new(BOB)).await.unwrap().id;
    assert_ne!(own, bob);
}

/// An account that signs in at another issuer as well is mailed that it has no password, and no link to choose one.
#[tokio::test]
async fn sec_10_a_revert_mails_no_reset_where_there_is_an_identity() {
    let stage = Stage::open().await;
    let identity = ExternalIdentity::new("https://login.example.org", "bob");
    let new = CreateUser::new(BOB).password(PASSWORD).identity(identity);
    stage.um.system().users().create(new).await.unwrap();
    stage.clock.pass(HOUR);
    let undo = moved(&stage, BOB, BOB, OTHER).await;
    reverted(&stage, &undo).await.unwrap();
    assert!(mailed(&stage.mails, "password_reset", BOB).await.is_some(), "a link to choose a new password is mailed");
}

/// Who mistyped its address at first and corrected that loses the account to whoever has the mistyped one.
#[tokio::test]
async fn sec_10_a_mistyped_address_takes_the_account() {
    let stage = Stage::open().await;
    assert!(!stage.um.system().users().get(GetUser::new(stage.ada)).await.unwrap().email_verified);
    stage.clock.pass(HOUR);
    let me = signed_in(&stage.um, "ada", PASSWORD).await;
    let token = asked(&stage, &me, OTHER).await;
    me.email().confirm(ConfirmEmail::new(token)).await.unwrap();
    stage.mails.take("email_changed", OTHER).await;
    let told = mailed(&stage.mails, "email_changed", ADA).await;
    let Some(undo) = told.and_then(|told| told.token) else { return };
    assert!(reverted(&stage, &undo).await.is_err(), "an address that nobody ever proved has the account");
}

/// The clock of the second change is behind that of the first: it is not undone with it.
#[tokio::test]
async fn sec_10_a_clock_that_was_set_back_hides_a_later_change() {
    let stage = Stage::open().await;
    let token = proof(&stage, stage.ada, ADA).await;
    confirmed(&stage, &token, Some(PASSWORD)).await.unwrap();
    let me = signed_in(&stage.um, "ada", PASSWORD).await;
    let token = asked(&stage, &me, OTHER).await;
    stage.clock.pass(600);
    me.email().confirm(ConfirmEmail::new(token)).await.unwrap();
    let first = stage.mails.take("email_changed", ADA).await.token.unwrap();
    stage.mails.take("email_changed", OTHER).await;
    stage.clock.put_back(300);
    let me = signed_in(&stage.um, "ada", PASSWORD).await;
    let token = asked(&stage, &me, THIRD).await;
    me.email().confirm(ConfirmEmail::new(token)).await.unwrap();
    let second = stage.mails.take("email_changed", OTHER).await.token.unwrap();
    stage.clock.pass(600);
    reverted(&stage, &first).await.unwrap();
    assert!(reverted(&stage, &second).await.is_err(), "the thief undid the owner's undoing");
}

/// There, back and there again: undoing the way back frees the address that the first undoing gives back.
#[tokio::test]
async fn sec_10_undoing_frees_an_address_that_is_held_by_an_earlier_change() {
    let stage = Stage::open().await;
    let first = moved(&stage, "ada", ADA, OTHER).await;
    let second = moved(&stage, "ada", OTHER, ADA).await;
    moved(&stage, "ada", ADA, OTHER).await;
    reverted(&stage, &second).await.unwrap();
    let taken = stage.um.system().users().create(CreateUser::new(ADA)).await.is_ok();
    let undone = reverted(&stage, &first).await.map_err(|error| error.reason());
    assert_eq!((taken, undone), (false, Ok(())));
}

/// Asked for by a session that the owner has ended meanwhile: the mail is for the epoch that began after.
#[tokio::test]
async fn sec_10_a_change_asked_for_before_an_epoch_is_good_after_it() {
    let (stage, gate) = gated().await;
    let thief = signed_in(&stage.um, "ada", PASSWORD).await;
    hold_up(&stage, &gate).await;
    thief.email().change(ChangeEmail::new(OTHER)).await.unwrap();
    stage.um.system().passwords().set(SetPassword::new(stage.ada, NEW).is_temporary(false)).await.unwrap();
    gate.is_shut.store(false, SeqCst);
    let Some(notice) = mailed(&stage.mails, "email_change", OTHER).await else { return };
    let me = signed_in(&stage.um, "ada", NEW).await;
    void(me.email().confirm(ConfirmEmail::new(notice.token.unwrap())).await);
}

/// Guesses by a link end no link, and lock nothing: N 3.2.2 has a hundred in all.
#[tokio::test]
async fn sec_10_a_proof_lets_one_guess_without_end() {
    let stage = Stage::open().await;
    let token = proof(&stage, stage.ada, ADA).await;
    let mut told = 0;
    for _ in 0..120 {
        stage.clock.pass(180);
        let guess = confirmed(&stage, &token, Some("not the password at all")).await;
        told += usize::from(guess.is_err_and(|error| error.reason() == Reason::InvalidCredentials));
    }
    stage.clock.pass(180);
    let right = confirmed(&stage, &token, Some(PASSWORD)).await;
    assert!(told <= 100 && right.is_err(), "{told} guesses were answered, and then the right one: {right:?}");
}

/// A link of one's own keeps the processors busy: no limit counts what a reset hashes.
#[tokio::test]
async fn sec_10_a_reset_hashes_without_limit() {
    let stage = Stage::open().await;
    let token = stage.token().await;
    let before = stage.um.hashed();
    for _ in 0..60 {
        let same = ResetPassword::new(token.clone(), PASSWORD);
        assert!(stage.um.anonymous(RequestContext::from_ip("192.0.2.1")).passwords().reset(same).await.is_err());
    }
    let hashed = stage.um.hashed() - before;
    assert!(hashed <= 20, "{hashed} hashes for one address and one link");
}

/// A password that was for some days lets nobody in any more, but proves an address.
#[tokio::test]
async fn sec_10_a_temporary_password_that_ran_out_proves_an_address() {
    let stage = Stage::open().await;
    stage.um.system().passwords().set(SetPassword::new(stage.ada, NEW).is_temporary(true)).await.unwrap();
    stage.clock.pass(30 * DAY);
    assert!(!stage.signs_in(NEW).await, "it has run out");
    let token = proof(&stage, stage.ada, ADA).await;
    assert!(!matches!(confirmed(&stage, &token, Some(NEW)).await, Ok(None)), "it proved the address");
}

/// Ten accounts of one thief fill one mailbox, whether or not anybody has an account by it.
#[tokio::test]
async fn sec_10_many_accounts_fill_one_mailbox() {
    let stage = Stage::open().await;
    for at in 0..10 {
        let name = format!("thief{at}@example.com");
        with_password(&stage.um, &name).await;
        // Refused or not: no mail may come of it.
        let _ = signed_in(&stage.um, &name, PASSWORD).await.email().change(ChangeEmail::new(ADA)).await;
    }
    let mut mails = 0;
    while tokio::time::timeout(Duration::from_secs(1), stage.mails.take("address_taken", ADA)).await.is_ok() {
        mails += 1;
    }
    assert!(mails <= 5, "{mails} mails to one address in an hour");
}

/// Who has the password fills the mailbox, and the table so far that nobody else may ask: sign-ins that hold are not limited.
#[tokio::test]
async fn sec_10_sign_ins_fill_the_mailbox() {
    let stage = Stage::open().await;
    for _ in 0..25 {
        assert!(stage.signs_in(PASSWORD).await);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(stage.mails.left() <= 5, "{} mails within a minute", stage.mails.left());
}

/// What a header says stands in the mail to somebody else, where the application gives it on unread.
#[tokio::test]
async fn sec_10_what_somebody_typed_stands_in_a_mail() {
    let stage = Stage::open().await;
    let typed = RequestContext::from_ip("none. Call +1 555 0100 or see https://evil.example");
    stage.um.anonymous(typed).passwords().forgot(ForgotPassword::new("ada")).await.unwrap();
    let notice = stage.mails.take("password_reset", ADA).await;
    assert!(!notice.text.expose().contains("evil.example"), "{}", notice.text.expose());
}

/// Of an account that is gone nobody is told, but of this: "yours has it, and keeps it".
#[tokio::test]
async fn sec_10_who_was_deleted_is_mailed() {
    let stage = Stage::open().await;
    let bob = with_password(&stage.um, BOB).await;
    stage.um.system().users().delete(DeleteUser::new(bob)).await.unwrap();
    signed_in(&stage.um, "ada", PASSWORD).await.email().change(ChangeEmail::new(BOB)).await.unwrap();
    assert!(mailed(&stage.mails, "address_taken", BOB).await.is_none());
}
