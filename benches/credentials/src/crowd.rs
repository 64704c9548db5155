//! A crowd that signs in at once, and a thousand one after the other: who is let in, and what the process holds. Each in a process of
//! its own.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use rolekeep::{Code, Reason, UserManagement, users::CreateUser};
use rolekeep_lab::figures::resident;
use serde::{Deserialize, Serialize};

use crate::sign_ins::{address, config};

/// Of a hundred passwords one is so large.
const LARGE: usize = 5_000_000;
const PASSWORD: &str = "correct horse battery staple";
const USERS: usize = 100;

/// What came of a crowd.
#[derive(Serialize, Deserialize)]
pub struct Crowd {
    /// How many came.
    pub count: usize,
    /// Who was let in.
    pub let_in: usize,
    /// Those who were told to come back, as the queue was full.
    pub full: usize,
    /// Those whose password was too long.
    pub too_long: usize,
    /// The most that was resident, in MiB.
    pub most: f64,
    /// What is resident in MiB after ten sign-ins, and after a thousand more.
    pub settled: (f64, f64),
}

/// Measures both.
pub fn measure(count: usize) -> Result<Crowd> {
    let run = |arguments: &[&str]| -> Result<Vec<u8>> {
        let output = Command::new(std::env::current_exe()?).args(arguments).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(output.stdout)
    };
    let mut crowd: Crowd = serde_json::from_slice(&run(&["crowd", &count.to_string()])?)?;
    crowd.settled = serde_json::from_slice(&run(&["thousand"])?)?;
    Ok(crowd)
}

async fn open() -> rolekeep::Result<UserManagement> {
    // The users are few: no limit of failures is to turn them away before the queue does.
    let um = UserManagement::builder().config(config().sign_in_tries(1000)).open().await?;
    for at in 0..USERS {
        um.system().users().create(CreateUser::new(address(at)).password(PASSWORD)).await?;
    }
    Ok(um)
}

/// All come at once.
#[tokio::main]
pub async fn child(count: usize) -> Result<()> {
    let um = open().await?;
    // As in a service: what a request brings is its own.
    let mut tasks = Vec::new();
    for at in 0..count {
        let um = um.clone();
        tasks.push(tokio::spawn(async move {
            let password = if at % 100 == 0 { "x".repeat(LARGE) } else { PASSWORD.to_owned() };
            um.login(&address(at % USERS), &password, Default::default()).await
        }));
    }
    let (mut let_in, mut full, mut too_long) = (0, 0, 0);
    for task in tasks {
        match task.await? {
            Ok(_) => let_in += 1,
            Err(error) if error.reason() == Reason::HashingQueueFull => {
                ensure!(error.code() == Code::RateLimited && error.retry_after().is_some());
                full += 1;
            }
            Err(error) if error.reason() == Reason::InvalidCredentials => too_long += 1,
            Err(error) => return Err(error).context("another error"),
        }
    }
    let most = resident("VmHWM")?;
    let crowd = Crowd { count, let_in, full, too_long, most, settled: (0.0, 0.0) };
    println!("{}", serde_json::to_string(&crowd)?);
    Ok(())
}

/// Ten, and then a thousand, in eights.
#[tokio::main]
pub async fn thousand() -> Result<()> {
    let um = open().await?;
    sign_in(&um, 10).await?;
    let before = resident("VmRSS")?;
    sign_in(&um, 1_000).await?;
    println!("{}", serde_json::to_string(&(before, resident("VmRSS")?))?);
    Ok(())
}

async fn sign_in(um: &UserManagement, count: usize) -> Result<()> {
    for begin in (0..count).step_by(8) {
        let some: Vec<_> = (begin..count.min(begin + 8))
            .map(|at| {
                let um = um.clone();
                tokio::spawn(async move { um.login(&address(at % USERS), PASSWORD, Default::default()).await?.done() })
            })
            .collect();
        for one in some {
            one.await??;
        }
    }
    Ok(())
}
