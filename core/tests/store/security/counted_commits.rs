//! Nobody learns from the number of commits which accounts exist (SEC-1): whoever is signed in counts them by the positions of events.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rolekeep::{
    Caller, Config, Registration, RequestContext, UserManagement,
    audit::ListAudit,
    events::ReadEvents,
    groups::{AddGroupMembers, CreateGroup, RemoveGroupMembers},
    internals::notice::PendingNotice,
    notices::Delivery,
    passwords::ForgotPassword,
    sign_in::StartSignInByMail,
    storage::{MemoryStorage, Position},
    users::{CreateUser, DeleteUser, RegisterUser, SuspendUser},
};

use super::kit::{PASSWORD, all, signed_in, user};
use crate::{
    cheap,
    mails::{Answer, Mails},
};

/// What somebody does who does not sign in.
#[derive(Clone, Copy, Debug)]
enum Act {
    Forgets,
    SignsInByMail,
    Registers,
    Locks,
}

struct Stage {
    um: UserManagement,
    storage: Arc<MemoryStorage>,
    mails: Mails,
    counting: Caller,
}

impl Stage {
    async fn open() -> Self {
        let mails = Mails::default();
        let config: Config =
            cheap::config().registration(Registration::Verified).lock_after_failures(2).mail_sign_in(true);
        let storage = Arc::new(MemoryStorage::new());
        let builder = cheap::builder().storage(storage.clone()).config(config).notifier(mails.clone());
        let um = builder.open().await.unwrap();
        let (counting, _) = signed_in(&um, "counting", &[]).await;
        let users = um.system();
        let users = users.users();
        for name in NAMES.iter().filter(|name| !name.starts_with("unknown")) {
            let user = users.create(CreateUser::new(address(name)).password(PASSWORD)).await.unwrap();
            match *name {
                "suspended" => users.suspend(SuspendUser::new(user.id)).await.map(drop).unwrap(),
                "deleted" => users.delete(DeleteUser::new(user.id)).await.unwrap(),
                _ => {}
            }
        }
        Self { um, storage, mails, counting }
    }

    /// How many commits there were, as far as any caller is told.
    async fn commits(&self) -> u64 {
        let now = self.counting.events().read(ReadEvents::new().from("now")).await.unwrap();
        sum(&now.position.parse().unwrap())
    }

    /// How many commits come of an act, until no notice waits.
    async fn come_of(&self, act: Act, name: &str, ip: &str) -> u64 {
        let before = self.commits().await;
        self.act(act, name, ip).await;
        self.until(async || self.waiting().await == 0).await;
        self.commits().await - before
    }

    /// Waits for up to a minute.
    async fn until(&self, is_so: impl AsyncFn() -> bool) {
        let begun = Instant::now();
        while !is_so().await {
            assert!(begun.elapsed() < Duration::from_secs(60), "{} wait", self.waiting().await);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn waiting(&self) -> usize {
        all::<PendingNotice>(&*self.storage).await.len()
    }

    async fn act(&self, act: Act, name: &str, ip: &str) {
        let stranger = self.um.anonymous(RequestContext::from_ip(ip));
        match act {
            Act::Forgets => stranger.passwords().forgot(ForgotPassword::new(address(name))).await.unwrap(),
            Act::SignsInByMail => {
                drop(stranger.sign_in().mail_start(StartSignInByMail::new(address(name))).await.unwrap())
            }
            Act::Registers => {
                drop(stranger.users().register(RegisterUser::new(address(name), PASSWORD)).await.unwrap())
            }
            Act::Locks => {
                let name = address(name);
                for _ in 0..2 {
                    let wrong = self.um.login(&name, "a wrong password", RequestContext::from_ip(ip));
                    wrong.await.unwrap_err();
                }
            }
        }
    }
}

const NAMES: [&str; 4] = ["known", "unknown", "suspended", "deleted"];

fn address(name: &str) -> String {
    format!("{name}@example.org")
}

#[tokio::test]
async fn sec_1_as_many_commits_come_of_it_whoever_has_the_name() {
    let stage = Stage::open().await;
    for (at, act) in [Act::Forgets, Act::SignsInByMail, Act::Registers, Act::Locks].into_iter().enumerate() {
        let mut counts = Vec::new();
        for (of, name) in NAMES.into_iter().enumerate() {
            counts.push(stage.come_of(act, name, &format!("192.0.2.{}", 10 * at + of)).await);
        }
        assert!(counts.iter().all(|count| *count == counts[0]), "{act:?}: {counts:?} of {NAMES:?}");
    }
    assert!(stage.mails.left() > 4, "somebody was told");
}

/// Where mail fails what was asked for comes again, also if there is nobody to mail it to.
#[tokio::test]
async fn sec_1_as_many_commits_come_of_it_while_no_mail_is_sent() {
    let stage = Stage::open().await;
    stage.mails.answer([Answer::Fails]);
    for (at, name) in ["known", "unknown"].into_iter().enumerate() {
        let before = stage.commits().await;
        stage.act(Act::Forgets, name, &format!("192.0.2.{at}")).await;
        // Asked for, leased, and put off.
        stage.until(async || stage.commits().await >= before + 3).await;
        assert_eq!(stage.waiting().await, at + 1, "{name}");
    }
}

/// The log tells of what somebody did not get, and not of what there was nobody to get.
#[tokio::test]
async fn aut_9_what_nobody_gets_is_no_failure() {
    let stage = Stage::open().await;
    stage.mails.answer([Answer::Says(Delivery::Refused)]);
    for (at, name) in ["known", "deleted"].into_iter().enumerate() {
        stage.come_of(Act::Registers, name, &format!("192.0.2.{at}")).await;
    }
    let failed = ListAudit::new().action("notices.failed");
    assert_eq!(stage.um.system().audit().list(failed).await.unwrap().items.len(), 1);
}

/// A page ends where what its reader hears does, whatever is told to others behind that.
#[tokio::test]
async fn sec_1_where_a_page_of_events_ends_tells_nothing_of_others() {
    let stage = Stage::open().await;
    let now = async || -> Position {
        stage.counting.events().read(ReadEvents::new().from("now")).await.unwrap().position.parse().unwrap()
    };
    let mut reached = Vec::new();
    for (at, name) in NAMES.into_iter().enumerate() {
        // A sign-in on a new device sends a mail, which is a commit too.
        stage.until(async || stage.waiting().await == 0).await;
        let from = now().await;
        // An event of the reader's own, and one of somebody else's, if there is somebody.
        stage.um.login("counting", PASSWORD, RequestContext::from_ip("192.0.2.99")).await.unwrap().done().unwrap();
        let (name, from_ip) = (address(name), RequestContext::from_ip(format!("192.0.2.{at}")));
        stage.um.login(&name, "a wrong password", from_ip).await.unwrap_err();
        let page = ReadEvents::new().from(from.to_string()).limit(1);
        let page = stage.counting.events().read(page).await.unwrap();
        let to: Position = page.position.parse().unwrap();
        reached.push((sum(&to) - sum(&from), page.events.len()));
    }
    assert!(reached.iter().all(|of| *of == reached[0] && of.1 == 1), "{reached:?} of {NAMES:?}");
}

/// However much others' commits tell, a page goes on to the same number of them, unless they are about many things at once.
#[tokio::test]
async fn sec_1_where_a_page_of_events_ends_tells_nothing_of_what_others_were_told() {
    let stage = Stage::open().await;
    let (system, mut members, mut pages) = (stage.um.system(), Vec::new(), Vec::new());
    for at in 0..16 {
        members.push(user(&stage.um, &format!("member{at}"), &[]).await.id);
    }
    let group = system.groups().create(CreateGroup::new("All")).await.unwrap().id;
    for many in [1, members.len()] {
        let mut position = stage.counting.events().read(ReadEvents::new().from("now")).await.unwrap().position;
        let some = members[..many].to_vec();
        for _ in 0..50 {
            system.groups().add_members(AddGroupMembers::new(group).user_ids(some.clone())).await.unwrap();
            system.groups().remove_members(RemoveGroupMembers::new(group).user_ids(some.clone())).await.unwrap();
        }
        let mut ends = Vec::new();
        loop {
            let before: Position = position.parse().unwrap();
            let page = stage.counting.events().read(ReadEvents::new().from(position).limit(20)).await.unwrap();
            let to: Position = page.position.parse().unwrap();
            ends.push(sum(&to) - sum(&before));
            if !page.has_more {
                break;
            }
            position = page.position;
        }
        pages.push(ends);
    }
    assert!(pages[0] == pages[1] && pages[0].len() > 3, "{pages:?}");
}

fn sum(position: &Position) -> u64 {
    position.lanes().iter().map(|place| place.number).sum()
}
