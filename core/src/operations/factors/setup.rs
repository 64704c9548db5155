//! An authenticator app before it is added.

use rolekeep_macros::Describe;
use serde::Serialize;

use crate::{
    config::SecondFactor,
    credentials::totp,
    model::{
        credential::Challenge,
        error::{Error, Reason, Result},
        secret::Secret,
        time::Time,
        user::User,
    },
    operations::{plan::Plan, services::Services},
};

/// The data to set up an authenticator app. Nothing changes before a code of it is passed back.
#[derive(Clone, Debug, Serialize, Describe)]
#[non_exhaustive]
pub struct FactorSetup {
    /// To be passed back together with a code of the app; valid once.
    pub challenge: Secret,
    /// The key to type into an app that cannot scan: base32.
    pub secret: Secret,
    /// The same as an `otpauth:` URI, which opens an app on the same device.
    pub uri: Secret,
    /// The URI as a QR code: a complete SVG document, black on white, to be shown but not stored.
    pub qr_svg: Secret,
    /// When the challenge expires.
    pub expires_at: Time,
}

/// Refuses second factors where the configuration has none.
///
/// # Errors
/// [`Reason::NotOffered`]
pub(in crate::operations) fn require_offered(plan: &Plan<'_>) -> Result<()> {
    match plan.services.config.second_factor {
        SecondFactor::Off => Err(Error::new(Reason::NotOffered, "second factors are off in the configuration")),
        SecondFactor::Optional | SecondFactor::Required => Ok(()),
    }
}

/// The seed of an app that is not set up yet.
pub(in crate::operations) fn new_seed(services: &Services) -> Result<Secret> {
    Ok(totp::seed(&services.env.random()?))
}

/// Plans that an app is being added by the challenge, and says how it is set up; the same again if it was asked before.
pub(in crate::operations) fn begin_setup(
    plan: &mut Plan<'_>,
    challenge: Challenge,
    user: &User,
) -> Result<FactorSetup> {
    let services = plan.services;
    let challenge = match challenge.seed {
        Some(_) => challenge,
        None => {
            let seed = Some(new_seed(services)?);
            let is_stored = challenge.version > 0;
            plan.write_consequence(is_stored.then_some(&challenge), Challenge { seed, ..challenge.clone() })
        }
    };
    let seed = challenge.seed.clone().ok_or_else(|| Error::new(Reason::Internal, "a seed was just made"))?;
    let issuer = services.config.application_name.as_deref().unwrap_or(&services.config.issuer);
    let uri = totp::uri(issuer, &user.sign_in_name(), &seed);
    Ok(FactorSetup {
        challenge: challenge.sign(services)?,
        qr_svg: totp::qr_svg(&uri)?,
        uri,
        secret: seed,
        expires_at: challenge.expires_at,
    })
}
