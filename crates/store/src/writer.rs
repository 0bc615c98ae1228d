//! The writer thread: all batches that wait become one transaction.

use crate::scribe::{Scribe, gone};
use crate::{Batch, Committed, Result, StoreError, limits};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread::JoinHandle;
use tokio::sync::{Semaphore, oneshot};

type Answer = Box<dyn FnOnce(Result<Committed>) + Send>;

struct Request {
    batch: Batch,
    answer: Answer,
}

/// The queue into the writer thread. Dropping it ends the thread after what waits is written.
pub(crate) struct Writer {
    queue: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    // Room for those who wait without a thread of their own.
    room: Semaphore,
}

impl Writer {
    pub(crate) fn start(scribe: Scribe) -> Result<Self> {
        let (queue, requests) = channel();
        let thread = std::thread::Builder::new()
            .name("lace-store".into())
            .spawn(move || serve(scribe, &requests))
            .map_err(StoreError::io("start the writer thread"))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), room: Semaphore::new(limits::QUEUE_BATCHES_MAX) })
    }

    pub(crate) fn commit(&self, batch: Batch) -> Result<Committed> {
        let (answer, answered) = sync_channel(1);
        // Nobody is left to hear the answer where sending it fails.
        self.send(batch, Box::new(move |result| drop(answer.send(result))))?;
        answered.recv().map_err(gone)?
    }

    pub(crate) async fn commit_async(&self, batch: Batch) -> Result<Committed> {
        let _place = self.room.acquire().await.map_err(gone)?;
        let (answer, answered) = oneshot::channel();
        self.send(batch, Box::new(move |result| drop(answer.send(result))))?;
        answered.await.map_err(gone)?
    }

    fn send(&self, batch: Batch, answer: Answer) -> Result<()> {
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        queue.send(Request { batch, answer }).map_err(gone)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // Its panic was reported where it happened; waiters have heard that the store is closed.
            let _ = thread.join();
        }
    }
}

fn serve(mut scribe: Scribe, requests: &Receiver<Request>) {
    while let Ok(first) = requests.recv() {
        let waiting = requests.try_iter().take(limits::GROUP_BATCHES_MAX - 1);
        let (batches, answers): (Vec<Batch>, Vec<Answer>) =
            std::iter::once(first).chain(waiting).map(|request| (request.batch, request.answer)).unzip();
        let results = scribe.commit(&batches);
        answers.into_iter().zip(results).for_each(|(answer, result)| answer(result));
    }
}
