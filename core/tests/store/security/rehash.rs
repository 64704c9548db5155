//! Stored hashes while others act: what a rehash may not undo, lose or tell, and what asking about a token tells.

use std::sync::Arc;

use rolekeep::{
    Config, Reason, RequestContext, UserManagement, ffi,
    internals::credential::Credential,
    passwords::ExpirePasswords,
    sessions::{InspectToken, SignInStep, TokenProblem},
    storage::{MemoryStorage, Predicate, Query, Storage},
    users::{CreateUser, DeleteUser, SuspendUser},
};
use serde_json::json;

use super::kit::{Ahead, Interposed, PASSWORD, all, caller, costs, is_let_in, policy, signed_in, store, store_at};

const FOREIGN: &str = "correct horse battery stäple";
const BCRYPT: &str = "$2b$05$myZ/Fra8/njXcldk46ILZO0WOJo.HDf8AiSZ7hO4.XDWfJ9l7Mn36";

async fn open(storage: Arc<dyn Storage>, config: Config) -> UserManagement {
    UserManagement::builder().storage(storage).policy(policy()).config(config).open().await.unwrap()
}

fn imported(name: &str, hash: &str) -> CreateUser {
    CreateUser::new(format!("{name}@example.org")).username(name).password_hash(hash)
}

/// Two instances, one with other settings, as while a new version is rolled out. The one forgets the cost of the other's
/// today while the other stores a hash of it, which only checks its row.
#[tokio::test]
async fn sec_1_no_cost_is_forgotten_by_an_instance_of_other_settings_while_it_is_used() {
    let (storage, clock) = (Arc::new(Interposed::default()), Ahead::new());
    let opened = async |config| {
        let builder = UserManagement::builder().storage(storage.clone()).policy(policy()).config(config);
        builder.environment(clock.clone()).open().await.unwrap()
    };
    let former = opened(Config::new()).await;
    let next = opened(Config::new().hashing_iterations(3)).await;
    former.system().users().create(CreateUser::new("ada@example.org").password(PASSWORD)).await.unwrap();
    assert!(is_let_in(&next, "ada@example.org", PASSWORD).await);
    // Nobody has the former cost now, and for two days nobody has had it.
    clock.pass(2 * 24 * 3600);
    let system = former.system();
    storage.before_next_commit(async move {
        system.users().create(CreateUser::new("bob@example.org").password(PASSWORD)).await.unwrap();
    });
    next.tidy().await.unwrap();
    assert!(storage.has_acted());
    let known = costs(&*storage).await;
    for one in all::<Credential>(&*storage).await {
        let cost = one.hash_cost.unwrap();
        assert!(known.contains(&cost), "{cost} is not among {known:?}: {} works more than nobody does", one.user_id);
    }
}

/// The same by a sign-in that renews a hash, the commonest of writes.
#[tokio::test]
async fn sec_1_no_cost_is_forgotten_while_a_sign_in_renews_a_hash() {
    let (storage, clock) = (Arc::new(Interposed::default()), Ahead::new());
    let opened = async |config| {
        let builder = UserManagement::builder().storage(storage.clone()).policy(policy()).config(config);
        builder.environment(clock.clone()).open().await.unwrap()
    };
    let former = opened(Config::new()).await;
    let next = opened(Config::new().hashing_iterations(3)).await;
    former.system().users().create(CreateUser::new("ada@example.org").password(PASSWORD)).await.unwrap();
    former.system().users().create(imported("bob", BCRYPT)).await.unwrap();
    assert!(is_let_in(&next, "ada@example.org", PASSWORD).await);
    clock.pass(2 * 24 * 3600);
    let other = former.clone();
    storage.before_next_commit(async move { assert!(is_let_in(&other, "bob", FOREIGN).await) });
    next.tidy().await.unwrap();
    let known = costs(&*storage).await;
    for one in all::<Credential>(&*storage).await {
        let cost = one.hash_cost.unwrap();
        assert!(known.contains(&cost), "{cost} is not among {known:?}");
    }
}

/// bcrypt passes over what comes after 72 bytes. Whoever mistypes that is let in, and by it the hash becomes one of the
/// mistyped password: the right one is refused from then on.
#[tokio::test]
async fn aut_3_a_rehash_loses_no_password_of_more_than_72_bytes() {
    let um = store(policy()).await;
    let first = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let hash = "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui";
    um.system().users().create(imported("ada", hash)).await.unwrap();
    let (right, mistyped) =
        (format!("{first}chars after 72 are ignored"), format!("{first}chars after 72 are ignores"));
    is_let_in(&um, "ada", &mistyped).await;
    assert!(is_let_in(&um, "ada", &right).await, "the owner's password is lost");
}

/// The same by a NUL: what is equal under bcrypt alone becomes the password.
#[tokio::test]
async fn aut_3_no_rehash_by_what_only_bcrypt_takes_for_equal() {
    let um = store(policy()).await;
    um.system()
        .users()
        .create(imported("ada", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"))
        .await
        .unwrap();
    is_let_in(&um, "ada", "U*U\0U*U").await;
    assert!(is_let_in(&um, "ada", "U*U").await, "the owner's password is lost");
}

/// A user may be seeded under the nil id, whose rows stand for nobody's: every unknown name would be that account.
#[tokio::test]
async fn sec_1_no_account_stands_for_all_unknown_names() {
    let um = store(policy()).await;
    let seed = json!({
        "users": [{ "id": "00000000-0000-0000-0000-000000000000", "email": "nil@example.org", "username": "nil" }],
        "passwords": { "nil@example.org": PASSWORD },
    });
    if ffi::call(&um.system(), "setup.seed", &seed.to_string()).await.is_ok() {
        assert!(!is_let_in(&um, "nobody-at-all", PASSWORD).await, "an unknown name is let in");
    }
}

/// Inspect takes access tokens, all else is refused.
#[tokio::test]
async fn aut_19_a_refresh_token_is_told_nothing_of() {
    let um = store(policy()).await;
    signed_in(&um, "ada", &[]).await;
    let tokens = um.login("ada", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    let anonymous = um.anonymous(RequestContext::default());
    let told = anonymous.sessions().inspect(InspectToken::new(tokens.refresh_token)).await.unwrap();
    assert_eq!(told.problem, Some(TokenProblem::Invalid), "{told:?}");
}

/// Who is planned anew, because somebody else signed in to the same account, hashes once all the same.
#[tokio::test]
async fn sec_15_sign_ins_at_once_do_not_hash_anew() {
    let clock = Ahead::new();
    let (um, storage) = Interposed::open_as(policy(), |builder| builder.environment(clock.clone())).await;
    signed_in(&um, "ada", &[]).await;
    let before = um.hashed();
    let other = um.clone();
    storage.before_next_commit(async move { assert!(is_let_in(&other, "ada", PASSWORD).await) });
    assert!(is_let_in(&um, "ada", PASSWORD).await);
    assert!(storage.has_acted());
    assert_eq!(um.hashed() - before, 2);
}

/// Unassigned code points are refused at set, so that NFC stays stable.
#[tokio::test]
async fn aut_2_unassigned_letters_are_refused_when_a_password_is_set() {
    let um = store(policy()).await;
    let new = CreateUser::new("ada@example.org").password("fifteen letters \u{378} and more");
    assert!(um.system().users().create(new).await.is_err());
}

/// What was temporary or expired is so after a rehash, and in the same epoch.
#[tokio::test]
async fn aut_8_what_was_temporary_or_expired_is_so_after_a_rehash() {
    let storage = Arc::new(MemoryStorage::new());
    let um = open(storage.clone(), Config::new()).await;
    let ada = um.system().users().create(imported("ada", BCRYPT)).await.unwrap();
    um.system().passwords().expire(ExpirePasswords::new().user_ids([ada.id])).await.unwrap();
    let before = all::<Credential>(&*storage).await.remove(0);
    let answer = um.login("ada", FOREIGN, RequestContext::default()).await.unwrap();
    assert_eq!(answer.step, SignInStep::Password);
    let after = all::<Credential>(&*storage).await.remove(0);
    assert!(after.hash_cost != before.hash_cost);
    let flags = |one: &Credential| (one.must_change, one.temporary_until, one.set_at, one.epoch);
    assert_eq!(flags(&before), flags(&after));
    assert_eq!(um.login("ada", FOREIGN, RequestContext::default()).await.unwrap().step, SignInStep::Password);
}

/// No user gives a hash, an administrator neither, by no operation; nothing of it is said again.
#[tokio::test]
async fn sec_8_only_the_application_gives_a_hash() {
    let (um, storage) = Interposed::open(policy()).await;
    let (admin, id) = caller(&um, "root", &["admin"]).await;
    let secret = "$2b$05$myZ/Fra8/njXcldk46ILZO0WOJo.HDf8AiSZ7hO4.XDWfJ9l7Mn36";
    let before = all::<Credential>(&*storage).await.len();
    let tries = [
        ("users.create", json!({ "email": "a@example.org", "password_hash": secret })),
        ("users.create", json!({ "email": "a@example.org", "password_hash": secret, "status": "inactive" })),
        ("users.update", json!({ "id": id, "password_hash": secret })),
        ("users.replace", json!({ "id": id, "email": "root@example.org", "password_hash": secret })),
        ("setup.seed", json!({ "users": [{ "id": id, "email": "a@example.org", "password_hash": secret }] })),
        ("passwords.set", json!({ "user_id": id, "password_hash": secret })),
    ];
    for (operation, input) in &tries {
        let refused = ffi::call(&admin, operation, &input.to_string()).await.unwrap_err();
        assert!(!refused.to_string().contains("myZ/"), "{operation}: {refused}");
        assert!(!format!("{refused:?}").contains("myZ/"), "{operation}: {refused:?}");
    }
    for (operation, input) in tries.iter().skip(2) {
        let refused = ffi::call(&um.system(), operation, &input.to_string()).await.unwrap_err();
        assert!(!format!("{refused:?}").contains("myZ/"), "{operation}: {refused:?}");
    }
    let anonymous = um.anonymous(RequestContext::default());
    ffi::call(&anonymous, "users.create", &tries[0].1.to_string()).await.unwrap_err();
    for odd in [
        json!(5),
        json!([secret]),
        json!({ "a": secret }),
        json!("\u{0}"),
        json!("$2b$05$é"),
        json!("x".repeat(1_000_000)),
    ] {
        let input = json!({ "email": "a@example.org", "password_hash": odd });
        let refused = ffi::call(&um.system(), "users.create", &input.to_string()).await.unwrap_err();
        assert!(refused.to_string().len() < 2_000 && !format!("{refused:?}").contains("myZ/"), "{refused:?}");
    }
    assert_eq!(all::<Credential>(&*storage).await.len(), before);
    let debug = format!(
        "{:?} {:?}",
        imported("a", secret),
        Config::new().password_pepper("p".repeat(32)).retired_peppers(["q".repeat(32)])
    );
    assert!(!debug.contains("myZ/") && !debug.contains("pppp") && !debug.contains("qqqq"), "{debug}");
}

/// Passwords too long, with a NUL or half of a surrogate pair are alike for every account.
#[tokio::test]
async fn sec_1_odd_passwords_are_alike_for_every_account() {
    let (um, storage) = Interposed::open(policy()).await;
    signed_in(&um, "mia", &[]).await;
    um.system().users().create(imported("ada", BCRYPT)).await.unwrap();
    um.system().users().create(CreateUser::new("bob@example.org").username("bob")).await.unwrap();
    let anonymous = um.anonymous(RequestContext::default());
    for password in [
        format!("{:?}", "x".repeat(2_049)),
        format!("{:?}", "x".repeat(2_048)),
        format!("{:?}", "x".repeat(100_000)),
        "\"a\\u0000b\"".into(),
        "\"\\ud800 is no letter\"".into(),
        "\"\"".into(),
        "\"e\\u0300\"".into(),
        format!("\"{}\"", "\\u0301".repeat(1_000)),
    ] {
        let mut answers = Vec::new();
        for name in ["mia", "ada", "bob", "nobody"] {
            storage.calls();
            let input = format!("{{\"identifier\":\"{name}\",\"password\":{password}}}");
            let refused = ffi::call(&anonymous, "sessions.login", &input).await.unwrap_err();
            // What is no JSON says where, which the length of the name moves.
            let said = (refused.reason() != Reason::InvalidJson).then(|| refused.message().to_owned());
            answers.push((refused.reason(), said, storage.calls()));
        }
        assert!(answers.iter().all(|one| *one == answers[0]), "{:.40} {answers:?}", password);
    }
}

/// A sign-in that is deleted, suspended, changed or expired while its hash is renewed leaves nothing behind.
#[tokio::test]
async fn sec_6_deletion_and_expiry_win_over_a_rehash() {
    let (um, storage) = Interposed::open(policy()).await;
    let ada = um.system().users().create(imported("ada", BCRYPT)).await.unwrap();
    let bob = um.system().users().create(imported("bob", BCRYPT)).await.unwrap();
    let cyd = um.system().users().create(imported("cyd", BCRYPT)).await.unwrap();
    let system = um.system();
    storage.before_next_commit(async move { system.users().delete(DeleteUser::new(ada.id)).await.unwrap() });
    assert!(!is_let_in(&um, "ada", FOREIGN).await);
    let system = um.system();
    storage.before_next_commit(async move {
        system.passwords().expire(ExpirePasswords::new().user_ids([bob.id])).await.unwrap();
    });
    assert_eq!(um.login("bob", FOREIGN, RequestContext::default()).await.unwrap().step, SignInStep::Password);
    let system = um.system();
    storage.before_next_commit(async move { drop(system.users().suspend(SuspendUser::new(cyd.id)).await.unwrap()) });
    assert!(!is_let_in(&um, "cyd", FOREIGN).await);
    let kept = all::<Credential>(&*storage).await;
    assert_eq!(kept.len(), 3);
    // Deleted and suspended: their hashes stay as they were.
    let is_as_before = |one: &&Credential| one.hash_cost.as_deref() == Some("bcrypt$c=5");
    assert_eq!(kept.iter().filter(is_as_before).count(), 2);
    // A commit that fails keeps the old hash, and the next sign-in goes on.
    um.system().users().create(imported("dan", BCRYPT)).await.unwrap();
    storage.fail_next_commit();
    um.login("dan", FOREIGN, RequestContext::default()).await.unwrap_err();
    assert!(is_let_in(&um, "dan", FOREIGN).await);
}

/// Whoever leaves while its hash is renewed leaves the account as it was or renewed, and gives its place back.
#[tokio::test]
async fn sec_15_callers_who_leave_give_their_places_back() {
    let config = Config::new().hashing_parallel(1).hashing_queue(1);
    let (um, storage) = Interposed::open_as(policy(), |builder| builder.config(config)).await;
    um.system().users().create(imported("ada", BCRYPT)).await.unwrap();
    for millis in [0, 1, 5, 20, 80] {
        let left = tokio::time::timeout(
            std::time::Duration::from_millis(millis),
            um.login("ada", "not the password at all", RequestContext::default()),
        );
        drop(left.await);
    }
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert!(is_let_in(&um, "ada", FOREIGN).await);
    assert!(is_let_in(&um, "ada", FOREIGN).await);
    assert_eq!(all::<Credential>(&*storage).await.len(), 1);
}

/// Inspect says of an access token what authenticating by it says.
#[tokio::test]
async fn aut_19_inspect_agrees_with_authenticate() {
    let clock = Ahead::standing_still();
    let um = store_at(&clock).await;
    let anonymous = um.anonymous(RequestContext::default());
    let agree = async |token: &rolekeep::Secret, expected: bool| {
        let told = anonymous.sessions().inspect(InspectToken::new(token.clone())).await.unwrap();
        let taken = um.authenticate(token.expose(), RequestContext::default()).await.is_ok();
        assert_eq!((told.active, taken), (expected, expected), "{told:?}");
    };
    let (_, id) = signed_in(&um, "ada", &[]).await;
    let login = async || um.login("ada", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    let token = login().await.access_token;
    agree(&token, true).await;
    clock.pass(14 * 60 + 58);
    agree(&token, true).await;
    clock.pass(3);
    agree(&token, false).await;
    let token = login().await.access_token;
    agree(&token, true).await;
    um.system().users().suspend(SuspendUser::new(id)).await.unwrap();
    agree(&token, false).await;
    um.system().users().delete(DeleteUser::new(id)).await.unwrap();
    agree(&token, false).await;
    // The first user's rows are gone; another one's token is changed in its last letter and cut.
    signed_in(&um, "bob", &[]).await;
    let token = um.login("bob", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap().access_token;
    let text = token.expose();
    agree(&text[..text.len() - 1].into(), false).await;
    agree(&format!("{text}A").into(), false).await;
    agree(&format!(" {text}").into(), false).await;
    agree(&token, true).await;
}

/// What is typed and what is stored stand nowhere else: not in the audit log, the denials, the keys of requests.
#[tokio::test]
async fn sec_13_hashes_and_passwords_are_stored_nowhere_else() {
    let storage = Arc::new(MemoryStorage::new());
    let um = open(storage.clone(), Config::new().password_pepper("pepper that is of thirty-two bytes")).await;
    let (admin, _) = caller(&um, "root", &["admin"]).await;
    let input = json!({ "email": "x@example.org", "password_hash": BCRYPT });
    ffi::call(&admin, "users.create", &input.to_string()).await.unwrap_err();
    let once = um.system().with_request(RequestContext::default().idempotency_key("first"));
    once.users().create(imported("ada", BCRYPT)).await.unwrap();
    assert!(is_let_in(&um, "ada", FOREIGN).await);
    assert!(!is_let_in(&um, "ada", "typed secret of mine").await);
    for table in rolekeep::storage::tables() {
        let rows = storage.query(&Query::of(table, Predicate::Always)).await.unwrap().rows;
        let text = rows.iter().map(|row| format!("{:?}", row.0)).collect::<String>();
        for secret in ["typed secret", "myZ/", "stäple", "pepper that", "$argon2id"] {
            assert!(table.name == "credentials" || !text.contains(secret), "{secret} in {}", table.name);
        }
        if table.name == "credentials" {
            assert!(!text.contains("myZ/") && !text.contains("stäple"));
        }
    }
}

/// A rehash that comes between the plan and the commit of whoever sets, changes, expires or deletes loses against it.
#[tokio::test]
async fn sec_6_a_rehash_in_between_undoes_nothing() {
    let (um, storage) = Interposed::open(policy()).await;
    let next = open(storage.clone(), Config::new().hashing_iterations(3)).await;
    let new = "another good one of ours";
    let renew = |name: &'static str, password: &'static str| {
        let next = next.clone();
        storage.before_next_commit(async move {
            next.login(name, password, RequestContext::default()).await.unwrap();
        });
    };
    let cost = async |id| {
        let all = all::<Credential>(&*storage).await;
        all.into_iter().find(|one| one.user_id == id)
    };

    let (me, ada) = signed_in(&um, "ada", &[]).await;
    renew("ada", PASSWORD);
    me.passwords().change(rolekeep::passwords::ChangePassword::new(PASSWORD, new)).await.unwrap();
    assert!(storage.has_acted() && !is_let_in(&um, "ada", PASSWORD).await && is_let_in(&um, "ada", new).await);

    renew("ada", "another good one of ours");
    let set = rolekeep::passwords::SetPassword::new(ada, PASSWORD).is_temporary(true);
    um.system().passwords().set(set).await.unwrap();
    let kept = cost(ada).await.unwrap();
    assert!(
        storage.has_acted() && kept.must_change && kept.temporary_until.is_some() && !is_let_in(&um, "ada", new).await
    );

    let (_, bob) = signed_in(&um, "bob", &[]).await;
    renew("bob", PASSWORD);
    um.system().passwords().expire(ExpirePasswords::new().user_ids([bob])).await.unwrap();
    assert!(storage.has_acted() && cost(bob).await.unwrap().must_change);

    let (_, cyd) = signed_in(&um, "cyd", &[]).await;
    renew("cyd", PASSWORD);
    um.system().users().delete(DeleteUser::new(cyd)).await.unwrap();
    assert!(storage.has_acted() && !is_let_in(&um, "cyd", PASSWORD).await);
}

/// Many imports at once: each moves the row of its cost, so that all others are stale.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aut_3_imports_at_once_do_not_shut_one_another_out() {
    let (um, storage) = Interposed::open(policy()).await;
    um.system().users().create(imported("first", BCRYPT)).await.unwrap();
    storage.slow_down(3);
    storage.share();
    let other = open(storage.clone(), Config::new()).await;
    let tasks: Vec<_> = (0..60)
        .map(|at| {
            let um = if at % 2 == 0 { um.clone() } else { other.clone() };
            tokio::spawn(
                async move { um.system().users().create(imported(&format!("user{at}"), BCRYPT)).await.map(drop) },
            )
        })
        .collect();
    let mut failed = Vec::new();
    for task in tasks {
        failed.extend(task.await.unwrap().err().map(|error| error.to_string()));
    }
    assert!(failed.is_empty(), "{} of 60 fail: {}", failed.len(), failed[0]);
}
