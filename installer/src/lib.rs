//! Registers the host with the browsers of this machine, and removes the registration.
//!
//! It prints nothing, starts nothing, and knows neither network nor broker; its caller passes the paths.
//!
//! | module | contents |
//! |---|---|
//! | `types` | families, systems, scopes and base folders |
//! | `browsers` | the table: browser x system x scope |
//! | `environment` | this machine's folders, passed in |
//! | `manifest` | names, ids, and manifests as browsers read them |
//! | `lookup` | what a browser finds, in its order |
//! | `policy` | what administrators forbid |
//! | `receipt` | the install record, so that everything can be removed |
//! | `plan` | what would be done; reads only |
//! | `apply` | executes it, or rolls all of it back |
//! | `lock` | one installer at a time |
//! | `registry` | Windows keys |

// The threshold is in clippy.toml.
#![cfg_attr(not(test), warn(clippy::too_many_lines))]

pub mod apply;
pub mod browsers;
pub mod environment;
pub mod error;
pub mod lock;
pub mod lookup;
pub mod manifest;
pub mod plan;
pub mod policy;
pub mod receipt;
pub mod registry;
pub mod types;

/// The host name used when none is given.
pub const DEFAULT_NAME: &str = "com.longwire.bridge";
