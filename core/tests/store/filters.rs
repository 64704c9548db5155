//! A row filter is refused once the rights or the policy that it was made of are others.

use rolekeep::{
    CallerFilter, Policy, Reason, Time,
    roles::{AssignRole, NewGrant, UnassignRole, UpdateRole},
    storage::sql::TableMapping,
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
