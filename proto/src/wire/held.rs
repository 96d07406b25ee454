//! What options take in memory, for the extension's budget.
//!
//! Rough on purpose: texts by their length, structures by a little more than their size.

use super::login::{LoginStep, Template, ValuePath};
use super::options::{Options, Protocol};
use super::payload::Payload;
use super::rule::Rule;
use super::servers::{Cursor, CursorFrom, CursorTo};
use super::socketio::TransportOptions;

/// What a pair of texts takes beside them.
const PAIR_COST: usize = 64;

impl Options {
    /// Bytes that they take.
    pub fn held(&self) -> usize {
        let pairs = |pairs: &[(String, String)]| -> usize {
            pairs
                .iter()
                .map(|(name, value)| PAIR_COST + name.len() + value.len())
                .sum()
        };
        let texts = |texts: &[String]| -> usize { texts.iter().map(|text| 32 + text.len()).sum() };
        let urls = self.urls.values().map(|url| PAIR_COST + url.len()).sum::<usize>();
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
        let of_transport = |options: &TransportOptions| {
            pairs(&options.headers) + options.timestamp_param.as_ref().map_or(0, String::len)
        };
        let socketio = texts(&self.socketio.namespaces)
            + self.socketio.path.len()
            + pairs(&self.socketio.query)
            + of_transport(&self.socketio.polling)
            + of_transport(&self.socketio.websocket)
            + self
                .socketio
                .auth
                .as_ref()
                .map_or(0, |auth| auth.to_string().len());
        let login = self.login.iter().map(LoginStep::held).sum::<usize>();
        let cursor = self.poll.cursor.as_ref().map_or(0, Cursor::held);
        let poll = self.poll.items.as_ref().map_or(0, String::len) + cursor;
        size_of::<Self>()
            + login
            + poll
            + self.close_codes.held()
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

impl LoginStep {
    fn held(&self) -> usize {
        let taken = self.take.iter().map(|(name, path)| {
            let pointers = match path {
                ValuePath::One(pointer) => pointer.len(),
                ValuePath::Many(pointers) => pointers.iter().map(|pointer| 32 + pointer.len()).sum(),
            };
            PAIR_COST + name.len() + pointers
        });
        let sent = self.send.iter().map(|template| match template {
            Template::Text(text) => PAIR_COST + text.len(),
            // A value takes more than its text.
            Template::Json(value) => PAIR_COST + 8 * value.to_string().len(),
        });
        size_of::<Self>() + self.when.held() + taken.sum::<usize>() + sent.sum::<usize>()
    }
}

impl Cursor {
    fn held(&self) -> usize {
        let from = match &self.from {
            CursorFrom::Pointer(text) | CursorFrom::Item(text) | CursorFrom::Header(text) => text.len(),
        };
        let to = match &self.to {
            CursorTo::Query(text) | CursorTo::Header(text) => text.len(),
        };
        from + to + self.start.as_ref().map_or(0, String::len)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn large_option_values_are_counted() {
        let large = "x".repeat(10_000);
        for json in [
            format!(r#"{{"headers":{{"A":"{large}"}}}}"#),
            format!(r#"{{"cookies":"{large}"}}"#),
            format!(r#"{{"greeting":[{{"text":"{large}"}}]}}"#),
            format!(r#"{{"heartbeat":{{"message":{{"text":"{large}"}}}}}}"#),
            format!(r#"{{"ready":{{"/a":"{large}"}}}}"#),
            format!(r#"{{"guard":{{"receive":[{{"when":{{"/a":"{large}"}}}}]}}}}"#),
            format!(r#"{{"protocol":"socket.io","socketio":{{"auth":{{"a":"{large}"}}}}}}"#),
            format!(r#"{{"protocol":"socket.io","socketio":{{"query":{{"a":"{large}"}}}}}}"#),
            format!(r#"{{"protocol":"socket.io","socketio":{{"extraHeaders":{{"a":"{large}"}}}}}}"#),
            format!(r#"{{"protocol":"sse","post":{{"url":"http://localhost/{large}"}}}}"#),
            format!(r#"{{"urls":{{"sse":"http://localhost/{large}"}}}}"#),
            format!(r#"{{"subprotocols":["{large}"]}}"#),
            format!(r#"{{"ready":{{"text":"{large}"}}}}"#),
            format!(r#"{{"ready":{{"/a":1}},"login":[{{"when":{{"text":"{large}"}}}}]}}"#),
            format!(
                r#"{{"ready":{{"/a":1}},"login":[{{"when":{{"/a":2}},"send":[{{"text":"{large}"}}]}}]}}"#
            ),
            format!(
                r#"{{"ready":{{"/a":1}},"login":[{{"when":{{"/a":2}},"send":[{{"json":"{large}"}}]}}]}}"#
            ),
            format!(r#"{{"ready":{{"/a":1}},"login":[{{"when":{{"/a":2}},"take":{{"{large}":"/b"}}}}]}}"#),
            format!(
                r#"{{"protocol":"poll","poll":{{"cursor":{{"pointer":"/a","query":"b","start":"{large}"}}}}}}"#
            ),
        ] {
            let raw = RawValue::from_string(json).unwrap();
            let (options, _) = Options::from_json(&raw).unwrap();
            let shown: String = raw.get().chars().take(40).collect();
            assert!(options.held() >= 10_000, "{shown}");
        }
        assert!(Options::default().held() < 4_000);
    }
}
