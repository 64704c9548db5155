//! What other languages knock at: the name of an operation or of a question and JSON in, JSON out.

mod questions;

use serde_json::Value as Json;

use crate::{
    caller::Caller,
    engine::{Running, Steps},
    model::{
        decode,
        error::{Error, Problem, Reason, Result},
    },
    operations::{self, Listed, Operation, target},
    rules::{Policy, RuleSet},
    settings::Settings,
};

pub use questions::{QUESTIONS, ask, can, check, consult};

/// Longer input is refused before it is read, in bytes.
const MAX_INPUT: usize = 16 * 1024 * 1024;

macro_rules! dispatch {
    ($(#[doc = $about:literal] $area:ident: $face:ident {
        $(fn $method:ident($($input:ident)?) $($unit:ident)?;)*
    })*) => {
        /// Runs an operation by name: `call(&me, "users.create", r#"{"email":"ada@example.org"}"#)`.
        ///
        /// # Errors
        /// [`Reason::UnknownOperation`], [`Reason::InvalidJson`], [`Reason::InvalidInput`] with all field
        /// errors, and those of the operation.
        pub async fn call(caller: &Caller, operation: &str, input: &str) -> Result<String> {
            let stamp = |error: Error| error.at(caller.engine.services.now());
            let mut running = begin(operation, parse(input).map_err(stamp)?).map_err(stamp)?;
            caller.engine.run_steps(&caller.who, &mut *running).await?;
            running.answer().map_err(stamp)
        }

        /// An operation by name, with its input.
        fn begin(operation: &str, input: Json) -> Result<Box<dyn Answering>> {
            match operation {
                $($(
                    concat!(stringify!($area), ".", stringify!($method)) => {
                        let input = decode::decode::<operations::$area::$($input)? $($unit)?>(input)?;
                        Ok(Box::new(Running::new(input)))
                    }
                )*)*
                _ => Err(unknown(operation)),
            }
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
                    let output = <Input as Operation>::Output::describe(&mut types);
                    OperationShape { name: stringify!($method), about, input, output }
                }),*],
            }),*];
            // What the hand-written parts of a binding speak of.
            crate::settings::Settings::describe(&mut types);
            crate::model::error::Code::describe(&mut types);
            crate::model::error::Reason::describe(&mut types);
            crate::model::error::Problem::describe(&mut types);
            crate::model::decode::FieldError::describe(&mut types);
            Catalogue { areas, types }
        }
    };
}
operations::operation_list!(dispatch);

/// An operation that can say its answer as JSON.
trait Answering: Steps {
    fn answer(&self) -> Result<String>;
}

impl<O: Operation<Output: serde::Serialize>> Answering for Running<O> {
    fn answer(&self) -> Result<String> {
        serde_json::to_string(self.output()?)
            .map_err(|_| Error::new(Reason::Internal, format!("the answer of {} cannot be written", O::NAME)))
    }
}

/// The names of a policy as source text of a language; `settings` say which policy, as they say it to open a store.
///
/// # Errors
/// [`Reason::PolicyInvalid`] with every problem of the policy, or with the names that would be the same one in that
/// language; [`Reason::InvalidInput`] for a language that there is none of; those of [`Settings::from_json`].
pub fn names(settings: &str, language: &str) -> Result<String> {
    let language = language.parse().map_err(|_| {
        Error::new(Reason::InvalidInput, "the languages are typescript, python, kotlin, swift and rust")
    })?;
    compiled(settings)?.names(language)
}

/// Checks the policy that `settings` name, without opening anything. The report of an error speaks of a file by this
/// name, and with the colours of a terminal if it is to.
///
/// # Errors
/// [`Reason::PolicyInvalid`] with every problem; those of [`Settings::from_json`].
pub fn check_policy(settings: &str, file: Option<&str>, is_colored: bool) -> Result<()> {
    match (compiled(settings), file) {
        (Ok(_), _) => Ok(()),
        (Err(error), Some(file)) => Err(error.reported_of(file, is_colored)),
        (Err(error), None) => Err(error),
    }
}

/// The text of a file that a host has read.
///
/// # Errors
/// [`Reason::PolicyInvalid`] where it is not UTF-8, with the place.
pub fn policy_text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let line = u32::try_from(before.matches('\n').count() + 1).unwrap_or(u32::MAX);
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let problem = Problem {
            line,
            column: u32::try_from(column).unwrap_or(u32::MAX),
            message: format!("byte {:#04x} begins no character of UTF-8", bytes.get(error.valid_up_to()).unwrap_or(&0)),
            help: Some("policy files are written in UTF-8".to_owned()),
        };
        Error::in_file(Reason::PolicyInvalid, "the policy file cannot be read", vec![problem])
    })
}

fn compiled(settings: &str) -> Result<RuleSet> {
    let policy = match Settings::from_json(settings)?.policy()? {
        Some(policy) => policy,
        None => Policy::preset("standard")?,
    };
    RuleSet::compile(&policy, &target::schema())
}

fn parse(text: &str) -> Result<Json> {
    if text.len() > MAX_INPUT {
        return Err(Error::new(Reason::InvalidJson, format!("the input is longer than {MAX_INPUT} bytes")));
    }
    serde_json::from_str(text)
        .map_err(|problem| Error::new(Reason::InvalidJson, format!("the input is no JSON: {problem}")))
}

fn unknown(operation: &str) -> Error {
    let near = decode::nearest(operation, OPERATIONS.iter().copied());
    let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    Error::new(Reason::UnknownOperation, format!("there is no such operation{hint}"))
}
