//! What the bindings call: the name of an operation or of a question and JSON in, JSON out.

#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod backup;
mod delivery;
mod events;
mod filters;
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
mod layers;
#[cfg(feature = "telemetry")]
pub mod logs;
#[cfg(feature = "telemetry")]
mod metrics;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod migrate;
pub mod packed;
mod questions;
pub mod rules;
mod rules_config;
mod waiting;

use serde_json::Value as Json;

use crate::{
    caller::Caller,
    credentials,
    engine::{Running, Steps, WhoKind},
    model::{
        decode::{self, Decoder, decode_by},
        deferred::{Deferred, IS_PAGE, Work},
        error::{Error, ForHost, Reason, Result},
        input::{Limits, read},
    },
    operations::{self, Access, Listed, Operation},
};

/// What fetches key sets where the host has a client of its own.
pub mod fetch {
    pub use crate::{
        credentials::foreign_token::KeySetUrl,
        fetch::{Failure, Fetch, MAX_BYTES, TIMEOUT_MILLIS, is_allowed},
    };
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use backup::{BackupPlace, backup, restore, verify_backup};
pub use delivery::{delivery, notice};
pub use events::WAIT;
pub use filters::{FilteredRows, SqlColumn, SqlFilter, SqlKind, SqlParameter, SqlTable};
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
pub use layers::{config, of_layers};
#[cfg(feature = "telemetry")]
pub use metrics::metrics;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use migrate::migrate;
pub use questions::{QUESTIONS, ask, at_least, can, check, consult, resource, scope};
pub use rules_config::RulesConfig;
pub use waiting::{acting_as, acting_as_identity, authenticate, close, open, refresh};

/// What a host that forks calls: `before_fork`, then [`forks::is_ready`] until it is, and one of the others afterwards.
#[cfg(feature = "sqlite")]
pub mod forks {
    pub use crate::{
        forks::{after_fork_in_parent, before_fork},
        storage::sqlite::gate::is_ready,
    };

    /// In the child.
    pub fn after_fork_in_child() {
        crate::storage::sqlite::gate::after_fork_in_child();
        #[cfg(feature = "telemetry")]
        {
            super::logs::after_fork_in_child();
            super::metrics::after_fork_in_child();
        }
    }
}

macro_rules! dispatch {
    ($(#[doc = $about:literal] $area:ident: $face:ident {
        $(fn $method:ident($($input:ident)?) $(-> $output:ty)? $(= $unit:ident)?;)*
    })*) => {
        /// Runs an operation by name: `call(&me, "users.create", r#"{"email":"ada@example.org"}"#)`. Beside the operations there is
        /// `events.wait`, which takes `{"position", "millis"}` and answers whether there is a commit behind the position: soon once there
        /// is, and else after so long. It is for who has read all events up to there; what it reads next is no request of its user's.
        ///
        /// # Errors
        /// [`Reason::UnknownOperation`], [`Reason::InvalidJson`], [`Reason::InvalidInput`] with all field
        /// errors, and those of the operation.
        #[inline(never)]
        pub fn call<'c>(caller: &'c Caller, operation: &'c str, input: &'c str) -> Work<'c, Result<String>> {
            Box::pin(async move {
                let stamp = |error: Error| caller.engine.stamped(error, &caller.who.request);
                if operation == events::WAIT {
                    return events::wait(caller, input).await.map_err(stamp);
                }
                let mut running = begin::<false>(caller, operation, input).map_err(stamp)?;
                caller.engine.run_steps(&caller.who, &mut *running).await?;
                running.answer().map_err(stamp)
            })
        }

        /// Where each operation begins, by its name: of those that are there from the start, or of those that browsers load on demand.
        struct Beginnings<const DEFERRED: bool>;

        impl<const DEFERRED: bool> Beginnings<DEFERRED> {
            const ALL: &[(&str, Begin)] = &[$($(
                (
                    concat!(stringify!($area), ".", stringify!($method)),
                    beginning::<operations::$area::$($input)? $($unit)?, DEFERRED>(),
                )
            ),*),*];
        }

        /// The names of all operations, in order.
        pub const OPERATIONS: &[&str] = &[$($(<operations::$area::$($input)? $($unit)? as Listed>::NAME),*),*];

        /// Everything that the bindings show.
        #[cfg(feature = "describe")]
        pub fn catalogue() -> crate::describe::Catalogue {
            use crate::describe::{AreaShape, Catalogue, Describe, OperationShape, TypeRef, Types};
            let mut types = Types::default();
            let areas = vec![$(AreaShape {
                name: stringify!($area),
                about: $about,
                operations: vec![$({
                    type Input = operations::$area::$($input)? $($unit)?;
                    let input = Input::describe(&mut types);
                    let about = match &input {
                        TypeRef::Named(name) => types.0.get(name).map_or("", |shape| shape.about),
                        _ => "",
                    };
                    let output = <Input as Listed>::Output::describe(&mut types);
                    let is_of_servers = <Input as Operation>::IS_OF_SERVERS;
                    OperationShape { name: stringify!($method), about, input, output, is_of_servers }
                }),*],
            }),*];
            // What the hand-written parts of a binding speak of.
            crate::config::Config::describe(&mut types);
            crate::engine::health::Health::describe(&mut types);
            operations::upkeep::Tidied::describe(&mut types);
            RulesConfig::describe(&mut types);
            operations::notices::Notice::describe(&mut types);
            crate::rules::PrincipalData::describe(&mut types);
            SqlTable::describe(&mut types);
            SqlFilter::describe(&mut types);
            crate::model::error::Code::describe(&mut types);
            crate::model::error::Reason::describe(&mut types);
            crate::model::error::Problem::describe(&mut types);
            crate::model::decode::FieldError::describe(&mut types);
            Catalogue { areas, types }
        }
    };
}
operations::operation_list!(dispatch);

/// The id of the request that a caller serves, as errors have it.
pub fn request_id(caller: &Caller) -> Option<&str> {
    caller.who.request.request_id.as_deref()
}

/// An error as the bindings take it: its JSON, with what only the host may know.
pub fn error_text(error: &Error) -> String {
    let text = serde_json::to_string(&ForHost(error));
    text.unwrap_or_else(|_| error.message().to_owned())
}

/// An operation by name, with its input.
fn begin<const DEFERRED: bool>(caller: &Caller, operation: &str, input: &str) -> Result<Box<dyn Answering>> {
    let found = Beginnings::<DEFERRED>::ALL.iter().find(|(name, _)| *name == operation);
    let (name, begin) = found.ok_or_else(|| unknown(operation))?;
    begin(caller, name, input)
}

/// Those operations that browsers load on demand.
static BEGIN_DEFERRED: Deferred<Begin> = Deferred::new(begin::<true>);

type Begin = fn(&Caller, &str, &str) -> Result<Box<dyn Answering>>;

/// Where an operation begins. What it shares with others is one function, and no other in each of their names.
const fn beginning<O, const DEFERRED: bool>() -> Begin
where
    O: Operation + Listed<Output: serde::Serialize>,
{
    match (O::IS_OF_SERVERS && IS_PAGE, O::IS_DEFERRED && IS_PAGE, DEFERRED) {
        (true, ..) => not_offered,
        (_, true, false) => begin_deferred,
        _ => start::<O>,
    }
}

fn start<O>(caller: &Caller, _: &str, input: &str) -> Result<Box<dyn Answering>>
where
    O: Operation + Listed<Output: serde::Serialize>,
{
    read_input(input, limits::<O>(caller), |value, at| Some(Box::new(Running::new(O::from_json(value, at)?))))
}

// Once, and not in each operation.
#[inline(never)]
fn read_input(
    input: &str,
    limits: Limits,
    begun: fn(Json, &mut Decoder) -> Option<Box<dyn Answering>>,
) -> Result<Box<dyn Answering>> {
    Ok(decode_by(read(input, limits)?, limits, begun)?)
}

fn begin_deferred(caller: &Caller, operation: &str, input: &str) -> Result<Box<dyn Answering>> {
    BEGIN_DEFERRED.get()?(caller, operation, input)
}

fn not_offered(_: &Caller, operation: &str, _: &str) -> Result<Box<dyn Answering>> {
    let message = format!("{operation} is not offered in a web page; ask a server");
    Err(Error::new(Reason::NotOffered, message))
}

/// Makes those functions work here that browsers load on demand, beside [`rules::load_deferred`]: explanations and row
/// filters of callers, the operations that say [`Operation::IS_DEFERRED`], hashes of other systems and common passwords.
pub fn load_deferred() {
    BEGIN_DEFERRED.load(begin::<true>);
    questions::load_deferred();
    events::load_deferred();
    credentials::load_deferred();
}

/// An operation that can say its answer as JSON.
trait Answering: Steps {
    fn answer(&self) -> Result<String>;
}

impl<O: Operation + Listed<Output: serde::Serialize>> Answering for Running<O> {
    fn answer(&self) -> Result<String> {
        written(self.output()?)
    }
}

/// An answer as JSON: once for all that answer the same.
#[inline(never)]
fn written(answer: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(answer).map_err(|_| Error::new(Reason::Internal, "the answer cannot be written"))
}

/// How much a caller may give: what only the host may do is no way in for more.
fn limits<O: Operation>(caller: &Caller) -> Limits {
    match O::ACCESS {
        Access::System if !matches!(caller.who.kind, WhoKind::System) => Limits::SMALL,
        _ => O::LIMITS,
    }
}

fn unknown(operation: &str) -> Error {
    let near = decode::nearest(operation, OPERATIONS.iter().copied());
    let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    Error::new(Reason::UnknownOperation, format!("there is no such operation{hint}"))
}
