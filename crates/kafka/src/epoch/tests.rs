use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn partition(number: i32) -> Partition {
    Partition::new("topic", number)
}

fn at(number: i32, next: i64) -> Position {
    Position { partition: partition(number), next }
}

#[test]
fn a_result_of_an_epoch_that_is_over_is_not_committed() {
    let (mut epochs, mut ours) = (Epochs::default(), Assignment::default());
    let first = epochs.begin();
    ours.begin(partition(0), first);
    assert!(ours.deliver(&partition(0), first, 7));
    assert!(ours.end(&partition(0)));
    assert!(!ours.finish(&partition(0), first, 7), "not ours at all");

    let second = epochs.begin();
    ours.begin(partition(0), second);
    assert!(ours.deliver(&partition(0), second, 7));
    assert!(!ours.finish(&partition(0), first, 7), "the other delivery of 7 is still running");
    assert_eq!(ours.due(), []);
    assert!(ours.finish(&partition(0), second, 7));
    assert_eq!(ours.due(), [at(0, 8)]);
}

#[test]
fn a_position_is_asked_for_once_and_again_after_a_refusal() {
    let (mut ours, epoch) = (Assignment::default(), Epochs::default().begin());
    ours.begin(partition(0), epoch);
    assert!(ours.deliver(&partition(0), epoch, 0) && ours.finish(&partition(0), epoch, 0));
    assert!(ours.is_due() && !ours.is_committed(&partition(0)));
    assert_eq!(ours.due(), [at(0, 1)]);
    assert_eq!((ours.due(), ours.is_all_committed()), (vec![], false));
    ours.refuse(&[at(0, 1)]);
    assert_eq!(ours.due(), [at(0, 1)]);
    ours.confirm(&[at(0, 1)]);
    assert!(ours.is_committed(&partition(0)) && ours.is_all_committed() && !ours.is_due());
    ours.refuse(&[at(0, 1)]);
    assert!(!ours.is_due(), "what was confirmed stays so");
}

#[test]
fn an_answer_to_an_earlier_epoch_confirms_nothing() {
    let (mut epochs, mut ours) = (Epochs::default(), Assignment::default());
    ours.begin(partition(0), epochs.begin());
    let second = epochs.begin();
    ours.begin(partition(0), second);
    assert!(ours.deliver(&partition(0), second, 3) && ours.finish(&partition(0), second, 3));
    ours.confirm(&[at(0, 900)]);
    assert!(!ours.is_committed(&partition(0)));
    assert_eq!(ours.due(), [at(0, 4)]);
}

#[derive(Debug, Clone)]
enum Step {
    Begin(i32),
    End(i32),
    Deliver(i32),
    /// One of all that was ever delivered, whatever its epoch.
    Finish(prop::sample::Index),
    Commit,
    Refuse,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..3).prop_map(Step::Begin),
        1 => (0..3).prop_map(Step::End),
        8 => (0..3).prop_map(Step::Deliver),
        8 => any::<prop::sample::Index>().prop_map(Step::Finish),
        4 => Just(Step::Commit),
        1 => Just(Step::Refuse),
    ]
}

proptest! {
    /// The model remembers, for each partition, which offsets its current owner has read and not settled. A delivery begins where
    /// the last commit ended, as a broker does it.
    #[test]
    fn nothing_unsettled_in_the_current_epoch_is_ever_committed(steps in proptest::collection::vec(step(), 1..300)) {
        let (mut epochs, mut ours) = (Epochs::default(), Assignment::default());
        let mut committed = [0_i64; 3];
        let mut reading: [Option<(Epoch, i64, BTreeSet<i64>)>; 3] = [None, None, None];
        let mut delivered: Vec<(i32, Epoch, i64)> = Vec::new();
        for step in steps {
            match step {
                Step::Begin(number) => {
                    let epoch = epochs.begin();
                    ours.begin(partition(number), epoch);
                    reading[number as usize] = Some((epoch, committed[number as usize], BTreeSet::new()));
                }
                Step::End(number) => {
                    prop_assert_eq!(ours.end(&partition(number)), reading[number as usize].take().is_some());
                }
                Step::Deliver(number) => if let Some((epoch, next, open)) = &mut reading[number as usize] {
                    prop_assert!(ours.deliver(&partition(number), *epoch, *next));
                    open.insert(*next);
                    delivered.push((number, *epoch, *next));
                    *next += 1;
                },
                Step::Finish(choice) => if !delivered.is_empty() {
                    let (number, epoch, offset) = delivered[choice.index(delivered.len())];
                    let counts = reading[number as usize].as_mut().is_some_and(|(current, _, open)| *current == epoch && open.remove(&offset));
                    prop_assert_eq!(ours.finish(&partition(number), epoch, offset), counts);
                },
                Step::Commit => {
                    let positions = ours.due();
                    for position in &positions {
                        let (_, next, open) = reading[position.partition.number as usize].as_ref().unwrap();
                        prop_assert_eq!(position.next, open.first().copied().unwrap_or(*next));
                        prop_assert!(position.next > committed[position.partition.number as usize]);
                        committed[position.partition.number as usize] = position.next;
                    }
                    ours.confirm(&positions);
                    prop_assert!(ours.is_all_committed());
                }
                Step::Refuse => {
                    let positions = ours.due();
                    ours.refuse(&positions);
                    prop_assert_eq!(ours.is_due(), !positions.is_empty());
                }
            }
        }
    }
}
