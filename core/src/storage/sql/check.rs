//! Whether a host's table keeps to what its mapping says.

use super::{IdStorage, SqlCondition, SqlDialect, SqlValue, TableMapping, filter::problem, mapping::Kept};
use crate::{
    model::error::{Error, Reason, Result},
    rules::{FilterAttribute, LooseDeny, RuleSet},
};

const POSTGRES: &str = "\
WITH wanted(name, types, is_required) AS (SELECT * FROM unnest($1::text[], $2::text[], $3::boolean[])), \
found AS (SELECT w.name, w.types, w.is_required, a.attnotnull, a.attname IS NOT NULL AS is_there, t.typname, \
c.collisdeterministic FROM wanted AS w \
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = to_regclass($4::text) AND a.attname = w.name \
AND a.attnum > 0 AND NOT a.attisdropped \
LEFT JOIN pg_catalog.pg_type AS d ON d.oid = a.atttypid \
LEFT JOIN pg_catalog.pg_type AS t ON t.oid = CASE WHEN d.typtype = 'd' THEN d.typbasetype ELSE d.oid END \
LEFT JOIN pg_catalog.pg_collation AS c ON c.oid = a.attcollation), \
said AS (SELECT name, CASE WHEN NOT is_there THEN 'there is no such column' \
WHEN NOT typname = ANY(string_to_array(types, ' ')) THEN 'has the type ' || typname || ', not ' || types \
WHEN NOT collisdeterministic THEN 'has a collation by which different texts are equal' \
WHEN is_required AND NOT attnotnull THEN 'may be null: declare the attribute optional, or the column NOT NULL' \
END AS problem FROM found \
UNION ALL SELECT 'database', 'has the encoding ' || current_setting('server_encoding') || ', not UTF8' \
WHERE current_setting('server_encoding') <> 'UTF8') \
SELECT DISTINCT name::text, problem::text FROM said WHERE problem IS NOT NULL ORDER BY 1";

const SQLITE: &str = "\
SELECT DISTINCT name, problem FROM (SELECT w.value ->> '$.name' AS name, CASE \
WHEN c.name IS NULL THEN 'there is no such column' \
WHEN w.value ->> '$.is_required' AND NOT c.\"notnull\" AND NOT c.pk \
THEN 'may be null: declare the attribute optional, or the column NOT NULL' END AS problem \
FROM json_each(?1) AS w LEFT JOIN pragma_table_info(?2) AS c ON c.name = w.value ->> '$.name' \
UNION ALL SELECT 'table', 'is not STRICT' WHERE ?3 AND NOT EXISTS \
(SELECT 1 FROM pragma_table_list AS t WHERE t.name = ?2 AND t.strict) \
UNION ALL SELECT 'database', 'has the encoding ' || encoding || ', not UTF-8' FROM pragma_encoding \
WHERE encoding <> 'UTF-8') WHERE problem IS NOT NULL ORDER BY 1";

/// A column that must be there.
struct Wanted {
    name: String,
    /// Names of PostgreSQL's types.
    types: &'static str,
    is_required: bool,
}

fn no_type(resource_type: &str) -> Error {
    Error::new(Reason::InvalidInput, format!("the policy has no type `{resource_type}`"))
}

impl TableMapping {
    /// A query to run when the application starts: it returns two texts (column, problem) for each column of
    /// `table` that does not fit the mapping and the policy, and no row if all do. Its parameters begin with
    /// number 1.
    ///
    /// It finds missing columns, other types, nullable columns of attributes that are not optional,
    /// collations of PostgreSQL by which different texts are equal, and encodings other than UTF-8. It does
    /// not read the rows of the table.
    ///
    /// # Errors
    /// [`Reason::InvalidInput`] if the policy has no such type, or naming every attribute that
    /// rules read and that the mapping cannot express exactly.
    pub fn check_sql(&self, rules: &RuleSet, resource_type: &str, table: &str) -> Result<SqlCondition> {
        let Some(attributes) = rules.filter_attributes(resource_type) else {
            return Err(no_type(resource_type));
        };
        let refused = attributes.iter().filter_map(|one| Some(problem(&one.name, self.resolve(one).err()?)));
        let refused: Vec<_> = refused.collect();
        if !refused.is_empty() {
            return Err(Error::invalid(refused));
        }
        let wanted: Vec<Wanted> = attributes.iter().map(|one| self.wanted(one)).collect();
        let table = SqlValue::Text(table.to_owned());
        Ok(match self.dialect {
            SqlDialect::Postgres => SqlCondition {
                text: POSTGRES.to_owned(),
                parameters: vec![
                    SqlValue::Texts(wanted.iter().map(|one| one.name.clone()).collect()),
                    SqlValue::Texts(wanted.iter().map(|one| one.types.to_owned()).collect()),
                    SqlValue::Bools(wanted.iter().map(|one| one.is_required).collect()),
                    table,
                ],
            },
            SqlDialect::Sqlite => {
                let columns =
                    wanted.iter().map(|one| serde_json::json!({ "name": one.name, "is_required": one.is_required }));
                let columns = serde_json::Value::Array(columns.collect()).to_string();
                let is_strict = SqlValue::Int(self.is_strict.into());
                SqlCondition { text: SQLITE.to_owned(), parameters: vec![SqlValue::Text(columns), table, is_strict] }
            }
        })
    }

    /// The denies that read values which this table may hold with another type: members of JSON documents, and in SQLite
    /// sets and all columns of a table that is not [`TableMapping::strict`]. Such a value counts as absent, so that the deny
    /// does not apply, neither in a list nor in a check. A `CHECK` on the column, or a strict table, prevents that. Call it
    /// when the application starts; an empty list is good.
    ///
    /// # Errors
    /// [`Reason::InvalidInput`] if the policy has no such type.
    pub fn lint(&self, rules: &RuleSet, resource_type: &str) -> Result<Vec<LooseDeny>> {
        if rules.filter_attributes(resource_type).is_none() {
            return Err(no_type(resource_type));
        }
        let is_sqlite = self.dialect == SqlDialect::Sqlite;
        let is_loose = |attribute: &FilterAttribute| match self.place_of(attribute.declared_name()) {
            Kept::Json { .. } => true,
            Kept::Link { .. } => false,
            Kept::Column(_) => is_sqlite && (!self.is_strict || attribute.ty.is_set),
        };
        Ok(rules.denies_reading(resource_type, is_loose))
    }

    fn wanted(&self, attribute: &FilterAttribute) -> Wanted {
        use crate::rules::Base;
        let (name, types) = match self.place_of(attribute.declared_name()) {
            Kept::Json { column, .. } => (column, "jsonb"),
            Kept::Link { own, .. } => (own, "uuid text varchar int2 int4 int8"),
            Kept::Column(column) => {
                let types = match (attribute.ty.base, attribute.ty.is_set, self.ids_of(&attribute.name)) {
                    (Base::Bool, false, _) => "bool",
                    (Base::Int | Base::Duration, false, _) => "int8 int4 int2",
                    (Base::String, false, _) | (Base::Id, false, IdStorage::Text) => "text varchar",
                    (Base::Id, false, _) => "uuid",
                    (Base::Time, false, _) if self.has_timestamps(attribute.declared_name()) => "timestamptz",
                    (Base::Time, false, _) => "int8",
                    (Base::Ip, false, _) => "inet cidr",
                    (Base::Bool, true, _) => "_bool",
                    (Base::String, true, _) | (Base::Id, true, IdStorage::Text) => "_text",
                    (Base::Id, true, _) => "_uuid",
                    (_, true, _) => "_int8",
                };
                (column, types)
            }
        };
        Wanted { name, types, is_required: !attribute.is_optional && !attribute.ty.is_set }
    }
}
