//! Sends the library's notices by SMTP, in words of one's own. Take this file and its folder along; nothing in it is about
//! documents.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    address::{AddressError, Envelope},
    transport::smtp,
};
use mail_builder::{MessageBuilder, headers};
use rolekeep::{
    Error, Reason, Result, Time, UserId,
    notices::{Delivery, Notice, NoticeKind, Notifier},
};
use serde::Deserialize;

/// A language that there are texts in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Of whoever has not said.
    #[default]
    En,
    /// German
    De,
}

/// Which language each user reads; kept in memory here.
pub type Languages = Arc<Mutex<BTreeMap<UserId, Language>>>;

impl Language {
    /// Its texts: each begins with a line `# KIND: SUBJECT`, or `# KIND with link: SUBJECT`.
    pub const fn texts(self) -> &'static str {
        match self {
            Language::En => include_str!("en.txt"),
            Language::De => include_str!("de.txt"),
        }
    }
}

/// Gives mails to a mail server.
pub struct Mailer {
    server: AsyncSmtpTransport<Tokio1Executor>,
    /// Its name, if it has one, and its address.
    from: (Option<String>, Address),
    texts: BTreeMap<Language, Texts>,
    languages: Languages,
}

/// By what stands before the subject: the subject, and the body.
pub type Texts = BTreeMap<String, (String, String)>;

impl Mailer {
    /// `server` is `smtps://user:password@host`, or `smtp://host:port?tls=required`; without `tls` nothing is encrypted,
    /// which is for a server on the same machine. Nothing is connected yet.
    ///
    /// # Errors
    /// [`Reason::ConfigInvalid`] for what is no such URL or no address, and for texts that lack one or cannot be filled in.
    pub fn new(server: &str, from: &str, languages: Languages) -> Result<Self> {
        let wrong = |what: &str| Error::new(Reason::ConfigInvalid, format!("{what} of the mailer cannot be used"));
        let server = AsyncSmtpTransport::<Tokio1Executor>::from_url(server);
        let server = server.map_err(|error| wrong("the server").with_source(error))?;
        // Of each step; the library waits for 30 seconds.
        let server = server.timeout(Some(Duration::from_secs(10))).build();
        let named = from.strip_suffix('>').and_then(|from| from.split_once('<'));
        let (name, address) = named.map_or((None, from), |(name, address)| (Some(name.trim().to_owned()), address));
        let address = address.parse().map_err(|error: AddressError| wrong("the sender").with_source(error))?;
        let read = |language: Language| {
            parse(language.texts()).map_err(|why| Error::new(Reason::ConfigInvalid, format!("{language:?}: {why}")))
        };
        let texts = [(Language::En, read(Language::En)?), (Language::De, read(Language::De)?)].into();
        Ok(Self { server, from: (name, address), texts, languages })
    }

    fn mail(&self, notice: &Notice, to: &Address) -> Result<Vec<u8>> {
        let failed = |why: &str| Error::new(Reason::Internal, why);
        let languages = self.languages.lock().unwrap_or_else(PoisonError::into_inner);
        let known = notice.user_id.and_then(|user| languages.get(&user).copied());
        drop(languages);
        let text = self
            .texts
            .get(&known.unwrap_or_default())
            .and_then(|texts| texts.get(&key(notice.kind, notice.token.is_some())));
        let (subject, body) = text.ok_or_else(|| failed("there is no text for this"))?;
        let minute = |time: Time| format!("{:.16} UTC", time.to_string().replace('T', " "));
        let body = fill(body, |name| {
            Some(match name {
                "link" => notice.link.as_ref().or(notice.token.as_ref())?.expose().into(),
                "code" => notice.code.as_ref()?.expose().into(),
                "until" => minute(notice.expires_at?).into(),
                "time" => minute(notice.at).into(),
                "ip" => notice.ip.as_deref().unwrap_or("-").into(),
                "api_keys" if notice.api_keys.is_empty() => "-".into(),
                "api_keys" => notice.api_keys.join(", ").into(),
                _ => return None,
            })
        });
        let (name, from) = &self.from;
        MessageBuilder::new()
            .from(headers::address::Address::new_address(name.as_deref(), <Address as AsRef<str>>::as_ref(from)))
            .to(<Address as AsRef<str>>::as_ref(to))
            .subject(subject)
            // The same in every try, so that a mail server drops a double.
            .message_id(format!("{}@{}", notice.id, from.domain()))
            .date(notice.at.as_second())
            .header("Auto-Submitted", headers::raw::Raw::new("auto-generated"))
            .text_body(body.map_err(|why| failed(&why))?)
            .write_to_vec()
            .map_err(|error| failed("no mail").with_source(error))
    }
}

#[async_trait::async_trait]
impl Notifier for Mailer {
    async fn send(&self, notice: &Notice) -> Result<Delivery> {
        let Ok(to) = notice.address.parse() else { return Ok(Delivery::Refused) };
        let mail = self.mail(notice, &to)?;
        let Ok(envelope) = Envelope::new(Some(self.from.1.clone()), vec![to]) else { return Ok(Delivery::Refused) };
        match self.server.send_raw(&envelope, &mail).await {
            Ok(_) => Ok(Delivery::Sent),
            Err(error) if is_of_recipient(&error) => Ok(Delivery::Refused),
            Err(error) => Err(Error::new(Reason::Internal, "the mail server did not take it").with_source(error)),
        }
    }
}

/// Whether there is no such mailbox, now and later (RFC 5321, 4.2.3; RFC 7504). What a server does not do for us, such as
/// relaying (`5.7.…`), or holds against the sender, is ours to mend: the notice comes again meanwhile.
fn is_of_recipient(error: &smtp::Error) -> bool {
    let told = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let is_ours = ["5.7.", "5.1.7", "5.1.8"].iter().any(|code| told.starts_with(code));
    matches!(error.status().map(u16::from), Some(550..=553 | 556)) && !is_ours
}

/// Reads and checks a file of texts.
///
/// # Errors
/// Says which kind of notice has no text, and where something stands that nothing is put in for.
pub fn parse(file: &str) -> Result<Texts, String> {
    let mut texts = BTreeMap::new();
    for section in format!("\n{file}").split("\n# ").skip(1) {
        let (head, body) = section.split_once('\n').unwrap_or((section, ""));
        let (key, subject) = head.split_once(": ").ok_or_else(|| format!("`{head}` has no subject"))?;
        if texts.insert(key.to_owned(), (subject.to_owned(), format!("{}\n", body.trim()))).is_some() {
            return Err(format!("there are two texts for `{key}`"));
        }
    }
    let mut left: Vec<&String> = texts.keys().collect();
    for kind in NoticeKind::ALL {
        for &has_link in with_link(*kind) {
            let key = key(*kind, has_link);
            let (subject, body) = texts.get(&key).ok_or_else(|| format!("there is no text for `{key}`"))?;
            let is_known = |name: &str| match name {
                "time" | "ip" => true,
                "link" | "until" => has_link,
                "code" => *kind == NoticeKind::SignInCode,
                "api_keys" => *kind == NoticeKind::SessionsEnded,
                _ => false,
            };
            fill(body, |name| is_known(name).then_some("".into())).map_err(|why| format!("`{key}`: {why}"))?;
            if has_link && !body.contains("{link}") || subject.contains('{') {
                return Err(format!("`{key}` lacks its link, or has something in its subject"));
            }
            left.retain(|other| **other != key);
        }
    }
    if left.is_empty() { Ok(texts) } else { Err(format!("nothing is told by {left:?}")) }
}

/// Whether a kind's notices have a link, or both with and without.
fn with_link(kind: NoticeKind) -> &'static [bool] {
    match kind {
        NoticeKind::PasswordReset
        | NoticeKind::Verification
        | NoticeKind::EmailChange
        | NoticeKind::Invitation
        | NoticeKind::Registration
        | NoticeKind::SignInCode => &[true],
        NoticeKind::EmailChanged | NoticeKind::FactorAdded | NoticeKind::IdentityLinked => &[true, false],
        _ => &[false],
    }
}

fn key(kind: NoticeKind, has_link: bool) -> String {
    if has_link { format!("{kind} with link") } else { kind.to_string() }
}

/// A text with what stands for each `{name}`; nothing is looked for in what was put in.
fn fill<'v>(text: &str, value: impl Fn(&str) -> Option<Cow<'v, str>>) -> Result<String, String> {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or("a `{` that nothing closes")?;
        filled += before;
        filled += &value(name).ok_or_else(|| format!("nothing stands for {{{name}}} here"))?;
        rest = after;
    }
    Ok(filled + rest)
}
