//! Connections to a server that are used again and again, and what both protocols read from them: lines and values.
//!
//! Who takes a connection has it alone. One on which anything went wrong, or that was given up in the middle, is closed:
//! what it still holds would be taken for the answer to the next question.

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;

use super::{Answer, Trouble};

/// The longest line: a head of a value with its key, or what a server says of an error.
const MAX_LINE_BYTES: u64 = 1024;

/// Idle connections to a server.
#[derive(Debug)]
pub(super) struct Pool {
    address: String,
    max_idle: usize,
    idle: Mutex<Vec<Connection>>,
}

/// A connection that nobody else uses.
#[derive(Debug)]
pub(super) struct Connection(BufStream<TcpStream>);

impl Pool {
    /// For `host:port`; at most `max_idle` connections are kept.
    pub(super) fn new(address: &str, max_idle: usize) -> Self {
        Self {
            address: address.to_owned(),
            max_idle,
            idle: Mutex::new(Vec::new()),
        }
    }

    /// One that was used before, and that the server may have closed since.
    pub(super) fn idle(&self) -> Option<Connection> {
        self.idle.lock().pop()
    }

    /// A new one.
    pub(super) async fn connect(&self) -> Answer<Connection> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection(BufStream::new(stream)))
    }

    /// Keeps one that has answered everything.
    pub(super) fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock();
        if idle.len() < self.max_idle {
            idle.push(connection);
        }
    }

    /// Closes all, because one of them was closed by the server.
    pub(super) fn close_idle(&self) {
        self.idle.lock().clear();
    }
}

impl Connection {
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Answer<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await?;
        Ok(())
    }

    /// A line without its end.
    pub(super) async fn line(&mut self) -> Answer<String> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.0).take(MAX_LINE_BYTES);
        bounded.read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            let closed = std::io::ErrorKind::UnexpectedEof;
            return Err(Trouble::Network(closed.into()));
        }
        let text = line
            .strip_suffix(b"\r\n")
            .ok_or(Trouble::Malformed("a line without an end"))?;
        let text =
            std::str::from_utf8(text).map_err(|_| Trouble::Malformed("a line not in UTF-8"))?;
        Ok(text.to_owned())
    }

    /// A value of this length and the line end behind it; memory is taken as it comes.
    pub(super) async fn value(&mut self, length: usize) -> Answer<Bytes> {
        let mut value = Vec::new();
        let whole = length as u64 + 2;
        (&mut self.0).take(whole).read_to_end(&mut value).await?;
        if value.len() as u64 != whole || !value.ends_with(b"\r\n") {
            return Err(Trouble::Malformed(
                "a value that does not end where it says",
            ));
        }
        value.truncate(length);
        Ok(value.into())
    }
}
