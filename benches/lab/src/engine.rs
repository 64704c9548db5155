//! What is asked of every engine.

use anyhow::{Result, bail};
use serde::Serialize;
use uuid::Uuid;

use crate::workload::Workload;

/// One question, by number and by name.
#[derive(Clone, Debug, Serialize)]
pub struct Query {
    /// The user's place.
    #[serde(skip)]
    pub user: u32,
    /// Its id.
    #[serde(skip)]
    pub user_id: Uuid,
    /// Its id as text, as a host gets it from a token.
    #[serde(rename = "user")]
    pub user_name: String,
    /// The permission's place.
    #[serde(skip)]
    pub permission: u32,
    /// `resource:action`.
    #[serde(rename = "permission")]
    pub permission_name: String,
    /// The permission's first half.
    pub resource: String,
    /// Its second half.
    pub action: String,
    /// What it is about, in a workload with scopes.
    #[serde(skip)]
    pub thing: Option<Thing>,
    /// What the reference says.
    pub answer: bool,
}

impl Query {
    /// Half of the questions are about a user or a permission that nobody knows.
    pub(crate) fn forget(&mut self, at: u32) {
        match at {
            0 => {
                let unknown = Uuid::from_u128(u128::MAX - u128::from(self.user));
                (self.user_id, self.user_name) = (unknown, unknown.to_string());
            }
            1 => {
                self.action.push('x');
                self.permission_name.push('x');
            }
            _ => return,
        }
        self.answer = false;
    }
}

/// A resource with what scopes and conditions read.
#[derive(Clone, Debug)]
pub struct Thing {
    /// The region's place.
    pub region: u32,
    /// `resource.level`.
    pub level: i64,
    /// `resource.status`.
    pub status: &'static str,
}

/// A denied question, and what would allow it: its user getting `role`, which holds the permission
/// (an assignment), or `holder`, which its user holds, getting the permission (a role).
#[derive(Clone, Debug, Serialize)]
pub struct Edit {
    /// What is denied until the edit.
    pub query: Query,
    /// A role that holds the permission.
    #[serde(skip)]
    pub role: u32,
    /// Its name.
    #[serde(rename = "role")]
    pub role_name: String,
    /// A role that the user holds.
    #[serde(skip)]
    pub holder: u32,
    /// Its name.
    #[serde(rename = "holder")]
    pub holder_name: String,
    /// The names of all roles that the user holds.
    pub held: Vec<String>,
    /// The names of the holder's juniors.
    #[serde(skip)]
    pub holder_inherits: Vec<String>,
    /// The names of the permissions that the holder grants itself.
    #[serde(skip)]
    pub holder_grants: Vec<String>,
}

/// An engine with the workload in it.
pub trait Engine: Sized {
    /// A question in the form in which a host would hold it at hand.
    type Ask;

    /// Takes the whole workload in.
    fn load(workload: &Workload) -> Result<Self>;

    /// Prepares a question; not timed.
    fn ask(&self, workload: &Workload, query: &Query) -> Result<Self::Ask>;

    /// Answers; timed.
    fn check(&mut self, ask: &Self::Ask) -> Result<bool>;

    /// Gives the edit's user the role, or takes it; timed together with the check that sees it.
    fn assign(&mut self, _: &Edit, _: bool) -> Result<()> {
        bail!("edits are measured without scopes")
    }

    /// Gives the edit's holder the permission, or takes it; timed together with the check that sees it.
    fn grant(&mut self, _: &Edit, _: bool) -> Result<()> {
        bail!("edits are measured without scopes")
    }
}
