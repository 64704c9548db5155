//! The report for people.

use std::path::Path;

use comfy_table::{ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};

use crate::report::{Account, Report};

/// Prints the report.
pub fn print(report: &Report, file: &Path) {
    let setup = &report.setup;
    println!(
        "FlyOS on {}\ncreated: {} users, {} regions, {} drones\n",
        file.display(),
        setup.users_created,
        setup.regions_created,
        setup.drones_created
    );
    if let Some(passwords) = &report.generated_passwords {
        println!("Passwords, shown this once:");
        println!(
            "{}\n",
            table(
                &["account", "password"],
                passwords.iter().map(|(email, password)| vec![email.into(), password.into()])
            )
        );
    }
    println!("What each account sees:");
    println!(
        "{}\n",
        table(&["account", "role", "login", "users", "regions", "drones"], report.accounts.iter().map(sight))
    );
    println!("What is refused, and why (the host's explanation; the caller is told the code alone):");
    let refusals = report.accounts.iter().flat_map(|account| {
        account.refused.iter().map(|refusal| {
            let why = refusal.explanation.clone().unwrap_or_else(|| refusal.message.clone());
            vec![short(&account.email), refusal.tried.clone(), refusal.code.clone(), why]
        })
    });
    println!("{}\n", table(&["account", "tried", "answer", "why"], refusals));
    println!("drone-005 goes from operator1 to operator2:");
    let reassigned = report.reassigned.iter().map(|sight| vec![sight.username.clone(), sight.drones.join(", ")]);
    println!("{}\n", table(&["operator", "drones"], reassigned));
    let suspended = &report.suspended;
    println!("operator1 is suspended:");
    let rows = [
        ["its next call", &suspended.next_call],
        ["its login", &suspended.login],
        ["listed by east as", &suspended.listed_by_east],
    ];
    println!("{}\n", table(&["", "answer"], rows.map(|row| row.map(ToString::to_string).to_vec())));
    println!("audit log: {}, {} entries verified\n", whole(report.audit.is_whole), report.audit.verified);
    if let Some(restart) = &report.after_restart {
        println!("A new process on the same file:");
        let rows = [
            ["users, regions, drones", &format!("{}, {}, {}", restart.users, restart.regions, restart.drones)],
            ["created anew", &restart.created.to_string()],
            ["operator1's login", &restart.operator1_login],
            ["operator2's drones", &restart.operator2_drones.join(", ")],
            ["audit log", &format!("{}, {} entries", whole(restart.audit.is_whole), restart.audit.verified)],
        ];
        println!("{}\n", table(&["", "found"], rows.map(|row| row.map(ToString::to_string).to_vec())));
    }
    println!("{}", if report.is_as_expected() { "All as it must be." } else { "NOT as it must be." });
}

fn sight(account: &Account) -> Vec<String> {
    let users = account.users.as_ref().map_or("FORBIDDEN".to_owned(), |users| users.join("\n"));
    let regions = account
        .regions
        .iter()
        .map(|region| format!("{} ({} users, {} drones)", region.code, region.users, region.drones));
    let regions = regions.collect::<Vec<_>>().join("\n");
    let drones = account.drones.join("\n");
    let users = if account.login == "ok" { users } else { String::new() };
    vec![short(&account.email), account.roles.join(", "), account.login.clone(), users, regions, drones]
}

fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic).set_width(110);
    table.set_header(header).add_rows(rows);
    table
}

fn short(email: &str) -> String {
    email.split('@').next().unwrap_or_default().to_owned()
}

fn whole(is_whole: bool) -> &'static str {
    if is_whole { "whole" } else { "BROKEN" }
}
