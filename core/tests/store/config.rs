//! What a store is opened with: one storage, one policy.

use std::sync::Arc;

use rolekeep::{Code, Config, FieldCode, Layers, Policy, Reason, SecondFactor, UserManagement, storage::MemoryStorage};

#[tokio::test]
async fn two_storages_are_refused_and_no_file_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.db");
    let named = || Config::new().sqlite(file.to_str().unwrap());
    let memory = Arc::new(MemoryStorage::new());
    for builder in [
        UserManagement::builder().config(named()).memory(),
        UserManagement::builder().storage(memory.clone()).config(named()),
        UserManagement::builder().config(named()).sqlite(&file),
        UserManagement::builder().sqlite(&file).storage(memory.clone()),
    ] {
        let error = builder.open().await.err().unwrap();
        assert_eq!((error.code(), error.reason()), (Code::Validation, Reason::ConfigInvalid));
        assert!(error.message().contains("two storages"), "{error}");
        assert!(!file.exists());
    }
    UserManagement::open(named()).await.unwrap();
    assert!(file.exists());
}

#[tokio::test]
async fn a_url_of_postgresql_is_told_by_nothing() {
    let url = |host: &str| Config::new().postgres(format!("postgres://ada:hunter2hunter2@{host}/app"));
    let printed = format!("{:?} {:#?}", url("db"), url("db"));
    assert!(!printed.contains("hunter2") && printed.contains("postgres"), "{printed}");
    for config in
        [url("db:port"), url("db").postgres_schema("Accounts"), url("db").sqlite("app.db"), url("db").exclusive(true)]
            .into_iter()
            // The names of its roles would be too long.
            .chain([url("db").postgres_schema("a".repeat(49))])
    {
        let error = UserManagement::open(config).await.err().unwrap();
        assert_eq!((error.code(), error.reason()), (Code::Validation, Reason::ConfigInvalid));
        assert!(!format!("{error} {error:?} {error:#?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn two_policies_are_refused() {
    let roles = [("editor".to_owned(), vec!["document:edit".to_owned()])];
    let builder = UserManagement::builder().config(Config::new().roles(roles)).policy(Policy::new());
    let error = builder.open().await.err().unwrap();
    assert_eq!(error.reason(), Reason::ConfigInvalid);
    assert!(error.message().contains("two policies"), "{error}");
}

#[tokio::test]
async fn ops_5_every_wrong_setting_is_told_with_its_variable_before_a_file_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.db");
    let wrong = || {
        Layers::new()
            .variable("ROLEKEEP_MAX_SESSIONS", "0")
            .variable("ROLEKEEP_SUPABASE_SECRET", "short")
            .variable("ROLEKEEP_AUDIT_SIGNING_KEY", "{}")
    };
    let told = async |layers: Layers| {
        let error = UserManagement::open(layers.config("{}").unwrap()).await.err().unwrap();
        assert_eq!(error.reason(), Reason::ConfigInvalid);
        let mut fields: Vec<String> = error.fields().iter().map(|field| field.field.clone()).collect();
        for field in error.fields() {
            let variable = format!("(ROLEKEEP_{})", field.field.to_uppercase());
            let is_given = field.field != "supabase_issuer";
            assert!(!is_given || field.message.contains(&variable), "{field:?}");
        }
        fields.sort();
        fields
    };
    let all = ["audit_signing_key", "max_sessions", "supabase_issuer", "supabase_secret"];
    assert_eq!(told(wrong().variable("ROLEKEEP_SQLITE", file.display().to_string())).await, all);
    assert!(!file.exists());
    let error = wrong().config("{}").unwrap().check().unwrap_err();
    assert_eq!(error.fields().len(), all.len(), "{error}");

    let fields = told(wrong().variable("ROLEKEEP_SQLITE", ":memory:")).await;
    assert!(fields.contains(&"sqlite".to_owned()) && fields.contains(&"supabase_secret".to_owned()), "{fields:?}");
    let urls = wrong().variable("ROLEKEEP_POSTGRES", "mysql://x").variable("ROLEKEEP_POSTGRES_LISTENER", "postgres//x");
    let fields = told(urls).await;
    for field in ["max_sessions", "postgres", "postgres_listener"] {
        assert!(fields.contains(&field.to_owned()), "{fields:?}");
    }
}

#[tokio::test]
async fn ops_5_a_list_may_be_given_item_by_item_in_variables() {
    let layers = (0..12).fold(Layers::new(), |layers, at| {
        layers.variable(format!("ROLEKEEP_TRUSTED_PROXIES__{at}"), format!("192.0.2.{at}"))
    });
    let proxies: Vec<String> = (0..12).map(|at| format!("192.0.2.{at}")).collect();
    assert_eq!(layers.config("{}").unwrap().trusted_proxies, proxies);
}

#[tokio::test]
async fn ops_5_a_wrong_policy_hides_no_wrong_setting_and_the_other_way_round() {
    let config = Config::new()
        .session_seconds(0)
        .mail_sign_in(true)
        .policy_toml("[permissions]\n\"report:read\" = \"\"\n[roles.reader]\nallow = [\"report:raed\"]\n");
    let error = UserManagement::builder().config(config).memory().sqlite("/tmp/x.db").open().await.err().unwrap();
    assert_eq!((error.code(), error.reason()), (Code::Validation, Reason::ConfigInvalid));
    let fields: Vec<&str> = error.fields().iter().map(|field| field.field.as_str()).collect();
    assert_eq!(fields, ["session_seconds", "mail_sign_in"]);
    assert_eq!(error.problems().len(), 1, "{error}");
    for part in ["session_seconds", "mail_sign_in", "two storages"] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
    assert!(error.report().is_some_and(|report| report.to_string().contains("report:raed")));

    let policy = "[permissions]\n\"report:read\" = \"\"\n[roles.reader]\nallow = [\"report:raed\"]\n";
    let error = UserManagement::open(Config::new().policy_toml(policy)).await.err().unwrap();
    assert_eq!(error.reason(), Reason::PolicyInvalid, "where nothing else is wrong");
}

fn of(variables: &[(&str, &str)]) -> Layers {
    variables.iter().fold(Layers::new(), |layers, (name, value)| layers.variable(*name, *value))
}

fn wrong(layers: &Layers) -> Vec<(String, FieldCode)> {
    let error = layers.config("{}").unwrap_err();
    assert_eq!(error.reason(), Reason::ConfigInvalid);
    let field = |field: &rolekeep::FieldError| (field.message.rsplit_once('(').unwrap().1.replace(')', ""), field.code);
    error.fields().iter().map(field).collect()
}

#[test]
fn ops_5_variables_say_every_form_of_a_setting() {
    let layers = of(&[
        ("ROLEKEEP_SESSION_SECONDS", "43200"),
        ("ROLEKEEP_SMTPUTF8", "false"),
        ("ROLEKEEP_ISSUER", "12345"),
        ("ROLEKEEP_SECOND_FACTOR", "required"),
        ("ROLEKEEP_SIGNING_KEY", "0123456789012345678901234567890123456789"),
        ("ROLEKEEP_RETIRED_PEPPERS__0", "11111111111111111111111111111111"),
        ("ROLEKEEP_RETIRED_PEPPERS__1", "22222222222222222222222222222222"),
        ("ROLEKEEP_TRUSTED_PROXIES", r#"["10.0.0.0/8"]"#),
        ("ROLEKEEP_ROLES", r#"{"reader": ["document:read"]}"#),
        ("ROLEKEEP_ROLES__EDITOR", r#"["document:edit"]"#),
        ("ROLEKEEP_TRUSTED_ISSUERS__0__ISSUER", "https://login.example.org"),
        ("ROLEKEEP_TRUSTED_ISSUERS__0__AUDIENCES", r#"["app"]"#),
        // Not ours, and those that Kubernetes makes of a service of this name.
        ("SESSION_SECONDS", "none"),
        ("rolekeep_session_seconds", "none"),
        ("ROLEKEEP_PORT", "tcp://10.0.0.1:80"),
        ("ROLEKEEP_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("ROLEKEEP_SERVICE_HOST", "10.0.0.1"),
        ("ROLEKEEP_SERVICE_PORT_HTTP", "80"),
    ]);
    let config = layers.config("{}").unwrap();
    assert_eq!((config.session_seconds, config.smtputf8), (43_200, false));
    assert_eq!((config.issuer.as_str(), config.second_factor), ("12345", SecondFactor::Required));
    assert_eq!(config.signing_key.as_ref().unwrap().expose().len(), 40);
    assert_eq!(config.retired_peppers.len(), 2);
    assert_eq!(config.trusted_proxies, ["10.0.0.0/8"]);
    assert_eq!(config.roles["reader"], ["document:read"]);
    assert_eq!(config.roles["editor"], ["document:edit"]);
    assert_eq!(config.trusted_issuers[0].issuer, "https://login.example.org");
    let printed = format!("{layers:?} {config:?}");
    assert!(!printed.contains("0123456789012345") && !printed.contains("1111111"), "{printed}");
}

#[test]
fn ops_5_all_that_is_wrong_is_named_by_its_variable() {
    use FieldCode::{InvalidFormat, InvalidType, OutOfRange, TooShort, UnknownField, UnknownValue};
    let layers = of(&[
        ("ROLEKEEP_SESION_SECONDS", "43200"),
        ("ROLEKEEP_SESSION_SECONDS", "long"),
        ("ROLEKEEP_MAX_SESSIONS", "0"),
        ("ROLEKEEP_SECOND_FACTOR", "perhaps"),
        ("ROLEKEEP_SIGNING_KEY", "hunter2"),
        ("ROLEKEEP_RETIRED_PEPPERS__1", "11111111111111111111111111111111"),
        ("ROLEKEEP_PASSWORD_PEPPER_FILE", "/nowhere/pepper"),
        ("ROLEKEEP_EXCLUSIVE", "yes"),
    ]);
    let mut named = wrong(&layers);
    named.sort_by(|one, other| one.0.cmp(&other.0));
    let name = |name: &str| format!("ROLEKEEP_{name}");
    let expected = [
        (name("EXCLUSIVE"), InvalidType),
        (name("MAX_SESSIONS"), OutOfRange),
        (name("PASSWORD_PEPPER_FILE"), InvalidFormat),
        (name("RETIRED_PEPPERS__1"), FieldCode::Disagrees),
        (name("SECOND_FACTOR"), UnknownValue),
        (name("SESION_SECONDS"), UnknownField),
        (name("SESSION_SECONDS"), InvalidType),
        (name("SIGNING_KEY"), TooShort),
    ];
    assert_eq!(named, expected);
    let message = layers.config("{}").unwrap_err().to_string();
    assert!(message.contains("did you mean session_seconds?") && !message.contains("hunter2"), "{message}");
}

#[tokio::test]
async fn ops_5_the_program_goes_before_variables_and_those_before_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name)
    };
    let toml = write(
        "app.toml",
        "issuer = \"file\"\naudience = \"file\"\nsession_seconds = 1\nmax_sessions = 0\n\
         preset = \"flyos\"\nsqlite = \"file.db\"\n[roles]\neditor = [\"document:edit\"]\n",
    );
    let variables =
        [("ROLEKEEP_ISSUER", "variable"), ("ROLEKEEP_AUDIENCE", "variable"), ("ROLEKEEP_MAX_SESSIONS", "7")];
    let config = of(&variables).file(&toml).config(r#"{"issuer": "program", "postgres": null, "roles": {}}"#).unwrap();
    assert_eq!((config.issuer.as_str(), config.audience.as_str()), ("program", "variable"));
    assert_eq!((config.session_seconds, config.max_sessions), (1, 7));
    // Another policy, another storage: what was said of them before counts no more.
    let layers = of(&[("ROLEKEEP_POLICY_JSON", "{}"), ("ROLEKEEP_POSTGRES", "postgres://db/app")]).file(&toml);
    let config = layers.config("{}").unwrap();
    assert_eq!((config.preset.is_none(), config.roles.is_empty(), config.policy_json.is_some()), (true, true, true));
    assert_eq!((config.sqlite, config.postgres.is_some()), (None, true));
    let config = layers.config(r#"{"sqlite": "own.db", "preset": "standard"}"#).unwrap();
    assert_eq!((config.sqlite.as_deref(), config.postgres.is_none()), (Some("own.db"), true));
    assert_eq!((config.preset.as_deref(), config.policy_json.is_none()), (Some("standard"), true));

    // What is wrong with a value is told at opening, by where it stands now.
    let json = write("app.json", r#"{"session_seconds": 0, "idle_seconds": 0, "leeway_seconds": 301}"#);
    let config = of(&[("ROLEKEEP_IDLE_SECONDS", "-1")]).file(&json).config("{}").unwrap().leeway_seconds(-1);
    let error = UserManagement::open(config).await.err().unwrap();
    let messages: Vec<&str> = error.fields().iter().map(|field| field.message.as_str()).collect();
    assert!(messages[0].ends_with("(ROLEKEEP_IDLE_SECONDS)") && messages[1].ends_with("app.json)"), "{messages:?}");
    assert!(!messages[2].contains('('), "the program's own: {messages:?}");

    // A file that cannot be read, or is none.
    for (name, text) in
        [("a.toml", "issuer = "), ("d.toml", "session_seconds = nan"), ("b.json", "{"), ("c.json", "[]")]
    {
        let error = Layers::new().file(write(name, text)).config("{}").unwrap_err();
        assert_eq!(error.message().matches(name).count(), 1, "{error}");
    }
    let none = Layers::new().file(folder.path().join("none.toml")).config("{}").unwrap_err();
    assert!(none.message().ends_with("none.toml cannot be read: entity not found"), "{none}");
    assert_eq!(none.message().matches("none.toml").count(), 1, "{none}");
    // A value in a file of its own, and one that is given twice.
    let key = write("key", "0123456789012345678901234567890123456789\n");
    let key = ("ROLEKEEP_SIGNING_KEY_FILE", key.to_str().unwrap());
    assert_eq!(of(&[key]).config("{}").unwrap().signing_key.unwrap().expose().len(), 40);
    assert_eq!(wrong(&of(&[key, ("ROLEKEEP_SIGNING_KEY", "0")]))[0].0, "ROLEKEEP_SIGNING_KEY_FILE");
}

/// The variables of a process: this test starts itself again with some.
#[test]
fn ops_5_the_environment_is_that_of_the_process() {
    const INSIDE: &str = "INSIDE_OF_A_TEST";
    let name = "config::ops_5_the_environment_is_that_of_the_process";
    if std::env::var_os(INSIDE).is_some() {
        let config = Config::from_env().unwrap().issuer("program");
        assert_eq!((config.session_seconds, config.issuer.as_str()), (43_200, "program"));
        return;
    }
    let start = |value: &str| {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ROLEKEEP_") {
                child.env_remove(name);
            }
        }
        child.args([name, "--exact"]).env(INSIDE, "1").env("ROLEKEEP_SESSION_SECONDS", value).output().unwrap()
    };
    assert!(start("43200").status.success());
    assert!(!start("long").status.success());
}

/// What has no meaning without a storage does not take another one's place: the store would open in memory.
#[test]
fn ops_5_a_storage_gives_way_to_another_one_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = |text: &str| {
        let path = folder.path().join("app.toml");
        std::fs::write(&path, text).unwrap();
        Layers::new().file(path)
    };
    let postgres = || file("postgres = \"postgres://ada@db.example/app\"\npostgres_schema = \"accounts\"\n");
    let sqlite = || file("sqlite = \"app.db\"\nexclusive = true\n");
    let preset = || file("preset = \"flyos\"\n");
    let kept = postgres().variable("ROLEKEEP_EXCLUSIVE", "false").config(r#"{"exclusive": false}"#).unwrap();
    assert!(kept.postgres.is_some());
    let kept = sqlite().variable("ROLEKEEP_POSTGRES_SCHEMA", "rolekeep").config("{}").unwrap();
    assert_eq!((kept.sqlite.as_deref(), kept.exclusive), (Some("app.db"), true));
    for variable in ["ROLEKEEP_PERMISSIONS", "ROLEKEEP_ROLES"] {
        let nothing = if variable == "ROLEKEEP_ROLES" { "{}" } else { "[]" };
        assert_eq!(preset().variable(variable, nothing).config("{}").unwrap().preset.as_deref(), Some("flyos"));
    }
    // One for the other, with all that belongs to it.
    let instead = sqlite().variable("ROLEKEEP_POSTGRES", "postgres://ada@db.example/app").config("{}").unwrap();
    assert_eq!((instead.sqlite, instead.exclusive, instead.postgres.is_some()), (None, false, true));
    let instead = postgres().config(r#"{"sqlite": "app.db"}"#).unwrap();
    let schema = Config::new().postgres_schema;
    assert_eq!((instead.postgres.is_none(), instead.postgres_schema), (true, schema));
}

/// A name that is none, however it is written, hides nothing else that is wrong.
#[test]
fn ops_5_an_unknown_name_hides_nothing() {
    for (name, value) in [("ROLEKEEP_A.B", "1"), ("ROLEKEEP_A[B", "1")] {
        let layers = Layers::new().variable("ROLEKEEP_MAX_SESSIONS", "0").variable(name, value);
        let error = layers.config("{}").unwrap_err();
        let fields: Vec<&str> = error.fields().iter().map(|field| field.field.as_str()).collect();
        assert!(fields.len() == 2 && fields.contains(&"max_sessions"), "{fields:?}");
    }
}
