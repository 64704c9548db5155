//! The write set: rows as they were and will be, and rows that must stay as they are.

use super::{Plan, PlannedWrite};
use crate::{
    model::{
        record::{Key, Record, ResourceRecord, Row, Table},
        value::Value,
    },
    storage::Check,
};

impl Plan<'_> {
    /// Writes a new row that the caller asked for.
    pub fn insert<R: ResourceRecord>(&mut self, record: R) -> R {
        self.write(None::<&R>, record, Some(R::TYPE))
    }

    /// Writes a changed row that the caller asked for; an unchanged one is not written.
    pub fn update<R: ResourceRecord + PartialEq>(&mut self, before: &R, after: R) -> R {
        if *before == after { after } else { self.write(Some(before), after, Some(R::TYPE)) }
    }

    /// Deletes a row that the caller asked for.
    pub fn delete<R: ResourceRecord>(&mut self, record: &R) {
        self.remove(record, Some(R::TYPE));
    }

    /// Writes a row that follows from what was asked.
    pub fn write_consequence<R: Record>(&mut self, before: Option<&R>, after: R) -> R {
        self.write(before, after, None)
    }

    /// The same of a row in which the library fills in what the operation found out, such as that an address was proved: the
    /// rules are not asked whether the caller may choose that.
    pub fn establish<R: Record>(&mut self, before: &R, after: R) -> R {
        let after = self.write_consequence(Some(before), after);
        if let Some(slot) = self.writes.get_mut(&(R::TABLE.name, after.key())) {
            slot.is_established = true;
        }
        after
    }

    /// Writes a new row about which the operation has asked the rules itself: whether somebody else than the caller may make it, who
    /// stands for it.
    pub fn insert_judged<R: ResourceRecord>(&mut self, record: R) -> R {
        let record = self.insert(record);
        if let Some(slot) = self.writes.get_mut(&(R::TABLE.name, record.key())) {
            slot.is_judged = true;
        }
        record
    }

    /// Deletes a row, following from what was asked.
    pub fn delete_consequence<R: Record>(&mut self, record: &R) {
        self.remove(record, None);
    }

    pub(super) fn write<R: Record>(&mut self, before: Option<&R>, mut after: R, asked: Option<&'static str>) -> R {
        let version = self.write_row(R::TABLE, before.map(Record::to_row), after.to_row(), asked);
        after.set_version(version);
        after
    }

    /// Plans a row; the version that it will have.
    pub(super) fn write_row(
        &mut self,
        table: &'static Table,
        before: Option<Row>,
        mut after: Row,
        asked: Option<&'static str>,
    ) -> i64 {
        let expected = before.as_ref().map(|before| table.version_of(before));
        let key = (table.name, table.key_of(&after));
        self.remember(&key);
        let slot = self.writes.entry(key).or_insert_with(|| PlannedWrite {
            table,
            expected,
            before,
            after: None,
            asked,
            is_established: false,
            is_judged: false,
        });
        // A row that one plan writes twice moves its version once.
        let version = slot.expected.map_or(1, |version| version + 1);
        after.0[table.version] = Value::Int(version);
        slot.after = Some(after);
        slot.asked = slot.asked.or(asked);
        version
    }

    pub(super) fn remove<R: Record>(&mut self, record: &R, asked: Option<&'static str>) {
        self.remove_row(R::TABLE, record.to_row(), asked);
    }

    pub(super) fn remove_row(&mut self, table: &'static Table, row: Row, asked: Option<&'static str>) {
        let expected = Some(table.version_of(&row));
        let key = (table.name, table.key_of(&row));
        self.remember(&key);
        let slot = self.writes.entry(key);
        let slot = slot.or_insert_with(|| PlannedWrite {
            table,
            expected,
            before: Some(row),
            after: None,
            asked,
            is_established: false,
            is_judged: false,
        });
        slot.after = None;
        slot.asked = slot.asked.or(asked);
    }

    /// A row that was read must be unchanged when the plan is committed.
    pub fn check<R: Record>(&mut self, record: &R) {
        self.check_key::<R>(record.key(), Some(record.version()));
    }

    /// The same of a row that may be missing.
    pub fn rely_on_row<R: Record>(&mut self, key: &R::Key, row: Option<&R>) {
        const { assert!(R::TABLE.checks_absence, "its declaration lacks `checks_absence`") };
        self.check_key::<R>(R::key_of(key), row.map(Record::version));
    }

    /// The same of a row of any table.
    pub fn check_row(&mut self, table: &'static Table, row: &Row) {
        self.must_be(Check { table, key: table.key_of(row), expected: Some(table.version_of(row)) });
    }

    pub(super) fn check_key<R: Record>(&mut self, key: Key, expected: Option<i64>) {
        self.must_be(Check { table: R::TABLE, key, expected });
    }

    /// Two versions of one row that were both relied on: the row moved while this was planned.
    pub(super) fn must_be(&mut self, check: Check) {
        let planned = self.writes.get(&(check.table.name, check.key.clone()));
        let written = planned.and_then(|planned| Some(planned.table.version_of(planned.after.as_ref()?)));
        if written.is_some() && written == check.expected {
            // What was read of the plan itself: its write expects the version before.
            return;
        }
        let known = self.checks.entry((check.table.name, check.key.clone())).or_insert_with(|| check.clone());
        if known.expected != check.expected {
            self.torn.get_or_insert(check);
        }
    }

    /// A row that the plan relies on at one version and writes over another.
    pub(super) fn overtaken(&self) -> Option<&Check> {
        self.checks.iter().find_map(|(row, check)| {
            let planned = self.writes.get(row)?;
            // It may have been written after it was relied on as it will be.
            let written = planned.after.as_ref().map(|after| planned.table.version_of(after));
            (check.expected != planned.expected && check.expected != written).then_some(check)
        })
    }
}
