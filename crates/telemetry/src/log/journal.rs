//! Entries of systemd's journal.
//!
//! Its native protocol (systemd, "Native Journal Protocol"): a datagram for each entry, with a line for each field. Names are
//! those that the reference gives (`pkg/logging/journald.go`): `MESSAGE`, `PRIORITY`, and `THANOS_` before all others.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use tracing_subscriber::fmt::MakeWriter;

use super::LogError;

/// Where the journal listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";
/// Longest value of a field, bytes. A datagram has to fit into the buffer of a socket.
const MAX_VALUE: usize = 16 << 10;

/// The socket of the journal: what is written at a time is an entry.
#[derive(Debug, Clone)]
pub(super) struct Journal(Arc<UnixDatagram>);

impl Journal {
    /// # Errors
    /// [`LogError::NoJournal`] when nothing listens at `path`.
    pub(super) fn open(path: &str) -> Result<Self, LogError> {
        let opened = UnixDatagram::unbound().and_then(|socket| {
            socket.connect(path)?;
            Ok(socket)
        });
        match opened {
            Ok(socket) => Ok(Self(Arc::new(socket))),
            Err(error) => Err(LogError::NoJournal(format!("{path}: {error}"))),
        }
    }
}

impl io::Write for Journal {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        self.0.send(entry)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Journal {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Adds a field to an entry. A value keeps to one line, and is cut where it is too long.
pub(super) fn add_field(entry: &mut String, key: &str, value: &str) {
    let value = value
        .get(..value.floor_char_boundary(MAX_VALUE))
        .unwrap_or(value);
    match key {
        "msg" => entry.push_str("MESSAGE="),
        "level" => {
            // Of syslog.
            let priority = match value {
                "error" => '3',
                "warn" => '4',
                "info" => '6',
                _ => '7',
            };
            entry.push_str("PRIORITY=");
            entry.push(priority);
            entry.push('\n');
            return;
        }
        other => {
            let plain = |c: char| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_uppercase()
                } else {
                    '_'
                }
            };
            entry.push_str("THANOS_");
            entry.extend(other.chars().map(plain));
            entry.push('=');
        }
    }
    // The end of a line is that of the field.
    entry.push_str(&value.replace('\n', "\\n"));
    entry.push('\n');
}
