//! What is so of an account at once: it may be switched off, suspended and banned, and its status is the strongest of these (USR-6).

use super::{
    record::{Field, Kind},
    user::UserStatus,
    value::Value,
};

/// What keeps an account from signing in; nothing: it is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// It is shut out.
    pub is_banned: bool,
    /// It is suspended.
    pub is_suspended: bool,
    /// It is switched off.
    pub is_off: bool,
}

impl Standing {
    /// Switched off, and nothing else.
    pub const OFF: Self = Self { is_banned: false, is_suspended: false, is_off: true };

    /// The status that this is: the strongest.
    pub fn status(self) -> UserStatus {
        self.statuses().first().copied().unwrap_or(UserStatus::Active)
    }

    /// What is left when the strongest ends; none: nothing is.
    pub fn beneath(self) -> Option<Self> {
        let left = if self.is_banned {
            Self { is_banned: false, ..self }
        } else if self.is_suspended {
            Self { is_suspended: false, ..self }
        } else {
            Self::default()
        };
        (left != Self::default()).then_some(left)
    }

    /// All of it, the strongest first.
    fn statuses(self) -> Vec<UserStatus> {
        let all = [
            (self.is_banned, UserStatus::Banned),
            (self.is_suspended, UserStatus::Suspended),
            (self.is_off, UserStatus::Inactive),
        ];
        all.into_iter().filter_map(|(is_so, status)| is_so.then_some(status)).collect()
    }

    fn and(self, status: UserStatus) -> Option<Self> {
        match status {
            UserStatus::Active => Some(self),
            UserStatus::Inactive => Some(Self { is_off: true, ..self }),
            UserStatus::Suspended => Some(Self { is_suspended: true, ..self }),
            UserStatus::Banned => Some(Self { is_banned: true, ..self }),
            UserStatus::Deleted => None,
        }
    }
}

/// As words with a blank between them, the strongest first: rows of before have one.
impl Field for Standing {
    const KIND: Kind = Kind::Text;
    const PLAIN: bool = true;

    fn to_value(&self) -> Value {
        let words: Vec<&str> = self.statuses().iter().map(UserStatus::as_str).collect();
        Value::Text(if words.is_empty() { UserStatus::Active.as_str().to_owned() } else { words.join(" ") })
    }

    fn from_value(value: Value) -> Option<Self> {
        let mut words = value.as_text()?.split(' ');
        words.try_fold(Self::default(), |standing, word| standing.and(word.parse().ok()?))
    }
}

/// What is so of an account again when its status ends, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beneath {
    /// What is so.
    pub standing: Standing,
    /// Why it is suspended, where a ban is laid over that.
    pub suspended_for: Option<String>,
    /// Whether it held other roles than every account gets when it was deleted: more, or not all of these.
    pub had_other_roles: bool,
}

impl Beneath {
    /// Before what is so, where it held other roles.
    const OTHER_ROLES: &'static str = "other_roles ";
    /// Between what is so and why.
    const BECAUSE: &'static str = ": ";
}

/// The words, and behind a colon the reason: `suspended inactive: lost its badge`.
impl Field for Beneath {
    const KIND: Kind = Kind::Text;

    fn to_value(&self) -> Value {
        let standing = self.standing.to_value();
        let words = standing.as_text().unwrap_or_default();
        let roles = if self.had_other_roles { Self::OTHER_ROLES } else { "" };
        Value::Text(match &self.suspended_for {
            Some(reason) => format!("{roles}{words}{}{reason}", Self::BECAUSE),
            None => format!("{roles}{words}"),
        })
    }

    fn from_value(value: Value) -> Option<Self> {
        let text = value.as_text()?;
        let stripped = text.strip_prefix(Self::OTHER_ROLES);
        let (had_other_roles, text) = (stripped.is_some(), stripped.unwrap_or(text));
        let (words, reason) = match text.split_once(Self::BECAUSE) {
            Some((words, reason)) => (words, Some(reason.to_owned())),
            None => (text, None),
        };
        Some(Self { standing: Standing::from_value(words.into())?, suspended_for: reason, had_other_roles })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usr_6_what_lies_beneath_is_kept_with_its_reason() {
        let standing = Standing { is_banned: false, is_suspended: true, is_off: true };
        for reason in [None, Some("lost its badge"), Some("why: \"a: b\""), Some(": ")] {
            for had_other_roles in [false, true] {
                let beneath = Beneath { standing, suspended_for: reason.map(str::to_owned), had_other_roles };
                assert_eq!(Beneath::from_value(beneath.to_value()), Some(beneath));
            }
        }
        let told = Beneath { standing, suspended_for: Some("a drill".to_owned()), had_other_roles: false };
        assert_eq!(told.to_value(), Value::Text("suspended inactive: a drill".into()));
        let had_other = Beneath { had_other_roles: true, ..told };
        assert_eq!(had_other.to_value(), Value::Text("other_roles suspended inactive: a drill".into()));
        let off = Beneath { standing: Standing::OFF, suspended_for: None, had_other_roles: false };
        assert_eq!(off.to_value(), Standing::OFF.to_value(), "lists and counts look for that");
        assert_eq!(Beneath::from_value(Value::Text("asleep: why".into())), None);
    }

    #[test]
    fn usr_6_what_is_so_at_once_is_kept_as_words() {
        for bits in 0..8 {
            let standing = Standing { is_banned: bits & 1 != 0, is_suspended: bits & 2 != 0, is_off: bits & 4 != 0 };
            assert_eq!(Standing::from_value(standing.to_value()), Some(standing));
        }
        let all = Standing { is_banned: true, is_suspended: true, is_off: true };
        assert_eq!(all.to_value(), Value::Text("banned suspended inactive".into()));
        assert_eq!(Standing::default().to_value(), Value::Text("active".into()));
        for wrong in ["", "deleted", "asleep", "active  inactive"] {
            assert_eq!(Standing::from_value(Value::Text(wrong.into())), None, "{wrong}");
        }
    }

    #[test]
    fn usr_6_the_strongest_ends_first() {
        let mut standing = Standing { is_banned: true, is_suspended: true, is_off: true };
        for status in [UserStatus::Banned, UserStatus::Suspended] {
            assert_eq!(standing.status(), status);
            standing = standing.beneath().unwrap();
        }
        assert_eq!((standing, standing.status(), standing.beneath()), (Standing::OFF, UserStatus::Inactive, None));
        assert_eq!((Standing::default().status(), Standing::default().beneath()), (UserStatus::Active, None));
    }
}
