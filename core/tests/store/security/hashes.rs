//! Stored hashes and what they cost (AUT-3, SEC-1, SEC-15): of other systems, of a cost that was raised, under a pepper.

use std::sync::Arc;

use rolekeep::{
    Config, Reason, RequestContext, UserManagement,
    internals::credential::Credential,
    passwords::ChangePassword,
    sessions::Login,
    storage::{MemoryStorage, Storage},
    users::CreateUser,
};

use super::kit::{Ahead, Interposed, PASSWORD, all, costs, is_let_in, policy, signed_in};

const FOREIGN: &str = "correct horse battery stäple";
const BCRYPT: &str = "$2b$05$myZ/Fra8/njXcldk46ILZO0WOJo.HDf8AiSZ7hO4.XDWfJ9l7Mn36";
const PBKDF2: &str = "$pbkdf2-sha256$1000$iNH6f09pjVGqtZbynlNqTQ$KEZmGqh4DdKkK0UJrhY1U3bHAFL6tr5kAwhC9Au5Lcg";

async fn cost_of_first(storage: &dyn Storage) -> String {
    all::<Credential>(storage).await.remove(0).hash_cost.unwrap()
}

async fn open(storage: &Arc<MemoryStorage>, config: Config) -> UserManagement {
    open_at(&Ahead::new(), storage, config).await
}

async fn open_at(clock: &Ahead, storage: &Arc<MemoryStorage>, config: Config) -> UserManagement {
    let builder = UserManagement::builder().storage(storage.clone()).policy(policy()).config(config);
    builder.environment(clock.clone()).open().await.unwrap()
}

/// Days after which what nobody uses is forgotten.
const DAYS: u64 = 2 * 24 * 3600;

#[tokio::test]
async fn aut_3_a_foreign_hash_is_replaced_once_and_its_cost_forgotten() {
    let (storage, clock) = (Arc::new(MemoryStorage::new()), Ahead::new());
    let um = open_at(&clock, &storage, Config::new()).await;
    for (name, hash) in [("ada", BCRYPT), ("bob", PBKDF2)] {
        let new = CreateUser::new(format!("{name}@example.org")).username(name).password_hash(hash);
        um.system().users().create(new).await.unwrap();
    }
    assert_eq!(costs(&*storage).await, ["bcrypt$c=5", "pbkdf2-sha256$i=1000"]);
    assert!(!is_let_in(&um, "ada", "not the password").await);
    let today = "argon2id$v=19$m=19456,t=2,p=1";
    assert!(!costs(&*storage).await.contains(&today.to_owned()), "what is wrong is not kept");
    for _ in 0..2 {
        assert!(is_let_in(&um, "ada", FOREIGN).await);
        let kept = all::<Credential>(&*storage).await;
        assert!(kept[0].password_hash.as_ref().unwrap().expose().starts_with(&format!("${today}$")));
        // Renewed once, and nothing that was proved before ends by it.
        assert_eq!((kept[0].version, kept[0].epoch, kept[0].hash_cost.as_deref()), (2, 1, Some(today)));
        assert_eq!(kept[1].hash_cost.as_deref(), Some("pbkdf2-sha256$i=1000"));
    }
    um.tidy().await.unwrap();
    assert_eq!(costs(&*storage).await.len(), 3, "for a day all are kept");
    clock.pass(DAYS);
    um.tidy().await.unwrap();
    assert_eq!(costs(&*storage).await, [today, "pbkdf2-sha256$i=1000"]);
    assert!(is_let_in(&um, "bob", FOREIGN).await);
    clock.pass(DAYS);
    um.tidy().await.unwrap();
    assert_eq!(costs(&*storage).await, [today]);
}

#[tokio::test]
async fn aut_3_a_raised_cost_and_a_new_pepper_reach_each_account_by_its_next_sign_in() {
    let (storage, clock) = (Arc::new(MemoryStorage::new()), Ahead::new());
    let [first, second] = ["first pepper, which has 32 bytes!", "second pepper, it has 32 bytes, too"];
    let before = open(&storage, Config::new().password_pepper(first)).await;
    before.system().users().create(CreateUser::new("ada@example.org").password(PASSWORD)).await.unwrap();
    let old = cost_of_first(&*storage).await;
    assert!(old.contains("keyid="));

    // Without the pepper nothing is right; with another one and the former everything goes on.
    let none = open(&storage, Config::new()).await;
    assert!(!is_let_in(&none, "ada@example.org", PASSWORD).await);
    let next = Config::new().password_pepper(second).retired_peppers([first]).hashing_iterations(3);
    let after = open_at(&clock, &storage, next).await;
    assert!(!is_let_in(&after, "ada@example.org", "not the password").await);
    assert_eq!(cost_of_first(&*storage).await, old);
    assert!(is_let_in(&after, "ada@example.org", PASSWORD).await);
    let new = cost_of_first(&*storage).await;
    assert!(new != old && new.contains("t=3"), "{new}");
    clock.pass(DAYS);
    after.tidy().await.unwrap();
    assert_eq!(costs(&*storage).await, [new]);
    // The former settings do not know the new pepper.
    assert!(!is_let_in(&before, "ada@example.org", PASSWORD).await);
}

#[tokio::test]
async fn sec_6_a_password_that_is_changed_meanwhile_is_not_put_back_by_its_hash() {
    let (um, storage) = Interposed::open(policy()).await;
    let new = CreateUser::new("ada@example.org").username("ada").password_hash(BCRYPT);
    um.system().users().create(new).await.unwrap();
    let tokens = um.login("ada", FOREIGN, RequestContext::default()).await.unwrap().done().unwrap();
    let me = um.authenticate(tokens.access_token.expose(), RequestContext::default()).await.unwrap();
    // Its row is of a foreign hash again, as with an instance that was slower.
    let system = um.system();
    system.users().create(CreateUser::new("bob@example.org").username("bob").password_hash(BCRYPT)).await.unwrap();
    storage.before_next_commit(async move {
        me.passwords().change(ChangePassword::new(FOREIGN, PASSWORD)).await.unwrap();
        let bob = system.users().find(rolekeep::users::FindUser::new().username("bob")).await.unwrap();
        let set = rolekeep::passwords::SetPassword::new(bob.id, PASSWORD).is_temporary(false);
        system.passwords().set(set).await.unwrap();
    });
    let late = um.login("bob", FOREIGN, RequestContext::default()).await.unwrap_err();
    assert!(storage.has_acted());
    assert_eq!(late.reason(), Reason::InvalidCredentials);
    for name in ["ada", "bob"] {
        assert!(!is_let_in(&um, name, FOREIGN).await && is_let_in(&um, name, PASSWORD).await, "{name}");
    }
}

/// Two sign-ins at once renew one hash once; both get in.
#[tokio::test]
async fn aut_3_two_first_sign_ins_at_once_both_get_in() {
    let (um, storage) = Interposed::open(policy()).await;
    let new = CreateUser::new("ada@example.org").username("ada").password_hash(BCRYPT);
    um.system().users().create(new).await.unwrap();
    let other = um.clone();
    storage.before_next_commit(async move { assert!(is_let_in(&other, "ada", FOREIGN).await) });
    assert!(is_let_in(&um, "ada", FOREIGN).await);
    assert!(storage.has_acted());
    assert_eq!(all::<Credential>(&*storage).await[0].version, 2);
}

/// A cost that nothing has any more is forgotten while somebody is given a hash of it: it stays known.
#[tokio::test]
async fn sec_1_a_cost_that_comes_back_is_not_forgotten() {
    let clock = Ahead::new();
    let (um, storage) = Interposed::open_as(policy(), |builder| builder.environment(clock.clone())).await;
    let new = |name: &str| CreateUser::new(format!("{name}@example.org")).username(name).password_hash(BCRYPT);
    um.system().users().create(new("ada")).await.unwrap();
    assert!(is_let_in(&um, "ada", FOREIGN).await);
    clock.pass(DAYS);
    let system = um.system();
    storage.before_next_commit(async move {
        system.users().create(new("bob")).await.unwrap();
    });
    um.tidy().await.unwrap();
    assert!(storage.has_acted());
    assert!(costs(&*storage).await.contains(&"bcrypt$c=5".to_owned()));
}

#[tokio::test]
async fn sec_15_a_hash_that_would_slow_down_everybody_is_refused() {
    let dear = BCRYPT.replace("$05$", "$12$");
    let create = async |um: &UserManagement, hash: &str| {
        um.system().users().create(CreateUser::new(format!("{}@example.org", hash.len())).password_hash(hash)).await
    };
    let storage = Arc::new(MemoryStorage::new());
    let um = open(&storage, Config::new().hashing_max_millis(1)).await;
    let refused = create(&um, &dear).await.unwrap_err();
    assert_eq!(refused.fields()[0].field, "password_hash");
    assert!(refused.to_string().contains("bcrypt$c=12 a sign-in would work for"), "{refused}");
    assert!(all::<Credential>(&*storage).await.is_empty() && costs(&*storage).await.is_empty());

    let um = open(&storage, Config::new().hashing_max_millis(0)).await;
    create(&um, &dear).await.unwrap();
    // A known cost needs no room.
    let um = open(&storage, Config::new().hashing_max_millis(1)).await;
    let new = CreateUser::new("another@example.org").password_hash(dear.as_str());
    um.system().users().create(new).await.unwrap();

    // Four costs of scrypt, and no fifth, whatever they cost.
    let um = open(&storage, Config::new().hashing_max_millis(0)).await;
    let scrypt = |log_n: u32| {
        format!("$scrypt$ln={log_n},r=8,p=1$2BvjnJPSWqv13rvXOieEEA$BT5ugHpC+RKN1yHZ9dyU0qyuPBHTDI6y2dqOJczSYrg")
    };
    for log_n in 1..=5 {
        let new = CreateUser::new(format!("scrypt{log_n}@example.org")).password_hash(scrypt(log_n));
        let made = um.system().users().create(new).await;
        assert_eq!(made.is_ok(), log_n < 5, "{made:?}");
        if let Err(refused) = made {
            assert!(refused.to_string().contains("bcrypt$c=12: 2"), "{refused}");
        }
    }
}

/// Whoever is asked about, the same tables are read as often, and the same is written.
#[tokio::test]
async fn sec_1_unknown_names_take_the_same_reads() {
    let (um, storage) = Interposed::open(policy()).await;
    signed_in(&um, "mia", &[]).await;
    let foreign = CreateUser::new("ada@example.org").username("ada").password_hash(BCRYPT);
    um.system().users().create(foreign).await.unwrap();
    um.system().users().create(CreateUser::new("bob@example.org").username("bob")).await.unwrap();
    let anonymous = um.anonymous(RequestContext::default());
    let mut calls = Vec::new();
    for name in ["mia", "ada", "bob", "nobody", "mia@example.org", "nobody@example.org"] {
        storage.calls();
        anonymous.sessions().login(Login::new(name, "not the password at all")).await.unwrap_err();
        calls.push(storage.calls());
    }
    assert!(calls.iter().all(|one| *one == calls[0]), "{calls:?}");
}
