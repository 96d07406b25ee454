//! The per-user background process: the only process whose state outlives a port.
//!
//! It decides nothing; the core does. This module has its sockets, clocks, signals and files.

mod connection;
mod connections;
mod decoder;
mod descriptors;
pub mod dials;
mod effects;
mod gate;
mod idle;
mod instance;
mod journals;
mod large;
mod lifecycle;
mod listener;
pub(crate) mod live_settings;
mod machine;
mod memory;
mod ports;
mod read_permits;
mod server;
mod signals;
mod wakeup;

use crate::clock;
use crate::core::hub::{Hub, HubConfig};
use crate::hardening;
use crate::local::{Endpoint, LocalError};
use crate::log::{self, LogOutput};
use crate::paths::{Paths, PathsError};
use crate::settings::{self, SettingsError};
use crate::transport::DialError;

pub use instance::{Claim, ClaimError, READY, detach, report};

/// Why the broker could not run.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("cannot find a folder for the broker's files")]
    Paths(#[from] PathsError),
    #[error("cannot start as the broker")]
    Claim(#[from] ClaimError),
    #[error("cannot listen")]
    Listen(#[from] LocalError),
    #[error("cannot start the runtime")]
    Runtime(#[source] std::io::Error),
    #[error("cannot use the settings")]
    Settings(#[from] SettingsError),
    #[error("cannot use the proxy settings")]
    Network(#[from] DialError),
    #[error("the system provides no random numbers")]
    Random(#[source] getrandom::Error),
}

/// Tasks that run before the system is asked for new data: each may take a few milliseconds, and what came for others
/// must not wait for many of them.
const TASKS_BEFORE_IO: u32 = 4;

/// Runs the broker to its end. `ready` is called once it accepts connections.
///
/// # Errors
/// `Claim(Taken)` when this user has a broker already; otherwise what the system refused.
pub fn run(output: LogOutput, ready: impl FnOnce()) -> Result<(), BrokerError> {
    let paths = Paths::from_env()?;
    instance::settle_in();
    log::to_folder(paths.logs(), output);
    log::panics();
    hardening::apply();
    let endpoint = Endpoint::of(&paths)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(TASKS_BEFORE_IO)
        .build()
        .map_err(BrokerError::Runtime)?
        .block_on(serve(&paths, endpoint, ready))
}

async fn serve(paths: &Paths, endpoint: Endpoint, ready: impl FnOnce()) -> Result<(), BrokerError> {
    let claim = Claim::take(&endpoint).await?;
    let settings = settings::load(paths)?;
    let config = HubConfig {
        version: crate::version::own(),
        boot: format!("{:016x}", random()?),
        machine_boot: clock::machine_boot(),
        seed: random()?,
    };
    let now = machine::now();
    let mut hub = Hub::new(config, now);
    let descriptors = descriptors::Descriptors::of_this_process();
    let quota = live_settings::quota(&settings, descriptors.journals);
    let journals = journals::FoundJournals::open(&paths.state().join("journal"), quota, &mut hub, now);
    let settings = live_settings::LiveSettings::new(paths.clone(), settings)?;
    let server = server::Server::open(hub, journals, claim, endpoint, settings, descriptors).await?;
    ready();
    server.run().await;
    Ok(())
}

fn random() -> Result<u64, BrokerError> {
    getrandom::u64().map_err(BrokerError::Random)
}
