//! The service is told to end while a request runs.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests panic where they fail")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

struct Running {
    service: Child,
    address: String,
    request: TcpStream,
}

const BODY: &str = r#"{"identifier": "ada@example.org", "password": "correct horse battery ada"}"#;

impl Running {
    /// With a request whose handler waits for the body.
    fn start() -> Self {
        let program = env!("CARGO_BIN_EXE_axum-service");
        let mut service = Command::new(program).env("PORT", "0").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(service.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap().to_owned();
        let mut request = TcpStream::connect(&address).unwrap();
        let length = BODY.len();
        let head = format!(
            "POST /login HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n\r\n"
        );
        request.write_all(head.as_bytes()).unwrap();
        let mut go_on = [0; 25];
        request.read_exact(&mut go_on).unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
        Self { service, address, request }
    }

    fn signal(&self) {
        let id = self.service.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    }

    /// Tells it to end, until it takes no more requests.
    fn tell(&self) {
        self.signal();
        soon("it still takes requests", || TcpStream::connect(&self.address).is_err().then_some(()));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.service.kill();
    }
}

/// Asks until there is an answer.
fn soon<T>(otherwise: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1_000 {
        if let Some(answer) = ask() {
            return answer;
        }
        sleep(Duration::from_millis(10));
    }
    panic!("{otherwise}");
}

#[test]
fn a_request_that_runs_is_answered_before_the_process_ends() {
    let mut running = Running::start();
    running.tell();
    assert!(running.service.try_wait().unwrap().is_none());
    running.request.write_all(BODY.as_bytes()).unwrap();
    let mut answer = String::new();
    running.request.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("access_token"), "{answer}");
    assert!(running.service.wait().unwrap().success());
}

#[test]
fn told_again_it_does_not_wait_for_requests() {
    let mut running = Running::start();
    running.tell();
    let ended = soon("it still runs", || {
        running.signal();
        running.service.try_wait().unwrap()
    });
    assert!(ended.success());
}
