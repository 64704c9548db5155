//! The shapes of everything that crosses the language border, for `generator/` (feature `describe`).

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::model::time::Time;

/// A type that can say its shape.
pub trait Describe {
    /// A reference to it; named types are put into `types` on the way.
    fn describe(types: &mut Types) -> TypeRef;
}

/// A use of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeRef {
    /// Nothing is answered.
    Unit,
    /// True or false.
    Bool,
    /// A 64-bit signed integer.
    Int,
    /// Text.
    Text,
    /// Text that must not be printed: a password, a token.
    Secret,
    /// A UUID.
    Id,
    /// A moment, RFC 3339.
    Time,
    /// A calendar date, ISO 8601.
    Date,
    /// Any JSON value.
    Json,
    /// A list.
    List(Box<TypeRef>),
    /// An object with free keys.
    Map(Box<TypeRef>),
    /// A value or null.
    Optional(Box<TypeRef>),
    /// Not given, null, or a value.
    Patch(Box<TypeRef>),
    /// Not given, or a value.
    Change(Box<TypeRef>),
    /// One page of a list.
    Page(Box<TypeRef>),
    /// A record or enum of [`Types`].
    Named(String),
    /// A record, or one field of it alone, which is text.
    OrText(Box<TypeRef>),
    /// Text or an integer: what a host knows something by.
    Key,
}

impl TypeRef {
    /// Whether it is a secret, or holds some that are in no record of their own: a list, a map, an optional one.
    pub fn is_secret(&self) -> bool {
        match self {
            Self::Secret => true,
            Self::List(inner)
            | Self::Map(inner)
            | Self::Optional(inner)
            | Self::Patch(inner)
            | Self::Change(inner)
            | Self::Page(inner)
            | Self::OrText(inner) => inner.is_secret(),
            Self::Unit
            | Self::Bool
            | Self::Int
            | Self::Text
            | Self::Id
            | Self::Time
            | Self::Date
            | Self::Json
            | Self::Key
            | Self::Named(_) => false,
        }
    }
}

/// Everything that the bindings show: the list of operations and the types they speak of.
#[derive(Debug)]
pub struct Catalogue {
    /// Areas in order: `users`, `roles`, …
    pub areas: Vec<AreaShape>,
    /// Every named type that an operation takes or answers, or that errors hold.
    pub types: Types,
}

/// A group of operations: `me.users`.
#[derive(Debug)]
pub struct AreaShape {
    /// `users`
    pub name: &'static str,
    /// Its doc comment.
    pub about: &'static str,
    /// Its operations in order.
    pub operations: Vec<OperationShape>,
}

/// An operation: `me.users.create(…)`; other languages call it `users.create`.
#[derive(Debug)]
pub struct OperationShape {
    /// `create`
    pub name: &'static str,
    /// Its doc comment.
    pub about: &'static str,
    /// Always a record of [`Types`], possibly without fields.
    pub input: TypeRef,
    /// What it answers.
    pub output: TypeRef,
    /// Web pages do not offer it.
    pub is_of_servers: bool,
}

/// A named type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeShape {
    /// Its doc comment.
    pub about: &'static str,
    /// What it consists of.
    pub shape: Shape,
}

/// What a named type consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Fields in order.
    Record(Vec<FieldShape>),
    /// The words of an enum, each with its doc comment.
    Words(Vec<(&'static str, &'static str)>),
}

impl TypeShape {
    /// The fields that must not be printed.
    pub fn secrets(&self) -> impl Iterator<Item = &FieldShape> {
        let fields = match &self.shape {
            Shape::Record(fields) => fields.as_slice(),
            Shape::Words(_) => &[],
        };
        fields.iter().filter(|field| field.ty.is_secret())
    }
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldShape {
    /// Its key in JSON, in snake case.
    pub name: &'static str,
    /// Its doc comment.
    pub about: &'static str,
    /// Its type.
    pub ty: TypeRef,
    /// Whether it is given by place where a language does so, though it may be left out.
    pub is_positional: bool,
}

/// All named types met so far.
#[derive(Debug, Default)]
pub struct Types(pub BTreeMap<String, TypeShape>);

impl Types {
    /// Notes a named type once, and refers to it.
    pub fn named(&mut self, name: &str, about: &'static str, shape: impl FnOnce(&mut Types) -> Shape) -> TypeRef {
        if !self.0.contains_key(name) {
            // Entered before its fields are looked at, so that a type may hold itself.
            self.0.insert(name.to_owned(), TypeShape { about, shape: Shape::Words(Vec::new()) });
            let shape = shape(self);
            self.0.insert(name.to_owned(), TypeShape { about, shape });
        }
        TypeRef::Named(name.to_owned())
    }
}

macro_rules! plain {
    ($($ty:ty => $shape:ident),*) => {$(
        impl Describe for $ty {
            fn describe(_: &mut Types) -> TypeRef {
                TypeRef::$shape
            }
        }
    )*};
}
plain!(() => Unit, bool => Bool, i64 => Int, u32 => Int, String => Text, Time => Time, Date => Date, serde_json::Value => Json, crate::model::value::Value => Json);

impl<T: Describe> Describe for Option<T> {
    fn describe(types: &mut Types) -> TypeRef {
        TypeRef::Optional(Box::new(T::describe(types)))
    }
}

impl<T: Describe> Describe for Vec<T> {
    fn describe(types: &mut Types) -> TypeRef {
        TypeRef::List(Box::new(T::describe(types)))
    }
}

impl<T: Describe> Describe for BTreeMap<String, T> {
    fn describe(types: &mut Types) -> TypeRef {
        TypeRef::Map(Box::new(T::describe(types)))
    }
}

impl<T: Describe> Describe for crate::model::record::Document<T> {
    fn describe(types: &mut Types) -> TypeRef {
        T::describe(types)
    }
}
