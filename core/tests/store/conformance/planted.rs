//! No secret of any scenario shows up where it could be read: in errors, in what answers and notices print, in spans and events of
//! `tracing`, in the audit log (SEC-13).

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Debug, Write},
    sync::{Arc, LazyLock, Mutex, Once},
};

use rolekeep::{Error, UserManagement, audit::ListAudit};
use serde_json::Value as Json;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

use super::{
    backend::Backend,
    player::{Outcome, play_watched},
    scenario,
};

/// Fields that hold secrets, by the records that declare them.
const DECLARED: &str = include_str!("../../../../tests/conformance/secrets.json");
/// Fields of who people are, which the audit log and answers tell, and traces do not.
const PERSONAL: &[&str] = &["email", "username", "identifier", "full_name", "display_name", "phone", "address"];
/// Shorter ones are words that stand elsewhere as well.
const SHORTEST: usize = 12;

/// What a scenario's secrets are, and what was told while it was played.
#[derive(Clone, Default)]
pub struct Watched(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    secrets: BTreeSet<String>,
    /// What callers give beside them, which is no secret: a password may be somebody's name.
    open: BTreeSet<String>,
    /// Who people are.
    people: BTreeSet<String>,
    told: Vec<(String, String)>,
}

/// Names of secrets that other things have as well, errors and explanations: codes are short, and what a text tells is told beside it.
const OF_OTHERS: [&str; 2] = ["code", "text"];

/// Fields that any record declares to be secret: they are, whatever they are fields of.
static SECRETS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let declared: BTreeMap<String, Vec<String>> = serde_json::from_str(DECLARED).unwrap();
    declared.into_values().flatten().filter(|name| !OF_OTHERS.contains(&&**name)).collect()
});

impl Watched {
    /// Settings, or an input: of these a secret may be a part.
    pub fn given(&self, json: &Json) {
        self.known().collect(json, false, false);
    }

    /// An answer as JSON: what is in it beside its secrets is shown.
    pub fn answered(&self, json: &Json) {
        self.known().collect(json, false, true);
    }

    /// What anybody may print of it.
    pub fn printed(&self, what: &str, printed: String) {
        self.known().told.push((what.to_owned(), printed));
    }

    /// An error, in every form that it has.
    pub fn failed(&self, operation: &str, error: &Error) {
        self.printed(operation, format!("{error} {error:?} {}", serde_json::to_string(error).unwrap()));
    }

    /// The audit log at the end of a scenario.
    pub async fn log(&self, um: &UserManagement) {
        let system = um.system();
        let mut asked = ListAudit::new().limit(100_u32);
        while let Ok(page) = system.audit().list(asked).await {
            self.printed("the audit log", format!("{} {page:?}", serde_json::to_string(&page).unwrap()));
            let Some(next) = page.next_cursor else { break };
            asked = ListAudit::new().limit(100_u32).cursor(next);
        }
    }

    /// The first secret that was told, and where.
    fn leak(&self) -> Option<String> {
        let known = self.known();
        assert!(!known.told.is_empty(), "nothing was told");
        let secrets = known.secrets.difference(&known.open).map(|secret| (secret, None));
        let people = known.people.iter().map(|one| (one, Some(TRACING)));
        secrets.chain(people).find_map(|(secret, only)| {
            let mut told = known.told.iter().filter(|(what, _)| only.is_none_or(|only| what == only));
            let (what, text) = told.find(|(_, text)| text.contains(secret))?;
            let at = text.find(secret).unwrap_or_default();
            let around: String = text.chars().skip(text[..at].chars().count().saturating_sub(80)).take(240).collect();
            Some(format!("{what} tells {secret:?}: …{around}…"))
        })
    }

    fn count(&self) -> usize {
        self.known().secrets.len()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Known {
    fn collect(&mut self, json: &Json, is_secret: bool, is_answer: bool) {
        match json {
            Json::String(text) if text.len() < SHORTEST => {}
            Json::String(text) => {
                // Tokens are told by their beginning, wherever they stand.
                let is_jwt = text.starts_with("eyJ") && text.contains('.');
                // Shorter is what a key starts with, by which people tell keys apart.
                let is_token = is_jwt || text.len() >= 40 && text.starts_with("rk") && text[2..].find('_') == Some(1);
                match (is_secret || is_token, is_answer) {
                    (true, _) => drop(self.secrets.insert(text.clone())),
                    (false, true) => self.told.push(("an answer".to_owned(), text.clone())),
                    (false, false) => drop(self.open.insert(text.clone())),
                }
            }
            Json::Array(items) => items.iter().for_each(|item| self.collect(item, is_secret, is_answer)),
            Json::Object(fields) => {
                // What a notice tells has its secrets in it.
                let is_looked_at = |name: &&String| !is_answer || !OF_OTHERS.contains(&name.as_str());
                fields.iter().filter(|(name, _)| is_looked_at(name)).for_each(|(name, value)| {
                    self.collect(value, SECRETS.contains(name), is_answer);
                    let is_personal = PERSONAL.contains(&name.as_str());
                    self.people.extend(value.as_str().filter(|text| is_personal && text.len() >= 8).map(str::to_owned));
                });
            }
            _ => {}
        }
    }
}

/// What is told through `tracing`.
const TRACING: &str = "tracing";

thread_local! {
    /// Whatever goes through `tracing` in this thread, if anybody wants to know.
    static TRACED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Listens in all threads: of a subscriber of one thread it depends on the others what it is told of.
pub struct Traced;

impl Traced {
    /// Begins to listen, once.
    pub fn install() {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| tracing::subscriber::set_global_default(Self).unwrap());
    }

    /// What this thread says from now on is kept; gives what was kept before.
    pub fn take() -> String {
        TRACED.replace(Some(String::new())).unwrap_or_default()
    }

    fn keep(say: impl FnOnce(&mut String)) {
        TRACED.with_borrow_mut(|kept| kept.as_mut().map(say));
    }

    fn write(&self, metadata: &Metadata<'_>, record: impl FnOnce(&mut dyn Visit)) {
        Self::keep(|all| {
            let _ = write!(all, "{} {}", metadata.target(), metadata.name());
            record(&mut Printed(all));
            all.push('\n');
        });
    }
}

struct Printed<'a>(&'a mut String);

impl Visit for Printed<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl Subscriber for Traced {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.write(span.metadata(), |visit| span.record(visit));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        Self::keep(|all| values.record(&mut Printed(all)));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.write(event.metadata(), |visit| event.record(visit));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched(…)")
    }
}

#[test]
fn sec_13_no_output_holds_a_secret() {
    // One thread, whose spans are all of this scenario.
    Traced::install();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut secrets, mut people, mut leaks) = (0, 0, Vec::new());
    for scenario in scenario::all() {
        let watched = Watched::default();
        Traced::take();
        let outcome = runtime.block_on(play_watched(&scenario, Backend::Memory, Some(watched.clone())));
        match outcome {
            Outcome::Passed => {}
            Outcome::Skipped => continue,
            // One that ends early has told less than it tells.
            Outcome::Failed(why) => panic!("{}: {why}", scenario.name),
        }
        people += watched.known().people.len();
        let traced = Traced::take();
        assert!(traced.contains("rolekeep.storage"), "{}: no call of the storage was traced", scenario.name);
        watched.printed(TRACING, traced);
        secrets += watched.count();
        leaks.extend(watched.leak().map(|leak| format!("{}: {leak}", scenario.name)));
    }
    assert!(secrets > 1_000, "{secrets} secrets");
    assert!(people > 1_000, "{people} names and addresses");
    assert!(leaks.is_empty(), "\n{}", leaks.join("\n"));
}
