//! What is sent, and what must be there at the end.

use testkit::servers::Record;

use crate::{
    feed::{Change, Course},
    run::{PARTITIONS, Run},
};

/// Enough that start and end do not count, few enough that all of it fits the time of a bench.
pub(crate) const CHANGES: usize = 20_000;
pub(crate) const COURSES: i64 = 20;

pub(crate) struct Load {
    pub(crate) courses: Vec<Course>,
    /// In the order in which they are sent. Any [`BATCH`](crate::limit::BATCH) of them in a row are of as many participants.
    pub(crate) changes: Vec<Change>,
    pub(crate) participants: usize,
}

impl Load {
    /// One change of each participant, and each is a person of whom nothing is known yet.
    pub(crate) fn of_new_persons(changes: usize) -> Self {
        Self::new(changes, 1)
    }

    /// Ten changes of each participant, as when a topic is read again from its beginning: the person is asked for once.
    pub(crate) fn of_known_persons(changes: usize) -> Self {
        Self::new(changes / 10, 10)
    }

    fn new(participants: usize, each: u64) -> Self {
        let courses: Vec<Course> = (3001..3001 + COURSES).map(Course::group).collect();
        let ids: Vec<i64> = courses.iter().map(|course| course.id).collect();
        let last = 70_000 + i64::try_from(participants).unwrap();
        Self { changes: Change::all(70_000..last, each, &ids, 101), courses, participants }
    }

    pub(crate) fn course_records(&self, run: &Run) -> Vec<Record> {
        self.courses.iter().zip(1..).map(|(course, position)| course.record(&run.courses, position)).collect()
    }

    pub(crate) fn records(&self, topic: &str) -> Vec<Record> {
        self.changes.iter().map(|change| change.record(topic, PARTITIONS)).collect()
    }
}
