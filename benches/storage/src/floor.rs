//! The floor by strings, filled from the same file: what one writes by hand to have everybody in memory.

use std::{collections::HashMap, path::Path};

use anyhow::{Context, Result};
use futures_util::TryStreamExt;
use rolekeep_lab::{Role, Size, Workload, floors::Strings};
use serde::Deserialize;
use sqlx::{ConnectOptions, Row, SqliteConnection, sqlite::SqliteConnectOptions};

#[derive(Deserialize)]
struct Grant {
    permission: String,
}

/// Reads all of it.
pub async fn load(file: &Path) -> Result<Strings> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true).disable_statement_logging();
    // Few rows at a time would cost a change of threads each.
    let mut db = options.row_buffer_size(4_096).connect().await?;
    let (workload, numbers, types, actions) = roles(&mut db).await?;
    let mut floor = Strings::without_users(&workload, types, actions);
    let mut users = sqlx::query("SELECT id FROM users").fetch(&mut db);
    while let Some(row) = users.try_next().await? {
        floor.add_user(row.get(0));
    }
    drop(users);
    let mut held = sqlx::query("SELECT user_id, role FROM role_assignments").fetch(&mut db);
    while let Some(row) = held.try_next().await? {
        let user = floor.user(row.get(0)).context("an assignment of nobody")?;
        let role = numbers.get(row.get::<&str, _>(1)).context("an assignment of no role")?;
        floor.give(user, *role);
    }
    Ok(floor)
}

type Roles = (Workload, HashMap<String, u32>, Vec<String>, Vec<String>);

async fn roles(db: &mut SqliteConnection) -> Result<Roles> {
    let mut words = async |sql: &'static str| sqlx::query_scalar::<_, String>(sql).fetch_all(&mut *db).await;
    let types = words("SELECT DISTINCT resource FROM permissions").await?;
    let actions = words("SELECT DISTINCT action FROM permissions").await?;
    let number = |names: &[String]| -> HashMap<String, u32> { names.iter().cloned().zip(0..).collect() };
    let (of_type, of_action) = (number(&types), number(&actions));
    let permission = |name: &str| {
        let (resource, action) = name.split_once(':').context("a permission without a colon")?;
        let (ty, action) = of_type.get(resource).zip(of_action.get(action)).context("no such permission")?;
        Ok(*ty * actions.len() as u32 + *action)
    };
    let rows = sqlx::query("SELECT name, inherits, grants FROM roles").fetch_all(&mut *db).await?;
    let numbers: HashMap<String, u32> = rows.iter().map(|row| row.get(0)).zip(0..).collect();
    let roles = rows.iter().map(|row| {
        let inherits: Vec<String> = serde_json::from_str(row.get(1))?;
        let grants: Vec<Grant> = serde_json::from_str(row.get(2))?;
        let inherits = inherits.iter().map(|junior| numbers.get(junior).copied().context("no such role"));
        Ok(Role {
            name: row.get(0),
            inherits: inherits.collect::<Result<_>>()?,
            grants: grants.iter().map(|grant| permission(&grant.permission)).collect::<Result<_>>()?,
            denies: Vec::new(),
        })
    });
    let roles = roles.collect::<Result<Vec<_>>>()?;
    // The size is not read of a workload without users.
    let workload = Workload::of_roles(Size::L, types.len() as u32, actions.len() as u32, roles);
    Ok((workload, numbers, types, actions))
}
