//! Values of JSON documents, read as the rules read them: one of another type is absent, `1.0` is the
//! integer 1, an id may be written in each of its forms. Of a key that stands twice the last counts, as for readers of JSON
//! and in `jsonb`: SQLite's own paths lead to the first.

use super::{
    SqlDialect,
    column::{Collate, Column, Stored},
};
use crate::{model::record::Kind, rules::Base};

/// The alias of the elements of an array.
pub(super) const ELEMENTS: &str = "rk_element";

/// The alias of the members of an object.
pub(super) const MEMBERS: &str = "rk_member";

/// A place in a document.
#[derive(Clone, Copy)]
pub(super) struct DocumentPath<'p> {
    pub(super) dialect: SqlDialect,
    /// The column, quoted.
    pub(super) column: &'p str,
    pub(super) keys: &'p [String],
}

/// SQL that reads one value whose type is not known.
struct Json {
    dialect: SqlDialect,
    /// Its JSON type, as the database names it.
    kind: String,
    /// The value itself: `jsonb` in PostgreSQL, an SQL value in SQLite.
    value: String,
    /// As text, where it is one.
    text: String,
}

impl DocumentPath<'_> {
    /// A value of this type, else null.
    pub(super) fn one(&self, base: Base) -> Result<Column, &'static str> {
        let read = self.json().read(base)?;
        let sql = match (self.dialect, self.keys) {
            (SqlDialect::Sqlite, [before @ .., last]) => self.last_member(&self.object(before), last, &read.sql),
            _ => read.sql,
        };
        Ok(Column { sql: self.where_valid(&sql), ..read })
    }

    /// Under which condition it is an array, the rows of its elements, and what reads an element.
    pub(super) fn elements(&self, base: Base) -> Result<(String, String, Column), &'static str> {
        let json = self.json();
        // SQLite's function gives no rows of null.
        let array = self.where_valid(&match self.keys {
            [] => format!("CASE json_type({0}) WHEN 'array' THEN {0} END", self.column),
            [before @ .., last] => {
                let array = format!("CASE {MEMBERS}.type WHEN 'array' THEN {MEMBERS}.value END");
                self.last_member(&self.object(before), last, &array)
            }
        });
        let is_array = match self.dialect {
            SqlDialect::Postgres => format!("{} = 'array'", json.kind),
            SqlDialect::Sqlite => format!("{array} IS NOT NULL"),
        };
        let (from, element) = match self.dialect {
            SqlDialect::Postgres => {
                let value = format!("{ELEMENTS}.value");
                let kind = format!("jsonb_typeof({value})");
                let text = format!("{value} #>> '{{}}'");
                let from = format!("jsonb_array_elements({}) AS {ELEMENTS}(value)", json.value);
                (from, Json { dialect: self.dialect, kind, value, text })
            }
            SqlDialect::Sqlite => {
                let value = format!("{ELEMENTS}.value");
                let from = format!("json_each({array}) AS {ELEMENTS}");
                (from, Json { dialect: self.dialect, kind: format!("{ELEMENTS}.type"), text: value.clone(), value })
            }
        };
        Ok((is_array, from, element.read(base)?))
    }

    fn json(&self) -> Json {
        let DocumentPath { dialect, column, keys } = *self;
        match dialect {
            SqlDialect::Postgres => {
                let arrow = |json: String, key: &String| format!("{json} -> {}", literal(key));
                let text = match keys {
                    [before @ .., last] => {
                        format!("{} ->> {}", before.iter().fold(column.to_owned(), arrow), literal(last))
                    }
                    [] => format!("{column} #>> '{{}}'"),
                };
                let value = keys.iter().fold(column.to_owned(), arrow);
                Json { dialect, kind: format!("jsonb_typeof({value})"), value, text }
            }
            SqlDialect::Sqlite if keys.is_empty() => {
                let value = format!("json_extract({column}, '$')");
                Json { dialect, kind: format!("json_type({column})"), text: value.clone(), value }
            }
            SqlDialect::Sqlite => {
                let value = format!("{MEMBERS}.value");
                Json { dialect, kind: format!("{MEMBERS}.type"), text: value.clone(), value }
            }
        }
    }

    /// SQLite keeps documents as text, which may be none; a query must not fail by one row.
    fn where_valid(&self, sql: &str) -> String {
        match self.dialect {
            SqlDialect::Postgres => sql.to_owned(),
            SqlDialect::Sqlite => format!("CASE WHEN json_valid({}) THEN {sql} END", self.column),
        }
    }

    /// In SQLite: the object that these keys lead to, else null.
    fn object(&self, keys: &[String]) -> String {
        let object = format!("CASE {MEMBERS}.type WHEN 'object' THEN {MEMBERS}.value END");
        keys.iter().fold(self.column.to_owned(), |from, key| self.last_member(&from, key, &object))
    }

    /// In SQLite: what is read of the last member of this name, null where an object has none.
    fn last_member(&self, object: &str, key: &str, read: &str) -> String {
        format!(
            "(SELECT {read} FROM json_each({object}) AS {MEMBERS} WHERE {MEMBERS}.key = {} \
             ORDER BY {MEMBERS}.id DESC LIMIT 1)",
            literal(key)
        )
    }
}

/// A text as SQL writes it; keys of documents alone, which belong to the host as names of columns do.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Json {
    fn read(&self, base: Base) -> Result<Column, &'static str> {
        let Json { kind, value, text, .. } = self;
        let postgres = self.dialect == SqlDialect::Postgres;
        let (sql, kind_of, stored) = match base {
            Base::Bool if postgres => {
                (format!("CASE WHEN {kind} = 'boolean' THEN ({value})::boolean END"), Kind::Bool, Stored::Bool)
            }
            Base::Bool => (format!("CASE {kind} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END"), Kind::Bool, Stored::Bool),
            Base::Int => (self.int(), Kind::Int, Stored::Int),
            Base::String if postgres => {
                (format!("CASE WHEN {kind} = 'string' THEN {text} END"), Kind::Text, Stored::Text)
            }
            Base::String => (self.whole_text(), Kind::Text, Stored::Text),
            Base::Id => (self.id(), Kind::Id, if postgres { Stored::Uuid } else { Stored::IdText }),
            Base::Time => return Err("a time in a document has many forms; keep it in a column"),
            Base::Duration => return Err("a duration in a document has many forms; keep it in a column"),
            Base::Ip => return Err("an address in a document has many forms; keep it in a column"),
        };
        let collate = match stored {
            Stored::Text if postgres => Collate::WhereOrdered,
            _ => Collate::Nowhere,
        };
        Ok(Column { sql, kind: kind_of, stored, is_nullable: true, is_typed: None, collate })
    }

    /// Integers of 64 bits, and fractions that are integral and below 2^53, as floats of 64 bits.
    fn int(&self) -> String {
        let Json { kind, value, .. } = self;
        match self.dialect {
            // Rounded first: a float does not take what would be nothing in it.
            SqlDialect::Postgres => format!(
                "CASE WHEN {kind} <> 'number' THEN NULL \
                 WHEN scale(({value})::numeric) = 0 THEN CASE WHEN ({value})::numeric \
                 BETWEEN -9223372036854775808 AND 9223372036854775807 THEN ({value})::bigint END \
                 WHEN abs(({value})::numeric) < 9007199254740992 \
                 AND abs(round(({value})::numeric, 323)::float8) < 9007199254740992 \
                 AND round(({value})::numeric, 323)::float8 = trunc(round(({value})::numeric, 323)::float8) \
                 THEN round(({value})::numeric, 323)::float8::bigint END"
            ),
            SqlDialect::Sqlite => format!(
                "CASE {kind} WHEN 'integer' THEN CASE typeof({value}) WHEN 'integer' THEN {value} END \
                 WHEN 'real' THEN CASE WHEN abs({value}) < 9007199254740992 AND {value} = CAST({value} AS INTEGER) \
                 THEN CAST({value} AS INTEGER) END END"
            ),
        }
    }

    /// SQLite takes an escape of half a letter, which is no text. Where it looks for a letter it sees U+FFFD there, as
    /// it does in U+FFFE and U+FFFF, which are letters and whole.
    fn whole_text(&self) -> String {
        let Json { kind, text, .. } = self;
        let others = [0xfffd, 0xfffe, 0xffff].iter();
        let halves = others.fold(text.clone(), |text, letter| format!("replace({text}, char({letter}), '')"));
        format!(
            "CASE {kind} WHEN 'text' THEN CASE WHEN {halves} NOT GLOB '*' || char(65533) || '*' THEN {text} END END"
        )
    }

    /// Hyphenated, also in braces or after `urn:uuid:`; or its 32 digits alone.
    fn id(&self) -> String {
        let Json { kind, text, .. } = self;
        match self.dialect {
            SqlDialect::Postgres => {
                let hyphenated = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}";
                format!(
                    "CASE WHEN {kind} = 'string' AND ({text}) ~ '^([0-9a-fA-F]{{32}}|{hyphenated}|[{{]{hyphenated}[}}]\
                     |[uU][rR][nN]:[uU][uU][iI][dD]:{hyphenated})$' \
                     THEN right(translate({text}, '{{}}-', ''), 32)::uuid END"
                )
            }
            SqlDialect::Sqlite => format!(
                "(SELECT CASE WHEN rk_id GLOB '????????-????-????-????-????????????' \
                 AND length(replace(rk_id, '-', '')) = 32 AND NOT replace(rk_id, '-', '') GLOB '*[^0-9a-fA-F]*' \
                 THEN lower(rk_id) END FROM (SELECT CASE \
                 WHEN length(rk_text) = 32 THEN substr(rk_text, 1, 8) || '-' || substr(rk_text, 9, 4) || '-' \
                 || substr(rk_text, 13, 4) || '-' || substr(rk_text, 17, 4) || '-' || substr(rk_text, 21) \
                 WHEN length(rk_text) = 38 AND rk_text GLOB '{{*}}' THEN substr(rk_text, 2, 36) \
                 WHEN length(rk_text) = 45 AND lower(substr(rk_text, 1, 9)) = 'urn:uuid:' THEN substr(rk_text, 10) \
                 ELSE rk_text END AS rk_id FROM (SELECT CASE {kind} WHEN 'text' THEN {text} END AS rk_text)))"
            ),
        }
    }
}
