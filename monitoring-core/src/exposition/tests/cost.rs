//! The memory of a long exposition: that of a chunk.

use allocation_counter::measure;

use super::*;
use crate::{Counter, Histogram};

const COUNTER: Descriptor = Descriptor::counter("test.many", THINGS, "").labels(&["color", "name"]);
const SIZE: Descriptor =
    Descriptor::histogram("test.size", Unit::Bytes, &[1.0, 10.0, 100.0], "").labels(&["color", "name"]);

#[test]
fn an_exposition_allocates_by_chunk_and_not_by_series() {
    let monitoring = monitoring();
    let counter: Counter<Labels> = monitoring.registry().counter(&COUNTER).unwrap();
    let size: Histogram<Labels, u64> = monitoring.registry().histogram(&SIZE).unwrap();
    for number in 0..10_000 {
        let labels = labels(&monitoring, Color::Red, &format!("name-{number}"));
        counter.add(labels, number);
        size.record(labels, number);
    }
    for &format in FORMATS {
        // The first one makes the series that tell of the store itself.
        monitoring.exposition_in(format).for_each(drop);
        let (mut chunks, mut length) = (0, 0);
        let cost = measure(|| {
            for chunk in monitoring.exposition_in(format) {
                chunks += 1;
                length += chunk.len();
            }
        });
        assert!(length > 1 << 20, "{format:?} is {length} bytes");
        assert!(cost.bytes_max < 256 << 10, "{format:?} holds {} of {length} bytes", cost.bytes_max);
        let expected = chunks * 2 + 1_000;
        assert!(cost.count_total < expected, "{format:?} allocates {} times in {chunks} chunks", cost.count_total);
    }
}
