//! The protocol of Redis, version 2 (RESP2), as far as a cache needs it: `MGET`, `SET`, `DEL`, `AUTH` and `SELECT`.
//!
//! Connections are not shared, so that a question that was given up closes its own and holds up nobody else.
//! Source: Redis, "Redis serialization protocol specification".

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::timeout;

use super::connection::{Connection, Pool};
use super::{Answer, Server, Trouble};
use crate::config::RedisConfig;

/// The longest value of a Redis as it comes.
const MAX_VALUE_BYTES: usize = 512 << 20;

/// One Redis.
#[derive(Debug)]
pub(super) struct Redis {
    pool: Pool,
    dial_timeout: Duration,
    prefix: String,
    /// What is said on each new connection.
    greetings: Vec<Greeting>,
}

/// A command that is answered with `OK`.
struct Greeting(Vec<u8>);

impl Redis {
    pub(super) fn new(config: &RedisConfig) -> Self {
        let mut greetings = Vec::new();
        if !config.password.is_empty() {
            let (user, password) = (config.username.as_bytes(), config.password.as_bytes());
            let whole: [&[u8]; 3] = [b"AUTH", user, password];
            // Old servers know no users.
            let login = if user.is_empty() {
                command(&[whole[0], whole[2]])
            } else {
                command(&whole)
            };
            greetings.push(Greeting(login));
        }
        if config.db != 0 {
            let number = config.db.to_string();
            greetings.push(Greeting(command(&[b"SELECT", number.as_bytes()])));
        }
        let max_idle = config.max_get_multi_concurrency.max(1) + config.max_async_concurrency;
        Self {
            pool: Pool::new(&config.addr, max_idle),
            dial_timeout: config.dial_timeout.to_std(),
            prefix: config.prefix.clone(),
            greetings,
        }
    }

    /// Sends a command; its answer is as many values, or `none` of them and a line.
    async fn call(&self, command: &[u8], values: Option<usize>) -> Answer<Vec<Option<Bytes>>> {
        if let Some(connection) = self.pool.idle() {
            match self.exchange(connection, command, values).await {
                // The server has closed it meanwhile: all commands may be repeated.
                Err(Trouble::Network(_)) => self.pool.close_idle(),
                answer => return answer,
            }
        }
        let connection = timeout(self.dial_timeout, self.connect()).await;
        let connection = connection.map_err(|_| Trouble::Timeout)??;
        self.exchange(connection, command, values).await
    }

    async fn connect(&self) -> Answer<Connection> {
        let mut connection = self.pool.connect().await?;
        for greeting in &self.greetings {
            connection.send(&greeting.0).await?;
            head(&mut connection).await?;
        }
        Ok(connection)
    }

    async fn exchange(
        &self,
        mut connection: Connection,
        command: &[u8],
        values: Option<usize>,
    ) -> Answer<Vec<Option<Bytes>>> {
        connection.send(command).await?;
        let first = head(&mut connection).await?;
        let mut found = Vec::new();
        if let Some(count) = values {
            if first != format!("*{count}") {
                return Err(Trouble::Malformed(
                    "another number of values than was asked for",
                ));
            }
            for _ in 0..count {
                found.push(bulk(&mut connection).await?);
            }
        }
        self.pool.keep(connection);
        Ok(found)
    }

    fn key(&self, key: &str) -> Vec<u8> {
        [self.prefix.as_bytes(), key.as_bytes()].concat()
    }
}

#[async_trait]
impl Server for Redis {
    async fn get(&self, keys: &[&str]) -> Answer<Vec<Option<Bytes>>> {
        let keys: Vec<_> = keys.iter().map(|key| self.key(key)).collect();
        let verb: &[u8] = b"MGET";
        let words: Vec<&[u8]> = std::iter::once(verb)
            .chain(keys.iter().map(Vec::as_slice))
            .collect();
        self.call(&command(&words), Some(keys.len())).await
    }

    async fn set(&self, key: &str, value: &Bytes, ttl: Duration) -> Answer<()> {
        let (key, seconds) = (self.key(key), ttl.as_secs().to_string());
        let words: [&[u8]; 5] = [b"SET", &key, value, b"EX", seconds.as_bytes()];
        self.call(&command(&words), None).await.map(drop)
    }

    async fn delete(&self, key: &str) -> Answer<()> {
        let key = self.key(key);
        self.call(&command(&[b"DEL", &key]), None).await.map(drop)
    }
}

impl std::fmt::Debug for Greeting {
    /// Leaves the password out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Greeting")
    }
}

/// A command as an array of values.
fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// The first line of an answer, which says its kind.
async fn head(connection: &mut Connection) -> Answer<String> {
    let line = connection.line().await?;
    match line.strip_prefix('-') {
        Some(error) => Err(Trouble::Refused(error.to_owned())),
        None => Ok(line),
    }
}

/// A value, which may be absent.
async fn bulk(connection: &mut Connection) -> Answer<Option<Bytes>> {
    let line = head(connection).await?;
    if line == "$-1" {
        return Ok(None);
    }
    let length = line.strip_prefix('$').and_then(|text| text.parse().ok());
    match length {
        Some(length) if length <= MAX_VALUE_BYTES => connection.value(length).await.map(Some),
        _ => Err(Trouble::Malformed("a length that is none")),
    }
}
