//! Resources as bytes, for languages that write into this one's memory: what text through the border costs is left out.
//!
//! All numbers are little-endian, and a text is its length in bytes (two bytes) and its UTF-8.
//!
//! | what | bytes |
//! |---|---|
//! | resource | its type as a text, then for each attribute its name as a text, none of them twice, and its value |
//! | value | 0 null; 1 false; 2 true; 3 and an integer of eight bytes; 4 and a text; 5, a count of two bytes and so many values that are no sets; 6 and a text that is JSON |
//! | checks | their count of two bytes; of each the permission's number of four bytes and the place of its resource of two bytes, from 1 (0: none); then each resource after its length of two bytes |
//!
//! Whatever cannot be read, or is answered by an error, is to be asked as JSON, which says what is wrong.

use crate::{
    model::{
        error::Result,
        input::{Limits, read},
        value::Value,
    },
    rules::{GivenValue, PermissionHandle, Resource, ResourceValue},
};

/// Whether something may be done to a resource; none where it is to be asked as JSON.
pub fn ask(bytes: &[u8], ask: impl FnOnce(&Resource<'_>) -> Result<bool>) -> Option<bool> {
    ask(&resource(bytes)?).ok()
}

/// [`ask`] for many checks; `permission` knows them by their numbers.
pub fn ask_many<'p>(
    bytes: &[u8],
    permission: impl Fn(u32) -> Option<&'p PermissionHandle>,
    ask: impl FnOnce(&[(&PermissionHandle, Option<&Resource<'_>>)]) -> Result<Vec<bool>>,
) -> Option<Vec<bool>> {
    let mut bytes = Bytes(bytes);
    let count = bytes.length()?;
    let (mut asked, mut resources) = (Bytes(bytes.take(count * CHECK)?), Vec::new());
    while !bytes.0.is_empty() {
        let length = bytes.length()?;
        resources.push(resource(bytes.take(length)?)?);
    }
    let mut checks = Vec::with_capacity(count);
    for _ in 0..count {
        let (permission, place) = (permission(asked.permission()?)?, asked.length()?);
        checks.push((permission, if place == 0 { None } else { Some(resources.get(place - 1)?) }));
    }
    ask(&checks).ok()
}

/// The bytes of one check among many.
const CHECK: usize = 6;

fn resource(bytes: &[u8]) -> Option<Resource<'_>> {
    let mut bytes = Bytes(bytes);
    // Room for as many as most have.
    let (resource_type, mut given) = (bytes.text()?, Vec::with_capacity(8));
    while !bytes.0.is_empty() {
        let name = bytes.text()?;
        let value = match bytes.byte()? {
            5 => {
                let count = bytes.length()?;
                let values = (0..count).map(|_| {
                    let kind = bytes.byte()?;
                    bytes.scalar(kind)
                });
                GivenValue::Set(values.collect::<Option<_>>()?).into()
            }
            6 => GivenValue::from(read(bytes.text()?, Limits::SMALL).ok()?).into(),
            4 => ResourceValue::Text(bytes.text()?),
            kind => GivenValue::One(bytes.scalar(kind)?).into(),
        };
        given.push((name.into(), value));
    }
    Some(Resource::of_given(resource_type, given))
}

/// What is still to be read.
struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn length(&mut self) -> Option<usize> {
        self.array().map(|bytes| u16::from_le_bytes(bytes).into())
    }

    fn permission(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'b str> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    /// A value that is no set.
    fn scalar(&mut self, kind: u8) -> Option<Value> {
        match kind {
            0 => Some(Value::Null),
            1 | 2 => Some(Value::Bool(kind == 2)),
            3 => self.array().map(|bytes| Value::Int(i64::from_le_bytes(bytes))),
            4 => self.text().map(Value::from),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::model::error::{Error, Reason};

    fn text(text: &str) -> Vec<u8> {
        let length = u16::try_from(text.len()).unwrap();
        [&length.to_le_bytes(), text.as_bytes()].concat()
    }

    fn packed(resource_type: &str, attributes: &[(&str, &[u8])]) -> Vec<u8> {
        let attributes = attributes.iter().flat_map(|(name, value)| [text(name), value.to_vec()].concat());
        text(resource_type).into_iter().chain(attributes).collect()
    }

    fn document() -> Vec<u8> {
        let (owner, json) = ([vec![4], text("Zoë")].concat(), [vec![6], text("[true, 1.0]")].concat());
        let count = [vec![3], (-2_i64).to_le_bytes().to_vec()].concat();
        let readers = [vec![5, 3, 0, 0, 4], text("ada"), vec![2]].concat();
        let attributes: [(&str, &[u8]); 7] = [
            ("owner", &owner),
            ("size", &count),
            ("readers", &readers),
            ("gone_at", &[0]),
            ("is_open", &[1]),
            ("is_old", &[2]),
            ("marks", &json),
        ];
        packed("document", &attributes)
    }

    #[test]
    fn a_resource_is_what_was_written() {
        let written = Resource::of("document")
            .with_text("owner", "Zoë")
            .with("size", -2)
            .with_set("readers", [Value::Null, "ada".into(), true.into()])
            .with("gone_at", Value::Null)
            .with("is_open", false)
            .with("is_old", true)
            .with_set("marks", [Value::Bool(true), Value::Int(1)]);
        assert_eq!(format!("{:?}", resource(&document()).unwrap()), format!("{written:?}"));
    }

    #[test]
    fn what_is_cut_off_is_nothing() {
        let whole = document();
        let ends = (0..whole.len()).filter(|end| resource(&whole[..*end]).is_some());
        // Where an attribute ends, so may the resource.
        assert_eq!(ends.count(), 7);
        let mut changed = whole.clone();
        for at in 0..whole.len() {
            for byte in [0, 1, 7, 0x80, 0xff] {
                changed[at] = byte;
                let _ = resource(&changed);
            }
            changed[at] = whole[at];
        }
    }

    #[test]
    fn many_are_asked_by_number_and_place() {
        let one = document();
        let check =
            |permission: u32, place: u16| [permission.to_le_bytes().to_vec(), place.to_le_bytes().to_vec()].concat();
        let length = u16::try_from(one.len()).unwrap().to_le_bytes();
        let all = |places: [u16; 3]| {
            let [a, b, c] = places;
            [&3_u16.to_le_bytes()[..], &check(0, a), &check(1, b), &check(0, c), &length, &one].concat()
        };
        let names = ["document:read", "document:edit"].map(PermissionHandle::new);
        let name = |number: u32| names.get(number as usize);
        let given = ask_many(&all([1, 0, 1]), name, |checks| {
            assert!(std::ptr::eq(checks[0].1.unwrap(), checks[2].1.unwrap()) && checks[1].1.is_none());
            Ok(checks.iter().map(|(permission, _)| permission.name() == "document:edit").collect())
        });
        assert_eq!(given, Some(vec![false, true, false]));
        // Were it asked, there would be an answer.
        let never = |_: &[(&PermissionHandle, Option<&Resource<'_>>)]| Ok(Vec::new());
        assert_eq!(ask_many(&all([1, 0, 2]), name, never), None, "there is no second resource");
        assert_eq!(ask_many(&all([1, 0, 1])[..9], name, never), None);
        assert_eq!(ask_many(&all([1, 0, 1]), |_| None, never), None);
        assert_eq!(ask_many(&all([1, 0, 1]), name, |_| Err(Error::new(Reason::Closed, "closed"))), None);
    }
}
