//! Whether a viewer got what was pushed.

use std::collections::BTreeMap;

use crate::Record;

/// What a viewer's list says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Index of the pushed media tag with which the viewer began, headers aside.
    pub joined_at: usize,
    /// Media tags that were pushed behind that and got.
    pub same: usize,
}

/// Checks that `got` is a run of `pushed` without a hole: the sequence headers in force, then everything from a keyframe
/// on, in order, each once, with stamps that keep their distances. Script tags are left out.
///
/// # Errors
/// A sentence that says where the lists part.
pub fn same_run(pushed: &[Record], got: &[Record]) -> Result<Verdict, String> {
    let pushed: Vec<&Record> = pushed.iter().filter(|tag| tag.is_media()).collect();
    let got: Vec<&Record> = got.iter().filter(|tag| tag.is_media()).collect();
    let headers = got.iter().take_while(|tag| tag.header).count();
    let first = got.get(headers).ok_or("nothing came but headers")?;
    let joined_at = pushed
        .iter()
        .position(|tag| tag.is_same_tag(first))
        .ok_or_else(|| format!("the first tag was never pushed: {first:?}"))?;
    let mut same = 0;
    let offset = first
        .ms
        .wrapping_sub(pushed.get(joined_at).map_or(0, |tag| tag.ms));
    for (index, tag) in got.iter().skip(headers).enumerate() {
        let Some(wanted) = pushed.get(joined_at + index) else {
            return Err(format!(
                "tag {index} came after all that was pushed: {tag:?}"
            ));
        };
        if !wanted.is_same_tag(tag) {
            return Err(format!(
                "tag {index} after joining at {joined_at}: {wanted:?} was pushed, {tag:?} came"
            ));
        }
        if tag.ms.wrapping_sub(wanted.ms) != offset {
            return Err(format!(
                "the stamp of tag {index} moved: {wanted:?} was pushed, {tag:?} came"
            ));
        }
        same += 1;
    }
    Ok(Verdict { joined_at, same })
}

/// What a viewer of bodies with identities lost or got twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Tags with an identity.
    pub tags: usize,
    /// Holes in the numbers of a session, in tags.
    pub lost: u64,
    /// Numbers that came again.
    pub doubled: u64,
    /// A session that came back after another, a number that went back, or a stamp that did.
    pub disordered: u64,
    /// The longest time between two tags, in microseconds.
    pub gap_us: u64,
    /// Sessions, in the order in which they came, with the first and last number of each.
    pub sessions: Vec<(u64, u64, u64)>,
}

/// Adds up what `got` says. The viewer is right if `lost`, `doubled` and `disordered` are 0.
pub fn account(got: &[Record]) -> Account {
    let mut account = Account::default();
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    let mut last: Option<&Record> = None;
    for tag in got {
        let Some((session, number)) = tag.identity else {
            continue;
        };
        account.tags += 1;
        match seen.get(&session) {
            Some(highest) if number <= *highest => account.doubled += 1,
            Some(highest) => account.lost += number - highest - 1,
            None => {}
        }
        if let Some(last) = last {
            account.gap_us = account.gap_us.max(tag.at_us.saturating_sub(last.at_us));
            let back = last.ms.wrapping_sub(tag.ms);
            if back != 0 && back < 1 << 31 {
                account.disordered += 1;
            }
        }
        match account.sessions.last_mut() {
            Some((current, _, highest)) if *current == session => *highest = number.max(*highest),
            _ => {
                if seen.contains_key(&session) {
                    account.disordered += 1;
                }
                account.sessions.push((session, number, number));
            }
        }
        let highest = seen.entry(session).or_insert(number);
        *highest = number.max(*highest);
        last = Some(tag);
    }
    account
}

#[cfg(test)]
mod tests {
    use headwater_media::TagKind;

    use super::*;
    use crate::identity;

    fn stream(session: u64, count: u64) -> Vec<Record> {
        let mut tags = vec![
            Record::of(TagKind::Video, 0, &identity::video_header(1), 0),
            Record::of(TagKind::Audio, 0, &identity::audio_header(), 0),
        ];
        for number in 0..count {
            let ms = u32::try_from(number * 40).unwrap();
            let body = identity::video(number % 10 == 0, session, number, 300);
            tags.push(Record::of(TagKind::Video, ms, &body, u64::from(ms) * 1_000));
        }
        tags
    }

    #[test]
    fn a_run_from_a_keyframe_on_is_the_same_and_any_fault_is_found() {
        let pushed = stream(1, 50);
        let mut right = pushed[..2].to_vec();
        right.extend_from_slice(&pushed[22..]);
        for tag in &mut right {
            tag.ms += 5_000;
        }
        assert_eq!(
            same_run(&pushed, &right).unwrap(),
            Verdict {
                joined_at: 22,
                same: 30
            }
        );
        type Fault = fn(&mut Vec<Record>);
        let faults: [(&str, Fault); 5] = [
            ("lost", |tags| drop(tags.remove(9))),
            ("twice", |tags| tags.insert(9, tags[9].clone())),
            ("swapped", |tags| tags.swap(8, 9)),
            ("moved", |tags| tags[9].ms += 1),
            ("other bytes", |tags| tags[9].hash.clear()),
        ];
        for (name, fault) in faults {
            let mut wrong = right.clone();
            fault(&mut wrong);
            assert!(same_run(&pushed, &wrong).is_err(), "{name}");
        }
    }

    #[test]
    fn identities_tell_what_was_lost_doubled_or_mixed() {
        let (one, two) = (stream(1, 20), stream(2, 20));
        let whole = account(&one);
        assert_eq!(
            (whole.lost, whole.doubled, whole.disordered, whole.tags),
            (0, 0, 0, 20)
        );
        assert_eq!(whole.gap_us, 40_000);
        let mut holed = one.clone();
        holed.drain(5..8);
        assert_eq!(account(&holed).lost, 3);
        let mut doubled = one.clone();
        doubled.insert(6, one[5].clone());
        assert_eq!(account(&doubled).doubled, 1);
        let mixed = [&one[..10], &two[..10], &one[10..]].concat();
        assert!(account(&mixed).disordered > 0);
    }
}
