//! A condition: any text, in an allow and in a deny, on one type and on all.
#![no_main]

mod shared;

use libfuzzer_sys::fuzz_target;
use rolekeep::rules::{Policy, Role};

fuzz_target!(|text: &str| {
    let policy = || {
        Policy::new()
            .resource_type("user", [("teams", "set<id>?"), ("clearance", "int?")])
            .context("ip", "ip?")
            .context("hour", "int")
            .context("age", "duration?")
            .context("tag", "string?")
    };
    for pattern in ["thing:read", "*:read"] {
        shared::hold(Ok(policy().add_role(Role::new("r").allow_when(pattern, text))));
        shared::hold(Ok(policy().add_role(Role::new("r").deny_when(pattern, text))));
    }
});
