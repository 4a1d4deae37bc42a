//! What may be used of the query language.

use clap::Args;
use rutile_promql::EngineOptions;
use rutile_server::Failure;

use super::{invalid, refuse};

/// Names of `--enable-feature` that change nothing: what they turned on is always on, or gone.
const OF_NO_EFFECT: [&str; 3] = [
    "promql-negative-offset",
    "promql-at-modifier",
    "query-pushdown",
];
const EFFECTIVE: [&str; 7] = [
    "promql-experimental-functions",
    "promql-duration-expr",
    "promql-delayed-name-removal",
    "promql-extended-range-selectors",
    "promql-binop-fill-modifiers",
    "type-and-unit-labels",
    "use-start-timestamps",
];

/// The language and the engine.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Query language")]
pub(crate) struct FeatureArgs {
    /// Turn on a part of the language, repeatable, with commas: promql-experimental-functions, promql-duration-expr,
    /// promql-delayed-name-removal, promql-extended-range-selectors, promql-binop-fill-modifiers,
    /// type-and-unit-labels, use-start-timestamps.
    #[arg(long = "enable-feature", value_delimiter = ',', value_name = "NAME")]
    features: Vec<String>,
    /// Accepted for compatibility: there is one engine.
    #[arg(long = "query.promql-engine", default_value = "prometheus", value_parser = ["prometheus", "thanos"])]
    engine: String,
    /// local; distributed is not supported yet.
    #[arg(long = "query.mode", default_value = "local", value_parser = ["local", "distributed"])]
    mode: String,
    /// Accepted for compatibility: there is no other engine to fall back to.
    #[arg(long = "query.disable-fallback", hide = true)]
    disable_fallback: bool,
    /// Turn on the functions xrate, xincrease and xdelta.
    #[arg(long = "query.enable-x-functions")]
    x_functions: bool,
    /// Of no effect with --query.mode=local.
    #[arg(long = "query.distributed-with-overlapping-interval", hide = true)]
    overlapping_interval: bool,
    /// Label that partitions remote engines, repeatable; of no effect with --query.mode=local.
    #[arg(long = "query.partition-label", value_name = "NAME")]
    partition_labels: Vec<String>,
}

impl FeatureArgs {
    /// Turns on what is wanted.
    ///
    /// # Errors
    /// A failure for a mode that is not supported, and for an unknown name.
    pub(crate) fn apply(&self, options: &mut EngineOptions) -> Result<(), Failure> {
        refuse(&[("--query.mode=distributed", self.mode == "distributed")])?;
        options.parser.thanos_functions = self.x_functions;
        for name in &self.features {
            match name.as_str() {
                "promql-experimental-functions" => options.parser.experimental_functions = true,
                "promql-duration-expr" => options.parser.duration_expressions = true,
                "promql-delayed-name-removal" => options.delayed_name_removal = true,
                "promql-extended-range-selectors" => options.parser.extended_range_selectors = true,
                "promql-binop-fill-modifiers" => options.parser.fill_modifiers = true,
                "type-and-unit-labels" => options.type_and_unit_labels = true,
                "use-start-timestamps" => options.start_timestamps = true,
                name if OF_NO_EFFECT.contains(&name) => {
                    tracing::warn!(
                        feature = name,
                        "this feature is always on, or gone: leave it out"
                    );
                }
                other => {
                    let known = EFFECTIVE.join(", ");
                    return Err(invalid(format!(
                        "--enable-feature {other} is unknown: use {known}"
                    )));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rutile_promql::ParserOptions;

    use super::*;

    #[derive(Debug, Args)]
    struct Flags {
        #[command(flatten)]
        features: FeatureArgs,
    }

    fn options(argv: &[&str]) -> Result<EngineOptions, String> {
        let argv = ["test"]
            .iter()
            .chain(argv)
            .map(|arg| (*arg).to_owned())
            .collect();
        let flags: Flags =
            rutile_server::cli::parse("test", "A test.", argv).map_err(|answer| answer.text)?;
        let mut options = EngineOptions::default();
        flags
            .features
            .apply(&mut options)
            .map_err(|failure| failure.to_string())?;
        Ok(options)
    }

    #[test]
    fn nothing_is_on_by_default() {
        let options = options(&[]).unwrap();
        assert_eq!(options.parser, ParserOptions::default());
        assert!(
            !options.delayed_name_removal
                && !options.type_and_unit_labels
                && !options.start_timestamps
        );
    }

    #[test]
    fn every_name_turns_something_on() {
        let all = format!("--enable-feature={}", EFFECTIVE.join(","));
        let options = options(&[
            &all,
            "--query.enable-x-functions",
            "--enable-feature",
            "query-pushdown",
        ])
        .unwrap();
        assert_eq!(options.parser, ParserOptions::all());
        assert!(
            options.delayed_name_removal
                && options.type_and_unit_labels
                && options.start_timestamps
        );
    }

    #[test]
    fn what_is_unknown_is_refused() {
        assert!(
            options(&["--enable-feature=x"])
                .unwrap_err()
                .contains("--enable-feature x is unknown: use promql-")
        );
        assert!(
            options(&["--query.mode=distributed"])
                .unwrap_err()
                .contains("not supported yet")
        );
    }
}
