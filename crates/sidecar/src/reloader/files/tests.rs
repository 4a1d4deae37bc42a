use std::io::Write;
use std::os::unix::fs::symlink;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;

fn config(folder: &TempDir) -> ReloaderConfig {
    ReloaderConfig {
        config_file: Some(folder.path().join("in.yml")),
        output_file: Some(folder.path().join("out.yml")),
        rule_dirs: Vec::new(),
        watch_interval: Duration::from_secs(180),
        retry_interval: Duration::from_secs(5),
    }
}

fn made(folder: &TempDir, input: &[u8]) -> Result<String, String> {
    let config = config(folder);
    let written = fs::write(folder.path().join("in.yml"), input);
    written.map_err(|error| error.to_string())?;
    let looked = look(&config).map_err(|error| error.to_string())?;
    Ok(looked.1.unwrap())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn the_environment_is_put_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::var("PATH").unwrap();
    assert_eq!(
        made(&folder, b"a: $(PATH), ${PATH}").unwrap(),
        format!("a: {path}, ${{PATH}}")
    );
    assert_eq!(
        made(&folder, &gzip(b"a: $(PATH)")).unwrap(),
        format!("a: {path}")
    );
    let error = made(&folder, b"a: $(RUTILE_NOT_SET_1)").unwrap_err();
    assert!(error.contains("in.yml"), "{error}");
    assert!(error.contains("$(RUTILE_NOT_SET_1)"), "{error}");
}

#[test]
fn what_is_no_configuration_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |input: &[u8], why: &str| {
        let error = made(&folder, input).unwrap_err();
        assert!(error.contains("in.yml"), "{error}");
        assert!(error.contains(why), "{error}");
    };
    refused(b"\xff\xfe", "not UTF-8");
    refused(&gzip(b"a: b")[..12], "read");
    // A small file that unpacks to more than is taken.
    let bomb = gzip(&vec![b'x'; 1 << 20]).repeat(65);
    refused(&bomb, "more than");
    fs::remove_file(folder.path().join("in.yml")).unwrap();
    let error = look(&config(&folder)).unwrap_err().to_string();
    assert!(error.contains("--reloader.config-file"), "{error}");
}

#[test]
fn the_output_is_replaced_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.yml");
    for content in ["long content", "short"] {
        write(&output, content).unwrap();
        assert_eq!(fs::read_to_string(&output).unwrap(), content);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let error = write(&folder.path().join("no/where"), "x").unwrap_err();
    let text = error.to_string();
    assert!(text.contains("--reloader.config-envsubst-file"), "{text}");
}

#[test]
fn any_change_below_a_folder_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules");
    fs::create_dir_all(rules.join("deep/er")).unwrap();
    let config = ReloaderConfig {
        config_file: None,
        output_file: None,
        rule_dirs: vec![rules.clone()],
        ..config(&folder)
    };
    let look = || look(&config).unwrap().0;
    let mut seen = vec![look()];
    let mut changed = |what: &str| {
        let now = look();
        assert!(!seen.contains(&now), "{what}");
        assert_eq!(look(), now, "{what}: the same again");
        seen.push(now);
    };
    fs::write(rules.join("a.yml"), "1").unwrap();
    changed("a new file");
    fs::write(rules.join("a.yml"), "2").unwrap();
    changed("other content of the same length");
    fs::rename(rules.join("a.yml"), rules.join("b.yml")).unwrap();
    changed("another name");
    fs::write(rules.join("deep/er/c.yml"), "3").unwrap();
    changed("a file in a folder");
    // As Kubernetes mounts a ConfigMap, and changes it.
    fs::create_dir(rules.join("..1")).unwrap();
    fs::write(rules.join("..1/d.yml"), "4").unwrap();
    symlink("..1", rules.join("..data")).unwrap();
    symlink("..data/d.yml", rules.join("d.yml")).unwrap();
    changed("a mounted ConfigMap");
    fs::create_dir(rules.join("..2")).unwrap();
    fs::write(rules.join("..2/d.yml"), "5").unwrap();
    symlink("..2", rules.join("..new")).unwrap();
    fs::rename(rules.join("..new"), rules.join("..data")).unwrap();
    changed("a ConfigMap that was replaced");
    fs::remove_dir_all(&rules).unwrap();
    let error = super::look(&config).unwrap_err().to_string();
    assert!(error.contains("--reloader.rule-dir"), "{error}");
}
