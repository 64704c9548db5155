//! What a policy's author is told: every problem at once, each at its line and column.

use rolekeep::{
    Error, Reason,
    rules::{Policy, Role, RuleSet, Schema},
};

fn errors(policy: Result<Policy, Error>) -> String {
    match policy.and_then(|policy| RuleSet::compile(&policy, &rolekeep_test_cases::schema())) {
        Ok(_) => "no error".to_owned(),
        Err(error) => {
            assert_eq!(error.reason(), Reason::PolicyInvalid);
            let problems = error.problems().iter().map(|problem| {
                let help = problem.help.as_deref().map(|help| format!(" ({help})")).unwrap_or_default();
                format!("{}:{} {}{help}", problem.line, problem.column, problem.message)
            });
            problems.collect::<Vec<_>>().join("\n")
        }
    }
}

fn toml(text: &str) -> String {
    errors(Policy::from_toml(text))
}

fn when(condition: &str) -> String {
    let policy = Policy::new()
        .resource_type("user", [("teams", "set<id>?"), ("clearance", "int?")])
        .context("ip", "ip?")
        .context("hour", "int")
        .context("age", "duration")
        .add_role(Role::new("r").allow_when("drone:read", condition));
    let errors = errors(Ok(policy));
    let told = errors.lines().map(|line| line.strip_prefix("1:").unwrap_or(line).replace("role r, drone:read: ", ""));
    told.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_names_the_type_of_a_resource_is_no_attribute() {
    let declared = |ty: &str| {
        let policy = Policy::from_toml(&format!("[types.{ty}]\nattributes = {{ type = \"string\" }}")).unwrap();
        RuleSet::compile(&policy, &Schema::new()).map_err(|error| error.to_string())
    };
    assert!(declared("document").unwrap_err().contains("cannot be called `type`"));
    assert!(declared("user").is_ok());
}

#[test]
fn every_problem_of_a_file_is_told_at_once() {
    let text = r#"
descripton = "a typing mistake"
anonymous = "gest"
hierarchy = "limitted"

[context]
ip = "ipp"

[types.document]
attributes = { owner_id = "id", Größe = "int" }

[types.user]
attributes = { clearance = "int", email = "string?" }

[permissions]
"document:edit" = "Change a document"
"Document:read" = ""

[scopes.tenant]
attribute = "tenant_id"

[roles.editor]
inherits = ["reader", "auhtor"]
default = "yes"
max_holders = 0
allow = [
    "document:edti",
    "documnt:*",
    "document:edit{titel}",
    { permission = "document:edit", when = "resource.ownr_id == principal.id" },
    { permission = "document:edit", wen = "true == true" },
    { when = "1 == 1" },
    "drone",
    7,
]
deny = ["admin:all", { permission = "drone:read", when = "resource.region_id == principal.region_id" }]

[roles.author]
inherits = ["editor", "writer"]

[roles.writer]
inherits = ["author"]
allow = [{ permission = "admin:all", when = "1 == 1" }]
"#;
    // Letters beyond ASCII must be quoted in TOML: the file is no TOML at all, so nothing else is told.
    assert_eq!(toml(text).lines().count(), 1, "{}", toml(text));
    let text = text.replace("Größe", "\"Größe\"");
    assert_eq!(format!("\n{}\n", toml(&text)), ALL);
}

const ALL: &str = r#"
2:1 there is no key `descripton` here (did you mean `description`?)
3:13 there is no role `gest`
4:13 a hierarchy is `general` or `limited` (did you mean `limited`?)
7:6 there is no type `ipp` (did you mean `ip`?)
10:33 `Größe` cannot name an attribute (names are small letters, digits and `_`, begin with a letter, and have at most 64 characters)
13:28 `clearance` is not a column of `user`, so rows may lack it (write `int?`)
13:35 type `user` already has an attribute `email`
17:1 `Document:read` cannot name a permission (a permission is written `resource:action`, in small letters)
20:13 no type has an attribute `tenant_id` (declare it of a type whose rows lie in it, or declare the type `tenant` with an attribute `id`)
23:13 there is no role `reader`
23:23 there is no role `auhtor` (did you mean `author`?)
24:11 expected true or false, found a string
25:15 expected a whole number of 1 or more, found the number 0
27:5 there is no permission `document:edti` (did you mean `document:edit`?)
28:5 `documnt:*` matches no permission (did you mean `document:*`?)
29:5 type `document` has no field `titel`
30:54 type `document` has no attribute `ownr_id` (did you mean `owner_id`?)
31:37 there is no key `wen` here (did you mean `when`?)
32:5 this grant has no `permission` (write `permission` beside `when`, with one pattern or a list of them)
33:5 `drone` is neither a permission nor a pattern of permissions (write `resource:action`, `resource:*`, `*:action` or `resource:action{field,field}`)
34:5 expected a permission, or `permission` and `when` together, found the number 7
36:9 `admin:all` cannot be denied
36:59 `principal.region_id` may be absent, and in a deny absence must be decided (write `has principal.region_id and …` or `not has principal.region_id or …`)
36:59 `resource.region_id` may be absent, and in a deny absence must be decided (write `has resource.region_id and …` or `not has resource.region_id or …`)
38:8 roles inherit from each other in a circle: author → writer → author
43:25 `admin:all` is held without a condition or not at all
"#;

#[test]
fn columns_count_characters_and_see_through_escapes() {
    let toml = toml(
        "[roles.r]\nallow = [{ permission = \"drone:read\", when = \"resource.code == \\\"ä\\\" or resource.cod == 'x'\" }]",
    );
    assert_eq!(toml, "2:82 type `drone` has no attribute `cod` (did you mean `code`?)");
    let json = "{\"roles\": {\n \"r\": {\"allow\": [{\"permission\": \"drone:read\", \"when\": \"resource.code == \\\"\\u00e4\\\" or resource.cod == 'x'\"}]}}}";
    assert_eq!(errors(Policy::from_json(json)), "2:96 type `drone` has no attribute `cod` (did you mean `code`?)");
}

#[test]
fn conditions_are_typed_when_the_policy_loads() {
    for right in [
        "resource.code == \"drone-001\"",
        "resource.id == '0190a0b0-0000-7000-8000-000000000001'",
        "resource.assigned_users contains principal.id",
        "principal.id in resource.assigned_users and not (resource.code starts_with \"x\")",
        "context.ip in \"10.0.0.0/8\" or context.ip in [\"10.0.0.0/8\", \"::1/128\"] or context.ip == \"::1\"",
        "now - 15m > \"2026-01-31T12:00:00Z\" and context.age < 1h30m and context.hour >= -5",
        "has resource.region_id and resource.region_id != principal.id",
        "not has resource.region_id or resource.region_id != principal.id",
        "not (has resource.region_id and resource.region_id == principal.id)",
        "principal.clearance >= 3 and principal.verified == true",
        "resource.status in ['ACTIVE', 'STANDBY'] and principal.id in principal.teams",
        "context.hour in []",
    ] {
        assert_eq!(when(right), "no error", "{right}");
    }
    let wrong = [
        "resource.code == 5",
        "resource.id == 'drone-001'",
        "resource.region_id != principal.id",
        "not resource.region_id == principal.id",
        "not (resource.region_id == principal.id and has resource.operator_id)",
        "has resource.region_id or resource.region_id != principal.id",
        "resource.assigned_users == principal.id",
        "resource.code contains 'x'",
        "principal.verified",
        "principal.verified < true",
        "principal.id AND principal.id",
        "resource.code = 'x'",
        "resource.code == 'x' && principal.verified == true",
        "resource.code == x",
        "resorce.code == 'x'",
        "resource == 'x'",
        "resource.a.b == 'x'",
        "(resource.code == 'x'",
        "resource.code == 'x' resource.code == 'y'",
        "resource.code == 'x",
        "resource.code == '\\q'",
        "context.hour == 99999999999999999999",
        "context.age < 5y",
        "context.age < 9000000w",
        "context.hour + 5m > 3",
        "now + 5 > now",
        "context.ip in '10.0.0.1/8'",
        "context.ip in '10.0.0.0'",
        "context.ip == '10.0.0.0/8'",
        "context.hour in [1, 'a', principal.clearance]",
        "context.hours == 1",
        "resource.code starts_with resource.model",
        "now > '2026-13-01'",
        "has now",
        "",
        "not not has resource.region_id",
        "ä",
        "resource.code == 'x' AND resource.code == 'y'",
        "resource.code == 'x' not",
        "resource.code == null",
        "context.age + 5m",
        "context.age 5m",
        "resource.code 'x'",
        "context.colour == 1",
    ];
    let told: String =
        wrong.iter().map(|wrong| format!("{wrong}\n  {}\n", when(wrong).replace('\n', "\n  "))).collect();
    assert_eq!(told, CONDITIONS);
    assert_eq!(when("resource.code == 'a\0b'"), "20 a string cannot hold the character NUL");
    // Where nothing is declared, nothing is listed.
    let bare = Policy::new().add_role(Role::new("r").allow_when("drone:read", "context.hour == 1"));
    assert_eq!(errors(Ok(bare)), "1:9 role r, drone:read: the context declares no `hour`");
}

const CONDITIONS: &str = r#"resource.code == 5
  18 `string` cannot be compared with `int` (both sides must have the same type)
resource.id == 'drone-001'
  16 this text is not of type `id` (an id is a UUID)
resource.region_id != principal.id
  1 `resource.region_id` may be absent, and under `not` or in `!=` absence must be decided (write `has resource.region_id and …` or `not has resource.region_id or …`)
not resource.region_id == principal.id
  5 `resource.region_id` may be absent, and under `not` or in `!=` absence must be decided (write `has resource.region_id and …` or `not has resource.region_id or …`)
not (resource.region_id == principal.id and has resource.operator_id)
  6 `resource.region_id` may be absent, and under `not` or in `!=` absence must be decided (write `has resource.region_id and …` or `not has resource.region_id or …`)
has resource.region_id or resource.region_id != principal.id
  27 `resource.region_id` may be absent, and under `not` or in `!=` absence must be decided (write `has resource.region_id and …` or `not has resource.region_id or …`)
resource.assigned_users == principal.id
  28 `set<id>` cannot be compared with `id` (both sides must have the same type)
resource.code contains 'x'
  1 expected a set, found `string` (write `==`)
principal.verified
  19 expected a comparison, found the end of the condition (of a bool write `principal.verified == true`)
principal.verified < true
  1 values of type `bool` have no order (write `==` or `!=`)
principal.id AND principal.id
  14 expected a comparison, found `AND` (did you mean `and`?)
resource.code = 'x'
  15 `=` means nothing here (write `==`)
resource.code == 'x' && principal.verified == true
  22 `&&` means nothing here (write `and`)
resource.code == x
  18 `x` is not a value (a path begins with principal, resource or context; text is written in quotes)
resorce.code == 'x'
  1 `resorce` is not a value (did you mean `resource`?)
resource == 'x'
  10 expected `.` and the name of an attribute, found `==`
resource.a.b == 'x'
  11 attributes have no parts
(resource.code == 'x'
  22 expected `)`, found the end of the condition
resource.code == 'x' resource.code == 'y'
  22 expected `and`, `or` or the end, found `resource`
resource.code == 'x
  18 this string does not end
resource.code == '\q'
  19 there is no such escape (there are \\ \" \' \n \t)
context.hour == 99999999999999999999
  17 this integer is beyond 64 bits
context.age < 5y
  15 neither an integer nor a duration under 10,000 years (durations are written 90s, 1h30m, 7d (units: us, ms, s, m, h, d, w))
context.age < 9000000w
  15 neither an integer nor a duration under 10,000 years (durations are written 90s, 1h30m, 7d (units: us, ms, s, m, h, d, w))
context.hour + 5m > 3
  1 a duration is added to a time, and this is of type `int`
now + 5 > now
  7 expected a duration such as 7d or 1h30m, found `5`
context.ip in '10.0.0.1/8'
  15 host bits are set: write the first address of the range
context.ip in '10.0.0.0'
  15 a range needs its length, as in 10.0.0.0/8
context.ip == '10.0.0.0/8'
  15 this text is not of type `ip` (an address is written 10.0.0.1 or 2001:db8::1; a range is written after `in`)
context.hour in [1, 'a', principal.clearance]
  21 this text is not of type `int` (leave the quotes out)
context.hours == 1
  9 the context declares no `hours` (did you mean `hour`?)
resource.code starts_with resource.model
  27 `starts_with` takes a string in quotes
now > '2026-13-01'
  7 this text is not of type `time` (a time is written as in RFC 3339, such as 2026-01-31T12:00:00Z)
has now
  5 `now` is not a value (a path begins with principal, resource or context; text is written in quotes)

  1 expected a value, found the end of the condition
not not has resource.region_id
  5 `not` cannot follow `not` (write `not (not …)`, or neither)
ä
  1 `\u{e4}` means nothing here
resource.code == 'x' AND resource.code == 'y'
  22 expected `and` or `or`, found `AND` (did you mean `and`?)
resource.code == 'x' not
  22 expected `and`, `or` or the end, found `not`
resource.code == null
  18 `null` is not a value (`has resource.id` asks whether there is a value, `not has resource.id` whether there is none)
context.age + 5m
  17 expected a comparison, found the end of the condition (there are == != < <= > >= in contains starts_with)
context.age 5m
  13 expected a comparison, found `5m` (of a bool write `context.age == true`)
resource.code 'x'
  15 expected a comparison, found a string (of a bool write `resource.code == true`)
context.colour == 1
  9 the context declares no `colour` (there are: ip, hour, age)
"#;
