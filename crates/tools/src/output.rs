//! How results look: tables that fit the terminal, separated values, JSON, and Go's way to write things.
//!
//! Results go to standard output, messages to standard error. Colour appears on terminals only.

pub(crate) mod golang;
pub(crate) mod screen;
pub(crate) mod separated;
pub(crate) mod table;
pub(crate) mod template;
