//! Roles, and what each may do.

use super::{PostgresOptions, options};
use crate::{
    audit_chain::AuditEntry,
    model::{error::Result, record::Record as _},
    storage::sql::{migrations::Schema, quoted},
};

/// The statements that make the roles of a schema and say what each may do. They may be run any number of times.
pub(crate) fn text(options: &PostgresOptions, schema: &Schema) -> Result<String> {
    options::check_schema(&options.schema)?;
    let name = &options.schema;
    let of = quoted(name);
    let [owner, app, upkeep] = ["owner", "app", "upkeep"].map(|role| quoted(&format!("{name}_{role}")));
    let mut text = String::from("-- PostgreSQL: run it with `psql -v ON_ERROR_STOP=1` after each migration.\nBEGIN;\n");
    let mut put = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    for role in [&owner, &app, &upkeep] {
        // There is no `CREATE ROLE IF NOT EXISTS`.
        put(&format!("DO $$ BEGIN CREATE ROLE {role} NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"));
    }
    put(&format!("ALTER SCHEMA {of} OWNER TO {owner};"));
    put(&format!("REVOKE ALL ON SCHEMA {of} FROM PUBLIC;"));
    put(&format!("GRANT USAGE ON SCHEMA {of} TO {app}, {upkeep};"));
    let records = schema.tables.iter().map(|table| {
        (
            table.name,
            match table.name == AuditEntry::TABLE.name {
                true => "SELECT, INSERT, UPDATE",
                false => "SELECT, INSERT, UPDATE, DELETE",
            },
        )
    });
    let frame = [("rolekeep_schema", "SELECT"), ("lanes", "SELECT, UPDATE"), ("gaps", "SELECT, UPDATE")];
    for (table, may) in records.chain(frame) {
        let table = format!("{of}.{}", quoted(table));
        put(&format!("ALTER TABLE {table} OWNER TO {owner};"));
        put(&format!("REVOKE ALL ON {table} FROM PUBLIC, {app}, {upkeep};"));
        put(&format!("GRANT {may} ON {table} TO {app}, {upkeep};"));
    }
    put(&format!("GRANT DELETE ON {of}.{} TO {upkeep};", quoted(AuditEntry::TABLE.name)));
    put("COMMIT;");
    Ok(text)
}
