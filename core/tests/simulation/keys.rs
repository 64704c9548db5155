//! API keys beside all else. To the laws a key is a session that nobody signed in to: ended, it lets nobody in any more.

use rolekeep::{
    Error, SessionId, UserId,
    api_keys::{CreateApiKeyFor, RevokeApiKey},
    sessions::RevokeEveryone,
};

use crate::deeds::{SignIn, Stage};

impl Stage {
    /// A key that reaches all that its user may.
    pub async fn make_key(&self, at: usize, user: UserId) -> Result<(), Error> {
        self.world.tell(|| format!("instance {at}: make a key of {user}"));
        let create = CreateApiKeyFor::new(user, "Everything");
        let made = self.instances[at].um.system().api_keys().create_for(create).await?;
        let (session, token) = (SessionId(made.api_key.id.0), made.key.expose().to_owned());
        self.keys.borrow_mut().push(SignIn { user, session, token });
        Ok(())
    }

    /// Ends one; the user's first one is made instead.
    pub async fn end_key(&self, at: usize, user: UserId) -> Result<(), Error> {
        let known = self.keys.borrow().clone();
        if known.is_empty() {
            return self.make_key(at, user).await;
        }
        let key = self.world.pick(&known[..]);
        self.world.tell(|| format!("instance {at}: end the key {}", key.session));
        self.instances[at].um.system().api_keys().revoke(RevokeApiKey::new(key.session.0)).await
    }

    /// Ends the sessions of everybody, most often with all keys.
    pub async fn end_everybodys(&self, at: usize) -> Result<(), Error> {
        let keys = self.world.chance(70);
        self.world.tell(|| format!("instance {at}: end everybody's sessions; their keys, too: {keys}"));
        self.instances[at].um.system().sessions().revoke_everyone(RevokeEveryone::new().revoke_keys(keys)).await
    }
}
