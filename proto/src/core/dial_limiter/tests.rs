//! Tests of `dial_limiter`.

use super::*;

const START: Duration = Duration::from_secs(100);

fn slot(origin: &str, host: &str) -> DialSlot {
    DialSlot {
        origin: origin.into(),
        host: Some(host.to_owned()),
        local_ports: Vec::new(),
    }
}

fn loopback(origin: &str, port: u16) -> DialSlot {
    DialSlot {
        origin: origin.into(),
        host: None,
        local_ports: vec![port],
    }
}

/// Sessions that all want to dial at the same time; when each of them does. Handshakes take no time.
fn times(kind: DialKind, sessions: u64) -> Vec<Duration> {
    let rules = Rules::default();
    let mut limiter = DialLimiter::default();
    for key in 0..sessions {
        limiter.wait(SessionKey(key), slot("a", &format!("host{key}")), kind);
    }
    let (mut now, mut times, mut dial) = (START, Vec::new(), 0);
    loop {
        while let Some(key) = limiter.next(now, &rules) {
            dial += 1;
            limiter.begin(now, &rules, slot("a", &format!("host{}", key.0)), DialId(dial));
            limiter.end(DialId(dial));
            times.push(now - START);
        }
        let Some(due) = limiter.due() else { return times };
        assert!(due > now, "a deadline in the past");
        now = due;
    }
}

#[test]
fn redials_are_rate_limited_and_first_dials_may_burst() {
    let again = times(DialKind::Redial, 9);
    assert_eq!(again.last(), Some(&Duration::from_secs(2)));
    assert!(
        again
            .windows(2)
            .all(|pair| pair[1] - pair[0] == Duration::from_millis(250))
    );
    let first = times(DialKind::First, 20);
    assert_eq!(first.iter().filter(|at| at.is_zero()).count(), 16);
    assert_eq!(first.last(), Some(&Duration::from_secs(1)));
}

#[test]
fn each_extension_has_its_own_redial_rate() {
    let times = times(DialKind::Redial, 200);
    // 32 ahead of its rate of 2/s while the broker gives 4/s; then 2/s.
    let late: Vec<_> = times.windows(2).skip(100).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        late.iter().all(|gap| *gap == Duration::from_millis(500)),
        "{late:?}"
    );
}

#[test]
fn each_extension_has_one_handshake_at_a_time_per_host() {
    let rules = Rules::default();
    let mut limiter = DialLimiter::default();
    let (mine, other) = (slot("a", "host:443"), slot("b", "host:443"));
    assert!(limiter.may(START, &rules, &mine, DialKind::First));
    limiter.begin(START, &rules, mine.clone(), DialId(1));
    assert!(!limiter.may(START, &rules, &mine, DialKind::First));
    assert!(
        limiter.may(START, &rules, &other, DialKind::First),
        "another extension's"
    );
    limiter.wait(SessionKey(2), mine.clone(), DialKind::First);
    limiter.wait(SessionKey(3), mine.clone(), DialKind::First);
    limiter.wait(SessionKey(3), mine.clone(), DialKind::First);
    assert_eq!(limiter.next(START, &rules), None);
    assert_eq!(limiter.due(), None, "only the end of the handshake helps");
    limiter.end(DialId(9));
    assert_eq!(limiter.next(START, &rules), None, "somebody else's word");
    limiter.end(DialId(1));
    assert!(
        !limiter.may(START, &rules, &mine, DialKind::First),
        "others wait already"
    );
    assert_eq!(limiter.next(START, &rules), Some(SessionKey(2)));
    limiter.leave(SessionKey(3));
    assert_eq!(limiter.next(START, &rules), None);
}

#[test]
fn new_loopback_ports_are_limited_per_minute() {
    let rules = Rules::default();
    let mut limiter = DialLimiter::default();
    let mut reached = Vec::new();
    for port in 1..=40 {
        let slot = loopback("a", port);
        if limiter.may(START, &rules, &slot, DialKind::First) {
            limiter.begin(START, &rules, slot, DialId(u64::from(port)));
            reached.push(port);
        } else {
            limiter.wait(SessionKey(u64::from(port)), slot, DialKind::First);
        }
    }
    assert_eq!(reached.len(), 16);
    assert!(
        limiter.may(START, &rules, &loopback("b", 99), DialKind::First),
        "another extension"
    );
    // One that is known does not count again, though others wait.
    limiter.wait(SessionKey(1), loopback("a", 1), DialKind::First);
    assert_eq!(limiter.next(START, &rules), Some(SessionKey(1)));
    limiter.begin(START, &rules, loopback("a", 1), DialId(100));
    assert_eq!(limiter.next(START, &rules), None);
    assert_eq!(limiter.due(), Some(START + NEW_PORT_INTERVAL));
    let later = START + NEW_PORT_INTERVAL;
    let mut more = 0;
    while let Some(SessionKey(port)) = limiter.next(later, &rules) {
        more += 1;
        limiter.begin(
            later,
            &rules,
            loopback("a", u16::try_from(port).unwrap()),
            DialId(200 + port),
        );
    }
    assert_eq!(more, 16);
    // A dial elsewhere that posts to this machine reaches a port as well.
    let mut elsewhere = slot("a", "host:443");
    elsewhere.local_ports.push(7777);
    assert!(!limiter.may(later, &rules, &elsewhere, DialKind::First));
}

#[test]
fn loopback_redials_are_rate_limited_and_first_dials_are_not() {
    let rules = Rules::default();
    let mut limiter = DialLimiter::default();
    let slot = loopback("a", 1);
    for dial in 0..1000 {
        assert!(limiter.may(START, &rules, &slot, DialKind::First));
        limiter.begin(START, &rules, slot.clone(), DialId(dial));
    }
    let mut now = START;
    for key in 0..500 {
        limiter.wait(SessionKey(key), slot.clone(), DialKind::Redial);
    }
    let mut dials = 0;
    while dials < 500 {
        while limiter.next(now, &rules).is_some() {
            limiter.begin(now, &rules, slot.clone(), DialId(dials + 1000));
            dials += 1;
        }
        now = limiter.due().unwrap_or(now);
    }
    let took = now - START;
    assert!(
        (LOCAL_REDIAL_INTERVAL * 400..=LOCAL_REDIAL_INTERVAL * 600).contains(&took),
        "{took:?}"
    );
}

#[test]
fn a_first_dial_is_granted_before_waiting_redials() {
    let rules = Rules::default();
    let mut limiter = DialLimiter::default();
    for key in 0..3 {
        limiter.wait(SessionKey(key), slot("a", &format!("{key}")), DialKind::Redial);
    }
    assert_eq!(limiter.next(START, &rules), Some(SessionKey(0)));
    limiter.begin(START, &rules, slot("a", "0"), DialId(1));
    assert!(limiter.may(START, &rules, &slot("a", "new"), DialKind::First));
    assert_eq!(limiter.next(START, &rules), None);
    assert_eq!(limiter.due(), Some(START + Duration::from_millis(250)));
}
