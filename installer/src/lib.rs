//! Registers the host with browsers.
