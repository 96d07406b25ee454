//! What options take in memory, for the extension's budget.
//!
//! Rough on purpose: texts by their length, structures by a little more than their size.

use super::options::{Options, Protocol};
use super::payload::Payload;
use super::rule::Rule;

/// What a pair of texts takes beside them.
const PAIR: usize = 64;

impl Options {
    /// Bytes that they take.
    pub fn held(&self) -> usize {
        let pairs = |pairs: &[(String, String)]| -> usize {
            pairs
                .iter()
                .map(|(name, value)| PAIR + name.len() + value.len())
                .sum()
        };
        let texts = |texts: &[String]| -> usize { texts.iter().map(|text| 32 + text.len()).sum() };
        let urls = self.urls.values().map(|url| PAIR + url.len()).sum::<usize>();
        let post = self
            .post
            .as_ref()
            .map_or(0, |post| post.url.len() + pairs(&post.headers));
        let beat = self.heartbeat.as_ref().map_or(0, |beat| {
            beat.message.as_ref().map_or(0, Payload::held)
                + beat.expect.as_ref().map_or(0, Rule::held)
                + beat
                    .answers
                    .iter()
                    .map(|(when, say)| when.held() + say.as_ref().map_or(0, Payload::held))
                    .sum::<usize>()
        });
        let socketio = texts(&self.socketio.namespaces)
            + self.socketio.path.len()
            + self
                .socketio
                .auth
                .as_ref()
                .map_or(0, |auth| auth.to_string().len());
        size_of::<Self>()
            + self.transports.len() * size_of::<Protocol>()
            + urls
            + texts(&self.subprotocols)
            + pairs(&self.headers)
            + self.cookies.as_ref().map_or(0, String::len)
            + self.proxy.len()
            + self.greeting.iter().map(Payload::held).sum::<usize>()
            + self.ready.as_ref().map_or(0, Rule::held)
            + beat
            + post
            + socketio
            + self.guard.held()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn whatever_is_large_in_options_is_counted() {
        let large = "x".repeat(10_000);
        for json in [
            format!(r#"{{"headers":{{"A":"{large}"}}}}"#),
            format!(r#"{{"cookies":"{large}"}}"#),
            format!(r#"{{"greeting":[{{"text":"{large}"}}]}}"#),
            format!(r#"{{"heartbeat":{{"message":{{"text":"{large}"}}}}}}"#),
            format!(r#"{{"ready":{{"/a":"{large}"}}}}"#),
            format!(r#"{{"guard":{{"receive":[{{"when":{{"/a":"{large}"}}}}]}}}}"#),
            format!(r#"{{"protocol":"socket.io","socketio":{{"auth":{{"a":"{large}"}}}}}}"#),
            format!(r#"{{"protocol":"sse","post":{{"url":"http://localhost/{large}"}}}}"#),
            format!(r#"{{"urls":{{"sse":"http://localhost/{large}"}}}}"#),
            format!(r#"{{"subprotocols":["{large}"]}}"#),
        ] {
            let raw = RawValue::from_string(json).unwrap();
            let (options, _) = Options::from_json(&raw).unwrap();
            let shown: String = raw.get().chars().take(40).collect();
            assert!(options.held() >= 10_000, "{shown}");
        }
        assert!(Options::default().held() < 4_000);
    }
}
