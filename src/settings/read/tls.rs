//! The certificates and keys that the section `tls` names, read so that a missing file has its line too.

use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::super::keys::Draft;
use super::super::{ClientCertSection, TlsSection};
use super::{Section, SettingsReader, TextPosition, given_whole};

impl SettingsReader<'_> {
    /// Reads the certificates that the file names.
    pub(super) fn tls(&mut self, tables: &Section<'_>, draft: &Draft) -> TlsSection {
        let layers = self.layers;
        let place = |name: &str| {
            let given = given_whole(tables, "tls", name);
            given.map_or_else(TextPosition::default, |(layer, value)| TextPosition {
                layer,
                span: value.span(),
            })
        };
        let file_of = |place: &TextPosition, file: &str| match layers.get(place.layer) {
            Some(layer) => layer.folder.join(file),
            None => PathBuf::from(file),
        };
        let mut extra_roots = Vec::new();
        let given = place("ca-files");
        for file in &draft.ca_files {
            match certificates(&file_of(&given, file)) {
                Ok(found) => extra_roots.extend(found),
                Err(why) => self.fault(&given, why),
            }
        }
        let client = match (draft.client_certificate.as_str(), draft.client_key.as_str()) {
            ("", "") => None,
            (certificate, key)
                if certificate.is_empty() || key.is_empty() || draft.client_hosts.is_empty() =>
            {
                let given = if certificate.is_empty() {
                    "client-key"
                } else {
                    "client-certificate"
                };
                let message = "`client-certificate`, `client-key` and `client-hosts` must be set together";
                self.fault(&place(given), message);
                None
            }
            (certificate, key) => {
                let given = place("client-certificate");
                let chain = certificates(&file_of(&given, certificate));
                let chain = chain.map_err(|why| self.fault(&given, why)).ok();
                let given = place("client-key");
                let path = file_of(&given, key);
                let key = PrivateKeyDer::from_pem_file(&path).map_err(|error| {
                    let message = format!("cannot read a private key from {}: {error}", path.display());
                    self.fault(&given, message);
                });
                chain.zip(key.ok()).map(|(chain, key)| ClientCertSection {
                    chain,
                    key,
                    hosts: draft.client_hosts.clone(),
                })
            }
        };
        TlsSection {
            extra_roots,
            client,
            insecure_hosts: draft.insecure_hosts.clone(),
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let fail = |why: String| format!("cannot read certificates from {}: {why}", path.display());
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| fail(error.to_string()))?
        .collect();
    match found {
        Ok(found) if found.is_empty() => Err(fail("it contains none in PEM format".to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err(fail(error.to_string())),
    }
}
