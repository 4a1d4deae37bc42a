//! The conformance suite on every bucket, and what only one kind of bucket does.

mod local;
