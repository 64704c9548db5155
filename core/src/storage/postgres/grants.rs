//! Roles, and what each may do.

use sha2::{Digest as _, Sha256};

use super::{PostgresOptions, options};
use crate::{
    audit_chain::AuditEntry,
    model::{
        error::{Error, Reason, Result},
        record::Record as _,
        text::hex,
    },
    storage::sql::{migrations::Schema, quoted},
};

/// PostgreSQL cuts off what a name has beyond.
const LONGEST_NAME: usize = 63;

/// The statements that make the roles of a schema and say what each may do. They may be run any number of times.
pub(crate) fn text(options: &PostgresOptions, schema: &Schema) -> Result<String> {
    options::check_schema(&options.schema)?;
    let (name, database) = (&options.schema, options.database()?);
    if database.contains('$') {
        // It would end the quotes of what is run.
        return Err(Error::new(
            Reason::ConfigInvalid,
            "postgres: roles cannot be made for a database with `$` in its name",
        ));
    }
    let of = quoted(name);
    let roles = roles(name, &database);
    let [owner, app, upkeep] = roles.each_ref().map(|role| quoted(role));
    let mut text = String::from("-- PostgreSQL: run it with `psql -v ON_ERROR_STOP=1` after each migration.\nBEGIN;\n");
    let mut put = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    put(&made(roles.each_ref().map(|role| literal(role)), name, &database));
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

/// The names of the owner's role, the application's and that of upkeep. Roles are the whole server's, so the database is part of them.
fn roles(schema: &str, database: &str) -> [String; 3] {
    let with = |database: &str| ["owner", "app", "upkeep"].map(|role| format!("{schema}_{role}@{database}"));
    let names = with(database);
    if names.iter().all(|name| name.len() <= LONGEST_NAME) {
        return names;
    }
    let mut hash = hex(&Sha256::digest(database));
    // What is left beside the longest name of a schema.
    hash.truncate(7);
    with(&hash)
}

/// Makes the roles, and refuses those that are there and are not ours: who made them may be able to sign in with them. What is ours has what
/// only the schema's owner gives: the schema, or its use. A comment may be anybody's who makes roles.
fn made(roles: [String; 3], schema: &str, database: &str) -> String {
    let (ours, here) = (literal(&format!("Rolekeep: schema {schema} of the database {database}")), literal(database));
    let of = literal(schema);
    format!(
        "DO $$
DECLARE
  role text;
  ours text := {ours};
BEGIN
  IF current_database() <> {here} THEN
    RAISE EXCEPTION 'these roles are for the database %, and this one is %', {here}, current_database();
  END IF;
  FOREACH role IN ARRAY ARRAY[{}] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN', role);
      EXECUTE format('COMMENT ON ROLE %I IS %L', role, ours);
    ELSIF NOT EXISTS (SELECT FROM pg_roles AS known, pg_namespace AS space WHERE rolname = role AND NOT rolcanlogin AND NOT rolsuper
                      AND nspname = {of} AND (nspowner = known.oid OR EXISTS (SELECT FROM aclexplode(nspacl) WHERE grantee = known.oid))) THEN
      RAISE EXCEPTION 'the role % exists already, and can sign in or was not made by this: see who is a member, and drop it', role;
    END IF;
  END LOOP;
END $$;",
        roles.join(", ")
    )
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
