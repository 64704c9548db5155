//! What other languages knock at: an operation's name and JSON in, JSON out.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::{
    caller::Caller,
    engine::{Running, Steps},
    model::{
        decode,
        error::{Error, Reason, Result},
    },
    operations::{self, Listed, Operation},
    rules::Resource,
};

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

/// Whether a caller may do this; a resource of the host comes as JSON with its `type`.
///
/// # Errors
/// Those of [`Caller::can`], and [`Reason::InvalidInput`] for a resource that is none.
pub fn can(caller: &Caller, permission: &str, resource: Option<&str>) -> Result<bool> {
    let resource = resource.map(read_resource).transpose()?;
    caller.can(permission, resource.as_ref())
}

/// [`can`], or the error `FORBIDDEN`.
///
/// # Errors
/// Those of [`Caller::require`], and [`Reason::InvalidInput`] for a resource that is none.
pub fn require(caller: &Caller, permission: &str, resource: Option<&str>) -> Result<()> {
    let resource = resource.map(read_resource).transpose()?;
    caller.require(permission, resource.as_ref())
}

/// Why a caller may or may not do this, as JSON.
///
/// # Errors
/// As [`can`].
pub fn explain(caller: &Caller, permission: &str, resource: Option<&str>) -> Result<String> {
    let resource = resource.map(read_resource).transpose()?;
    let explanation = caller.explain(permission, resource.as_ref())?;
    serde_json::to_string(&explanation).map_err(|_| Error::new(Reason::Internal, "the explanation cannot be written"))
}

/// `{"type": "document", "owner_id": "…"}`
fn read_resource(text: &str) -> Result<Resource<'static>> {
    let invalid = |message| Error::new(Reason::InvalidInput, message);
    let Json::Object(attributes) = parse(text)? else { return Err(invalid("a resource is a JSON object")) };
    let mut attributes: BTreeMap<String, Json> = attributes.into_iter().collect();
    match attributes.remove("type") {
        Some(Json::String(resource_type)) => Ok(Resource::from_json(&resource_type, &attributes)),
        _ => Err(invalid("a resource names its type: {\"type\": \"document\", …}")),
    }
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
