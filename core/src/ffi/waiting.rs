//! What a binding waits for beside operations and questions. In a box, and never inlined: of an asynchronous function each crate that
//! calls it compiles the states once more, and those of all that it calls.

use crate::{
    caller::Caller,
    manager::{Builder, UserManagement},
    model::{deferred::Work, error::Result, id::UserId},
    operations::actor::RequestContext,
};

/// See [`Builder::open`].
#[inline(never)]
pub fn open(builder: Builder) -> Work<'static, Result<UserManagement>> {
    Box::pin(builder.open())
}

/// See [`UserManagement::authenticate`].
#[inline(never)]
pub fn authenticate<'w>(um: &'w UserManagement, token: &'w str, request: RequestContext) -> Work<'w, Result<Caller>> {
    Box::pin(um.authenticate(token, request))
}

/// See [`UserManagement::acting_as`].
#[inline(never)]
pub fn acting_as(um: &UserManagement, user: UserId) -> Work<'_, Result<Caller>> {
    Box::pin(um.acting_as(user))
}

/// See [`UserManagement::acting_as_identity`].
#[inline(never)]
pub fn acting_as_identity<'w>(um: &'w UserManagement, issuer: &'w str, subject: &'w str) -> Work<'w, Result<Caller>> {
    Box::pin(um.acting_as_identity(issuer, subject))
}

/// See [`UserManagement::refresh`].
#[inline(never)]
pub fn refresh(um: &UserManagement) -> Work<'_, Result<()>> {
    Box::pin(um.refresh())
}

/// See [`UserManagement::close`].
#[inline(never)]
pub fn close(um: &UserManagement) -> Work<'_, Result<()>> {
    Box::pin(um.close())
}
