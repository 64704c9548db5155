//! Attributes that a policy adds to stored types: members of a row's document (decision 045).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::model::{
    attributes,
    check::Invalid,
    decode::FieldCode,
    record::{Row, Table},
    value::Value,
};
use crate::rules::{Attribute, GivenValue, Resource, RuleSet, TypedValue};

impl RuleSet {
    /// A stored row, with what its document holds of the attributes that the policy adds to its type. Relations are added by
    /// [`Resource::relation`].
    pub(crate) fn row<'r>(&self, kind: &'r str, table: &'static Table, row: &'r Row) -> Resource<'r> {
        let attributes = self.type_named(kind).into_iter().flat_map(|ty| &ty.attributes);
        let mut held: Option<BTreeMap<String, Json>> = None;
        let mut resource = Resource::record(kind, table, row);
        for (attribute, member) in attributes.filter_map(|one| Some((one, one.member()?))) {
            // Read where the policy adds any.
            let held = held.get_or_insert_with(|| attributes::of_row(table, row));
            let value = held.remove(member).map_or(Value::Null, |value| attributes::read(member, value));
            resource = resource.stored(attribute.name.to_string(), value);
        }
        resource
    }

    /// What a row keeps of an attribute that the policy adds to its type: the member's name, and the value in the one form of its
    /// type. None: the policy adds no such attribute.
    pub(crate) fn member(&self, kind: &str, name: &str, given: Json) -> Option<Result<(String, Json), Invalid>> {
        let ty = self.type_named(kind)?;
        let attribute = ty.attributes.get(ty.slot(name)? as usize)?;
        let member = attribute.member()?;
        Some(match in_one_form(attribute, given) {
            Some(value) => Ok((member.to_owned(), value)),
            None => {
                let message = format!("must be of the type {}, or null", attribute.ty);
                Err(Invalid::new(FieldCode::InvalidType, message))
            }
        })
    }
}

/// A value in the one form of an attribute's type; none: it is of another, or a text with NUL.
fn in_one_form(attribute: &Attribute, given: Json) -> Option<Json> {
    let is_kept = |value: &Value| !value.as_text().is_some_and(|text| text.contains('\0'));
    match GivenValue::from(given) {
        set @ GivenValue::Set(_) => {
            let elements = set.read(attribute.ty).elements(attribute.ty.base)?;
            let elements: BTreeSet<Value> = elements.into_iter().filter_map(TypedValue::to_value).collect();
            elements.iter().all(is_kept).then(|| elements.iter().map(kept).collect())
        }
        one => one.read(attribute.ty).to_value().filter(is_kept).as_ref().map(kept),
    }
}

/// As a document keeps it: times in microseconds, as durations are.
fn kept(value: &Value) -> Json {
    match value {
        Value::Time(micros) => (*micros).into(),
        value => value.to_json(),
    }
}
