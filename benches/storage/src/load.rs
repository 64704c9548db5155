//! Loading: a process for each engine and round, in turns, from opening the file to the first answer and on
//! to users that were not asked about before.

use std::{
    collections::HashSet,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rolekeep::{Policy, UserId, UserManagement};
use rolekeep_lab::{
    Workload,
    figures::{resident, spent},
    ours,
    stored::{Load, Loading},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::floor;

/// So many users are asked about after the first.
const USERS: usize = 1_000;
/// Who loads, by name.
const ENGINES: [&str; 3] = ["ours", "ours-given", "floor-strings"];

/// What a child is asked.
#[derive(Serialize, Deserialize)]
struct Question {
    user: Uuid,
    resource: String,
    action: String,
    answer: bool,
}

/// Measures each engine with a file.
pub fn measure(workload: &Workload, file: &Path, rounds: usize) -> Result<Vec<Load>> {
    let folder = tempfile::tempdir()?;
    let (asked, policy) = (folder.path().join("questions.json"), folder.path().join("policy.json"));
    std::fs::write(&asked, serde_json::to_vec(&questions(workload))?)?;
    std::fs::write(&policy, ours::policy(workload).to_json()?)?;
    let file_mib = std::fs::metadata(file)?.len() as f64 / 1024.0 / 1024.0;
    let size = workload.size.name().to_owned();
    let new = |engine: &&str| Load { engine: (*engine).into(), size: size.clone(), file_mib, rounds: Vec::new() };
    let mut loads: Vec<Load> = ENGINES.iter().map(new).collect();
    // The first round only brings the file into the system's cache.
    for round in 0..=rounds {
        for load in &mut loads {
            let child = Command::new(std::env::current_exe()?)
                .args(["load", &load.engine])
                .args([file, &asked, &policy])
                .stderr(std::process::Stdio::inherit())
                .output()?;
            ensure!(child.status.success(), "{} at {size}: {}", load.engine, child.status);
            let loading: Loading = serde_json::from_slice(&child.stdout)?;
            eprintln!("{size} {:<13} {loading:?}", load.engine);
            if round > 0 {
                load.rounds.push(loading);
            }
        }
    }
    Ok(loads)
}

/// One of each user.
fn questions(workload: &Workload) -> Vec<Question> {
    let mut seen = HashSet::new();
    let first = workload.queries.iter().filter(|query| seen.insert(query.user)).take(1 + USERS);
    let question = |query: &rolekeep_lab::Query| Question {
        user: query.user_id,
        resource: query.resource.clone(),
        action: query.action.clone(),
        answer: query.answer,
    };
    first.map(question).collect()
}

/// The child: prints what it took.
pub async fn child(engine: &str, file: &Path, asked: &Path, policy: &Path) -> Result<()> {
    let questions: Vec<Question> = serde_json::from_slice(&std::fs::read(asked)?)?;
    let policy = match engine {
        "ours-given" => Some(Policy::from_json(&std::fs::read_to_string(policy)?)?),
        _ => None,
    };
    let begun = Begun { clock: Instant::now(), spent: spent(), mib: resident("VmRSS")?, opened: Duration::ZERO };
    let loading = match engine {
        "ours" | "ours-given" => begun.ours(file, policy, &questions).await?,
        "floor-strings" => begun.floor(file, &questions).await?,
        _ => bail!("there is no engine {engine}"),
    };
    println!("{}", serde_json::to_string(&loading)?);
    // Giving a million users back one by one would only take time.
    std::process::exit(0)
}

/// When a child began, and when it was open.
struct Begun {
    clock: Instant,
    spent: Duration,
    mib: f64,
    opened: Duration,
}

impl Begun {
    async fn ours(mut self, file: &Path, policy: Option<Policy>, questions: &[Question]) -> Result<Loading> {
        self.restart()?;
        let builder = UserManagement::builder().sqlite(file);
        let um = policy.into_iter().fold(builder, |builder, policy| builder.policy(policy)).open().await?;
        self.opened = self.clock.elapsed();
        let ask = async |question: &Question, permission: &str| {
            anyhow::Ok(um.check(UserId(question.user), permission, None).await? == question.answer)
        };
        let permissions: Vec<String> = questions.iter().map(|one| format!("{}:{}", one.resource, one.action)).collect();
        let mut asked = questions.iter().zip(&permissions);
        let (first, permission) = asked.next().context("no questions")?;
        self.right(ask(first, permission).await?)?;
        let loading = self.answered()?;
        let begin = Instant::now();
        for (question, permission) in asked {
            self.right(ask(question, permission).await?)?;
        }
        self.users(loading, begin.elapsed(), questions.len() - 1)
    }

    async fn floor(mut self, file: &Path, questions: &[Question]) -> Result<Loading> {
        self.restart()?;
        let floor = floor::load(file).await?;
        self.opened = self.clock.elapsed();
        let ids: Vec<String> = questions.iter().map(|one| one.user.to_string()).collect();
        let mut asked = questions.iter().zip(&ids);
        let ask =
            |question: &Question, id: &str| floor.has(id, &question.resource, &question.action) == question.answer;
        let (first, id) = asked.next().context("no questions")?;
        self.right(ask(first, id))?;
        let loading = self.answered()?;
        let begin = Instant::now();
        for (question, id) in asked {
            self.right(ask(question, id))?;
        }
        self.users(loading, begin.elapsed(), questions.len() - 1)
    }

    fn restart(&mut self) -> Result<()> {
        (self.mib, self.spent, self.clock) = (resident("VmRSS")?, spent(), Instant::now());
        Ok(())
    }

    fn right(&self, is_right: bool) -> Result<()> {
        ensure!(is_right, "an answer differs from the reference's");
        Ok(())
    }

    fn answered(&self) -> Result<Loading> {
        let (answered, cpu) = (self.clock.elapsed(), spent() - self.spent);
        Ok(Loading {
            open_s: self.opened.as_secs_f64(),
            answer_s: answered.as_secs_f64(),
            answer_cpu_s: cpu.as_secs_f64(),
            answer_mib: resident("VmRSS")? - self.mib,
            peak_mib: resident("VmHWM")? - self.mib,
            users: 0,
            user_us: 0.0,
            users_mib: 0.0,
        })
    }

    fn users(&self, loading: Loading, took: Duration, users: usize) -> Result<Loading> {
        let user_us = took.as_secs_f64() * 1e6 / users as f64;
        Ok(Loading { users, user_us, users_mib: resident("VmRSS")? - self.mib, ..loading })
    }
}

#[cfg(test)]
mod tests {
    use rolekeep_lab::{Size, Variant};

    use super::*;
    use crate::file;

    /// The file that is made in bulk is one that the product reads, and both read the same of it.
    #[tokio::test]
    async fn all_answer_from_the_file_as_the_reference() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("S.db");
        let workload = Workload::draw(Size::S, Variant::Plain, 400);
        file::make(&workload, &path).await.unwrap();
        let um = UserManagement::builder().sqlite(&path).policy(ours::policy(&workload)).open().await.unwrap();
        let floor = floor::load(&path).await.unwrap();
        let questions = questions(&workload);
        assert!(questions.len() > 90 && questions.iter().any(|one| one.answer));
        for Question { user, resource, action, answer } in questions {
            let permission = format!("{resource}:{action}");
            assert_eq!(um.check(UserId(user), &permission, None).await.unwrap(), answer, "{user} {permission}");
            assert_eq!(floor.has(&user.to_string(), &resource, &action), answer, "{user} {permission}");
        }
        // What comes with each user is there, too: its address is taken, and its rights can be changed.
        let taken = format!("{}@example.org", Workload::user_id(0));
        let create = rolekeep::users::CreateUser::new(taken);
        assert_eq!(um.system().users().create(create).await.unwrap_err().reason(), rolekeep::Reason::Taken);
        um.close().await.unwrap();
    }
}
