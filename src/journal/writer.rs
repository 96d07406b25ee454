//! The thread that writes journals: the event loop passes it work and never waits for the disk.
//!
//! Work of one extension is done in the order given; extensions take turns, so that one with many journals does not keep
//! the others from theirs.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{Builder, JoinHandle};

use crate::core::journal::{JournalEntry, JournalId, RawRecord};

use super::{JournalError, Journals};

/// Larger records are freed by the thread that writes, since that takes time.
const MAX_RETURNED_BYTES: usize = 64 << 10;

/// What is to be done to one journal.
#[derive(Debug)]
pub struct Work {
    pub journal: JournalId,
    /// Larger than that of earlier work on the same journal; comes back when this is done.
    pub number: u64,
    pub entries: Vec<JournalEntry>,
    /// The session's state behind the entries, if the journal wants it.
    pub snapshot: Option<Vec<RawRecord>>,
}

/// Work up to `number` is done: entries that ask for `sync` are on the disk itself, others are with the system.
#[derive(Debug)]
pub struct Written {
    pub journal: JournalId,
    pub number: u64,
    /// Why the journal has just been given up.
    pub failure: Option<JournalError>,
    /// The next work is to bring the session's state.
    pub wants_snapshot: bool,
    /// What was written, but for what is large: for the thread that made it to free. If this one did, the two would wait
    /// for each other in the allocator, several times for each message.
    pub entries: Vec<JournalEntry>,
}

#[derive(Debug)]
enum WriterJob {
    Work(Work),
    CloseIdle,
}

/// The way to the thread that writes.
#[derive(Debug)]
pub struct JournalWriter {
    jobs: Sender<WriterJob>,
    thread: JoinHandle<()>,
}

impl JournalWriter {
    /// Starts the thread. `written` is called on it for all work that is done, and may wait.
    ///
    /// # Errors
    /// When the system starts no thread.
    pub fn start(
        mut journals: Journals,
        mut written: impl FnMut(Written) + Send + 'static,
    ) -> io::Result<Self> {
        let (jobs, inbox) = mpsc::channel();
        let thread = Builder::new().name("journals".to_owned()).spawn(move || {
            let mut queue = WorkQueue::default();
            while let Some(work) = next(&inbox, &mut queue, &mut journals) {
                written(perform(&mut journals, work));
            }
        })?;
        Ok(Self { jobs, thread })
    }

    /// Hands over work.
    pub fn write(&self, work: Work) {
        // The thread ends only with this sender.
        let _ = self.jobs.send(WriterJob::Work(work));
    }

    /// Has files closed that were not written to since this was last called.
    pub fn close_idle(&self) {
        let _ = self.jobs.send(WriterJob::CloseIdle);
    }

    /// Waits until everything is done.
    pub fn finish(self) {
        drop(self.jobs);
        if self.thread.join().is_err() {
            tracing::error!("the thread that writes journals has panicked");
        }
    }
}

/// The next work; waits for it. `None` when there is none and will be none.
fn next(inbox: &Receiver<WriterJob>, queue: &mut WorkQueue, journals: &mut Journals) -> Option<Work> {
    loop {
        let job = match queue.is_empty() {
            true => Some(inbox.recv().ok()?),
            false => inbox.try_recv().ok(),
        };
        match job {
            Some(WriterJob::Work(work)) => queue.push(work),
            Some(WriterJob::CloseIdle) => journals.close_idle(),
            None => return queue.pop(),
        }
    }
}

fn perform(journals: &mut Journals, work: Work) -> Written {
    let Work {
        journal,
        number,
        mut entries,
        snapshot,
    } = work;
    let failure = journals.apply_all(&journal, &entries).err();
    entries.retain(|entry| entry.appended_bytes() <= MAX_RETURNED_BYTES);
    let failure = failure.or(journals.flush(&journal, snapshot.as_deref()).err());
    Written {
        wants_snapshot: journals.wants_snapshot(&journal),
        journal,
        number,
        failure,
        entries,
    }
}

/// Work that waits, by extension.
#[derive(Debug, Default)]
struct WorkQueue(VecDeque<VecDeque<Work>>);

impl WorkQueue {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn push(&mut self, work: Work) {
        let of_extension = self.0.iter_mut().find(|waiting| {
            let first = waiting.front();
            first.is_some_and(|first| first.journal.owner() == work.journal.owner())
        });
        let Some(of_extension) = of_extension else {
            return self.0.push_back(VecDeque::from([work]));
        };
        match of_extension.back_mut() {
            // One write instead of two.
            Some(last) if last.journal == work.journal && last.snapshot.is_none() => {
                last.entries.extend(work.entries);
                last.number = work.number;
                last.snapshot = work.snapshot;
            }
            _ => of_extension.push_back(work),
        }
    }

    /// The next work, of one extension after the other.
    fn pop(&mut self) -> Option<Work> {
        let mut of_extension = self.0.pop_front()?;
        let work = of_extension.pop_front();
        if !of_extension.is_empty() {
            self.0.push_back(of_extension);
        }
        work
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::Quota;
    use super::*;

    fn work(origin: &str, session: &str, number: u64) -> Work {
        let record = RawRecord {
            kind: 1,
            seq: 0,
            data: Bytes::from_static(b"state"),
            content: Bytes::new(),
        };
        Work {
            journal: JournalId::new(origin, session),
            number,
            entries: vec![JournalEntry::Append { record, sync: true }],
            snapshot: None,
        }
    }

    fn order(mut queue: WorkQueue) -> Vec<(JournalId, u64)> {
        std::iter::from_fn(|| queue.pop())
            .map(|work| (work.journal, work.number))
            .collect()
    }

    #[test]
    fn extensions_are_served_round_robin_and_each_in_order() {
        let mut queue = WorkQueue::default();
        for number in 0..3 {
            queue.push(work("busy", &format!("{number:x}"), number));
        }
        queue.push(work("other", "a", 9));
        let busy = |session: &str| JournalId::new("busy", session);
        let expected = [
            (busy("0"), 0),
            (JournalId::new("other", "a"), 9),
            (busy("1"), 1),
            (busy("2"), 2),
        ];
        assert_eq!(order(queue), expected);
    }

    #[test]
    fn consecutive_work_on_one_journal_is_merged() {
        let mut queue = WorkQueue::default();
        queue.push(work("one", "a", 1));
        queue.push(work("one", "a", 2));
        let both = queue.pop().unwrap();
        assert_eq!((both.number, both.entries.len()), (2, 2));
        assert!(queue.is_empty());
    }

    #[test]
    fn work_is_on_disk_when_it_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let (journals, _) = Journals::open(dir.path(), Quota::default()).unwrap();
        let (done, results) = mpsc::channel();
        let written = move |written: Written| done.send(written).unwrap();
        let writer = JournalWriter::start(journals, written).unwrap();
        writer.write(work("one", "a", 7));
        let written = results.recv().unwrap();
        assert_eq!((written.number, written.wants_snapshot), (7, false));
        assert!(written.failure.is_none());
        let segment = dir.path().join(&*written.journal.0).join("00000001.seg");
        assert!(segment.metadata().unwrap().len() > 0);
        writer.finish();
    }

    #[test]
    fn a_failed_journal_is_reported_once_and_the_thread_continues() {
        let dir = tempfile::tempdir().unwrap();
        let quota = Quota {
            journals: 1,
            ..Quota::default()
        };
        let (journals, _) = Journals::open(dir.path(), quota).unwrap();
        let (done, results) = mpsc::channel();
        let written = move |written: Written| done.send(written).unwrap();
        let writer = JournalWriter::start(journals, written).unwrap();
        for (session, number) in [("a", 1), ("b", 2), ("b", 3), ("a", 4)] {
            writer.write(work("one", session, number));
        }
        writer.finish();
        let failed: Vec<bool> = results.iter().map(|written| written.failure.is_some()).collect();
        assert_eq!(failed.iter().filter(|failed| **failed).count(), 1, "{failed:?}");
    }
}
