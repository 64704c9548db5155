//! What lets somebody in once: refresh tokens, codes of an app, recovery codes, links, copies of a passkey.

use rolekeep::{
    Secret,
    email::ChangeEmail,
    factors::{AddFactor, AddPasskey},
    passwords::ForgotPassword,
    sign_in::StartSignInByPasskey,
    users::CreateUser,
};

use super::*;
use crate::{authenticator, mails::Mails, security_key::SecurityKey};

const PASSWORD: &str = "correct horse battery staple";

/// A store with what it mails, and who races in it.
struct Stage<R> {
    um: UserManagement,
    mails: Mails,
    rivals: R,
}

/// The step of an app's codes now.
fn step() -> i64 {
    jiff::Timestamp::now().as_second() / 30
}

impl<R: Rivals> Stage<R> {
    async fn race(&mut self, deed: impl Fn(usize) -> Deed) -> Vec<String> {
        let deeds = (0..self.rivals.count()).map(deed).collect();
        self.rivals.race(&self.um, deeds).await
    }

    async fn created(&self, name: &str) {
        let new = CreateUser::new(format!("{name}@example.org")).username(name).password(PASSWORD);
        self.um.system().users().create(new).await.unwrap();
    }

    async fn login(&self, name: &str) -> rolekeep::sessions::SignInResult {
        self.um.login(name, PASSWORD, RequestContext::default()).await.unwrap()
    }

    async fn by(&self, token: &Secret) -> Caller {
        self.um.authenticate(token.expose(), RequestContext::default()).await.unwrap()
    }

    /// A challenge for each rival, from a sign-in of its own.
    async fn challenges(&self, name: &str) -> Vec<String> {
        let mut challenges = Vec::new();
        for _ in 0..self.rivals.count() {
            challenges.push(self.login(name).await.challenge.unwrap().expose().to_owned());
        }
        challenges
    }

    async fn mailed(&self, kind: &str, to: &str) -> String {
        self.mails.take(kind, to).await.token.unwrap().expose().to_owned()
    }

    /// Whoever comes with the same refresh token has the same successor, for there is one.
    async fn refresh(&mut self) {
        self.created("refresher").await;
        let tokens = self.login("refresher").await.done().unwrap();
        let mut token = tokens.refresh_token.expose().to_owned();
        for round in 0..self.rivals.rounds() {
            let input = json!({ "refresh_token": token });
            let answers = self.race(|_| Deed::new("sessions.refresh", input.clone(), By::Nobody)).await;
            let successor = |answer: &String| {
                let answer = answer.strip_prefix("ok ").unwrap_or_else(|| panic!("round {round}: {answers:?}"));
                serde_json::from_str::<Value>(answer).unwrap()["refresh_token"].clone()
            };
            let mut successors: Vec<Value> = answers.iter().map(successor).collect();
            successors.dedup();
            let [only] = &successors[..] else { panic!("round {round}: {answers:?}") };
            assert_ne!(only, &json!(token));
            token = only.as_str().unwrap().to_owned();
        }
    }

    /// The link to a new address.
    async fn email(&mut self, name: &str, round: usize) {
        let tokens = self.login(name).await.done().unwrap();
        let address = format!("{name}@example.net");
        self.by(&tokens.access_token).await.email().change(ChangeEmail::new(address.as_str())).await.unwrap();
        let link = self.mailed("email_change", &address).await;
        let by = By::Token(tokens.access_token.expose().to_owned());
        let answers = self.race(|_| Deed::new("email.confirm", json!({ "token": link }), by.clone())).await;
        // The session of before ends with the change.
        one_wins(round, &answers, &[Reason::InvalidToken, Reason::SessionEnded]);
    }

    /// A code of an app, then a recovery code, each in several sign-ins at once.
    async fn codes(&mut self, name: &str, round: usize) {
        let tokens = self.login(name).await.done().unwrap();
        let me = self.by(&tokens.access_token).await;
        let setup = me.factors().add_start().await.unwrap();
        let seed = setup.secret.expose().to_owned();
        let first = step();
        let added = AddFactor::new(setup.challenge, authenticator::code(&seed, first));
        let added = me.factors().add(added).await.unwrap();
        // A code of the step after, which is good at either.
        let [code, recovery] = [authenticator::code(&seed, first + 1), added.recovery_codes[0].expose().to_owned()];
        for code in [code, recovery] {
            let challenges = self.challenges(name).await;
            let deed =
                |at: usize| Deed::new("sign_in.factor", json!({"challenge": challenges[at], "code": code}), By::Nobody);
            let answers = self.race(deed).await;
            let won = one_wins(round, &answers, &[Reason::InvalidCredentials]);
            assert_eq!(won["step"], json!("done"));
        }
    }

    /// A link by which a forgotten password is replaced, with a new one of each rival's.
    async fn reset(&mut self, name: &str, round: usize) {
        let nobody = self.um.anonymous(RequestContext::default());
        nobody.passwords().forgot(ForgotPassword::new(name)).await.unwrap();
        let link = self.mailed("password_reset", &format!("{name}@example.net")).await;
        let chosen = |at: usize| format!("the password of rival {at}");
        let deed =
            |at: usize| Deed::new("passwords.reset", json!({"token": link, "new_password": chosen(at)}), By::Nobody);
        let answers = self.race(deed).await;
        one_wins(round, &answers, &[Reason::InvalidToken]);
        let winner = answers.iter().position(|answer| is_ok(answer)).unwrap();
        for at in 0..self.rivals.count().min(2) {
            let login = self.um.login(name, &chosen(at), RequestContext::default()).await;
            assert_eq!(login.is_ok(), at == winner, "round {round}: the password is the winner's");
        }
    }

    /// Copies of a passkey, which count from the same number on.
    async fn passkey(&mut self) {
        self.created("passkey").await;
        let tokens = self.login("passkey").await.done().unwrap();
        let me = self.by(&tokens.access_token).await;
        let mut key = SecurityKey::new(1);
        let asked = me.factors().add_passkey_start().await.unwrap();
        me.factors().add_passkey(AddPasskey::new(asked.challenge, key.create(&asked.options))).await.unwrap();
        for round in 0..self.rivals.rounds() {
            let nobody = self.um.anonymous(RequestContext::default());
            let mut given = Vec::new();
            for _ in 0..self.rivals.count() {
                let asked = nobody.sign_in().passkey_start(StartSignInByPasskey::new()).await.unwrap();
                let response = key.clone().get(&asked.options);
                given.push(json!({"challenge": asked.challenge.expose(), "response": response}));
            }
            let answers = self.race(|at| Deed::new("sign_in.passkey", given[at].clone(), By::Nobody)).await;
            one_wins(round, &answers, &[Reason::InvalidCredentials]);
            key.counter += 1;
        }
    }

    async fn all(mut self) {
        self.refresh().await;
        self.passkey().await;
        for round in 0..self.rivals.rounds() {
            let name = format!("user{round}");
            self.created(&name).await;
            self.email(&name, round).await;
            self.codes(&name, round).await;
            self.reset(&name, round).await;
        }
        assert!(self.um.system().audit().verify(rolekeep::audit::VerifyAudit::new()).await.unwrap().is_whole);
    }
}

async fn stage<R>(builder: Builder, rivals: R) -> Stage<R> {
    let mails = Mails::default();
    let um = builder.notifier(mails.clone()).open().await.unwrap();
    Stage { um, mails, rivals }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_16_what_is_good_once_has_one_winner_in_memory() {
    for count in [2, 64] {
        stage(builder(), Tasks(count)).await.all().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_16_what_is_good_once_has_one_winner_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    for count in [2, 64] {
        let place = Place::File(folder.path().join(format!("{count}.db")));
        stage(on(builder(), &place), Tasks(count)).await.all().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_16_what_is_good_once_has_one_winner_in_two_processes() {
    let folder = tempfile::tempdir().unwrap();
    two_processes(&Place::File(folder.path().join("race.db"))).await;
}

async fn two_processes(place: &Place) {
    let stage = stage(on(builder(), place), ()).await;
    let rivals = Process::start(place);
    Stage { um: stage.um, mails: stage.mails, rivals }.all().await;
}

#[cfg(feature = "postgres")]
#[ignore = "needs a server, by ROLEKEEP_POSTGRES"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_16_what_is_good_once_has_one_winner_on_postgres() {
    for count in [2, 64] {
        let place = Place::on_the_server(&format!("credentials_{count}"));
        stage(on(builder(), &place), Tasks(count)).await.all().await;
    }
}

#[cfg(feature = "postgres")]
#[ignore = "needs a server, by ROLEKEEP_POSTGRES"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_16_what_is_good_once_has_one_winner_in_two_processes_on_postgres() {
    two_processes(&Place::on_the_server("credentials")).await;
}
