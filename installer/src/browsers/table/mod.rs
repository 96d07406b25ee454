//! The table: which browser looks where for host manifests, on which system, for one user or for all.
//!
//! It is data only, a file for each family; `entries` has its constructors.

mod chrome;
mod chromium_based;
mod edge;
mod firefox;

use super::model::Browser;

/// Every browser Longwire knows, in the order in which they are listed.
pub const BROWSERS: &[Browser] = &[
    chrome::CHROME,
    chrome::CHROME_BETA,
    chrome::CHROME_DEV,
    chrome::CHROME_CANARY,
    chrome::CHROME_FOR_TESTING,
    chrome::CHROMIUM,
    edge::EDGE,
    edge::EDGE_BETA,
    edge::EDGE_DEV,
    edge::EDGE_CANARY,
    chromium_based::BRAVE,
    chromium_based::VIVALDI,
    chromium_based::OPERA,
    chromium_based::ARC,
    chromium_based::YANDEX,
    firefox::FIREFOX,
    firefox::LIBREWOLF,
    firefox::WATERFOX,
    firefox::FLOORP,
    firefox::ZEN,
    firefox::THUNDERBIRD,
];
