//! The contract through the whole compactor: a test by name for each clause, and for the scenarios in
//! which the reference loses data or stands still.

mod deleting;
mod looking;
mod merging;
