//! The querier over real stores, through real gRPC.

mod answers;
mod bad_input;
mod reports;
mod support;
