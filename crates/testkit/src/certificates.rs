//! Certificates of an authority of their own, made by the program `openssl` for as long as a test takes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Debian's configuration would make every certificate an authority.
const CONFIG: &str = "[req]\ndistinguished_name = name\n[name]\n";

/// Whom the certificates come from. They go with it.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

/// A certificate and its key, in PEM.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The file of the certificate.
    pub certificate: PathBuf,
    /// The file of the private key.
    pub key: PathBuf,
}

impl Authority {
    /// A new one, which nobody knows.
    ///
    /// # Panics
    /// When `openssl` is not installed, or fails.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().and_then(|folder| {
            fs::write(folder.path().join("openssl.cnf"), CONFIG)?;
            Ok(folder)
        });
        let folder = folder.unwrap_or_else(|error| panic!("cannot make a folder: {error}"));
        let authority = Self { folder };
        let extension = ["-addext", "basicConstraints=critical,CA:TRUE"];
        authority.make("authority", &extension);
        authority
    }

    /// The file of its own certificate, which others are verified with.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.path("authority.pem")
    }

    /// Issues a certificate for these names, written as `DNS:store.test,IP:127.0.0.1`, into files called `file`.
    /// Files of that name are replaced.
    ///
    /// # Panics
    /// When `openssl` fails.
    #[must_use]
    pub fn issue(&self, file: &str, names: &str) -> Certificate {
        let authority = [self.certificate(), self.path("authority.key")];
        let [certificate, key] = authority.each_ref().map(|path| text(path));
        let names = format!("subjectAltName={names}");
        let leaf = "basicConstraints=critical,CA:FALSE";
        self.make(
            file,
            &[
                "-CA",
                certificate,
                "-CAkey",
                key,
                "-addext",
                leaf,
                "-addext",
                &names,
            ],
        )
    }

    fn make(&self, name: &str, further: &[&str]) -> Certificate {
        let certificate = self.path(&format!("{name}.pem"));
        let key = self.path(&format!("{name}.key"));
        let mut command = Command::new("openssl");
        command
            .args(["req", "-x509", "-nodes", "-days", "36500"])
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-config", text(&self.path("openssl.cnf"))])
            .args(["-subj", &format!("/CN={name}")])
            .args(["-out", text(&certificate), "-keyout", text(&key)])
            .args(further);
        match command.output() {
            Ok(output) if output.status.success() => Certificate { certificate, key },
            Ok(output) => panic!(
                "{command:?} fails: {}",
                String::from_utf8_lossy(&output.stderr)
            ),
            Err(error) => panic!("cannot start openssl: {error}: run `make test-servers`"),
        }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// Folders of tests have names in ASCII.
fn text(path: &Path) -> &str {
    path.to_str()
        .unwrap_or_else(|| panic!("{} is not UTF-8", path.display()))
}
