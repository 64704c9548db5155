//! Every credential beside all that ends one (ASVS 7.4): what is refused from the next call on, what only while the account is off, and
//! what goes on; where it happened, and within a second at another instance on the same file.

use std::{
    path::Path,
    sync::Mutex,
    time::{Duration, Instant},
};

use rolekeep::{
    ApiKeyId, Builder, Caller, IdentityId, Policy, Reason, RequestContext, Result, Secret, SessionId, UserId,
    UserManagement,
    api_keys::{CreateApiKey, RevokeApiKey},
    email::{ChangeEmail, ConfirmEmail, RevertEmail},
    environment::Environment,
    factors::{AddFactor, RemoveFactor, ResetFactorsOf},
    identities::UnlinkIdentity,
    invitations::{AcceptInvitation, CreateInvitation},
    passwords::{ChangePassword, ExpirePasswords, ForgotPassword, ResetPassword, SetPassword, SetTemporaryPassword},
    roles::UnassignRole,
    sessions::{Impersonate, Refresh, RevokeAllSessions, RevokeEveryone, RevokeSession, Tokens},
    sign_in::{ChoosePassword, ProveFactor, SignInByMail, SignInByToken, StartSignInByMail},
    users::{ActivateUser, BanUser, CreateUser, DeactivateUser, DeleteUser, LiftUser, SuspendUser, UpdateUser},
    verification::ConfirmVerification,
};
use serde_json::json;

use super::kit::{Ahead, PASSWORD};
use crate::{authenticator, cheap, issuer::Issuer, mails::Mails};

const ISSUER: &str = "https://login.example.org";
const NEW: &str = "another horse battery staple";
const POLICY: &str = r#"
[roles.admin]
allow = ["admin:all"]

[roles.host]
allow = ["user:invite", "user:create", "user:update"]
"#;

/// A credential, by its place in a row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// Of a session of Dora's that is not the one in which something happens.
    Access,
    Refreshing,
    /// An API key.
    Key,
    /// Eva acts as Dora.
    Acting,
    /// A token of another issuer, taken in place of an access token.
    Foreign,
    /// A sign-in by mail in the middle.
    Mail,
    /// A link to a new password.
    Reset,
    /// A link to a new address.
    Change,
    /// A link that undoes a change of the address.
    Revert,
    /// An invitation that Dora sent.
    Invitation,
    /// A link that proves Gil's address.
    Verification,
    /// A sign-in of Fay's that owes a code of her app.
    Factor,
    /// A sign-in of Hal's that owes a new password.
    Password,
}

use Held::*;

const ALL: [Held; 13] =
    [Access, Refreshing, Key, Acting, Foreign, Mail, Reset, Change, Revert, Invitation, Verification, Factor, Password];

/// What happens, to each of the four unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Nothing,
    /// By Dora, Gil and Fay themselves.
    Changed,
    /// By a link, of Dora, Gil and Fay.
    ResetByLink,
    SetByHost,
    SetTemporary,
    Expired,
    /// By the application.
    EmailChanged,
    /// Dora's.
    EmailReverted,
    /// To Dora's account and Gil's.
    FactorAdded,
    /// Fay's.
    FactorRemoved,
    FactorsReset,
    Deactivated,
    Suspended,
    Banned,
    Deleted,
    LoggedOutEverywhere,
    LoggedOutWithKeys,
    EverybodyOut,
    EverybodyOutWithKeys,
    /// The one session.
    SessionRevoked,
    LoggedOut,
    RefreshReused,
    KeyRevoked,
    Unlinked,
    /// Dora's, by which she invites.
    RoleTaken,
    /// Eva's, by which she acts as others.
    AdminTaken,
    EvaLoggedOut,
}

use Cause::*;

/// What becomes of each: `.` it goes on, `x` it is refused for good, `z` while the account is off, `-` there is none.
///
/// In the order of [`ALL`]: access, refresh, key, acting, foreign; mail, reset, change, revert, invitation; verification, factor,
/// password.
const FATES: [(Cause, &[u8; 15]); 27] = [
    (Nothing, b"..... ..... ..."),
    (Changed, b"xx.xx xxx.. .x."),
    (ResetByLink, b"xxxxx xxx.. xx."),
    (SetByHost, b"xxxxx xxx.. .xx"),
    (SetTemporary, b"xxxxx xxx.. .xx"),
    (Expired, b"..... ..... ..."),
    (EmailChanged, b"xx.xx xxxx. xxx"),
    (EmailReverted, b"xxxxx xxxx. ..."),
    (FactorAdded, b"xx.xx xxx.. ..."),
    (FactorRemoved, b"..... ..... .x."),
    (FactorsReset, b"..... ..... .x."),
    (Deactivated, b"xxzxx xxxzz zxx"),
    (Suspended, b"xxzxx xxxzz zxx"),
    (Banned, b"xxxxx xxxzz zxx"),
    (Deleted, b"xxxxx xxxxx xxx"),
    (LoggedOutEverywhere, b"xx.xx xxx.. .xx"),
    (LoggedOutWithKeys, b"xxxxx xxx.. .xx"),
    (EverybodyOut, b"xx.x. x.... .xx"),
    (EverybodyOutWithKeys, b"xxxx. x.... .xx"),
    (SessionRevoked, b"xx... ..... ..."),
    (LoggedOut, b"xx... ..... ..."),
    (RefreshReused, b"xx... ..... ..."),
    (KeyRevoked, b"..x.. ..... ..."),
    (Unlinked, b"....x xxx.. ..."),
    (RoleTaken, b"..... ....x ..."),
    (AdminTaken, b"...x. ..... ..."),
    (EvaLoggedOut, b"...x. ..... ..."),
];

/// A store, with somebody else at the same file if there is one, and the four to whom something happens.
struct World {
    um: UserManagement,
    elsewhere: UserManagement,
    clock: Ahead,
    mails: Mails,
    dora: UserId,
    gil: UserId,
    fay: UserId,
    hal: UserId,
    eva: UserId,
    /// The sessions in which they do something.
    by_dora: Caller,
    by_gil: Caller,
    by_fay: Caller,
    by_eva: Caller,
    session: SessionId,
    key: ApiKeyId,
    identity: IdentityId,
    /// The code of the sign-in by mail.
    code: Secret,
    issuer: Issuer,
    /// What Dora's app has, once she has one.
    dora_app: Mutex<Option<Secret>>,
    texts: [Secret; 13],
}

impl World {
    async fn open(file: Option<&Path>) -> Self {
        let (clock, mails) = (Ahead::new(), Mails::default());
        let issuer = Issuer::new(ISSUER, 7);
        let opened = |file: Option<&Path>| {
            let config = cheap::config().sign_in_tries(0).mail_sign_in(true).signing_key("k".repeat(32));
            let config = config.trusted_issuers([issuer.trusted().access_tokens(true)]);
            let builder: Builder = cheap::builder().config(config).policy(Policy::from_toml(POLICY).unwrap());
            let builder = builder.environment(clock.clone()).notifier(mails.clone());
            match file {
                Some(file) => builder.sqlite(file),
                None => builder,
            }
        };
        let um = opened(file).open().await.unwrap();
        let elsewhere = match file {
            Some(file) => opened(Some(file)).open().await.unwrap(),
            None => um.clone(),
        };
        let create = async |new: CreateUser| um.system().users().create(new).await.unwrap().id;
        let named = |name: &str| CreateUser::new(format!("{name}@example.org")).username(name).password(PASSWORD);
        let dora = CreateUser::external(ISSUER, "dora").email("dora@example.net").username("dora").password(PASSWORD);
        let dora = create(dora.roles(["host"])).await;
        let (gil, fay) = (create(named("gil")).await, create(named("fay")).await);
        let (hal, eva) = (create(named("hal")).await, create(named("eva").roles(["admin"])).await);
        create(named("root").roles(["admin"])).await;

        let begin = Begin { um: &um, clock: &clock, mails: &mails };
        begin.prove_and_change().await;
        let revert = begin.mailed("email_changed", "dora@example.net").await;
        clock.pass(61);
        let by_dora = begin.caller("dora").await;
        let tokens = begin.tokens("dora").await;
        let made = by_dora.api_keys().create(CreateApiKey::new("a program")).await.unwrap();
        let identity = by_dora.identities().list().await.unwrap()[0].id;
        let by_eva = begin.caller("eva").await;
        let acting = by_eva.sessions().impersonate(Impersonate::new(dora, "Ticket 4711")).await.unwrap();
        let foreign = issuer.token("dora", clock.now().as_second(), json!({}));
        let anybody = um.anonymous(RequestContext::default());
        let mail = anybody.sign_in().mail_start(StartSignInByMail::new("dora")).await.unwrap().challenge;
        let code = begin.mails.take("sign_in_code", "dora@example.org").await.code.unwrap();
        let reset = begin.forgot("dora").await;
        by_dora.email().change(ChangeEmail::new("dora@example.com")).await.unwrap();
        let change = begin.mailed("email_change", "dora@example.com").await;
        by_dora.invitations().create(CreateInvitation::new("gwen@example.org")).await.unwrap();
        let invitation = begin.mailed("invitation", "gwen@example.org").await;
        let by_gil = begin.caller("gil").await;
        by_gil.verification().send().await.unwrap();
        let verification = begin.mailed("verification", "gil@example.org").await;
        let (by_fay, factor) = begin.with_app("fay").await;
        let given = um.system().passwords().set_temporary(SetTemporaryPassword::new(hal)).await.unwrap();
        let hals = um.login("hal", given.password.expose(), RequestContext::default()).await.unwrap();
        // What is asked for once in a minute may be asked for again; and whoever goes by whole seconds has seen one pass.
        clock.pass(61);
        let texts = [
            tokens.access_token,
            tokens.refresh_token,
            made.key,
            acting.access_token,
            foreign,
            mail,
            reset,
            change,
            revert,
            invitation,
            verification,
            factor,
            hals.challenge.unwrap(),
        ];
        let (session, key) = (tokens.session_id, made.api_key.id);
        Self {
            um,
            elsewhere,
            clock,
            mails,
            dora,
            gil,
            fay,
            hal,
            eva,
            by_dora,
            by_gil,
            by_fay,
            by_eva,
            session,
            key,
            identity,
            code,
            issuer,
            dora_app: Mutex::default(),
            texts,
        }
    }

    fn begin(&self) -> Begin<'_> {
        Begin { um: &self.um, clock: &self.clock, mails: &self.mails }
    }

    fn all(&self) -> [UserId; 4] {
        [self.dora, self.gil, self.fay, self.hal]
    }

    fn text(&self, held: Held) -> Secret {
        self.texts[held as usize].clone()
    }

    async fn happens(&self, cause: Cause) {
        let (system, anybody) = (self.um.system(), self.um.anonymous(RequestContext::default()));
        match cause {
            Nothing => {}
            Changed => {
                for me in [&self.by_dora, &self.by_gil, &self.by_fay] {
                    drop(me.passwords().change(ChangePassword::new(PASSWORD, NEW)).await.unwrap());
                }
            }
            ResetByLink => {
                for name in ["dora", "gil", "fay"] {
                    let token = self.begin().forgot(name).await;
                    drop(anybody.passwords().reset(ResetPassword::new(token, NEW)).await.unwrap());
                }
            }
            SetByHost => {
                for user in self.all() {
                    let set = SetPassword::new(user, NEW).is_temporary(false);
                    system.passwords().set(set).await.unwrap();
                }
            }
            SetTemporary => {
                for user in self.all() {
                    drop(system.passwords().set_temporary(SetTemporaryPassword::new(user)).await.unwrap());
                }
            }
            Expired => system.passwords().expire(ExpirePasswords::new().user_ids(self.all())).await.unwrap(),
            EmailChanged => {
                for (at, user) in self.all().into_iter().enumerate() {
                    let other = UpdateUser::new(user).email(format!("other{at}@example.org"));
                    drop(system.users().update(other).await.unwrap());
                }
            }
            EmailReverted => anybody.email().revert(RevertEmail::new(self.text(Revert))).await.unwrap(),
            FactorAdded => {
                drop(self.begin().add_app(&self.by_gil).await);
                *self.dora_app.lock().unwrap() = Some(self.begin().add_app(&self.by_dora).await.1);
            }
            FactorRemoved => {
                let listed = self.by_fay.factors().list().await.unwrap();
                drop(self.by_fay.factors().remove(RemoveFactor::new(listed.factors[0].id)).await.unwrap());
            }
            FactorsReset => {
                for user in self.all() {
                    system.factors().reset_of(ResetFactorsOf::new(user)).await.unwrap();
                }
            }
            Deactivated => {
                for user in self.all() {
                    drop(system.users().deactivate(DeactivateUser::new(user)).await.unwrap());
                }
            }
            Suspended => {
                for user in self.all() {
                    drop(system.users().suspend(SuspendUser::new(user)).await.unwrap());
                }
            }
            Banned => {
                for user in self.all() {
                    drop(system.users().ban(BanUser::new(user)).await.unwrap());
                }
            }
            Deleted => {
                for user in self.all() {
                    system.users().delete(DeleteUser::new(user)).await.unwrap();
                }
            }
            LoggedOutEverywhere | LoggedOutWithKeys => {
                for user in self.all() {
                    let all = RevokeAllSessions::new().user_id(user).revoke_keys(cause == LoggedOutWithKeys);
                    system.sessions().revoke_all(all).await.unwrap();
                }
            }
            EverybodyOut | EverybodyOutWithKeys => {
                let everyone = RevokeEveryone::new().revoke_keys(cause == EverybodyOutWithKeys);
                system.sessions().revoke_everyone(everyone).await.unwrap();
            }
            SessionRevoked => self.by_dora.sessions().revoke(RevokeSession::new(self.session)).await.unwrap(),
            LoggedOut => {
                let elsewhere = self.text(Access);
                let me = self.um.authenticate(elsewhere.expose(), RequestContext::default()).await.unwrap();
                me.sessions().logout().await.unwrap();
            }
            RefreshReused => {
                let refresh = async || anybody.sessions().refresh(Refresh::new(self.text(Refreshing))).await;
                drop(refresh().await.unwrap());
                self.clock.pass(31);
                assert_eq!(refresh().await.unwrap_err().reason(), Reason::InvalidToken);
            }
            KeyRevoked => self.by_dora.api_keys().revoke(RevokeApiKey::new(self.key)).await.unwrap(),
            Unlinked => self.by_dora.identities().unlink(UnlinkIdentity::new(self.identity)).await.unwrap(),
            RoleTaken => system.roles().unassign(UnassignRole::new(self.dora, "host")).await.unwrap(),
            AdminTaken => system.roles().unassign(UnassignRole::new(self.eva, "admin")).await.unwrap(),
            EvaLoggedOut => self.by_eva.sessions().logout().await.unwrap(),
        }
    }

    /// Accounts that were switched off are on again.
    async fn back_again(&self, cause: Cause) {
        for user in self.all() {
            match cause {
                Deactivated => drop(self.um.system().users().activate(ActivateUser::new(user)).await.unwrap()),
                Suspended | Banned => drop(self.um.system().users().lift(LiftUser::new(user)).await.unwrap()),
                _ => {}
            }
        }
    }

    /// Whether one is taken for what it is, there; beside it something may be wrong that is found out later.
    async fn is_good(&self, held: Held, um: &UserManagement) -> bool {
        let (text, anybody) = (self.text(held), um.anonymous(RequestContext::default()));
        match held {
            Access | Key | Acting | Foreign => match um.authenticate(text.expose(), RequestContext::default()).await {
                Ok(me) => me.users().me().await.is_ok(),
                Err(_) => false,
            },
            Refreshing => anybody.sessions().refresh(Refresh::new(text)).await.is_ok(),
            // A wrong code is answered as a challenge that has ended.
            Mail => anybody.sign_in().mail(SignInByMail::new(text, self.code.clone())).await.is_ok(),
            Reset => is_taken(anybody.passwords().reset(ResetPassword::new(text, "short")).await),
            Change => match self.signed_in_by_now(um).await {
                Some(dora) => is_taken(dora.email().confirm(ConfirmEmail::new(text)).await),
                None => false,
            },
            Revert => is_taken(anybody.email().revert(RevertEmail::new(text)).await),
            Invitation => {
                let accept = AcceptInvitation::new(text).password("short");
                is_taken(anybody.invitations().accept(accept).await)
            }
            Verification => {
                let confirm = ConfirmVerification::new(text).password("not the password at all");
                is_taken(anybody.verification().confirm(confirm).await)
            }
            Factor => is_taken(anybody.sign_in().factor(ProveFactor::new(text, "000000")).await),
            Password => is_taken(anybody.sign_in().password(ChoosePassword::new(text, "short")).await),
        }
    }
}

impl World {
    /// Dora, in a session of now, if she may have one.
    async fn signed_in_by_now(&self, um: &UserManagement) -> Option<Caller> {
        let token = self.issuer.token("dora", self.clock.now().as_second(), json!({"jti": uuid::Uuid::now_v7()}));
        let anybody = um.anonymous(RequestContext::default());
        let tokens = match anybody.sign_in().external(SignInByToken::new(token)).await {
            Ok(answer) => match answer.challenge.clone() {
                Some(challenge) => {
                    let seed = self.dora_app.lock().unwrap().clone().unwrap();
                    // The code that added it is used up.
                    let code = authenticator::code(seed.expose(), self.clock.now().as_second() / 30 + 1);
                    anybody.sign_in().factor(ProveFactor::new(challenge, code)).await.unwrap().done().unwrap()
                }
                None => answer.done().unwrap(),
            },
            // It is unlinked, and she in her session still.
            Err(_) => return um.acting_as(self.dora).await.is_ok().then(|| self.by_dora.clone()),
        };
        um.authenticate(tokens.access_token.expose(), RequestContext::default()).await.ok()
    }
}

/// Whether a text was taken, be it that something beside it is wrong.
fn is_taken<T>(answer: Result<T>) -> bool {
    answer.err().is_none_or(|error| error.reason() != Reason::InvalidToken)
}

/// What a store is prepared with.
struct Begin<'w> {
    um: &'w UserManagement,
    clock: &'w Ahead,
    mails: &'w Mails,
}

impl Begin<'_> {
    async fn tokens(&self, name: &str) -> Tokens {
        self.um.login(name, PASSWORD, RequestContext::default()).await.unwrap().done().unwrap()
    }

    async fn by(&self, tokens: &Tokens) -> Caller {
        self.um.authenticate(tokens.access_token.expose(), RequestContext::default()).await.unwrap()
    }

    async fn caller(&self, name: &str) -> Caller {
        self.by(&self.tokens(name).await).await
    }

    async fn mailed(&self, kind: &str, to: &str) -> Secret {
        self.mails.take(kind, to).await.token.unwrap()
    }

    /// Dora proves her address and changes it.
    async fn prove_and_change(&self) {
        let me = self.caller("dora").await;
        me.verification().send().await.unwrap();
        let proof = self.mailed("verification", "dora@example.net").await;
        drop(me.verification().confirm(ConfirmVerification::new(proof)).await.unwrap());
        me.email().change(ChangeEmail::new("dora@example.org")).await.unwrap();
        let change = self.mailed("email_change", "dora@example.org").await;
        drop(me.email().confirm(ConfirmEmail::new(change)).await.unwrap());
    }

    async fn forgot(&self, name: &str) -> Secret {
        let anybody = self.um.anonymous(RequestContext::default());
        anybody.passwords().forgot(ForgotPassword::new(name)).await.unwrap();
        self.mailed("password_reset", &format!("{name}@example.org")).await
    }

    /// Adds an app: the session that goes on, and what the app has.
    async fn add_app(&self, me: &Caller) -> (Tokens, Secret) {
        let setup = me.factors().add_start().await.unwrap();
        let code = authenticator::code(setup.secret.expose(), self.clock.now().as_second() / 30);
        (me.factors().add(AddFactor::new(setup.challenge, code)).await.unwrap().tokens, setup.secret)
    }

    /// Somebody with an app, signed in, and about to sign in once more.
    async fn with_app(&self, name: &str) -> (Caller, Secret) {
        let me = self.caller(name).await;
        let me = self.by(&self.add_app(&me).await.0).await;
        let owed = self.um.login(name, PASSWORD, RequestContext::default()).await.unwrap();
        (me, owed.challenge.unwrap())
    }
}

/// Those of Dora that change something if they are good come last.
fn in_order() -> impl Iterator<Item = Held> {
    let is_last = |held: &Held| matches!(held, Change | Revert);
    ALL.into_iter().filter(move |held| !is_last(held)).chain(ALL.into_iter().filter(is_last))
}

/// The fates of a row, in the order of [`ALL`].
fn fates(row: &[u8; 15]) -> Vec<char> {
    row.iter().map(|fate| char::from(*fate)).filter(|fate| *fate != ' ').collect()
}

/// What differs from the table, once a cause has come and, where it was the account's end for a time, once it is back.
async fn differing(world: &World, cause: Cause, row: &[u8; 15]) -> Vec<String> {
    let fates = fates(row);
    let mut differing = Vec::new();
    world.happens(cause).await;
    let is_off = fates.contains(&'z');
    for held in in_order() {
        let fate = fates[held as usize];
        // What a call keeps in memory is asked again for a second; everything else is read.
        let until = Instant::now() + Duration::from_secs(1);
        let mut is_good = world.is_good(held, &world.elsewhere).await;
        while is_good && fate != '.' && matches!(held, Access | Key | Acting | Foreign) && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
            is_good = world.is_good(held, &world.elsewhere).await;
        }
        if is_good != (fate == '.') {
            differing.push(format!("{cause:?}: {held:?} is {}", if is_good { "good" } else { "refused" }));
        }
    }
    if is_off {
        world.back_again(cause).await;
        for held in in_order() {
            let is_good = world.is_good(held, &world.um).await;
            if is_good != matches!(fates[held as usize], 'z' | '.') {
                let how = if is_good { "good" } else { "refused" };
                differing.push(format!("{cause:?}, and back again: {held:?} is {how}"));
            }
        }
    }
    differing
}

#[tokio::test]
async fn v7_4_what_ends_a_credential_ends_it_here_at_once() {
    let mut all = Vec::new();
    for (cause, row) in FATES {
        all.extend(differing(&World::open(None).await, cause, row).await);
    }
    assert!(all.is_empty(), "{all:#?}");
}

#[tokio::test]
async fn v7_4_what_ends_a_credential_ends_it_elsewhere_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    for (at, (cause, row)) in FATES.into_iter().enumerate() {
        let world = World::open(Some(&folder.path().join(format!("{at}.db")))).await;
        // It has seen them.
        for held in [Access, Key, Acting, Foreign] {
            assert!(world.is_good(held, &world.elsewhere).await, "{held:?}");
        }
        all.extend(differing(&world, cause, row).await);
    }
    assert!(all.is_empty(), "{all:#?}");
}
