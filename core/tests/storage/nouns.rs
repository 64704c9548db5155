//! What records declare agrees with each other (the list itself does not compile with a part left out).

use std::collections::BTreeSet;

use rolekeep::{
    internals::noun::Audit,
    storage::{Kind, table, tables},
};

#[test]
fn declarations_name_tables_of_the_list() {
    let (mut names, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    for one in tables() {
        assert!(names.insert(one.name), "{} is there twice", one.name);
        assert!(one.noun.resource.is_none_or(|resource| kinds.insert(resource.kind)), "two resources as {}", one.name);
        let owners = one.noun.owners.iter().map(|owner| owner.of);
        for of in owners.chain(one.noun.relation.map(|relation| relation.of)) {
            let owner = table(of).unwrap_or_else(|| panic!("{} belongs to {of}, which is not in the list", one.name));
            assert_eq!(owner.key.len(), 1, "{of} has no id by which {} could belong to it", one.name);
        }
    }
}

/// What names an account without belonging to it outlives it: each such column has a reason, by which it was looked at.
#[test]
fn ids_of_others_belong_to_them_or_say_why_not() {
    let not_owned = [
        ("audit_entries.on_behalf_of", "the log outlives whoever it speaks of"),
        ("audit_entries.session_id", "the log outlives whoever it speaks of"),
        ("challenges.session_id", "it belongs to the user, and ends within minutes"),
        ("consumers.lease", "a random number"),
        ("done_requests.change_id", "a commit, which is no row"),
        ("import_failures.import_id", "it goes by its own time, as the import does"),
        ("import_pieces.import_id", "it goes by its own time, as the import does"),
        ("notices.link_id", "it belongs to the user, and is void without the link"),
        ("passkeys.factor_id", "it belongs to the user, and goes with the factor in its operations"),
        ("sessions.impersonator_id", "it says who acted; the session ends with that of the impersonator"),
        ("sessions.impersonator_session_id", "without it the session is void"),
    ];
    let mut found = BTreeSet::new();
    for one in tables() {
        let owned = |at: usize| one.noun.owners.iter().any(|owner| owner.column == at);
        let ids = one.columns.iter().enumerate().filter(|(_, column)| column.kind == Kind::Id && column.name != "id");
        found.extend(ids.filter(|(at, _)| !owned(*at)).map(|(_, column)| format!("{}.{}", one.name, column.name)));
    }
    let known: BTreeSet<String> = not_owned.iter().map(|(column, _): &(&str, &str)| (*column).to_owned()).collect();
    assert_eq!(found, known, "declare its owner, or say here why it has none");
}

#[test]
fn a_column_with_the_name_of_a_secret_is_one() {
    let words = ["password", "secret", "seed", "private", "otp"];
    let is_named = |name: &str| words.iter().any(|word| name.contains(word));
    let columns = tables().iter().flat_map(|table| table.columns.iter().map(move |column| (table, column)));
    let secret: Vec<String> = columns
        .inspect(|(table, column)| assert!(column.secret || !is_named(column.name), "{}.{}", table.name, column.name))
        .filter(|(_, column)| column.secret)
        .map(|(table, column)| format!("{}.{}", table.name, column.name))
        .collect();
    let secrets = [
        "credentials.password_hash",
        "factors.seed",
        "session_activity.seed",
        "api_keys.hash",
        "challenges.seed",
        "registrations.password_hash",
        "imports.hash_parameters",
        "imports.digest",
        "imports.replayed_digest",
        "import_pieces.data",
        "signing_keys.secret",
        "store_secrets.secret",
    ];
    assert_eq!(secret, secrets);
}

#[test]
fn who_is_not_told_of_says_why() {
    for table in tables() {
        if let Audit::Unlogged(why) = table.noun.audit {
            assert!(why.len() > 10, "{}: {why:?} is no reason", table.name);
        }
    }
}
