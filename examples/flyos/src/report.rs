//! What the scenario found, for tables and for machines.

use rolekeep::{audit::AuditReport, setup::SeedResult};
use serde::{Deserialize, Serialize};

use crate::passwords::Passwords;

/// All of it.
#[derive(Serialize)]
pub struct Report {
    /// What the seed created: nothing, on a file that has it all.
    pub setup: SeedResult,
    /// What each account sees and is refused.
    pub accounts: Vec<Account>,
    /// The move of drone-005 from operator1 to operator2.
    pub reassigned: Vec<Sight>,
    /// What came of suspending operator1.
    pub suspended: Suspension,
    /// Whether the audit log is whole.
    pub audit: AuditSummary,
    /// Passwords made for a new file; shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generated_passwords: Option<Passwords>,
    /// What a second process found.
    pub after_restart: Option<Restart>,
}

/// What an account sees.
#[derive(Serialize)]
pub struct Account {
    pub email: String,
    /// The code of the error, where it could not sign in.
    pub login: String,
    pub roles: Vec<String>,
    /// Usernames; none where listing is refused.
    pub users: Option<Vec<String>>,
    pub regions: Vec<RegionSight>,
    pub drones: Vec<String>,
    pub refused: Vec<Refusal>,
}

#[derive(Serialize)]
pub struct RegionSight {
    pub code: String,
    pub users: i64,
    pub drones: i64,
}

/// Something that was refused, as it must be.
#[derive(Serialize)]
pub struct Refusal {
    pub tried: String,
    /// The code that it must be.
    pub expected: &'static str,
    /// The code that it was.
    pub code: String,
    pub message: String,
    /// The host's explanation; the caller itself is told no more than the code.
    pub explanation: Option<String>,
}

/// The drones of an operator.
#[derive(Serialize, Deserialize)]
pub struct Sight {
    pub username: String,
    pub drones: Vec<String>,
}

#[derive(Serialize)]
pub struct Suspension {
    /// What operator1's next call answered.
    pub next_call: String,
    /// What its login answered.
    pub login: String,
    /// How east lists it.
    pub listed_by_east: String,
}

#[derive(Serialize, Deserialize)]
pub struct AuditSummary {
    pub is_whole: bool,
    pub verified: i64,
}

impl From<AuditReport> for AuditSummary {
    fn from(report: AuditReport) -> Self {
        Self { is_whole: report.is_whole, verified: report.verified }
    }
}

/// What is there after the restart.
#[derive(Serialize, Deserialize)]
pub struct Restart {
    pub users: i64,
    pub regions: i64,
    pub drones: i64,
    /// How many rows the seed created anew.
    pub created: i64,
    pub operator1_login: String,
    pub operator2_drones: Vec<String>,
    pub audit: AuditSummary,
}

impl Report {
    /// Whether all came out as the table of the scenario says.
    pub fn is_as_expected(&self) -> bool {
        let refusals = self.accounts.iter().flat_map(|account| &account.refused);
        let restart = self.after_restart.as_ref().is_some_and(|restart| {
            (restart.users, restart.regions, restart.drones, restart.created) == (5, 2, 5, 0)
                && restart.operator1_login == "UNAUTHORIZED"
                && restart.operator2_drones == ["drone-002", "drone-005"]
                && restart.audit.is_whole
        });
        refusals.into_iter().all(|refusal| refusal.code == refusal.expected)
            && self.suspended.next_call == "UNAUTHORIZED"
            && self.suspended.login == "UNAUTHORIZED"
            && self.suspended.listed_by_east == "suspended"
            && self.audit.is_whole
            && restart
    }
}
