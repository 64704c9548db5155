//! A real server of key sets on this machine, which answers over TLS what it is told to.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// Who vouches for it.
pub const AUTHORITY: &str = include_str!("../../../../../tests/tls/ca.pem");
const CERTIFICATE: &str = include_str!("../../../../../tests/tls/localhost.pem");
const KEY: &str = include_str!("../../../../../tests/tls/localhost.key");

/// What it does with a request that was read.
type Answer = Box<dyn Fn(&mut dyn Write) + Send>;

pub struct Server {
    pub address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicUsize>,
}

impl Server {
    /// One that ends with the test.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer: Arc<Mutex<Answer>> = Arc::new(Mutex::new(Box::new(|_| {})));
        let asked = Arc::new(AtomicUsize::new(0));
        let config = Arc::new(tls());
        let (answers, counts) = (answer.clone(), asked.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (config, answers, counts) = (config.clone(), answers.clone(), counts.clone());
                // A client that does not trust it goes away.
                thread::spawn(move || serve(stream.unwrap(), config, &answers, &counts));
            }
        });
        Self { address, answer, asked }
    }

    /// What it answers from now on, as it is sent.
    pub fn answers(&self, answer: impl Fn(&mut dyn Write) + Send + 'static) {
        *self.answer.lock().unwrap() = Box::new(answer);
    }

    /// A document.
    pub fn publishes(&self, body: impl Into<Vec<u8>>) {
        let body = body.into();
        self.answers(move |stream| {
            let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(&body);
        });
    }

    /// A status, and further headers.
    pub fn refuses(&self, head: &'static str) {
        self.answers(move |stream| {
            let _ = write!(stream, "HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        });
    }

    /// How many requests it has read.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}/keys", self.address.port())
    }
}

fn tls() -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap()
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, answer: &Mutex<Answer>, asked: &AtomicUsize) -> Option<()> {
    let mut stream = StreamOwned::new(ServerConnection::new(config).ok()?, stream);
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        request.extend(byte);
    }
    assert!(request.starts_with(b"GET /keys HTTP/1.1\r\n"), "{}", String::from_utf8_lossy(&request));
    asked.fetch_add(1, Ordering::SeqCst);
    (answer.lock().unwrap())(&mut stream);
    stream.conn.send_close_notify();
    stream.flush().ok()
}
