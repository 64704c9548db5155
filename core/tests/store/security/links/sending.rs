//! What becomes of notices.

use std::time::Duration;

use rolekeep::{audit::ListAudit, internals::notice::PendingNotice, notices::Delivery};

use super::{super::kit::all, *};
use crate::mails::Answer;

impl Stage {
    /// How many notices wait, but those by which somebody is woken: they wait as long as nothing is sent.
    async fn waiting(&self) -> usize {
        let is_for =
            |notice: &PendingNotice| !notice.identifier.as_ref().is_some_and(|name| name.starts_with("nobody"));
        all::<PendingNotice>(&*self.storage).await.iter().filter(|notice| is_for(notice)).count()
    }

    /// Waits until so many notices wait.
    async fn until_waiting(&self, count: usize) {
        for _ in 0..500 {
            if self.waiting().await == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} wait, not {count}", self.waiting().await);
    }

    /// Time passes, and whoever gives notices out looks at the clock.
    async fn wake(&self, seconds: u64) {
        self.clock.pass(seconds);
        self.forgot(&format!("nobody{seconds}")).await.unwrap();
    }

    async fn told(&self, action: &str) -> usize {
        let list = ListAudit::new().action(action);
        self.um.system().audit().list(list).await.unwrap().items.len()
    }
}

/// What cannot be sent comes again, the same, and nobody who asked hears of it.
#[tokio::test]
async fn aut_9_what_fails_comes_again() {
    let stage = Stage::open().await;
    stage.mails.answer([Answer::Fails, Answer::Panics, Answer::Says(Delivery::RetryAfter(Duration::from_secs(90)))]);
    stage.forgot("ada").await.unwrap();
    let first = stage.mails.take("password_reset", ADA).await;
    stage.until_waiting(1).await;
    let mut later = Vec::new();
    for seconds in [15, 30, 100] {
        stage.wake(seconds).await;
        later.push(stage.mails.take("password_reset", ADA).await);
    }
    for again in &later {
        assert_eq!((again.id, &again.token, &again.text), (first.id, &first.token, &first.text));
    }
    stage.until_waiting(0).await;
    assert_eq!((stage.mails.left(), stage.told("notices.failed").await), (0, 0));
}

/// What hangs holds up nobody else, as long as not all places are taken.
#[tokio::test]
async fn sec_15_a_slow_notice_holds_up_no_other() {
    let stage = Stage::open().await;
    stage.um.system().users().create(CreateUser::new("bob@example.org").password(PASSWORD)).await.unwrap();
    stage.mails.answer([Answer::Hangs]);
    stage.forgot("ada").await.unwrap();
    stage.mails.take("password_reset", ADA).await;
    for _ in 0..3 {
        stage.forgot("bob@example.org").await.unwrap();
        stage.mails.take("password_reset", "bob@example.org").await;
        stage.clock.pass(61);
    }
}

/// Who dies with a notice in its hands leaves it to the next.
#[tokio::test]
async fn ops_5_a_lease_runs_out() {
    let stage = Stage::open().await;
    stage.mails.answer([Answer::Hangs]);
    stage.forgot("ada").await.unwrap();
    let first = stage.mails.take("password_reset", ADA).await;
    let next = Mails::default();
    let other = store_in(&stage.storage, &stage.clock, &next).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(next.left(), 0, "it is leased");
    stage.clock.pass(61);
    let nobody = ForgotPassword::new("nobody");
    other.anonymous(RequestContext::default()).passwords().forgot(nobody).await.unwrap();
    assert_eq!(next.take("password_reset", ADA).await.id, first.id);
    stage.until_waiting(0).await;
}

#[tokio::test]
async fn aut_9_what_is_refused_or_too_late_is_told_in_the_log() {
    let stage = Stage::open().await;
    stage.mails.answer([Answer::Says(Delivery::Refused), Answer::Fails]);
    stage.forgot("ada").await.unwrap();
    stage.until_waiting(0).await;
    assert_eq!(stage.told("notices.failed").await, 1);
    stage.clock.pass(HOUR);
    stage.mails.take("password_reset", ADA).await;
    stage.forgot("ada").await.unwrap();
    stage.mails.take("password_reset", ADA).await;
    stage.wake(2 * HOUR).await;
    stage.until_waiting(0).await;
    assert_eq!((stage.told("notices.failed").await, stage.mails.left()), (2, 0));
}

/// What waits is sent by whoever opens the store next.
#[tokio::test]
async fn aut_9_what_waits_outlives_its_instance() {
    let stage = Stage::open().await;
    stage.mails.answer([Answer::Fails]);
    stage.forgot("ada").await.unwrap();
    let first = stage.mails.take("password_reset", ADA).await;
    let Stage { um, storage, clock, .. } = stage;
    // Memory would be closed with it, so it is let go of.
    drop(um);
    clock.pass(61);
    let next = Mails::default();
    let _other = store_in(&storage, &clock, &next).await;
    assert_eq!(next.take("password_reset", ADA).await.id, first.id);
}

/// Of a user who is gone nobody is told, and nothing is left.
#[tokio::test]
async fn aut_9_notices_go_with_their_user() {
    let stage = Stage::open().await;
    stage.mails.answer([Answer::Fails]);
    stage.forgot("ada").await.unwrap();
    stage.mails.take("password_reset", ADA).await;
    stage.until_waiting(1).await;
    stage.um.system().users().delete(rolekeep::users::DeleteUser::new(stage.ada)).await.unwrap();
    assert_eq!(stage.waiting().await, 0);
}

/// A store that nobody holds any more mails nothing.
#[tokio::test]
async fn ops_5_giving_out_ends_with_the_store() {
    let Stage { um, storage, clock, mails, .. } = Stage::open().await;
    drop(um);
    let next = Mails::default();
    let other = store_in(&storage, &clock, &next).await;
    let forgot = ForgotPassword::new("ada");
    other.anonymous(RequestContext::default()).passwords().forgot(forgot).await.unwrap();
    next.take("password_reset", ADA).await;
    assert_eq!(mails.left(), 0);
}
