//! Functions over instant vectors, scalars and strings.

use crate::ast::Call;

use super::annotation::Annotations;
use super::column::Operand;
use super::steps::Steps;
use super::{EngineOptions, Error, Result};

/// What a function is told beside its arguments.
#[derive(Debug)]
pub(crate) struct CallContext<'a> {
    pub(crate) call: &'a Call,
    pub(crate) steps: Steps,
    /// Of the whole query: what `start()`, `end()`, `range()` and `step()` tell.
    pub(crate) query: Steps,
    pub(crate) options: &'a EngineOptions,
    pub(crate) annotations: &'a mut Annotations,
}

/// Applies a function to its evaluated arguments; none is a range vector. Rows that come out may have
/// equal labels: the evaluator joins them, or refuses them.
pub(crate) fn apply(context: &mut CallContext<'_>, args: Vec<Operand>) -> Result<Operand> {
    drop(args);
    let name = context.call.function.name;
    Err(Error::execution(format!("{name} is not there yet")))
}
