//! Usernames beyond ASCII: nobody takes one that looks like another's, also not one that was there before they were allowed (decision 039).

use std::sync::Arc;

use rolekeep::{
    Config, NamesAfterDelete, NamesAfterPurge, Policy, Reason, Registration, RequestContext, UserId, UserManagement,
    UsernameProfile,
    internals::registry::Claim,
    setup::{Seed, SeedUser},
    storage::{MemoryStorage, SqliteOptions, SqliteStorage, Storage},
    users::{CreateUser, DeleteUser, FindUser, PurgeUser, RegisterUser, RestoreUser, UpdateUser},
};

use super::kit::{Interposed, all};
use crate::cheap;

const PASSWORD: &str = "correct horse battery staple";

fn precis() -> Config {
    cheap::config().username_profile(UsernameProfile::Precis)
}

struct Store {
    um: UserManagement,
    storage: Arc<dyn Storage>,
}

impl Store {
    async fn open(storage: &Arc<dyn Storage>, config: Config) -> Self {
        let builder = cheap::builder().config(config).storage(storage.clone());
        let um = builder.policy(Policy::preset("standard").unwrap()).open().await.unwrap();
        Self { um, storage: storage.clone() }
    }

    async fn in_memory(config: Config) -> Self {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        Self::open(&storage, config).await
    }

    async fn create(&self, name: &str) -> Result<UserId, Reason> {
        let email = format!("{}@example.org", uuid::Uuid::now_v7());
        let new = CreateUser::new(email).username(name).password(PASSWORD);
        self.um.system().users().create(new).await.map(|user| user.id).map_err(|error| error.reason())
    }

    async fn rename(&self, id: UserId, name: &str) -> Result<String, Reason> {
        let updated = self.um.system().users().update(UpdateUser::new(id).username(name.to_owned())).await;
        updated.map(|changed| changed.user.username.unwrap()).map_err(|error| error.reason())
    }

    async fn purge(&self, id: UserId) {
        self.um.system().users().delete(DeleteUser::new(id)).await.unwrap();
        self.um.system().users().purge(PurgeUser::new(id)).await.unwrap();
    }

    /// Who is found by a name, and signs in by it.
    async fn owner(&self, name: &str) -> Option<UserId> {
        let found = self.um.system().users().find(FindUser::new().username(name)).await.ok().map(|user| user.id);
        let signed_in = self.um.login(name, PASSWORD, RequestContext::default()).await.ok();
        assert_eq!(signed_in.map(|done| done.done().unwrap().user.id), found, "{name}");
        found
    }

    async fn claims(&self, kind: &str) -> Vec<Claim> {
        all::<Claim>(&*self.storage).await.into_iter().filter(|claim| claim.kind == kind).collect()
    }

    /// How far the names that were there have been gone through.
    async fn state(&self) -> String {
        let claims = self.claims(Claim::LOOKS).await;
        claims.into_iter().find(|claim| claim.name.is_empty()).map(|claim| claim.owner).unwrap_or_default()
    }

    /// As long as it takes.
    async fn gone_through(&self) {
        while self.state().await.contains(' ') {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

async fn nobody_looks_like_another(storage: Arc<dyn Storage>) {
    let store = Store::open(&storage, precis()).await;
    let ann = store.create("Ааа").await.unwrap();
    // By its key alone it signs in, however that is typed.
    assert_eq!(store.owner("ААА").await, Some(ann));
    assert_eq!(store.owner("aaa").await, None);
    for taken in ["aaa", "AAA", "ааА", "Ꭺaa"] {
        assert!(store.create(taken).await.is_err(), "{taken}");
    }
    let error = store.um.system().users().create(CreateUser::new("x@example.org").username("aaa")).await.unwrap_err();
    let fields: Vec<_> = error.fields().iter().map(|field| (field.field.as_str(), field.message.as_str())).collect();
    assert_eq!((error.reason(), &fields[..]), (Reason::Taken, &[("username", "this username is taken")][..]));

    // In capitals, which nobody typed.
    store.create("ΑΒΕ").await.unwrap();
    assert_eq!(store.create("abe").await, Err(Reason::Taken));
    // A name is let go with what it looks like, and one's own is no obstacle.
    assert_eq!(store.rename(ann, "aaa").await.as_deref(), Ok("aaa"));
    assert_eq!(store.create("ааа").await, Err(Reason::Taken));
    assert_eq!(store.rename(ann, "Ольга").await.as_deref(), Ok("Ольга"));
    let bob = store.create("ааа").await.unwrap();
    assert_eq!(store.rename(ann, "aaa").await, Err(Reason::Taken));
    assert_eq!(store.rename(ann, "ольга").await.as_deref(), Ok("ольга"));
    // No more rows than names have looks: two each, of small letters and capitals.
    let owners = store.claims(Claim::LOOK).await.into_iter().map(|claim| claim.owner);
    assert_eq!(owners.filter(|owner| *owner == bob.to_string()).count(), 2);
    assert_eq!(store.claims(Claim::LOOK).await.len(), 6);
}

/// Those that were there: each stays whose it is, and nobody else takes what it looks like.
async fn names_of_before_are_reserved(storage: Arc<dyn Storage>) {
    let store = Store::open(&storage, cheap::config()).await;
    let one = store.create("user1").await.unwrap();
    let other = store.create("userl").await.unwrap();
    let ann = store.create("aaa").await.unwrap();
    let gone = store.create("coco").await.unwrap();
    store.purge(gone).await;
    let deleted = store.create("eee").await.unwrap();
    store.um.system().users().delete(DeleteUser::new(deleted)).await.unwrap();
    assert!(store.claims(Claim::LOOK).await.is_empty() && store.state().await.is_empty());

    let store = Store::open(&storage, precis()).await;
    assert!(!store.state().await.contains(' '), "{}", store.state().await);
    for taken in ["ааа", "сосо", "еее", "usеrl", "useri"] {
        assert!(store.create(taken).await.is_err(), "{taken}");
    }
    // Both stay, and neither goes so that others may look like the other.
    assert_eq!((store.owner("user1").await, store.owner("userl").await), (Some(one), Some(other)));
    assert_eq!(store.rename(one, "USER1").await.as_deref(), Ok("USER1"));
    store.purge(one).await;
    assert_eq!(store.create("useri").await, Err(Reason::Taken));
    assert_eq!(store.owner("userl").await, Some(other));
    store.rename(ann, "Анна").await.unwrap();
    store.create("ааа").await.unwrap();

    // By another profile it goes on, so that nothing slips in; and what is there stays.
    let store = Store::open(&storage, cheap::config()).await;
    assert_eq!(store.create("aaa").await, Err(Reason::Taken));
    assert_eq!(store.owner("анна").await, Some(ann));
    store.create("bbbb").await.unwrap();
    let store = Store::open(&storage, precis()).await;
    assert!(store.create("ЬЬЬЬ").await.is_err());
}

async fn on_both<S: AsyncFn(Arc<dyn Storage>)>(test: S) {
    test(Arc::new(MemoryStorage::new())).await;
    let folder = tempfile::tempdir().unwrap();
    test(Arc::new(SqliteStorage::open(SqliteOptions::new(folder.path().join("names.db"))).await.unwrap())).await;
}

#[tokio::test]
async fn sec_2_nobody_takes_a_username_that_looks_like_anothers() {
    on_both(nobody_looks_like_another).await;
}

#[tokio::test]
async fn sec_2_usernames_that_were_there_are_reserved_with_their_looks() {
    on_both(names_of_before_are_reserved).await;
}

/// Names in any number, in several pieces, by several instances at once, and begun anew where one ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usr_9_many_names_are_gone_through_in_pieces() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let store = Store::open(&storage, cheap::config()).await;
    let user = |at: usize| {
        let (id, email) = (UserId(uuid::Uuid::now_v7()), format!("u{at}@example.org"));
        SeedUser::new(id, email).username(format!("name_{at:x}_{at}"))
    };
    let users: Vec<SeedUser> = (0..1_205).map(user).collect();
    store.um.system().setup().seed(Seed::new().users(users)).await.unwrap();
    let both = tokio::join!(Store::open(&storage, precis()), Store::open(&storage, precis()));
    both.0.gone_through().await;
    assert_eq!(both.1.create("nаmе_ñ").await, Err(Reason::InvalidInput));
    let (names, looks) = (both.0.claims(Claim::USERNAME).await, both.0.claims(Claim::LOOK).await);
    let has_look = |name: &Claim| looks.iter().filter(|look| look.owner == name.owner).count() > 0;
    assert_eq!((names.len(), names.iter().filter(|name| has_look(name)).count()), (1_205, 1_205));
    assert_eq!(both.0.claims(Claim::LOOKS).await.len(), 1);
}

/// A purge reserves what the name looks like by the configuration for names; what was freed is everybody's.
#[tokio::test]
async fn usr_7_what_a_name_looks_like_goes_as_the_name_does() {
    let kept = Store::in_memory(precis()).await;
    let [ada, bob] = [kept.create("ааа").await.unwrap(), kept.create("bob").await.unwrap()];
    kept.purge(ada).await;
    kept.purge(bob).await;
    assert!(kept.claims(Claim::LOOK).await.is_empty());
    for taken in ["aaa", "ААА", "b0b", "Bob"] {
        assert_eq!(kept.create(taken).await, Err(Reason::Taken), "{taken}");
    }
    let freed = precis().names_after_purge(NamesAfterPurge::Freed).names_after_delete(NamesAfterDelete::Freed);
    let freed = Store::in_memory(freed).await;
    let ada = freed.create("ааа").await.unwrap();
    freed.um.system().users().delete(DeleteUser::new(ada)).await.unwrap();
    let eve = freed.create("aaa").await.unwrap();
    // It comes back by another name alone.
    let restore = freed.um.system().users().restore(RestoreUser::new(ada)).await;
    assert_eq!(restore.unwrap_err().reason(), Reason::Taken);
    freed.purge(eve).await;
    let restored = freed.um.system().users().restore(RestoreUser::new(ada)).await.unwrap();
    assert_eq!(restored.username.as_deref(), Some("ааа"));
    assert_eq!(freed.create("aaa").await, Err(Reason::Taken));
}

/// As long as those that are there have not been gone through, nothing beyond ASCII is given; what is new is noted from the first moment on, also by
/// an instance that was opened with another profile.
#[tokio::test]
async fn sec_2_nothing_slips_in_while_names_are_gone_through() {
    let (um, storage) = Interposed::open(Policy::preset("standard").unwrap()).await;
    storage.share();
    let basic = Store { um, storage: storage.clone() };
    basic.create("aaa").await.unwrap();
    // Between what it planned and its commit, another instance begins.
    let other: Arc<dyn Storage> = storage.clone();
    storage.before_next_commit(async move {
        Store::open(&other, precis()).await;
    });
    basic.create("ooo").await.unwrap();
    assert!(storage.has_acted());
    let other: Arc<dyn Storage> = storage.clone();
    let precise = Store::open(&other, precis()).await;
    for taken in ["ааа", "ооо"] {
        assert_eq!(precise.create(taken).await, Err(Reason::Taken), "{taken}");
    }
    basic.create("eee").await.unwrap();
    assert_eq!(precise.create("еее").await, Err(Reason::Taken));

    // It is not done yet, or was done by a later version.
    for state in ["18.0.0.1 under way", "999.0.0.1"] {
        set_state(&*storage, state).await;
        for name in ["Анна", "жжж"] {
            assert_eq!(precise.create(name).await, Err(Reason::NamesNotReady), "{name}");
        }
        assert_eq!(precise.create("eee").await, Err(Reason::Taken));
    }
    precise.create("plain").await.unwrap();
    set_state(&*storage, "0.0.0.1").await;
    let again = Store::open(&other, precis()).await;
    again.create("Анна").await.unwrap();
    again.create("рlаin").await.unwrap_err();
}

async fn set_state(storage: &dyn Storage, state: &str) {
    use rolekeep::{
        ChangeSetId, Time,
        storage::{ChangeSet, Write},
    };
    let claims = all::<Claim>(storage).await;
    let mut claim = claims.into_iter().find(|claim| claim.kind == Claim::LOOKS && claim.name.is_empty()).unwrap();
    claim.owner = state.to_owned();
    let (id, writes) = (ChangeSetId(uuid::Uuid::now_v7()), vec![Write::update(&mut claim)]);
    storage
        .commit(&ChangeSet { id, at: Time::now(), writes, checks: vec![], audit: vec![], events: vec![] })
        .await
        .unwrap();
}

/// Whoever registers hears of a name that looks like another's as of a taken one.
#[tokio::test]
async fn usr_2_registering_with_a_name_that_looks_like_anothers() {
    let store = Store::in_memory(precis().registration(Registration::Open)).await;
    store.create("ааа").await.unwrap();
    let gone = store.create("ooo").await.unwrap();
    store.purge(gone).await;
    let anybody = store.um.anonymous(RequestContext::default());
    for name in ["aaa", "ооо", "ooo"] {
        let new = RegisterUser::new("new@example.org", PASSWORD).username(name);
        assert_eq!(anybody.users().register(new).await.unwrap_err().reason(), Reason::Taken, "{name}");
    }
    anybody.users().register(RegisterUser::new("new@example.org", PASSWORD).username("Ñandú")).await.unwrap();
}
