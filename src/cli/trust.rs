//! `--ca` and `--insecure`: certificates that one command trusts beyond the settings.
//!
//! The settings file stays as it is, and so does a broker that runs: `connect` gets a broker of its own for it.

use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use toml::{Table, Value};

use super::args::TrustArgs;
use super::error::{Exit, Failure};
use super::temp_home::TempHome;
use crate::paths::Paths;
use crate::settings::{self, Settings};

impl TrustArgs {
    /// Whether anything was asked for.
    pub(super) const fn is_asked(&self) -> bool {
        self.insecure || !self.ca.is_empty()
    }

    /// Adds it to settings, for dials to the host of this URL.
    pub(super) fn add_to(&self, settings: &mut Settings, url: &str) -> Result<(), Failure> {
        for path in &self.ca {
            settings.tls.extra_roots.extend(certificates(path)?);
        }
        settings.tls.insecure_hosts.extend(self.insecure_host(url));
        Ok(())
    }

    /// A home of its own whose settings are the user's and this.
    pub(super) fn home(&self, paths: &Paths, url: &str) -> Result<TempHome, Failure> {
        let scratch =
            TempHome::new().map_err(|error| Failure::because("cannot create a temporary folder", &error))?;
        for path in &self.ca {
            certificates(path)?;
        }
        let text = settings::text(paths).unwrap_or_default();
        // `longwire config` reports its errors; for this command it counts as none.
        let mut table: Table = toml::from_str(&text).unwrap_or_default();
        let tls = table.entry("tls").or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(tls) = tls {
            make_absolute(tls, paths.config());
            for path in &self.ca {
                let path = std::path::absolute(path)
                    .map_err(|error| Failure::because("cannot find the file of --ca", &error))?;
                append(tls, "ca-files", path.to_string_lossy().into_owned());
            }
            if let Some(host) = self.insecure_host(url) {
                append(tls, "insecure-hosts", host);
            }
        }
        let config = Paths::within(scratch.path().to_path_buf()).config().to_path_buf();
        let file = config.join("settings.toml");
        std::fs::create_dir_all(&config)
            .and_then(|()| settings::write(&file, &table.to_string()))
            .map_err(|error| Failure::because(format!("cannot write {}", file.display()), &error))?;
        Ok(scratch)
    }

    fn insecure_host(&self, url: &str) -> Option<String> {
        let host = url::Url::parse(url).ok()?.host_str()?.to_owned();
        self.insecure.then_some(host)
    }
}

/// The certificates of a PEM file; one at least.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::new(format!("cannot read certificates from {}: {why}", path.display())).exit(Exit::Usage)
    };
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(&error))?;
    if found.is_empty() {
        return Err(wrong(&"it contains none in PEM format"));
    }
    Ok(found)
}

/// Files are named relative to the folder of the settings, which is another one here.
fn make_absolute(tls: &mut Table, folder: &Path) {
    let absolute = |value: &mut Value| {
        if let Value::String(path) = value {
            *path = folder.join(PathBuf::from(&*path)).to_string_lossy().into_owned();
        }
    };
    for key in ["client-certificate", "client-key"] {
        if let Some(value) = tls.get_mut(key) {
            absolute(value);
        }
    }
    if let Some(Value::Array(files)) = tls.get_mut("ca-files") {
        files.iter_mut().for_each(absolute);
    }
}

fn append(tls: &mut Table, key: &str, text: String) {
    let list = tls.entry(key).or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(list) = list {
        list.push(Value::String(text));
    }
}
