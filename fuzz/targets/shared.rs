// What several targets hold a policy to.

use rolekeep::rules::{Policy, RoleInfo, RuleSet};

/// An author of any policy is told what is wrong, or it compiles and is the same once written and read again.
pub fn hold(policy: rolekeep::Result<Policy>) {
    let compiled = policy.and_then(|policy| Ok((RuleSet::compile(&policy, &rolekeep_test_cases::schema())?, policy)));
    let (rules, policy) = match compiled {
        Ok(compiled) => compiled,
        Err(error) => return told(&error),
    };
    let toml = policy.to_toml().expect("TOML");
    let json = policy.to_json().expect("JSON");
    for (read, text) in [(Policy::from_toml(&toml), &toml), (Policy::from_json(&json), &json)] {
        let read = read.unwrap_or_else(|error| panic!("what was written is not read: {error}\n{text}"));
        assert_eq!(policy, read, "{text}");
        let again = RuleSet::compile(&read, &rolekeep_test_cases::schema());
        let again = again.unwrap_or_else(|error| panic!("what was written does not compile: {error}\n{text}"));
        assert_eq!(rules.permissions().collect::<Vec<_>>(), again.permissions().collect::<Vec<_>>(), "{text}");
        assert_eq!(roles(&rules), roles(&again), "{text}");
    }
    for language in [
        rolekeep::command::Language::TypeScript,
        rolekeep::command::Language::Python,
        rolekeep::command::Language::Kotlin,
        rolekeep::command::Language::Swift,
        rolekeep::command::Language::Rust,
    ] {
        // Names may collide: that is an error, never a panic.
        let _ = rolekeep::command::names(&rules, language);
    }
}

/// A file has what a role allows before what it denies; the order never matters.
fn roles(rules: &RuleSet) -> Vec<RoleInfo> {
    let sorted = |mut role: RoleInfo| {
        role.grants.sort_unstable();
        role
    };
    rules.roles().map(sorted).collect()
}

/// Every error says something, at a place that is there.
pub fn told(error: &rolekeep::Error) {
    assert!(!error.message().is_empty());
    let report = error.to_string();
    assert!(report.len() < 1_000_000);
    assert!(!report.contains(|letter: char| letter.is_control() && letter != '\n'), "{report:?}");
    for problem in error.problems() {
        assert!(problem.line > 0 && problem.column > 0 && !problem.message.is_empty());
    }
}
