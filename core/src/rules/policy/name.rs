//! Names, permissions and the patterns that match them.

/// The one permission that matches every other; no pattern matches it.
pub(in crate::rules) const ADMIN: &str = "admin:all";

/// Whether this names a resource type, an action, an attribute or a scope kind: `[a-z][a-z0-9_-]{0,63}`.
pub(in crate::rules) fn is_name(text: &str) -> bool {
    is_word(text) && !text.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Whether this names a role: `[A-Za-z][A-Za-z0-9_-]{0,63}`.
pub(in crate::rules) fn is_word(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= 64
        && bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// `resource:action` in its two parts.
pub(in crate::rules) fn split(permission: &str) -> Option<(&str, &str)> {
    let (resource, action) = permission.split_once(':')?;
    (is_name(resource) && is_name(action)).then_some((resource, action))
}

/// What a grant gives: `drone:read`, `drone:*`, `*:read`, `*:*`, each possibly narrowed to fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rules) struct Pattern<'t> {
    /// None: every type.
    pub(in crate::rules) resource: Option<&'t str>,
    /// None: every action.
    pub(in crate::rules) action: Option<&'t str>,
    /// None: not narrowed.
    pub(in crate::rules) fields: Option<Vec<&'t str>>,
}

impl<'t> Pattern<'t> {
    /// Reads `resource:action` or `resource:action{field,field}`.
    pub(in crate::rules) fn parse(text: &'t str) -> Option<Self> {
        let (name, fields) = match text.split_once('{') {
            None => (text, None),
            Some((name, rest)) => {
                let fields: Vec<&str> = rest.strip_suffix('}')?.split(',').map(str::trim).collect();
                (name, Some(fields))
            }
        };
        if fields.as_ref().is_some_and(|fields| fields.iter().any(|field| !is_name(field))) {
            return None;
        }
        let part = |text: &'t str| match text {
            "*" => Some(None),
            name => is_name(name).then_some(Some(name)),
        };
        let (resource, action) = name.split_once(':')?;
        Some(Self { resource: part(resource)?, action: part(action)?, fields })
    }

    /// Whether it is about this permission, fields aside; nothing matches `admin:all`.
    pub(in crate::rules) fn matches(&self, permission: &str) -> bool {
        let Some((resource, action)) = permission.split_once(':') else { return false };
        permission != ADMIN
            && self.resource.is_none_or(|wanted| wanted == resource)
            && self.action.is_none_or(|wanted| wanted == action)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn patterns_are_strict() {
        for right in ["a:b", "a:*", "*:b", "*:*", "a:b{c}", "a:b{c, d}", "a-b:c_d"] {
            assert!(Pattern::parse(right).is_some(), "{right}");
        }
        for wrong in ["", "a", "a:", ":b", "a:b:c", "A:b", "a:b{}", "a:b{c", "a:b{c}d", "a:b{*}", "a**:b", "1a:b"] {
            assert!(Pattern::parse(wrong).is_none(), "{wrong}");
        }
    }
}
