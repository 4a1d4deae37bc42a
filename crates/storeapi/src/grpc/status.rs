//! Error kinds and gRPC codes.

use std::error::Error as _;

use rutile_model::ErrorKind;
use rutile_server::status::grpc_status;
use tonic::{Code, Status};

use crate::Error;

/// The status that tells a gRPC client about an error, with its causes in the message.
#[must_use]
pub fn to_status(error: &Error) -> Status {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    grpc_status(error.kind(), message)
}

/// The error that a status stands for.
#[must_use]
pub fn from_status(status: &Status) -> Error {
    let message = if status.message().is_empty() {
        status.code().description().to_owned()
    } else {
        status.message().to_owned()
    };
    Error::new(kind(status.code()), message)
}

/// The inverse of the server's table; codes that only others send become their nearest kind.
fn kind(code: Code) -> ErrorKind {
    match code {
        Code::NotFound => ErrorKind::NotFound,
        Code::AlreadyExists => ErrorKind::AlreadyExists,
        Code::Unavailable => ErrorKind::Unavailable,
        Code::PermissionDenied | Code::Unauthenticated => ErrorKind::Denied,
        Code::InvalidArgument | Code::OutOfRange => ErrorKind::Invalid,
        Code::DataLoss => ErrorKind::Corrupt,
        Code::ResourceExhausted => ErrorKind::Exhausted,
        Code::Cancelled | Code::DeadlineExceeded => ErrorKind::Canceled,
        Code::Unimplemented => ErrorKind::Unsupported,
        Code::FailedPrecondition => ErrorKind::Halt,
        Code::Ok | Code::Unknown | Code::Aborted | Code::Internal => ErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_survive_the_wire() {
        for sent in [
            ErrorKind::NotFound,
            ErrorKind::AlreadyExists,
            ErrorKind::Unavailable,
            ErrorKind::Denied,
            ErrorKind::Invalid,
            ErrorKind::Corrupt,
            ErrorKind::Exhausted,
            ErrorKind::Canceled,
            ErrorKind::Unsupported,
            ErrorKind::Internal,
            ErrorKind::Halt,
        ] {
            let received = from_status(&to_status(&Error::new(sent, "why")));
            assert_eq!(
                (received.kind(), received.to_string().as_str()),
                (sent, "why")
            );
        }
    }
}
