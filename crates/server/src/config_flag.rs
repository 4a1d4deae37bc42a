//! Settings that are given as text or as the path of a file: `--x` and `--x-file`.

use std::fmt;
use std::marker::PhantomData;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use rutile_model::ErrorKind;
use rutile_model::config::expand_env;

use crate::failure::Failure;

/// Names a pair of flags.
pub trait ConfigFlag {
    /// The flag that takes the text, without dashes; the other is the same with `-file`.
    const NAME: &'static str;
    /// What it configures, for the help text.
    const HELP: &'static str;
    /// Whether one of the two must be set to something that is not empty.
    const REQUIRED: bool = false;
    /// Whether the help text leaves it out.
    const HIDDEN: bool = false;
}

/// Makes a type that names a pair of flags: its doc comment and name, the flag, what it configures, and which of
/// `REQUIRED` and `HIDDEN` hold.
#[macro_export]
macro_rules! config_flag {
    ($(#[$doc:meta])* $type:ident, $name:literal, $help:literal $(, $key:ident)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub(crate) struct $type;

        impl $crate::ConfigFlag for $type {
            const NAME: &'static str = $name;
            const HELP: &'static str = $help;
            $(const $key: bool = true;)*
        }
    };
}

/// The values of such a pair, to be flattened into the flags of a component.
pub struct PathOrContent<F> {
    content: String,
    path: String,
    flag: PhantomData<fn() -> F>,
}

impl<F: ConfigFlag> PathOrContent<F> {
    /// Settings given as text, for tests.
    #[must_use]
    pub fn from_content(content: impl Into<String>) -> Self {
        Self {
            content: content.into(),
            path: String::new(),
            flag: PhantomData,
        }
    }

    /// Whether one of the two flags is set to something.
    #[must_use]
    pub fn is_set(&self) -> bool {
        !self.content.is_empty() || !self.path.is_empty()
    }

    /// The text, read from the file if that is what was given; `None` if there is none. This
    /// blocks, and is meant for the start.
    ///
    /// # Errors
    /// A failure that names the flags: both set, none set though required, file not readable.
    pub fn content(&self) -> Result<Option<String>, Failure> {
        let name = F::NAME;
        let wrong = |message: String| Err(Failure::usage(message));
        if !self.content.is_empty() && !self.path.is_empty() {
            return wrong(format!(
                "--{name} and --{name}-file are both set: use one of them"
            ));
        }
        let text = if self.path.is_empty() {
            self.content.clone()
        } else {
            match std::fs::read_to_string(&self.path) {
                Ok(text) => text,
                Err(error) => {
                    let path = &self.path;
                    let message = format!("cannot read the file {path} of --{name}-file: {error}");
                    return Err(Failure::message(ErrorKind::Invalid, message));
                }
            }
        };
        if !text.trim().is_empty() {
            return Ok(Some(text));
        }
        if F::REQUIRED {
            return wrong(format!(
                "--{name} or --{name}-file must be set and not be empty"
            ));
        }
        Ok(None)
    }

    /// The path that was given, if the settings are in a file: for those who read it again when it changes.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        (!self.path.is_empty()).then_some(self.path.as_str())
    }

    /// The text with environment variables put in; see [`expand_env`].
    ///
    /// # Errors
    /// As [`PathOrContent::content`], and a variable that is not set.
    pub fn expanded_content(&self) -> Result<Option<String>, Failure> {
        let Some(text) = self.content()? else {
            return Ok(None);
        };
        let read = |name: &str| std::env::var(name).ok();
        expand_env(&text, read)
            .map(Some)
            .map_err(|error| Failure::new(error.kind(), &error).context(F::NAME))
    }

    fn path_id() -> String {
        format!("{}-file", F::NAME)
    }
}

impl<F: ConfigFlag> Args for PathOrContent<F> {
    fn augment_args(command: Command) -> Command {
        let arg = |id: String, value: &'static str| {
            Arg::new(id.clone())
                .long(id)
                .value_name(value)
                .default_value("")
                .hide(F::HIDDEN)
        };
        let content = arg(F::NAME.to_owned(), "CONTENT").help(format!("YAML text: {}", F::HELP));
        let path = arg(Self::path_id(), "PATH").help(format!("Path of a YAML file: {}", F::HELP));
        command.arg(path).arg(content)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<F: ConfigFlag> FromArgMatches for PathOrContent<F> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut values = Self::from_content("");
        values.update_from_arg_matches(matches)?;
        Ok(values)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let value = |id: &str| matches.get_one::<String>(id).cloned().unwrap_or_default();
        self.content = value(F::NAME);
        self.path = value(&Self::path_id());
        Ok(())
    }
}

impl<F> Clone for PathOrContent<F> {
    fn clone(&self) -> Self {
        Self {
            content: self.content.clone(),
            path: self.path.clone(),
            flag: PhantomData,
        }
    }
}

impl<F: ConfigFlag> fmt::Debug for PathOrContent<F> {
    /// Leaves the content out: it may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = if self.content.is_empty() {
            ""
        } else {
            "<redacted>"
        };
        f.debug_struct(F::NAME)
            .field("content", &content)
            .field("path", &self.path)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[derive(Debug)]
    struct Bucket;
    impl ConfigFlag for Bucket {
        const NAME: &'static str = "objstore.config";
        const HELP: &'static str = "the bucket";
        const REQUIRED: bool = true;
    }

    fn parse(argv: &[&str]) -> PathOrContent<Bucket> {
        let command = PathOrContent::<Bucket>::augment_args(Command::new("test"));
        let matches = command
            .try_get_matches_from([&["test"], argv].concat())
            .unwrap();
        PathOrContent::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn text_or_file_but_not_both() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "type: S3").unwrap();
        let path = format!("--objstore.config-file={}", file.path().display());
        let content = |argv: &[&str]| parse(argv).content().map_err(|e| e.to_string());
        assert_eq!(
            content(&["--objstore.config", "type: GCS"]),
            Ok(Some("type: GCS".into()))
        );
        assert_eq!(content(&[&path]), Ok(Some("type: S3".into())));
        assert_eq!(
            content(&[&path, "--objstore.config=x"]).unwrap_err(),
            "--objstore.config and --objstore.config-file are both set: use one of them"
        );
        assert_eq!(
            content(&["--objstore.config= "]).unwrap_err(),
            "--objstore.config or --objstore.config-file must be set and not be empty"
        );
        let missing = content(&["--objstore.config-file=/nowhere/at/all"]).unwrap_err();
        assert!(
            missing.starts_with("cannot read the file /nowhere/at/all of --objstore.config-file")
        );
    }

    #[test]
    fn debug_hides_the_text() {
        let shown = format!("{:?}", parse(&["--objstore.config=secret"]));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
