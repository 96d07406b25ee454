//! One file over HTTP, for the command line: no redirects, no cookies, a limited size.
//!
//! It goes through the same proxy and trusts the same certificates as links do.

use std::time::Duration;

use url::Url;

use super::cookies::Jars;
use super::credit::Credit;
use super::exchange::{Ask, exchange, within};
use super::response::whole;
use super::{DialError, Network};
use crate::core::io::{Answer, ProxyChoice, Target, TransportKind};

impl Network {
    /// Asks for a file; the answer may have any status.
    ///
    /// # Errors
    /// When no whole answer came in time.
    pub(crate) async fn get(&self, url: Url, max: usize, time: Duration) -> Result<Answer, DialError> {
        let jar = Jars::default().of(None, &url, &[]);
        let target = Target {
            jar: None,
            origin: None,
            url: url.clone(),
            subprotocols: Vec::new(),
            headers: Vec::new(),
            connect_timeout: time,
            proxy: ProxyChoice::System,
            compression: false,
            json: false,
            max_message: max,
            transport: TransportKind::Http { post: None },
        };
        let asking = async {
            let ask = Ask::get(url.clone(), Vec::new());
            let (response, connection) = exchange(self, &target, &jar, None, ask).await?;
            whole(response, connection, max, &Credit::default()).await
        };
        let answered = within(asking, &target, (url.clone(), Duration::ZERO)).await;
        answered.map(|(answer, _)| answer).map_err(|fault| fault.error)
    }
}
