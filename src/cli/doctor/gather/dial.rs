//! A server, dialled as a session would dial it, with the time of each step.
//!
//! It asks no broker: the settings are those of the file, with what the command line trusts.

use crate::broker::live_settings;
use crate::cli::args::TrustArgs;
use crate::cli::error::Failure;
use crate::core::io::{ProxyChoice, Target, TransportKind};
use crate::core::policy;
use crate::paths::Paths;
use crate::settings::{self, Settings, SettingsError};
use crate::transport::Network;
use crate::wire::code::Code;
use crate::wire::record::ErrorInfo;

use super::super::facts::DialFacts;
use super::{CHECK_TIMEOUT, DoctorRequest};

/// Largest message accepted from a dialled server, in bytes.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// The settings with which a server is dialled: those of the file, and what the command line trusts.
pub(super) fn trusting(
    settings: Result<Settings, SettingsError>,
    trust: &TrustArgs,
    url: &str,
    paths: &Paths,
) -> Result<Option<Settings>, Failure> {
    // A broker whose settings are broken dials nothing; the server may be well all the same.
    let defaults = || settings::parse("", paths.config()).ok();
    let mut settings = settings.ok().or_else(defaults);
    if let Some(settings) = &mut settings {
        trust.add_to(settings, url)?;
    }
    Ok(settings)
}

/// Dials a server as a session would, with the time of each step.
pub(super) async fn dial(text: &str, what: &DoctorRequest, settings: Option<Settings>) -> DialFacts {
    let rules = settings
        .as_ref()
        .map(|settings| settings.rules.clone())
        .unwrap_or_default();
    let rule = match what.asked.first() {
        Some(id) => rules.of(&id.entry()),
        None => &rules.default,
    };
    let url = match policy::parse_url(text, rule) {
        Ok(url) => url,
        Err(problem) => {
            let shown = match url::Url::parse(text) {
                Ok(mut url) => {
                    url.set_fragment(None);
                    policy::shown_url(&url)
                }
                // Whatever stands before an `@` may be a password.
                Err(_) => {
                    let bare = text.split(['?', '#']).next().unwrap_or_default();
                    bare.rsplit('@').next().unwrap_or_default().to_owned()
                }
            };
            return DialFacts {
                shown,
                steps: Err(problem),
            };
        }
    };
    let shown = policy::shown_url(&url);
    let target = Target {
        jar: None,
        origin: None,
        url,
        subprotocols: Vec::new(),
        headers: what.headers.clone(),
        connect_timeout: CHECK_TIMEOUT,
        proxy: ProxyChoice::System,
        compression: false,
        json: false,
        max_message: MAX_MESSAGE_BYTES,
        transport: TransportKind::WebSocket,
    };
    let network = settings.map(live_settings::network).unwrap_or_default();
    let steps = match Network::new(network) {
        Ok(network) => Ok(network.probe(&target, CHECK_TIMEOUT).await),
        Err(error) => Err(ErrorInfo::new(Code::Proxy, error.to_string())),
    };
    DialFacts { shown, steps }
}
