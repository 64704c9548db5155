//! Names, versions and the last administrator (USR-1, USR-5, USR-6, AUT-17), and regions that go (FLT-4).

use rolekeep::{
    regions::CreateRegion,
    users::{ActivateUser, CreateUser},
};

use super::*;

async fn all_races(um: UserManagement, mut rivals: impl Rivals) {
    let (count, rounds) = (rivals.count(), rivals.rounds());
    let users = |email: &str| CreateUser::new(email);
    let system = um.system();
    for round in 0..rounds {
        let deed = |at: usize| {
            // The same name in two spellings.
            let username = if at.is_multiple_of(2) { format!("Racer_{round}") } else { format!("racer_{round}") };
            let input = json!({"email": format!("rival{at}of{round}@example.org"), "username": username});
            Deed::new("users.create", input, By::System)
        };
        let answers = rivals.race(&um, (0..count).map(deed).collect()).await;
        one_wins(round, &answers, &[Reason::Taken]);
    }

    for round in 0..rounds {
        let deed = |at: usize| {
            // The same address in two spellings.
            let domain = if at.is_multiple_of(2) { "例え.jp" } else { "xn--r8jz45g.JP" };
            Deed::new("users.create", json!({"email": format!("racer{round}@{domain}")}), By::System)
        };
        let answers = rivals.race(&um, (0..count).map(deed).collect()).await;
        one_wins(round, &answers, &[Reason::Taken]);
    }

    // Two names that look alike, and are two.
    for round in 0..rounds {
        let cyrillic = format!("\u{43e}\u{43e}\u{43e}{round}");
        let deed = |at: usize| {
            let username = if at.is_multiple_of(2) { cyrillic.clone() } else { cyrillic.replace('\u{43e}', "o") };
            let input = json!({"email": format!("alike{at}of{round}@example.org"), "username": username});
            Deed::new("users.create", input, By::System)
        };
        let answers = rivals.race(&um, (0..count).map(deed).collect()).await;
        one_wins(round, &answers, &[Reason::Taken]);
    }

    for round in 0..rounds {
        let subject = format!("subject-{round}");
        let input = json!({"identity": {"issuer": ISSUER, "subject": subject}});
        let deed = Deed::new("users.create", input, By::HostOf(subject));
        let answers = rivals.race(&um, vec![deed; count]).await;
        one_wins(round, &answers, &[Reason::Taken]);
    }

    let ada = system.users().create(users("ada@example.org")).await.unwrap();
    for round in 0..rounds {
        let version = system.users().get(ada.id).await.unwrap().version;
        let deed = |at: usize| {
            let input = json!({"id": ada.id, "expected_version": version, "full_name": format!("{at} of {round}")});
            Deed::new("users.update", input, By::System)
        };
        let answers = rivals.race(&um, (0..count).map(deed).collect()).await;
        one_wins(round, &answers, &[Reason::VersionStale]);
        assert_eq!(system.users().get(ada.id).await.unwrap().version, version + 1);
    }

    // Two, whoever else looks on.
    let mut both = Vec::new();
    for name in ["one", "two"] {
        let new = users(&format!("{name}@example.org")).roles(["admin"]);
        both.push(system.users().create(new).await.unwrap().id);
    }
    for round in 0..if count == 2 { rounds } else { 0 } {
        let deed = |id: &rolekeep::UserId| Deed::new("users.deactivate", json!({ "id": id }), By::System);
        let answers = rivals.race(&um, both.iter().map(deed).collect()).await;
        one_wins(round, &answers, &[Reason::LastAdministrator]);
        for id in &both {
            system.users().activate(ActivateUser::new(*id)).await.unwrap();
        }
    }
    assert!(system.audit().verify(rolekeep::audit::VerifyAudit::new()).await.unwrap().is_whole);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_16_tasks_in_memory() {
    all_races(builder().open().await.unwrap(), Tasks(2)).await;
    all_races(builder().open().await.unwrap(), Tasks(64)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_16_tasks_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    for count in [2, 64] {
        let place = Place::File(folder.path().join(format!("{count}.db")));
        all_races(on(builder(), &place).open().await.unwrap(), Tasks(count)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_16_two_processes_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::File(folder.path().join("race.db"));
    let um = on(builder(), &place).open().await.unwrap();
    all_races(um, Process::start(&place)).await;
}

#[cfg(feature = "postgres")]
#[ignore = "needs a server, by ROLEKEEP_POSTGRES"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_16_tasks_on_postgres() {
    for count in [2, 64] {
        let place = Place::on_the_server(&format!("accounts_{count}"));
        all_races(on(builder(), &place).open().await.unwrap(), Tasks(count)).await;
    }
}

#[cfg(feature = "postgres")]
#[ignore = "needs a server, by ROLEKEEP_POSTGRES"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_16_two_processes_on_postgres() {
    let place = Place::on_the_server("accounts");
    let um = on(builder(), &place).open().await.unwrap();
    all_races(um, Process::start(&place)).await;
}

/// A region goes while somebody joins it: whoever is first, nobody is left in a region that is not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_4_nobody_joins_a_region_that_goes() {
    let folder = tempfile::tempdir().unwrap();
    let um = on(builder(), &Place::File(folder.path().join("region.db"))).open().await.unwrap();
    let mut joined = 0;
    for round in 0..100 {
        let code = format!("region-{round}");
        um.system().regions().create(CreateRegion::new(code.as_str(), "A region")).await.unwrap();
        let join = {
            let (um, code) = (um.clone(), code.clone());
            let new = CreateUser::new(format!("ada{round}@example.org")).region(code);
            tokio::spawn(async move { um.system().users().create(new).await })
        };
        let leave = {
            let um = um.clone();
            tokio::spawn(async move { um.system().regions().delete(code.as_str()).await })
        };
        leave.await.unwrap().unwrap();
        match join.await.unwrap() {
            Ok(user) => {
                joined += 1;
                assert_eq!(um.system().users().get(user.id).await.unwrap().region_id, None, "round {round}");
            }
            Err(error) => assert_eq!(error.reason(), Reason::InvalidInput, "round {round}: {error}"),
        }
    }
    assert!(joined > 0, "nobody ever joined first");
}
