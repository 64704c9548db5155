//! A type that the host keeps, `document`: random rows of it with every kind of column, and random
//! policies about them.

use uuid::Uuid;

use rolekeep::{
    Time, Value,
    rules::{Context, Policy, Resource, Role, RuleSet, Scope, StoredAssignment, StoredPrincipal},
};

use super::{
    Choices,
    condition::{HOUR, START},
    schema,
};

/// The attributes of a document. Those that begin with `m_` are members of its JSON document `meta`.
pub const DOCUMENT: &[(&str, &str)] = &[
    ("id", "id"),
    ("title", "string"),
    ("label", "string?"),
    ("region_id", "id?"),
    ("owner_id", "id?"),
    ("editor_id", "id?"),
    ("size", "int?"),
    ("flag", "bool?"),
    ("made_at", "time"),
    ("seen_at", "time?"),
    ("due_at", "time?"),
    ("age", "duration?"),
    ("address", "ip?"),
    ("reviewers", "set<id>"),
    ("tags", "set<string>?"),
    ("codes", "set<int>?"),
    ("teams", "set<id>?"),
    ("m_level", "int?"),
    ("m_name", "string?"),
    ("m_flag", "bool?"),
    ("m_owner", "id?"),
    ("m_tags", "set<string>?"),
    ("m_codes", "set<int>?"),
    ("m_teams", "set<id>?"),
];

/// What conditions read besides, by type.
const OTHERS: &[(&str, &str)] = &[
    ("principal.id", "id"),
    ("principal.region_id", "id?"),
    ("principal.username", "string"),
    ("principal.level", "int?"),
    ("principal.verified", "bool"),
    ("principal.joined_at", "time?"),
    ("principal.wait", "duration?"),
    ("principal.address", "ip?"),
    ("context.hour", "int"),
    ("context.tag", "string?"),
];

const PRINCIPAL_SETS: &[(&str, &str)] =
    &[("principal.teams", "set<id>?"), ("principal.scores", "set<int>?"), ("principal.names", "set<string>?")];

/// Texts that have broken somebody's SQL: quotes, wildcards, blanks, forms and cases of one letter,
/// letters at the ends of the planes.
#[rustfmt::skip]
const TEXTS: &[&str] = &[
    "", "a", "A", "a ", " a", "\u{e4}", "a\u{308}", "a'b", "a\"b\\", "\\", "%", "_", "$1", "?1", "\u{65e5}\u{672c}",
    "\u{df}", "ss", "SS", "\u{1e9e}", "\u{130}", "i", "i\u{307}", "\u{131}", "I", "\u{e9}", "e\u{301}", "\u{1f600}",
    "\u{10ffff}", "\u{e000}", "\u{ffff}", "a\u{1}", "\u{212b}", "\u{c5}", "\u{d7ff}",
];

const INTS: &[i64] = &[
    0,
    1,
    -1,
    7,
    100,
    8_573_272_084_638_969,
    9_007_199_254_740_991,
    9_007_199_254_740_992,
    9_007_199_254_740_993,
    i64::MAX,
    i64::MIN,
];

const DURATIONS: &[(i64, &str)] =
    &[(0, "0s"), (1, "1us"), (HOUR, "1h"), (26 * HOUR, "1d2h"), (316_224_000_000_000_000, "3660000d")];

const ADDRESSES: &[&str] =
    &["10.0.0.1", "10.255.0.1", "11.0.0.1", "::ffff:10.0.0.1", "2001:db8::1", "::1", "::ffff:0:1", "0.0.0.0"];

const RANGES: &[&str] = &["10.0.0.0/8", "0.0.0.0/0", "::/0", "2001:db8::/32", "10.0.0.1/32", "::ffff:0:0/96"];

/// Members of a document, of the type that is expected and of others.
#[rustfmt::skip]
const MEMBERS: &[&str] = &[
    "1", "7", "0", "1.0", "-1", "-0", "-0.0", "1e2", "100", "1.5", "1e400", "-1e400", "1e-400", "1e18", "0.1",
    "9007199254740991.0", "-9007199254740991.0", "9007199254740991.7", "9007199254740992.0", "9007199254740992", "9007199254740993", "9007199254740993.0", "9007199254740994.0",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
    "18446744073709551616", "1.00000000000000000000001", "null", "true", "false", "\"1\"", "\"a\"", "\"A\"", "\"\"",
    "\"a'b\"", "\"a\\\"b\\\\\"", "\"\u{e4}\"", "\"\\u00e4\"", "\"\u{1f600}\"", "\"\\ud83d\\ude00\"", "\"true\"", "{}",
    "{\"m_level\":1}", "[]", "[1]", "[1,7,100]", "[1.0,1e2]", "[1,\"1\"]", "[1,null]", "[1,1.5]", "[[1]]",
    "[\"a\",\"A\"]", "[\"a\",\"\",\"\u{e4}\"]", "[\"a\",1]", "[\"a\",null]", "[\"a\",[\"a\"]]", "[true]",
    "[9223372036854775808]", "8573272084638969.0", "-8573272084638969.0", "[8573272084638969.0,1]",
    "8573272084638969e0", "0.8573272084638969e16", "5000000000000000.4", "4503599627370496.5", "4503599627370497.5",
    "\"\u{fffd}\"", "\"\\ufffd\"", "\"\\uffff\"", "\"a\u{fffe}\"", "[\"a\",\"\u{fffd}\"]",
];

/// Members that PostgreSQL refuses and SQLite takes: halves of letters, which are no text, and NUL.
#[rustfmt::skip]
const BROKEN: &[&str] = &[
    "\"\\ud800\"", "\"a\\udc00\"", "\"\\ude00\\ud83d\"", "\"\\ud83d\\ude00\\ud83d\"", "\"\\uDBFF\\uDBFF\\uDFFF\"",
    "\"\u{fffd}\\udfff\"", "[\"a\",\"\\ud800\"]", "[\"\\ud800\"]", "[\"a\",\"\u{fffd}\\uffff\"]", "\"\\u0000\"", "\"a\\u0000b\"",
    "\"a\\u0000\"", "[\"a\\u0000b\",\"a\"]",
];

/// A document and its reviewers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the attributes of the same names")]
pub struct DocumentRow {
    pub id: Uuid,
    pub title: String,
    pub label: Option<String>,
    pub region_id: Option<Uuid>,
    pub owner_id: Option<Uuid>,
    pub editor_id: Option<Uuid>,
    pub size: Option<i64>,
    pub flag: Option<bool>,
    pub made_at: i64,
    pub seen_at: Option<i64>,
    pub due_at: Option<i64>,
    pub age: Option<i64>,
    pub address: Option<String>,
    pub reviewers: Vec<Uuid>,
    pub tags: Option<Vec<Option<String>>>,
    pub codes: Option<Vec<Option<i64>>>,
    pub teams: Option<Vec<Option<Uuid>>>,
    /// The document; replaced by what a database gives back for it.
    pub meta: Option<String>,
}

impl DocumentRow {
    /// As the rules see it: what a host would give that has read the row.
    pub fn resource(&self) -> Resource<'static> {
        let time = |time: Option<i64>| time.map_or(Value::Null, Value::Time);
        let resource = Resource::of("document")
            .with("id", self.id)
            .with("title", self.title.as_str())
            .with("label", self.label.clone())
            .with("region_id", self.region_id)
            .with("owner_id", self.owner_id)
            .with("editor_id", self.editor_id)
            .with("size", self.size)
            .with("flag", self.flag)
            .with("made_at", Value::Time(self.made_at))
            .with("seen_at", time(self.seen_at))
            .with("due_at", time(self.due_at))
            .stored("age", self.age)
            .stored("address", self.address.clone())
            .stored("tags", array(&self.tags))
            .stored("codes", array(&self.codes))
            .stored("teams", array(&self.teams))
            .relation("reviewers", self.reviewers.iter().copied());
        let members: std::collections::BTreeMap<String, Box<serde_json::value::RawValue>> =
            self.meta.as_deref().and_then(|meta| serde_json::from_str(meta).ok()).unwrap_or_default();
        let names = DOCUMENT.iter().map(|(name, _)| *name).filter(|name| name.starts_with("m_"));
        names.fold(resource, |resource, name| {
            let member = members.get(name).map(|member| Value::Json(member.get().into()));
            resource.stored(name, member.unwrap_or(Value::Null))
        })
    }
}

/// A set as JSON; null where it is absent.
pub fn array<T: serde::Serialize>(set: &Option<Vec<Option<T>>>) -> Value {
    let json = set.as_ref().and_then(|set| serde_json::to_string(set).ok());
    json.map_or(Value::Null, |json| Value::Json(json.into()))
}

/// A policy about documents, and who asks.
#[derive(Clone, Debug)]
pub struct DocumentCase {
    /// The policy.
    pub policy: Policy,
    /// Who asks.
    pub principal: StoredPrincipal,
    /// `context.hour` and `context.tag`.
    pub context: (i64, Option<String>),
    /// When.
    pub now: Time,
}

impl DocumentCase {
    /// Draws a case; conditions read addresses only where the database can.
    pub fn draw(choices: &mut Choices, with_addresses: bool) -> Self {
        let mut policy = Policy::new()
            .resource_type("document", DOCUMENT.iter().copied())
            .resource_type(
                "user",
                [
                    ("teams", "set<id>?"),
                    ("scores", "set<int>?"),
                    ("names", "set<string>?"),
                    ("wait", "duration?"),
                    ("address", "ip?"),
                ],
            )
            .permissions(["document:read", "document:list"])
            .context("hour", "int")
            .context("tag", "string?")
            .scope_kind("doc_owner", "editor_id")
            .scope_kind("title", "title")
            .scope_kind("size_class", "size")
            .scope_kind("meta_owner", "m_owner");
        let roles = 1 + choices.below(3);
        for at in 0..roles {
            let mut role = Role::new(format!("role{at}"));
            for _ in 0..1 + choices.below(3) {
                let is_deny = choices.once_in(4);
                let pattern = *choices.one(&["document:read", "document:read", "document:*", "document:list"]);
                let mut writer = Conditions { choices, with_addresses };
                let when = writer.condition(is_deny, 3);
                role = match (is_deny, choices.once_in(5)) {
                    (true, true) if choices.once_in(8) => role.deny(pattern),
                    (true, _) => role.deny_when(pattern, when),
                    (false, true) => role.allow(pattern),
                    (false, false) => role.allow_when(pattern, when),
                };
            }
            policy = policy.add_role(role);
        }
        let assignments = (0..1 + choices.below(4)).map(|_| choices.document_assignment(roles)).collect();
        let now = Time::from_microsecond(START + choices.below(3) as i64 * HOUR).unwrap_or_default();
        let tag = choices.once_in(2).then(|| choices.document_text());
        // Refused at entry, but a host may fill a context with anything.
        let tag = tag.map(|tag| if choices.once_in(6) { format!("{tag}\u{0}b") } else { tag });
        let context = (*choices.one(INTS), tag);
        Self { policy, principal: choices.document_principal(assignments), context, now }
    }

    /// The policy compiled.
    pub fn rules(&self) -> rolekeep::Result<RuleSet> {
        RuleSet::compile(&self.policy, &schema())
    }

    /// The context of the question.
    pub fn context(&self) -> Context {
        let context = Context::new().with("hour", self.context.0);
        match &self.context.1 {
            Some(tag) => context.with("tag", tag.as_str()),
            None => context,
        }
    }
}

impl Choices {
    fn document_text(&mut self) -> String {
        let text = (*self.one(TEXTS)).to_owned();
        if self.once_in(4) { text + *self.one(TEXTS) } else { text }
    }

    fn document_time(&mut self) -> i64 {
        START + *self.one(&[0, 1, -1, HOUR, 2 * HOUR, 999_999])
    }

    fn perhaps<T>(&mut self, draw: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.once_in(3) { None } else { Some(draw(self)) }
    }

    fn set_of<T>(&mut self, draw: impl Fn(&mut Self) -> T) -> Option<Vec<Option<T>>> {
        self.perhaps(|choices| {
            (0..choices.below(4)).map(|_| if choices.once_in(8) { None } else { Some(draw(choices)) }).collect()
        })
    }

    /// What is said of who asks is of the right type.
    fn own_set<T: serde::Serialize>(&mut self, draw: impl Fn(&mut Self) -> T) -> Value {
        let whole = self.set_of(draw).map(|set| set.into_iter().filter(Option::is_some).collect());
        array(&whole)
    }

    /// Documents for a test of the law: as many at random, and one for each member that a JSON
    /// document may hold, by whatever name.
    pub fn documents(&mut self, count: usize) -> Vec<DocumentRow> {
        let id = |at: usize| Uuid::from_u128(1 + at as u128);
        let mut documents: Vec<DocumentRow> = (0..count).map(|at| self.document(id(at))).collect();
        for member in MEMBERS {
            let names = DOCUMENT.iter().map(|(name, _)| *name).filter(|name| name.starts_with("m_"));
            let members: Vec<String> = names.map(|name| format!("\"{name}\":{member}")).collect();
            let meta = Some(format!("{{{}}}", members.join(",")));
            documents.push(DocumentRow { meta, ..self.document(id(documents.len())) });
        }
        documents
    }

    /// The same with members that only SQLite takes.
    pub fn broken_documents(&mut self, count: usize) -> Vec<DocumentRow> {
        let mut documents = self.documents(count);
        for member in BROKEN {
            let names = DOCUMENT.iter().map(|(name, _)| *name).filter(|name| name.starts_with("m_"));
            let members: Vec<String> = names.map(|name| format!("\"{name}\":{member}")).collect();
            let (id, meta) = (Uuid::from_u128(1 + documents.len() as u128), Some(format!("{{{}}}", members.join(","))));
            documents.push(DocumentRow { meta, ..self.document(id) });
        }
        documents
    }

    /// A document of this id.
    pub fn document(&mut self, id: Uuid) -> DocumentRow {
        let mut reviewers: Vec<Uuid> = (0..self.below(3)).map(|_| self.id()).collect();
        reviewers.sort_unstable();
        reviewers.dedup();
        DocumentRow {
            id,
            title: self.document_text(),
            label: self.perhaps(Self::document_text),
            region_id: self.perhaps(Self::id),
            owner_id: self.perhaps(Self::id),
            editor_id: self.perhaps(Self::id),
            size: self.perhaps(|choices| *choices.one(INTS)),
            flag: self.perhaps(|choices| choices.once_in(2)),
            made_at: self.document_time(),
            seen_at: self.perhaps(Self::document_time),
            due_at: self.perhaps(Self::document_time),
            age: self.perhaps(|choices| {
                let durations = [i64::MAX, i64::MIN, -HOUR];
                if choices.once_in(4) { *choices.one(&durations) } else { choices.one(DURATIONS).0 }
            }),
            address: self.perhaps(|choices| match choices.once_in(6) {
                true => "10.0.0.0/8".to_owned(),
                false => (*choices.one(ADDRESSES)).to_owned(),
            }),
            reviewers,
            tags: self.set_of(Self::document_text),
            codes: self.set_of(|choices| *choices.one(INTS)),
            teams: self.set_of(Self::id),
            meta: self.perhaps(Self::meta),
        }
    }

    fn meta(&mut self) -> String {
        let names = DOCUMENT.iter().map(|(name, _)| *name).filter(|name| name.starts_with("m_"));
        let members: Vec<String> = names
            .filter_map(|name| {
                let member = match self.below(4) {
                    0 => return None,
                    1 if name == "m_owner" => format!("\"{}\"", self.id_text()),
                    1 if name == "m_teams" => {
                        let ids: Vec<String> = (0..self.below(3)).map(|_| format!("\"{}\"", self.id_text())).collect();
                        format!("[{}]", ids.join(","))
                    }
                    2 if name == "m_level" => self.number(),
                    2 if name == "m_codes" => format!("[{},{}]", self.number(), self.number()),
                    _ => (*self.one(MEMBERS)).to_owned(),
                };
                Some(format!("\"{name}\":{member}"))
            })
            .collect();
        format!("{{{}}}", members.join(","))
    }

    /// A number of many digits, as whoever writes JSON may write it.
    fn number(&mut self) -> String {
        let sign = if self.once_in(4) { "-" } else { "" };
        let digits: String =
            (0..14 + self.below(6)).map(|at| char::from(b'0' + self.below(9) as u8 + u8::from(at == 0))).collect();
        let (whole, rest) = digits.split_at(13 + self.below(digits.len() - 12));
        let zeros = *self.one(&["0", "00", "5", ""]);
        match self.below(4) {
            0 => format!("{sign}{digits}.0"),
            1 => format!("{sign}{digits}e{}", self.below(2)),
            2 => format!("{sign}0.{digits}e{}", digits.len() + self.below(2)),
            _ if rest.is_empty() && zeros.is_empty() => format!("{sign}{whole}"),
            _ => format!("{sign}{whole}.{rest}{zeros}"),
        }
    }

    /// An id in one of its forms, or nearly.
    fn id_text(&mut self) -> String {
        let id = Uuid::from_u128(0xabcd_ef00_0000_0000_0000_0000_0000_0000 + 1 + self.below(4) as u128);
        let id = if self.once_in(2) { self.id() } else { id };
        match self.below(9) {
            0 => id.simple().to_string(),
            1 => id.hyphenated().to_string().to_uppercase(),
            2 => id.braced().to_string(),
            3 => id.urn().to_string(),
            4 => format!("{id} "),
            5 => format!("{{{}}}", id.simple()),
            6 => id.to_string().replace('0', "g"),
            _ => id.to_string(),
        }
    }

    fn document_assignment(&mut self, roles: usize) -> StoredAssignment {
        let scope = match self.below(9) {
            0 => Scope::region(self.id()),
            1 => Scope::resource("document", self.id()),
            2 => Scope::of("doc_owner", self.id()),
            3 => Scope::of("title", (*self.one(&TEXTS[1..])).to_owned()),
            4 => Scope::of("size_class", *self.one(INTS)),
            5 => Scope::of("meta_owner", self.id()),
            _ => Scope::Global,
        };
        StoredAssignment::new(format!("role{}", self.below(roles)), scope)
    }

    fn document_principal(&mut self, assignments: Vec<StoredAssignment>) -> StoredPrincipal {
        let mut attributes = vec![
            ("username".into(), Value::Text(self.document_text())),
            ("email".into(), Value::from("someone@example.org")),
            ("status".into(), Value::from("active")),
            ("region_id".into(), self.perhaps(Self::id).into()),
            ("level".into(), self.perhaps(|choices| *choices.one(INTS)).into()),
            ("joined_at".into(), self.perhaps(Self::document_time).map_or(Value::Null, Value::Time)),
        ];
        attributes.push(("teams".into(), self.own_set(Self::id)));
        attributes.push(("scores".into(), self.own_set(|choices| *choices.one(INTS))));
        attributes.push(("names".into(), self.own_set(Self::document_text)));
        let wait = self.perhaps(|choices| choices.one(DURATIONS).0);
        attributes.push(("wait".into(), wait.into()));
        let address = self.perhaps(|choices| *choices.one(ADDRESSES));
        attributes.push(("address".into(), address.into()));
        StoredPrincipal {
            id: self.id(),
            is_active: !self.once_in(20),
            status: "suspended".into(),
            is_verified: self.once_in(2),
            attributes,
            assignments,
            ..StoredPrincipal::new(Uuid::nil())
        }
    }
}

/// Writes conditions that load.
struct Conditions<'c> {
    choices: &'c mut Choices,
    with_addresses: bool,
}

/// A path as it is written, its type without the mark, and whether it may be absent.
type Path = (String, &'static str, bool);

impl Conditions<'_> {
    fn condition(&mut self, is_strict: bool, depth: usize) -> String {
        match if depth == 0 { 0 } else { self.choices.below(5) } {
            1 => self.joined(is_strict, depth, " and "),
            2 => self.joined(is_strict, depth, " or "),
            3 => format!("not ({})", self.condition(true, depth - 1)),
            _ => self.test(is_strict),
        }
    }

    fn joined(&mut self, is_strict: bool, depth: usize, word: &str) -> String {
        let parts: Vec<String> =
            (0..1 + self.choices.below(3)).map(|_| format!("({})", self.condition(is_strict, depth - 1))).collect();
        parts.join(word)
    }

    fn test(&mut self, is_strict: bool) -> String {
        let (test, paths, is_strict) = match self.choices.below(9) {
            0 => {
                let path = self.path(|_| true);
                return format!("has {}", path.0);
            }
            1 => {
                let path = self.path(|ty| ty == "string");
                let prefix = quoted(&self.choices.document_text());
                (format!("{} starts_with {prefix}", path.0), vec![path], is_strict)
            }
            2 | 3 => {
                let set = self.path(|ty| ty.starts_with("set<"));
                let element = set.1.trim_start_matches("set<").trim_end_matches('>');
                if self.choices.once_in(2) {
                    let literal = self.literal(element);
                    (format!("{} contains {literal}", set.0), vec![set], is_strict)
                } else {
                    let one = self.any_path(element);
                    (format!("{} contains {}", set.0, one.0), vec![set, one], is_strict)
                }
            }
            4 => {
                let path = self.path(|ty| !ty.starts_with("set<"));
                let literals: Vec<String> = (0..self.choices.below(4)).map(|_| self.literal(path.1)).collect();
                (format!("{} in [{}]", path.0, literals.join(", ")), vec![path], is_strict)
            }
            5 => {
                let set = *self.choices.one(PRINCIPAL_SETS);
                let element = set.1.trim_start_matches("set<").trim_end_matches(">?");
                let one = self.path(|ty| ty == element);
                (format!("{} in {}", one.0, set.0), vec![one, (set.0.to_owned(), "", true)], is_strict)
            }
            6 if self.with_addresses => {
                let count = 1 + self.choices.below(2);
                let ranges: Vec<String> = (0..count).map(|_| quoted(self.choices.one::<&str>(RANGES))).collect();
                let test = format!("resource.address in [{}]", ranges.join(", "));
                (test, vec![("resource.address".to_owned(), "ip", true)], is_strict)
            }
            _ => self.comparison(is_strict),
        };
        let optional: Vec<&str> = paths.iter().filter(|path| path.2).map(|path| path.0.as_str()).collect();
        if !is_strict || optional.is_empty() {
            return test;
        }
        if self.choices.once_in(2) {
            let absent: Vec<String> = optional.iter().map(|path| format!("not has {path}")).collect();
            format!("{} or {test}", absent.join(" or "))
        } else {
            let present: Vec<String> = optional.iter().map(|path| format!("has {path}")).collect();
            format!("{} and {test}", present.join(" and "))
        }
    }

    fn comparison(&mut self, is_strict: bool) -> (String, Vec<Path>, bool) {
        let left = self.path(|ty| !ty.starts_with("set<"));
        let operators: &[&str] = match left.1 {
            "int" | "string" | "time" | "duration" => &["==", "!=", "<", "<=", ">", ">="],
            _ => &["==", "!="],
        };
        let operator = *self.choices.one(operators);
        let is_strict = is_strict || operator == "!=";
        let left_text = self.moved(&left);
        let (right_text, paths) = match self.choices.below(3) {
            0 => (self.literal(left.1), vec![left]),
            1 if left.1 == "time" => ("now".to_owned() + self.offset(), vec![left]),
            _ => {
                let right = self.any_path(left.1);
                (self.moved(&right), vec![left, right])
            }
        };
        let test = match self.choices.once_in(4) {
            true => format!("{right_text} {operator} {left_text}"),
            false => format!("{left_text} {operator} {right_text}"),
        };
        (test, paths, is_strict)
    }

    fn moved(&mut self, path: &Path) -> String {
        if path.1 == "time" { path.0.clone() + self.offset() } else { path.0.clone() }
    }

    fn offset(&mut self) -> &'static str {
        self.choices.one::<&str>(&["", " + 1h", " - 1us", " - 3650000d"])
    }

    /// An attribute of the document.
    fn path(&mut self, fits: impl Fn(&str) -> bool) -> Path {
        let with_addresses = self.with_addresses;
        let paths: Vec<Path> = DOCUMENT
            .iter()
            .filter(|(name, ty)| fits(ty.trim_end_matches('?')) && (with_addresses || *name != "address"))
            .map(|(name, ty)| (format!("resource.{name}"), ty.trim_end_matches('?'), ty.ends_with('?')))
            .collect();
        self.choices.one(&paths).clone()
    }

    /// An attribute of anybody's.
    fn any_path(&mut self, wanted: &str) -> Path {
        let others: Vec<Path> = OTHERS
            .iter()
            .filter(|(_, ty)| ty.trim_end_matches('?') == wanted)
            .map(|(name, ty)| ((*name).to_owned(), ty.trim_end_matches('?'), ty.ends_with('?')))
            .collect();
        if self.choices.once_in(2) { self.choices.one(&others).clone() } else { self.path(|ty| ty == wanted) }
    }

    fn literal(&mut self, ty: &str) -> String {
        let choices = &mut *self.choices;
        match ty {
            "bool" => choices.once_in(2).to_string(),
            "int" => choices.one(INTS).to_string(),
            "id" => format!("\"{}\"", choices.id()),
            "time" => format!("\"{}\"", Time::from_microsecond(choices.document_time()).unwrap_or_default()),
            "duration" => choices.one(DURATIONS).1.to_owned(),
            "ip" => quoted(choices.one::<&str>(ADDRESSES)),
            _ => quoted(&choices.document_text()),
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
