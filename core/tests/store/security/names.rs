//! Addresses that were stored before A-labels decided whether two are the same: whoever had one has it (decision 039).

use std::sync::Arc;

use rolekeep::{
    ChangeSetId, Policy, Reason, RequestContext, Time, UserId, UserManagement,
    internals::{record::Record, registry::Claim, user::User},
    storage::{ChangeSet, MemoryStorage, SqliteOptions, SqliteStorage, Storage, Write},
    users::{CreateUser, FindUser, UpdateUser},
};

use super::kit::Interposed;
use crate::cheap;

const PASSWORD: &str = "correct horse battery staple";
const FORMER: &str = "ann@例え.jp";
const A_LABELS: &str = "ann@xn--r8jz45g.jp";

struct Store {
    um: UserManagement,
    storage: Arc<dyn Storage>,
}

impl Store {
    async fn open(storage: Arc<dyn Storage>) -> Self {
        let builder = cheap::builder().storage(storage.clone()).policy(Policy::preset("standard").unwrap());
        Self { um: builder.open().await.unwrap(), storage }
    }

    async fn create(&self, email: &str) -> Result<UserId, Reason> {
        let new = CreateUser::new(email).password(PASSWORD);
        self.um.system().users().create(new).await.map(|user| user.id).map_err(|error| error.reason())
    }

    async fn update(&self, id: UserId, email: &str) -> Result<String, Reason> {
        let updated = self.um.system().users().update(UpdateUser::new(id).email(email.to_owned())).await;
        updated.map(|changed| changed.user.email.unwrap()).map_err(|error| error.reason())
    }

    /// Who is found by an address, and signs in by it.
    async fn owner(&self, email: &str) -> Option<UserId> {
        let found = self.um.system().users().find(FindUser::new().email(email)).await.ok().map(|user| user.id);
        let signed_in = self.um.login(email, PASSWORD, RequestContext::default()).await.ok();
        assert_eq!(signed_in.map(|done| done.done().unwrap().user.id), found, "{email}");
        found
    }

    async fn claim(&self, name: &str) -> Option<Claim> {
        let key = Claim::key_of(&("email".to_owned(), name.to_owned()));
        let row = self.storage.get(Claim::TABLE, &[key]).await.unwrap().remove(0)?;
        Some(Claim::from_row(row).unwrap())
    }

    /// Moves the claim on an address to another form, and the account to the text that it was stored as.
    async fn store_as_before(&self, owner: UserId, from: &str, to: &str, email: &str) {
        let claim = self.claim(from).await.unwrap();
        let key = User::key_of(&(owner,));
        let user = self.storage.get(User::TABLE, std::slice::from_ref(&key)).await.unwrap().remove(0).unwrap();
        let user = User::from_row(user).unwrap();
        let (version, email) = (user.version, Some(email.to_owned()));
        let user = User { email, version: version + 1, ..user };
        let moved = Claim { name: to.to_owned(), version: 1, ..claim.clone() };
        let writes = vec![
            Write { table: Claim::TABLE, key: claim.key(), expected: Some(claim.version), row: None, before: None },
            Write { table: Claim::TABLE, key: moved.key(), expected: None, row: Some(moved.to_row()), before: None },
            Write { table: User::TABLE, key, expected: Some(version), row: Some(user.to_row()), before: None },
        ];
        let id = ChangeSetId(uuid::Uuid::now_v7());
        let change = ChangeSet { id, at: Time::now(), writes, checks: vec![], audit: vec![], events: vec![] };
        self.storage.commit(&change).await.unwrap();
    }
}

async fn former_names_are_their_owners(storage: Arc<dyn Storage>) {
    let store = Store::open(storage).await;
    let ann = store.create(FORMER).await.unwrap();
    assert!(store.claim(A_LABELS).await.is_some() && store.claim(FORMER).await.is_none());
    store.store_as_before(ann, A_LABELS, FORMER, FORMER).await;

    assert_eq!(store.owner("ANN@例え.JP").await, Some(ann));
    for taken in [FORMER, A_LABELS, "Ann@例え.jp", "ann@例え。jp"] {
        assert_eq!(store.create(taken).await, Err(Reason::Taken), "{taken}");
    }

    // Who has the address keeps it, however it is written now.
    assert_eq!(store.update(ann, A_LABELS).await, Ok(FORMER.to_owned()));
    assert_eq!(store.owner(FORMER).await, Some(ann));

    // Once it is let go, it is everybody's, and a new claim is by A-labels.
    store.update(ann, "ann@example.org").await.unwrap();
    assert!(store.claim(FORMER).await.is_none() && store.owner(FORMER).await.is_none());
    let bob = store.create(FORMER).await.unwrap();
    assert!(store.claim(FORMER).await.is_none());
    assert_eq!((store.owner(FORMER).await, store.owner(A_LABELS).await), (Some(bob), Some(bob)));
}

/// Both were there, so both stay, each by what it signed in with.
async fn two_accounts_of_before_stay(storage: Arc<dyn Storage>) {
    let store = Store::open(storage).await;
    let ann = store.create(FORMER).await.unwrap();
    store.store_as_before(ann, A_LABELS, FORMER, FORMER).await;
    let bob = store.create("bob@example.org").await.unwrap();
    store.store_as_before(bob, "bob@example.org", A_LABELS, A_LABELS).await;

    assert_eq!((store.owner(FORMER).await, store.owner(A_LABELS).await), (Some(ann), Some(bob)));
    assert_eq!(store.create(FORMER).await, Err(Reason::Taken));
    assert_eq!(store.update(bob, FORMER).await, Err(Reason::Taken));
    store.update(ann, "ann@example.org").await.unwrap();
    assert_eq!((store.owner(FORMER).await, store.owner(A_LABELS).await), (Some(bob), Some(bob)));
    // The text is another one now, the name is not.
    store.update(bob, FORMER).await.unwrap();
    assert_eq!((store.owner(FORMER).await, store.owner(A_LABELS).await), (Some(bob), Some(bob)));
    store.update(bob, "bob@example.org").await.unwrap();
    assert_eq!((store.owner(FORMER).await, store.owner(A_LABELS).await), (None, None));
}

/// Of two domains that were one name, one may be exchanged for the other; the name is not lost by it.
async fn one_name_becomes_another(storage: Arc<dyn Storage>) {
    let store = Store::open(storage).await;
    let (final_sigma, sigma) = ("ann@βόλος.gr", "ann@βόλοσ.gr");
    let ann = store.create(final_sigma).await.unwrap();
    store.store_as_before(ann, "ann@xn--nxasmm1c.gr", sigma, final_sigma).await;
    store.update(ann, sigma).await.unwrap();
    assert_eq!(store.owner(sigma).await, Some(ann));
    assert_eq!(store.owner(final_sigma).await, None);
    let bob = store.create(final_sigma).await.unwrap();
    assert_eq!((store.owner(sigma).await, store.owner(final_sigma).await), (Some(ann), Some(bob)));
}

async fn all<S: Storage + 'static>(storage: impl AsyncFn() -> S) {
    former_names_are_their_owners(Arc::new(storage().await)).await;
    two_accounts_of_before_stay(Arc::new(storage().await)).await;
    one_name_becomes_another(Arc::new(storage().await)).await;
}

#[tokio::test]
async fn sec_2_addresses_stored_before_are_their_owners_in_memory() {
    all(async || MemoryStorage::new()).await;
}

#[tokio::test]
async fn sec_2_addresses_stored_before_are_their_owners_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let file = || folder.path().join(uuid::Uuid::now_v7().to_string());
    all(async || SqliteStorage::open(SqliteOptions::new(file())).await.unwrap()).await;
}

/// While instances of before and of now share a storage.
#[tokio::test]
async fn sec_2_a_claim_of_the_former_form_that_comes_meanwhile_counts() {
    let (um, storage) = Interposed::open(Policy::preset("standard").unwrap()).await;
    storage.share();
    let rival = storage.clone();
    storage.before_next_commit(async move {
        let (kind, name, owner) = ("email".to_owned(), FORMER.to_owned(), UserId(uuid::Uuid::now_v7()).to_string());
        let claim = Claim { kind, name, owner, held_until: None, version: 1 };
        let write =
            Write { table: Claim::TABLE, key: claim.key(), expected: None, row: Some(claim.to_row()), before: None };
        let id = ChangeSetId(uuid::Uuid::now_v7());
        let change =
            ChangeSet { id, at: Time::now(), writes: vec![write], checks: vec![], audit: vec![], events: vec![] };
        rival.commit(&change).await.unwrap();
    });
    let error = um.system().users().create(CreateUser::new(A_LABELS)).await.unwrap_err();
    assert!(storage.has_acted());
    assert_eq!(error.reason(), Reason::Taken);
}
