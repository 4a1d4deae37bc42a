//! Error kinds and gRPC codes.

use std::error::Error as _;

use rutile_model::ErrorKind;
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
    Status::new(code(error.kind()), message)
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

fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::AlreadyExists => Code::AlreadyExists,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Denied => Code::PermissionDenied,
        ErrorKind::Invalid => Code::InvalidArgument,
        ErrorKind::Corrupt => Code::DataLoss,
        ErrorKind::Exhausted => Code::ResourceExhausted,
        ErrorKind::Canceled => Code::Cancelled,
        ErrorKind::Unsupported => Code::Unimplemented,
        ErrorKind::Internal => Code::Internal,
        ErrorKind::Halt => Code::FailedPrecondition,
    }
}

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
