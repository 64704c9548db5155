//! A row filter is refused once the rights or the policy that it was made of are others.

use rolekeep::{
    CallerFilter, Policy, Reason, Time,
    roles::{AssignRole, NewGrant, UnassignRole, UpdateRole},
    storage::sql::{ColumnMapping, TableMapping},
    users::{CreateUser, DeactivateUser},
};

use crate::cheap;

const POLICY: &str = r#"
    permissions = ["document:list", "document:edit"]
    [types.document]
    attributes = { id = "id", owner_id = "id?", due = "time?" }
    [roles.author]
    allow = [{ permission = "document:list", when = "resource.owner_id == principal.id or resource.due > now" }]
    [roles.other]
    allow = ["document:edit"]
"#;

fn reason(filter: &CallerFilter) -> Reason {
    assert_eq!(
        filter.predicate().err().map(|error| error.reason()),
        filter.to_sql(&table()).err().map(|error| error.reason())
    );
    filter.to_sql(&table()).unwrap_err().reason()
}

fn table() -> TableMapping {
    TableMapping::sqlite("documents")
}

#[tokio::test]
async fn rbc_8_a_filter_does_not_outlive_what_it_was_made_of() {
    let um = cheap::builder().policy(Policy::from_toml(POLICY).unwrap()).open().await.unwrap();
    let system = um.system();
    let ada = system.users().create(CreateUser::new("ada@example.org").roles(["author"])).await.unwrap();
    let me = um.acting_as(ada.id).await.unwrap();
    let made = || me.filter("document:list").unwrap();

    let before = made();
    assert!(before.to_sql(&table()).is_ok() && before.expires() > Time::now());
    system.users().create(CreateUser::new("bob@example.org").roles(["author"])).await.unwrap();
    assert!(before.to_sql(&table()).is_ok(), "others are no matter");

    system.roles().unassign(UnassignRole::new(ada.id, "author")).await.unwrap();
    assert_eq!(reason(&before), Reason::RightsStale);
    let nothing = made();
    assert_eq!(nothing.to_sql(&table()).unwrap().text, "0");
    system.roles().assign(AssignRole::new(ada.id, "author")).await.unwrap();
    assert_eq!(reason(&nothing), Reason::RightsStale);

    let before = made();
    system.roles().update(UpdateRole::new("author").grants(grants(&["document:list"]))).await.unwrap();
    assert_eq!(reason(&before), Reason::RightsStale, "the policy was edited");

    let before = made();
    system.users().deactivate(DeactivateUser::new(ada.id)).await.unwrap();
    assert_eq!(reason(&before), Reason::AccountInactive);
}

fn grants(allow: &[&str]) -> Vec<NewGrant> {
    allow.iter().map(|permission| NewGrant::new(*permission)).collect()
}

/// An application may keep a copy of accounts in a table of its own.
#[tokio::test]
async fn usr_14_a_filter_by_attributes_is_sql_for_the_applications_table() {
    let policy = r#"
        [types.user]
        attributes = { ward_id = "string?", teams = "set<string>?", address = "ip?" }
        [roles.lead]
        allow = [{ permission = "user:list", when = "resource.ward_id == principal.ward_id and not (has resource.teams and 'night' in resource.teams)" }]
        [roles.networker]
        allow = [{ permission = "user:list", when = "resource.address in '10.0.0.0/8'" }]
    "#;
    let um = cheap::builder().policy(Policy::from_toml(policy).unwrap()).open().await.unwrap();
    let system = um.system();
    let users = system.users();
    let lead = CreateUser::new("ada@example.org").roles(["lead"]).attributes([("ward_id", "w7")]);
    let lead = um.acting_as(users.create(lead).await.unwrap().id).await.unwrap();
    let filter = lead.filter("user:list").unwrap();
    let table = TableMapping::sqlite("people").strict().column("ward_id", "ward");
    let written = filter.to_sql(&table.column("teams", ColumnMapping::json("more", ["teams"]))).unwrap();
    assert!(
        written.text.contains(r#""people"."ward" "#) && written.text.contains(r#"json_each("people"."more")"#),
        "{}",
        written.text
    );
    let address = CreateUser::new("bob@example.org").roles(["networker"]);
    let networker = um.acting_as(users.create(address).await.unwrap().id).await.unwrap();
    let refused = networker.filter("user:list").err().map(|error| error.reason());
    assert_eq!(refused, Some(Reason::InvalidInput));
}
