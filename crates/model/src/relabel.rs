//! Relabelling: rules that rewrite label sets or drop them, as in Prometheus' configuration.

mod config;
mod process;

pub use config::{RelabelAction, RelabelConfig};
pub use process::process;

#[cfg(test)]
mod tests;
