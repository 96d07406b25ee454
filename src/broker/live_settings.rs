//! The current settings, as the network and the loop need them; `reload` reads the file again.
//!
//! It reads the file through `settings` and decides nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::core::rules::Rules;
use crate::journal::Quota;
use crate::paths::Paths;
use crate::settings::{self, Settings};
use crate::transport::{
    ClientCert, DialError, Network, NetworkSettings, ProxyCredentials, ProxySettings, TlsSettings,
};

/// The current settings.
#[derive(Debug)]
pub(super) struct LiveSettings {
    paths: Paths,
    pub(super) network: Arc<Network>,
    pub(super) rules: Arc<Rules>,
    pub(super) idle: Duration,
    /// Hosts whose certificate is not checked.
    pub(super) insecure: Vec<String>,
}

/// How much disk sessions may take.
pub(super) const fn quota(settings: &Settings, open_files: usize) -> Quota {
    Quota {
        session: settings.journal.session,
        origin: settings.journal.origin,
        total: settings.journal.total,
        journals: settings.journal.journals,
        open_files,
    }
}

impl LiveSettings {
    /// # Errors
    /// The settings name a proxy that cannot be used.
    pub(super) fn new(paths: Paths, settings: Settings) -> Result<Self, DialError> {
        let insecure = settings.tls.insecure_hosts.clone();
        let idle = settings.broker.idle;
        let settings = network(settings);
        let rules = settings.rules.clone();
        let network = Arc::new(Network::new(settings)?);
        Ok(Self {
            paths,
            network,
            rules,
            idle,
            insecure,
        })
    }

    /// Reads the file again. What cannot be used changes nothing.
    ///
    /// # Errors
    /// A sentence with the error and its place.
    pub(super) fn reload(&mut self) -> Result<(), String> {
        let settings =
            settings::load(&self.paths).map_err(|error| match std::error::Error::source(&error) {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            })?;
        *self = Self::new(self.paths.clone(), settings).map_err(|error| error.to_string())?;
        Ok(())
    }
}

/// The settings about dialling.
pub(crate) fn network(settings: Settings) -> NetworkSettings {
    let (tls, proxy) = (settings.tls, settings.proxy);
    let (client_cert, client_hosts) = match tls.client {
        Some(client) => {
            let cert = ClientCert {
                chain: client.chain,
                key: client.key,
            };
            (Some(cert), client.hosts)
        }
        None => (None, Vec::new()),
    };
    let credentials = proxy.credentials.into_iter();
    NetworkSettings {
        rules: Arc::new(settings.rules),
        tls: TlsSettings {
            extra_roots: tls.extra_roots,
            insecure_hosts: tls.insecure_hosts,
            client_cert,
            client_hosts,
        },
        proxy: match proxy.url.as_str() {
            "system" => ProxySettings::System,
            "none" => ProxySettings::None,
            _ => ProxySettings::Fixed {
                no_proxy: proxy.except.join(","),
                url: proxy.url,
            },
        },
        proxy_credentials: credentials
            .map(|(place, user, password)| ProxyCredentials {
                place,
                user,
                password,
            })
            .collect(),
    }
}
