//! What a profile has of an account, and a change of it: one's own, or by who changes accounts.

use jiff::civil::Date;

use crate::{
    model::{
        check::Checks,
        patch::{Change, Patch},
        text,
        time::Time,
        user::{User, Visibility},
    },
    operations::users::{bio, location, not_future},
};

/// The fields of an account that are its profile, each as it will be, or kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileChange {
    pub(in crate::operations) display_name: Patch<String>,
    pub(in crate::operations) phone: Patch<String>,
    pub(in crate::operations) birth_date: Patch<Date>,
    pub(in crate::operations) bio: Patch<String>,
    pub(in crate::operations) location: Patch<String>,
    pub(in crate::operations) avatar_url: Patch<String>,
    pub(in crate::operations) website: Patch<String>,
    pub(in crate::operations) visibility: Change<Visibility>,
}

impl ProfileChange {
    /// Of a profile that says nothing any more. Who sees it stays, since names do.
    pub(super) fn cleared() -> Self {
        Self {
            display_name: Patch::Clear,
            phone: Patch::Clear,
            birth_date: Patch::Clear,
            bio: Patch::Clear,
            location: Patch::Clear,
            avatar_url: Patch::Clear,
            website: Patch::Clear,
            visibility: Change::Keep,
        }
    }

    /// The same in the form in which it is stored.
    pub(in crate::operations) fn checked(self, checks: &mut Checks, now: Time) -> Self {
        let birth_date = self.birth_date.try_map(|date| not_future(date, now));
        Self {
            display_name: checks.patch("display_name", self.display_name, &|name| text::name(name, 100)),
            phone: checks.patch("phone", self.phone, &text::phone),
            birth_date: checks.field("birth_date", birth_date).unwrap_or_default(),
            bio: checks.patch("bio", self.bio, &bio),
            location: checks.patch("location", self.location, &location),
            avatar_url: checks.patch("avatar_url", self.avatar_url, &text::url),
            website: checks.patch("website", self.website, &text::url),
            visibility: self.visibility,
        }
    }

    /// The account after it.
    pub(in crate::operations) fn apply(self, user: User) -> User {
        User {
            display_name: self.display_name.apply(user.display_name),
            phone: self.phone.apply(user.phone),
            birth_date: self.birth_date.apply(user.birth_date),
            bio: self.bio.apply(user.bio),
            location: self.location.apply(user.location),
            avatar_url: self.avatar_url.apply(user.avatar_url),
            website: self.website.apply(user.website),
            visibility: self.visibility.apply(user.visibility),
            ..user
        }
    }
}
