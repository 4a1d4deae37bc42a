//! The one table from what went wrong to what callers see of it.

use http::StatusCode;
use rutile_model::ErrorKind;
use tonic::{Code, Status};

/// Exit code of a process that failed.
pub const EXIT_FAILURE: u8 = 1;
/// Exit code of a process whose command line is wrong.
pub const EXIT_USAGE: u8 = 2;

/// What nginx calls "client closed request"; nobody is left to read it, but logs and metrics are.
pub(crate) const CLIENT_CLOSED_REQUEST: u16 = 499;

/// The gRPC code of an error.
#[must_use]
pub fn grpc_code(kind: ErrorKind) -> Code {
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

/// The HTTP status of an error.
#[must_use]
pub fn http_status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::AlreadyExists => StatusCode::CONFLICT,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Denied => StatusCode::FORBIDDEN,
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Exhausted => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Canceled => {
            StatusCode::from_u16(CLIENT_CLOSED_REQUEST).unwrap_or(StatusCode::REQUEST_TIMEOUT)
        }
        ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Corrupt | ErrorKind::Internal | ErrorKind::Halt => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// A gRPC status with the code of `kind` and `message`.
#[must_use]
pub fn grpc_status(kind: ErrorKind, message: impl Into<String>) -> Status {
    Status::new(grpc_code(kind), message)
}

/// The name of a gRPC code as Go spells it, which is what dashboards select by.
#[must_use]
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_become_codes() {
        let check = |kind, grpc, http: u16| {
            assert_eq!(
                (grpc_code(kind), http_status(kind).as_u16()),
                (grpc, http),
                "{kind}"
            );
        };
        check(ErrorKind::NotFound, Code::NotFound, 404);
        check(ErrorKind::Invalid, Code::InvalidArgument, 400);
        check(ErrorKind::Exhausted, Code::ResourceExhausted, 429);
        check(ErrorKind::Canceled, Code::Cancelled, 499);
        check(ErrorKind::Unsupported, Code::Unimplemented, 501);
        check(ErrorKind::Unavailable, Code::Unavailable, 503);
        check(ErrorKind::Corrupt, Code::DataLoss, 500);
    }
}
