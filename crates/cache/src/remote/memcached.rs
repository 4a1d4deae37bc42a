//! The text protocol of memcached. Source: memcached, `doc/protocol.txt`.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::connection::{Connection, Pool};
use super::{Answer, Server, Trouble};

/// The longest value that is read where the configuration names no limit: the most a server can be set to.
const MAX_VALUE_BYTES: usize = 1 << 30;

/// One memcached.
#[derive(Debug)]
pub(super) struct Memcached {
    pool: Pool,
    max_value: usize,
}

/// What the answer to a command is to be.
#[derive(Debug, Clone, Copy)]
enum Expected<'a> {
    /// Values of some of these keys.
    Values(&'a [&'a str]),
    /// One of these lines.
    Line(&'a [&'a str]),
}

impl Memcached {
    /// Of values at most `max_value` bytes are read.
    pub(super) fn new(address: &str, max_idle: usize, max_value: Option<usize>) -> Self {
        Self {
            pool: Pool::new(address, max_idle),
            max_value: max_value.unwrap_or(MAX_VALUE_BYTES),
        }
    }

    /// Sends a command, and reads its answer.
    async fn call(&self, command: &[u8], expected: Expected<'_>) -> Answer<Vec<Option<Bytes>>> {
        if let Some(connection) = self.pool.idle() {
            match self.exchange(connection, command, expected).await {
                // The server has closed it meanwhile: all commands may be repeated.
                Err(Trouble::Network(_)) => self.pool.close_idle(),
                answer => return answer,
            }
        }
        let connection = self.pool.connect().await?;
        self.exchange(connection, command, expected).await
    }

    async fn exchange(
        &self,
        mut connection: Connection,
        command: &[u8],
        expected: Expected<'_>,
    ) -> Answer<Vec<Option<Bytes>>> {
        connection.send(command).await?;
        let answer = match expected {
            Expected::Values(keys) => self.values(&mut connection, keys).await?,
            Expected::Line(good) => {
                let line = connection.line().await?;
                if !good.contains(&line.as_str()) {
                    return Err(Trouble::Refused(line));
                }
                Vec::new()
            }
        };
        self.pool.keep(connection);
        Ok(answer)
    }

    async fn values(
        &self,
        connection: &mut Connection,
        keys: &[&str],
    ) -> Answer<Vec<Option<Bytes>>> {
        let mut values = vec![None; keys.len()];
        // Values come in the order of their keys, without those that are not there.
        let mut slots = keys.iter().zip(&mut values);
        loop {
            let line = connection.line().await?;
            if line == "END" {
                return Ok(values);
            }
            let mut words = line.split(' ');
            let (Some("VALUE"), Some(key), Some(_flags), Some(length)) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                return Err(Trouble::Refused(line));
            };
            let length: usize = length
                .parse()
                .map_err(|_| Trouble::Malformed("a length that is no number"))?;
            if length > self.max_value {
                return Err(Trouble::Malformed("a value longer than the largest item"));
            }
            let (_, slot) = slots
                .find(|(wanted, _)| **wanted == key)
                .ok_or(Trouble::Malformed(
                    "a value of a key that was not asked for",
                ))?;
            *slot = Some(connection.value(length).await?);
        }
    }
}

#[async_trait]
impl Server for Memcached {
    async fn get(&self, keys: &[&str]) -> Answer<Vec<Option<Bytes>>> {
        let command = format!("get {}\r\n", keys.join(" "));
        self.call(command.as_bytes(), Expected::Values(keys)).await
    }

    async fn set(&self, key: &str, value: &Bytes, ttl: Duration) -> Answer<()> {
        let head = format!("set {key} 0 {} {}\r\n", ttl.as_secs(), value.len());
        let command = [head.as_bytes(), value, b"\r\n"].concat();
        let stored = Expected::Line(&["STORED"]);
        self.call(&command, stored).await.map(drop)
    }

    async fn delete(&self, key: &str) -> Answer<()> {
        let command = format!("delete {key}\r\n");
        let gone = Expected::Line(&["DELETED", "NOT_FOUND"]);
        self.call(command.as_bytes(), gone).await.map(drop)
    }
}
