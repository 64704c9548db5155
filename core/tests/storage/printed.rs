//! Rows do not print what no log may hold (SEC-13).

use rolekeep::{
    Value,
    internals::target::TargetRow,
    storage::{Batch, Kind, Loaded, Row, RowChange, Rows, Table, Write, tables},
};

const MARK: &str = "correct horse battery staple";
const SHOWN: &str = "a name";

/// A row with a mark in each secret column, and another text in each other that holds text.
fn row(table: &Table) -> Row {
    let values = table.columns.iter().map(|column| match column.kind {
        Kind::Text if column.secret => Value::Text(MARK.to_owned()),
        Kind::Text => Value::Text(SHOWN.to_owned()),
        Kind::Json => Value::Json(format!("[\"{MARK}\"]").into()),
        _ => Value::Int(7),
    });
    Row(values.collect())
}

#[test]
fn no_row_prints_a_secret() {
    let mut secrets = 0;
    for table in tables() {
        secrets += table.columns.iter().filter(|column| column.secret).count();
        let row = row(table);
        let write = Write { table, key: table.key_of(&row), expected: None, row: Some(row.clone()), before: None };
        let named = table.columns.iter().map(|column| (column.name.to_owned(), MARK.into()));
        let change = RowChange { id: "1".to_owned(), table: table.name.to_owned(), row: Some(named.collect()) };
        let batch = Batch { base: 0, position: 1, changes: vec![change.clone()] };
        let loaded = Loaded { position: 1, changes: vec![change], ..Loaded::default() };
        let rows = Rows { rows: vec![row.clone()], ..Rows::default() };
        let texts = [format!("{row:?}"), format!("{rows:?}"), format!("{write:?}"), format!("{batch:?} {loaded:?}")];
        for text in texts {
            assert!(!text.contains(MARK), "{}: {text}", table.name);
        }
    }
    assert!(secrets >= 3);
}

#[test]
fn a_subject_prints_its_columns_by_name_but_for_secrets() {
    for table in tables() {
        let mut row = row(table);
        for (column, value) in table.columns.iter().zip(&mut row.0) {
            if column.kind == Kind::Json {
                *value = Value::Null;
            }
            assert!(!column.secret || *value == Value::Text(MARK.to_owned()));
        }
        let text = format!("{:?}", TargetRow { kind: "thing".into(), table, row });
        assert!(!text.contains(MARK), "{text}");
        for column in table.columns {
            let shown = if column.secret { format!("{}: …", column.name) } else { format!("{}: ", column.name) };
            assert!(text.contains(&shown), "{shown} in {text}");
        }
    }
}
