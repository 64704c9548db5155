//! A mail server that keeps what it is given, and answers as it is told to.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
};

/// A mail as it was received.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The commands `MAIL` and `RCPT` before it.
    pub envelope: Vec<String>,
    /// What followed `DATA`.
    pub data: String,
    /// Whether the answer to it was 2xx.
    pub is_taken: bool,
}

impl Mail {
    /// Its headers, unfolded.
    pub fn headers(&self) -> Vec<(String, String)> {
        let (head, _) = self.data.split_once("\r\n\r\n").unwrap();
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        unfolded.split("\r\n").map(|line| line.split_once(": ").unwrap()).map(|(a, b)| (a.into(), b.into())).collect()
    }

    pub fn header(&self, name: &str) -> String {
        let found: Vec<_> = self.headers().into_iter().filter(|(known, _)| known == name).collect();
        assert_eq!(found.len(), 1, "{name} in {}", self.data);
        found[0].1.clone()
    }

    /// Its text (RFC 2045, 6).
    pub fn text(&self) -> String {
        let (_, body) = self.data.split_once("\r\n\r\n").unwrap();
        if self.header("Content-Transfer-Encoding") == "7bit" {
            return body.to_owned();
        }
        assert_eq!(self.header("Content-Transfer-Encoding"), "quoted-printable");
        let body = body.replace("=\r\n", "");
        let mut parts = body.split('=');
        let mut bytes = parts.next().unwrap().as_bytes().to_vec();
        for part in parts {
            bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
            bytes.extend_from_slice(&part.as_bytes()[2..]);
        }
        String::from_utf8(bytes).unwrap()
    }

    /// To whom it goes, as its header says.
    pub fn to(&self) -> String {
        let to = self.header("To");
        to.strip_prefix('<').and_then(|to| to.strip_suffix('>')).unwrap_or_else(|| panic!("{to}")).to_owned()
    }

    /// The link that stands alone on a line.
    pub fn link(&self) -> Option<String> {
        self.text().lines().find(|line| line.starts_with("http://")).map(str::to_owned)
    }

    /// What stands behind `#` in it.
    pub fn token(&self) -> String {
        self.link().unwrap().split_once('#').unwrap().1.to_owned()
    }
}

#[derive(Clone, Default)]
pub struct Catcher {
    pub mails: Arc<Mutex<Vec<Mail>>>,
    /// What is answered to a line the next times, by how it begins; nothing: the connection is closed.
    answers: Arc<Mutex<HashMap<String, VecDeque<&'static str>>>>,
}

impl Catcher {
    /// It, and where it is.
    pub async fn start() -> (Self, String) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let catcher = Self::default();
        let serving = catcher.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let catcher = serving.clone();
                tokio::spawn(async move { catcher.hear(BufStream::new(stream)).await });
            }
        });
        (catcher, url)
    }

    /// `RCPT`, or `.` for the end of the mail, about a recipient.
    pub fn answer(&self, step: &str, recipient: &str, answers: impl IntoIterator<Item = &'static str>) {
        self.answers.lock().unwrap().entry(format!("{step} {recipient}")).or_default().extend(answers);
    }

    fn next(&self, step: &str, recipient: &str) -> &'static str {
        let mut answers = self.answers.lock().unwrap();
        answers.get_mut(&format!("{step} {recipient}")).and_then(VecDeque::pop_front).unwrap_or("250 fine")
    }

    /// None where who sends goes away or is sent away.
    async fn hear(&self, mut stream: BufStream<TcpStream>) -> Option<()> {
        let (mut envelope, mut recipient) = (Vec::new(), String::new());
        say(&mut stream, "220 catcher").await?;
        loop {
            let line = line(&mut stream).await?;
            let answer = match line.split([' ', ':']).next()? {
                // Knows neither 8BITMIME nor SMTPUTF8.
                "EHLO" => "250-catcher\r\n250 SIZE 100000",
                "MAIL" => "250 fine",
                "RCPT" => {
                    recipient = line.split_once('<')?.1.strip_suffix('>')?.to_owned();
                    self.next("RCPT", &recipient)
                }
                "DATA" => {
                    say(&mut stream, "354 go on").await?;
                    let mut data = String::new();
                    loop {
                        let line = self::line(&mut stream).await?;
                        if line == "." {
                            break;
                        }
                        data += line.strip_prefix('.').unwrap_or(&line);
                        data += "\r\n";
                    }
                    let answer = self.next(".", &recipient);
                    let mail = Mail { envelope: envelope.clone(), data, is_taken: answer.starts_with('2') };
                    self.mails.lock().unwrap().push(mail);
                    answer
                }
                "QUIT" => "221 bye",
                _ => "502 what?",
            };
            if matches!(line.get(..4), Some("MAIL" | "RCPT")) {
                envelope.push(line);
            }
            say(&mut stream, answer).await?;
        }
    }

    /// The first mail that is like this, once there is one.
    pub async fn wait(&self, about: &str, is_like: impl Fn(&Mail) -> bool) -> Mail {
        for _ in 0..1000 {
            if let Some(mail) = self.mails.lock().unwrap().iter().find(|mail| is_like(mail)) {
                return mail.clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no mail about {about}; there are {:#?}", self.mails.lock().unwrap());
    }

    /// The first taken mail to somebody with this subject, once there is one.
    pub async fn mail(&self, to: &str, subject: &str) -> Mail {
        let is_it = |mail: &Mail| mail.is_taken && mail.to() == to && mail.header("Subject") == subject;
        self.wait(&format!("{subject} to {to}"), is_it).await
    }
}

async fn line(stream: &mut BufStream<TcpStream>) -> Option<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    line.strip_suffix("\r\n").map(str::to_owned)
}

async fn say(stream: &mut BufStream<TcpStream>, answer: &str) -> Option<()> {
    if answer.is_empty() {
        return None;
    }
    stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    stream.flush().await.ok()
}
