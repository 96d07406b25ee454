//! `longwire update --check`: whether there is a newer version, by an index that its packager signs.
//!
//! It installs nothing, and runs only when called. The package or the settings have the URL of the index.

use std::cmp::Ordering;
use std::time::Duration;

use minisign_verify::{PublicKey, Signature};
use semver::Version;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::args::UpdateArgs;
use super::error::{Exit, Failure};
use super::render;
use super::text::harmless;
use crate::broker::live_settings;
use crate::settings::{self, Settings};
use crate::transport::Network;
use crate::version;

/// The index and the key that a package is built with.
const PACKAGED: (Option<&str>, Option<&str>) = (
    option_env!("LONGWIRE_UPDATE_INDEX"),
    option_env!("LONGWIRE_UPDATE_KEY"),
);

/// The largest index or signature that is read, in bytes.
const MAX_BYTES: usize = 64 << 10;
/// How long each may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// The contents of an index.
#[derive(Debug, Deserialize, PartialEq, Eq)]
struct ReleaseIndex {
    version: String,
    released: Option<String>,
    notes: Option<String>,
}

/// Says whether there is a newer version.
pub(super) fn run(update: &UpdateArgs) -> Result<Exit, Failure> {
    let paths = super::paths()?;
    let settings = settings::load(&paths)
        .map_err(|error| Failure::because("the settings cannot be used", &error).hint("longwire config"))?;
    let (url, key) = source(&settings)?;
    let (index, newest) = super::block_on(fetch(settings, &url, &key))?;
    let own = Version::parse(version::own())
        .map_err(|error| Failure::because("this program has no version", &error).exit(Exit::Bug))?;
    let order = newest.cmp_precedence(&own);
    if update.json {
        render::json(&json!({
            "index": url.as_str(), "installed": own.to_string(), "newest": newest.to_string(),
            "isNewer": order == Ordering::Greater, "released": index.released, "notes": index.notes,
        }));
        return Ok(Exit::Done);
    }
    render::line(&match order {
        Ordering::Greater => format!("longwire {newest} is available; {own} is installed"),
        Ordering::Equal => format!("longwire {own} is the newest version"),
        Ordering::Less => format!("longwire {own} is newer than the newest release, {newest}"),
    });
    if order == Ordering::Greater {
        for (what, value) in [("released", &index.released), ("notes", &index.notes)] {
            if let Some(value) = value {
                render::line(&format!("{what}: {}", harmless(value)));
            }
        }
        render::note("update it the way it was installed, such as `apt upgrade` or `install.sh`");
    }
    Ok(Exit::Done)
}

/// Where the index is, and who signs it. An index of the settings is never checked with the key of the package.
fn source(settings: &Settings) -> Result<(Url, String), Failure> {
    let update = &settings.update;
    let (index, key) = match update.index.as_str() {
        "" => (PACKAGED.0.unwrap_or_default(), PACKAGED.1.unwrap_or_default()),
        index => (index, update.key.as_str()),
    };
    if index.is_empty() {
        return Err(Failure::new("no index of versions is set")
            .hint("ask the package manager that installed Longwire")
            .hint("or set `index` and `key` in [update] of the settings: longwire config --path"));
    }
    if key.is_empty() {
        return Err(Failure::new("no key is set for the index of versions")
            .hint("set `key` in [update] of the settings: longwire config --path"));
    }
    let url = Url::parse(index)
        .ok()
        .filter(|url| settings::is_index_url(url.as_str()))
        .ok_or_else(|| Failure::new(format!("`{index}` is no https: URL of an index")))?;
    Ok((url, key.to_owned()))
}

async fn fetch(settings: Settings, url: &Url, key: &str) -> Result<(ReleaseIndex, Version), Failure> {
    let network = Network::new(live_settings::network(settings))
        .map_err(|error| Failure::because("cannot use the proxy settings", &error))?;
    let mut signature_url = url.clone();
    signature_url.set_path(&format!("{}.minisig", url.path()));
    let index = get(&network, url).await?;
    let signature = get(&network, &signature_url).await?;
    verify(&index, &signature, key).map_err(|why| {
        Failure::new(format!("the index at {url} is not trusted"))
            .cause(why)
            .hint("nothing of it was used; ask whoever provides it")
    })?;
    read(&index).map_err(|why| Failure::new(format!("the index at {url} cannot be read")).cause(why))
}

async fn get(network: &Network, url: &Url) -> Result<Vec<u8>, Failure> {
    let answer = network
        .get(url.clone(), MAX_BYTES, FETCH_TIMEOUT)
        .await
        .map_err(|error| Failure::because(format!("cannot read {url}"), &error))?;
    if answer.too_large {
        return Err(Failure::new(format!(
            "cannot read {url}: it has more than {MAX_BYTES} bytes"
        )));
    }
    if answer.status != 200 {
        return Err(Failure::new(format!(
            "cannot read {url}: the status is {}",
            answer.status
        )));
    }
    Ok(answer.body.to_vec())
}

/// Whether this key has signed the index.
fn verify(index: &[u8], signature: &[u8], key: &str) -> Result<(), String> {
    let key = PublicKey::from_base64(key).map_err(|error| format!("the key cannot be read: {error}"))?;
    let signature = std::str::from_utf8(signature).map_err(|error| error.to_string())?;
    let signature =
        Signature::decode(signature).map_err(|error| format!("the signature cannot be read: {error}"))?;
    key.verify(index, &signature, false)
        .map_err(|error| format!("the signature does not fit: {error}"))
}

fn read(index: &[u8]) -> Result<(ReleaseIndex, Version), String> {
    let index: ReleaseIndex = serde_json::from_slice(index).map_err(|error| error.to_string())?;
    let version = Version::parse(&index.version).map_err(|error| format!("`{}`: {error}", index.version))?;
    Ok((index, version))
}
