//! What a process said, in bounded memory.

use std::{
    collections::VecDeque,
    io::{self, BufRead as _, BufReader, Read},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

/// Of the lines together; the oldest go first.
const KEPT_BYTES: usize = 4 << 20;
/// Of one line; a longer one is kept in pieces.
const LINE_BYTES: u64 = 64 << 10;

#[derive(Debug, Default)]
pub(super) struct Lines(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Lines {
    /// Reads `pipe` on a thread of its own until it ends.
    pub(super) fn reading(pipe: impl Read + Send + 'static) -> io::Result<Arc<Self>> {
        let lines = Arc::new(Self::default());
        let sink = Arc::clone(&lines);
        thread::Builder::new().name("process output".to_owned()).spawn(move || sink.read(pipe))?;
        Ok(lines)
    }

    fn read(&self, pipe: impl Read) {
        let mut pipe = BufReader::new(pipe);
        loop {
            let mut line = Vec::new();
            match pipe.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => self.keep(String::from_utf8_lossy(&line).trim_end().to_owned()),
            }
        }
    }

    fn keep(&self, line: String) {
        let mut kept = self.lock();
        kept.bytes += line.len();
        kept.lines.push_back(line);
        while kept.bytes > KEPT_BYTES {
            let Some(oldest) = kept.lines.pop_front() else { return };
            kept.bytes -= oldest.len();
        }
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.lock().lines.iter().cloned().collect()
    }

    pub(super) fn last(&self, count: usize) -> Vec<String> {
        let kept = self.lock();
        kept.lines.iter().skip(kept.lines.len().saturating_sub(count)).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept() {
        let lines = Lines::default();
        let text = format!("first\n{}last", format!("{}\n", "x".repeat(60_000)).repeat(80));
        lines.read(text.as_bytes());
        let all = lines.all();
        assert!(all.iter().map(String::len).sum::<usize>() <= KEPT_BYTES && all.len() < 80, "{}", all.len());
        assert_eq!((lines.last(1), all.first().unwrap().len()), (vec!["last".to_owned()], 60_000));
    }

    #[test]
    fn a_line_without_end_is_kept_in_pieces() {
        let lines = Lines::default();
        lines.read("y".repeat(100_000).as_bytes());
        assert_eq!(lines.all().iter().map(String::len).collect::<Vec<_>>(), [65_536, 34_464]);
    }
}
